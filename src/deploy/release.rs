//! What is brought to a machine as one: a program, a bundle, and how the one is started with the other.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::ssh::quote;
use super::{DeployError, Settings};
use crate::files::{MODEL_MAX, read_bounded};

/// The service, as the Debian package has it, too.
const UNIT: &str = include_str!("../../packaging/macula-device.service");

/// The name of the state that systemd keeps for the service.
const STATE: &str = "macula-device";

/// Digits of a release's name.
const ID_LEN: usize = 16;

/// A file to be brought there.
pub struct Part {
    /// What it is called in a release.
    pub name: String,
    /// SHA-256 in hexadecimal digits, by which it is stored.
    pub sha256: String,
    /// Its permissions.
    pub mode: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Part {
    fn read(path: &Path, name: String, mode: &'static str) -> Result<Self, DeployError> {
        let bytes = read_bounded(path, MODEL_MAX)
            .map_err(|error| DeployError::Read { path: error.path, source: error.source })?;
        Ok(Self { name, sha256: base16ct::lower::encode_string(&Sha256::digest(&bytes)), mode, bytes })
    }
}

/// The files of a release.
pub struct Parts {
    /// The program of a device.
    pub program: Part,
    /// Its encoder.
    pub bundle: Part,
    /// The public key that must have signed it.
    pub key: Option<Part>,
}

impl Parts {
    /// Reads them.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(settings: &Settings, program: &Path) -> Result<Self, DeployError> {
        // What kind of file it is, a device tells by its ending.
        let ending = settings.bundle.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if !["macula", "onnx", "blob"].contains(&ending.as_str()) {
            let needed = "a device takes FILE.macula, FILE.onnx or FILE.blob";
            let value = settings.bundle.display().to_string();
            return Err(DeployError::Setting { setting: "encoder", value, needed });
        }
        Ok(Self {
            program: Part::read(program, "macula".to_owned(), "755")?,
            bundle: Part::read(&settings.bundle, format!("device.{ending}"), "644")?,
            key: settings.key.as_deref().map(|path| Part::read(path, "key.pub".to_owned(), "644")).transpose()?,
        })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Part> {
        [&self.program, &self.bundle].into_iter().chain(&self.key)
    }

    /// The arguments that name the bundle to the program, from the release's folder.
    pub fn bundle_arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!("./{}", self.bundle.name)];
        if let Some(key) = &self.key {
            arguments.extend(["--trust".to_owned(), format!("./{}", key.name)]);
        }
        arguments
    }
}

/// A release and where it lives.
pub struct Release {
    /// Its name: the same files started the same way have the same.
    pub id: String,
    /// The file of its store.
    pub store: String,
    /// What starts it: a script.
    pub start: String,
    /// What has systemd start it.
    pub unit: String,
}

impl Release {
    /// * `dir`: the folder of all releases there, from the root
    /// * `systemd`: whether systemd runs it, as a user of its own with a folder of its own
    pub fn new(settings: &Settings, parts: &Parts, dir: &str, systemd: bool) -> Self {
        let store = match systemd {
            true => format!("/var/lib/{STATE}/device.store"),
            false => format!("{dir}/device.store"),
        };
        let mut words = vec!["./macula".to_owned(), "device".to_owned(), "--encoder".to_owned()];
        words.extend(parts.bundle_arguments());
        words.extend(["--store".to_owned(), store.clone(), "--listen".to_owned(), settings.listen.to_string()]);
        if settings.allow_remote {
            words.push("--allow-remote".to_owned());
        }
        let line = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        let runner = settings.runner.as_deref().unwrap_or_default();
        // What it writes down is no longer than its limit; systemd's journal has one of its own.
        let line = if systemd { line } else { format!("{line} '--log' {}", quote(&format!("{dir}/device.log"))) };
        let start = format!(
            "cd {} && export MACULA_START=\"$(cat {} 2>/dev/null)\" && exec {runner} {line}\n",
            quote(&format!("{dir}/current")),
            quote(&format!("{dir}/start-id"))
        );
        let unit = UNIT
            .replace("@BUNDLE@", &format!("{dir}/current/start"))
            .replace("@COMMAND@", &format!("/bin/sh {dir}/current/start"))
            .replace("@USER@", "DynamicUser=yes")
            .replace("@STATE@", STATE);
        let mut hash = Sha256::new();
        for part in parts.all() {
            hash.update(format!("{} {}\n", part.name, part.sha256));
        }
        for text in [&start, &unit] {
            hash.update(format!("{}\n{text}", text.len()));
        }
        let id = base16ct::lower::encode_string(&hash.finalize())[..ID_LEN].to_owned();
        Self { id, store, start, unit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(bundle: &[u8]) -> Parts {
        let part = |name: &str, bytes: &[u8]| Part {
            name: name.to_owned(),
            sha256: base16ct::lower::encode_string(&Sha256::digest(bytes)),
            mode: "644",
            bytes: bytes.to_vec(),
        };
        Parts { program: part("macula", b"program"), bundle: part("device.onnx", bundle), key: None }
    }

    #[test]
    fn a_release_is_known_by_all_that_is_in_it() {
        let settings = Settings::new("ward", "macula".into(), "a.onnx".into());
        let release = Release::new(&settings, &parts(b"bundle"), "/var/x", false);
        assert_eq!(release.id, Release::new(&settings, &parts(b"bundle"), "/var/x", false).id);
        let elsewhere = Settings { listen: "tcp:127.0.0.1:7001".parse().unwrap(), ..settings.clone() };
        let emulated = Settings { runner: Some("qemu-aarch64".to_owned()), ..settings.clone() };
        let others = [
            Release::new(&settings, &parts(b"another"), "/var/x", false),
            Release::new(&elsewhere, &parts(b"bundle"), "/var/x", false),
            Release::new(&emulated, &parts(b"bundle"), "/var/x", false),
            Release::new(&settings, &parts(b"bundle"), "/var/x", true),
        ];
        assert!(others.iter().all(|other| other.id != release.id));
        assert_eq!(
            release.start,
            "cd '/var/x/current' && export MACULA_START=\"$(cat '/var/x/start-id' 2>/dev/null)\" && exec  './macula' \
             'device' '--encoder' './device.onnx' '--store' '/var/x/device.store' '--listen' 'tcp:127.0.0.1:7000' \
             '--log' '/var/x/device.log'\n"
        );
    }

    #[test]
    fn the_unit_is_filled_in() {
        let settings = Settings::new("ward", "macula".into(), "a.onnx".into());
        let Release { unit, store, .. } = Release::new(&settings, &parts(b"bundle"), "/var/x", true);
        assert!(unit.contains("\nExecStart=/bin/sh /var/x/current/start\nDynamicUser=yes\n"), "{unit}");
        assert!(!unit.replace("@system-service", "").replace("@privileged @resources", "").contains("@S"), "{unit}");
        for left in ["@BUNDLE@", "@COMMAND@", "@USER@", "@STATE@"] {
            assert_eq!(unit.lines().filter(|line| !line.starts_with('#') && line.contains(left)).count(), 0, "{left}");
        }
        assert_eq!(store, "/var/lib/macula-device/device.store");
    }
}
