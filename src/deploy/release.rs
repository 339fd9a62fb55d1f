//! A release: a program, a bundle and the script that starts them.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::ssh::quote;
use super::{DeployError, Settings};
use crate::files::{MODEL_MAX, read_bounded};

/// The systemd unit, shared with the Debian package.
const UNIT: &str = include_str!("../../packaging/macula-device.service");

/// The name of the systemd state folder.
const STATE: &str = "macula-device";

/// Digits of a release ID.
const ID_LEN: usize = 16;

/// A file of a release.
pub struct Part {
    /// Its name in the release.
    pub name: String,
    /// SHA-256 in hexadecimal digits, its name in `files/`.
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
    /// Reads the files.
    ///
    /// # Errors
    /// When a file cannot be read or is not an encoder.
    pub fn read(settings: &Settings, program: &Path) -> Result<Self, DeployError> {
        // A device recognises the kind of file by its extension.
        let ending = settings.bundle.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if !["macula", "onnx", "blob"].contains(&ending.as_str()) {
            let needed = "FILE.macula, FILE.onnx or FILE.blob is needed";
            let value = settings.bundle.display().to_string();
            return Err(DeployError::Setting { setting: "encoder", value, needed });
        }
        Ok(Self {
            program: Part::read(program, "macula".to_owned(), "755")?,
            bundle: Part::read(&settings.bundle, format!("device.{ending}"), "644")?,
            key: settings.key.as_deref().map(|path| Part::read(path, "key.pub".to_owned(), "644")).transpose()?,
        })
    }

    /// All files.
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

/// A release and its paths.
pub struct Release {
    /// Its ID, a hash of its files and start script.
    pub id: String,
    /// The file of its store.
    pub store: String,
    /// The start script.
    pub start: String,
    /// The systemd unit.
    pub unit: String,
}

impl Release {
    /// * `dir`: absolute path of the folder of releases there
    /// * `systemd`: whether systemd runs it, with its own user and state folder
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
        // Without systemd's journal, the device writes its own log of limited size.
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
    fn the_release_id_depends_on_every_part() {
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
