//! Deploys a program and a bundle to another machine over SSH and tests them there.
//!
//! 1. `remote.sh` reports the type of the machine and the SHA-256 of its files.
//! 2. Missing files are copied atomically. The serving release is not touched.
//! 3. The new program verifies the bundle there, while the old release continues to serve.
//! 4. The new release serves, pending. The store was copied before.
//! 5. The device must report this start's name (another device may use the port), reply, and pass its self-test; it is
//!    measured. Then the release is confirmed. A failure rolls back program, bundle and store.
//!
//! Each step may be repeated: after a broken connection the same command continues.

mod error;
mod machine;
mod release;
mod report;
mod settings;
mod ssh;

pub use error::DeployError;
pub use machine::Machine;
pub use report::{Copied, Report};
pub use settings::{LISTEN_DEFAULT, Settings};
pub use ssh::SshOptions;

use crate::link::Address;
use release::{Parts, Release};
use report::parse;
use ssh::{Ran, Ssh};

/// The default folder of a deployment: with systemd, and without it, below the home folder.
const FOLDERS: [&str; 2] = ["/usr/local/lib/macula-device", "macula-device"];

/// A machine, as it describes itself.
#[derive(Debug, Default)]
struct About {
    system: String,
    machine: String,
    systemd: bool,
}

/// The content of its folder of releases.
#[derive(Debug, Default)]
struct Probe {
    dir: String,
    /// The release that `current` points at.
    current: Option<String>,
    /// Whether it is not confirmed yet: a deployment was interrupted.
    is_pending: bool,
    running: bool,
    have: Vec<String>,
}

/// The lines of `text` as key and value.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(' ')).map(|(key, value)| (key, value.trim()))
}

impl About {
    fn of(text: &str) -> Self {
        let mut about = Self::default();
        for (key, value) in pairs(text) {
            match key {
                "system" => value.clone_into(&mut about.system),
                "machine" => value.clone_into(&mut about.machine),
                "manager" => about.systemd = value == "systemd",
                _ => {}
            }
        }
        about
    }
}

impl Probe {
    fn of(text: &str) -> Self {
        let mut probe = Self::default();
        for (key, value) in pairs(text) {
            match key {
                "dir" => value.clone_into(&mut probe.dir),
                "current" => probe.current = Some(value.to_owned()).filter(|value| !value.is_empty()),
                "trial" => probe.is_pending = !value.is_empty(),
                "running" => probe.running = value == "yes",
                "have" => probe.have.push(value.to_owned()),
                _ => {}
            }
        }
        probe
    }
}

/// A machine and the release for it.
struct Site<'a> {
    settings: &'a Settings,
    ssh: Ssh,
    about: About,
    parts: Parts,
    probe: Probe,
    release: Release,
}

/// Deploys program and bundle to the machine and tests them there.
///
/// * `tell`: receives progress, one sentence per step
///
/// # Errors
/// The step that failed, and the release that serves now.
pub fn deploy(settings: &Settings, tell: &dyn Fn(&str)) -> Result<Report, DeployError> {
    check(settings)?;
    let ssh = Ssh::new(&settings.host, &settings.ssh)?;
    tell(&format!("examining {}", settings.host));
    let name = action("about", settings.systemd);
    let about = About::of(&ssh.act("examine the machine", &name, ".", &[])?);
    let parts = parts_for(settings, &about)?;
    let dir = settings.dir.as_deref().unwrap_or(FOLDERS[usize::from(!about.systemd)]);
    let wanted: Vec<&str> = parts.all().map(|part| part.sha256.as_str()).collect();
    let probe = Probe::of(&ssh.act("list the files there", &action("probe", about.systemd), dir, &wanted)?);
    let release = Release::new(settings, &parts, &probe.dir, about.systemd);
    let site = Site { settings, ssh, about, parts, probe, release };
    let copied = site.copy(tell)?;
    let golden = site.check_bundle(tell)?;
    let unchanged = site.serves_already();
    if !unchanged {
        tell("starting the device");
        site.act("start the release", "switch", &[&site.release.id, &site.release.store, &start_name()?])?;
    }
    match site.prove(golden.as_ref(), tell) {
        Ok(proof) => {
            site.act("confirm the release", "confirm", &[&site.release.store])?;
            Ok(site.report(copied, golden, proof, !unchanged))
        }
        Err(error) if unchanged => Err(error),
        Err(error) => Err(site.roll_back(error, tell)),
    }
}

/// A unique name for a start: the device that reports it is the one that was started.
fn start_name() -> Result<String, DeployError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| DeployError::Random(error.to_string()))?;
    Ok(base16ct::lower::encode_string(&bytes))
}

/// Checks the settings before anything is copied.
fn check(settings: &Settings) -> Result<(), DeployError> {
    let refuse = |setting, value: String, needed| Err(DeployError::Setting { setting, value, needed });
    match &settings.listen {
        Address::Tcp { socket } if !socket.ends_with(":0") => {}
        other => return refuse("listen", other.to_string(), "tcp:ADDRESS:PORT with a fixed port is needed"),
    }
    let is_bundle = settings.bundle.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("macula"));
    if is_bundle != settings.key.is_some() {
        let needed = "a bundle, FILE.macula, needs --trust with the public key that signed it; other files must not have --trust";
        return refuse("encoder", settings.bundle.display().to_string(), needed);
    }
    // The folder appears in a systemd unit and in scripts.
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+~".contains(c));
    match &settings.dir {
        Some(dir) if dir.is_empty() || !plain(dir) => {
            refuse("dir", dir.clone(), "letters, digits and / . _ - + ~ are allowed")
        }
        _ => Ok(()),
    }
}

/// The name of an action, with or without systemd.
fn action(action: &str, systemd: bool) -> String {
    match systemd {
        true => action.to_owned(),
        false => format!("{action}:plain"),
    }
}

/// Reads the files; the program must be built for the machine.
fn parts_for(settings: &Settings, about: &About) -> Result<Parts, DeployError> {
    let host = || settings.host.clone();
    let needed = Machine::from_uname(&about.machine).filter(|_| about.system == "Linux");
    let needed = needed.ok_or_else(|| DeployError::Machine {
        host: host(),
        system: about.system.clone(),
        machine: about.machine.clone(),
    })?;
    let program = match settings.program.is_dir() {
        true => settings.program.join(format!("macula-{needed}")),
        false => settings.program.clone(),
    };
    let parts = Parts::read(settings, &program)?;
    let found = Machine::from_elf(&parts.program.bytes);
    // An emulator runs programs for other machines.
    if found == Some(needed) || found.is_some() && settings.runner.is_some() {
        return Ok(parts);
    }
    Err(DeployError::Program {
        path: program.display().to_string(),
        found: found.map_or_else(|| "an unknown machine".to_owned(), |found| found.to_string()),
        host: host(),
        needed: needed.to_string(),
    })
}

impl Site<'_> {
    fn action(&self, name: &str) -> String {
        action(name, self.about.systemd)
    }

    fn act(&self, step: &'static str, action: &str, values: &[&str]) -> Result<String, DeployError> {
        self.ssh.act(step, &self.action(action), &self.probe.dir, values)
    }

    /// Runs the program of the release there.
    fn run(&self, arguments: &[&str]) -> Result<Ran, DeployError> {
        let values = [&[self.release.id.as_str()], arguments].concat();
        self.ssh.run(&self.action("run"), &self.probe.dir, &values)
    }

    /// Copies missing files and makes the release; returns which parts were copied.
    fn copy(&self, tell: &dyn Fn(&str)) -> Result<Vec<bool>, DeployError> {
        let mut copied = Vec::new();
        for part in self.parts.all() {
            let missing = !self.probe.have.contains(&part.sha256);
            if missing {
                tell(&format!("copying {} ({} bytes)", part.name, part.bytes.len()));
                let values = [part.sha256.as_str(), part.mode];
                self.ssh.send("store a file", &self.action("receive"), &self.probe.dir, &values, &part.bytes)?;
            }
            copied.push(missing);
        }
        let Release { id, start, unit, .. } = &self.release;
        let (runner, address) = (self.settings.runner.as_deref().unwrap_or_default(), self.local_address());
        let mut values = vec![id.as_str(), start, unit, runner, &address];
        values.extend(self.parts.all().flat_map(|part| [part.name.as_str(), part.sha256.as_str()]));
        self.act("make the release", "release", &values)?;
        Ok(copied)
    }

    /// The address of the device on its own machine.
    fn local_address(&self) -> String {
        let address = self.settings.listen.to_string();
        address.replace("tcp:0.0.0.0:", "tcp:127.0.0.1:").replace("tcp:[::]:", "tcp:[::1]:")
    }

    /// Whether this release serves and is confirmed.
    fn serves_already(&self) -> bool {
        let Probe { current, is_pending, running, .. } = &self.probe;
        current.as_ref() == Some(&self.release.id) && *running && !is_pending
    }

    /// The error of a check that failed before anything was changed.
    fn refused(&self, check: &'static str, message: String) -> DeployError {
        let left = match (self.probe.running, &self.probe.current) {
            (true, Some(release)) => format!("release {release} continues to serve"),
            _ => "nothing was started".to_owned(),
        };
        DeployError::Check { host: self.settings.host.clone(), check, message, left }
    }

    /// Verifies the bundle there with the new program: signature, parts, golden images.
    fn check_bundle(&self, tell: &dyn Fn(&str)) -> Result<Option<serde_json::Value>, DeployError> {
        if !self.parts.bundle.name.ends_with(".macula") {
            return Ok(None);
        }
        tell("verifying the bundle there");
        let bundle = self.parts.bundle_arguments();
        let arguments: Vec<&str> = ["verify"].into_iter().chain(bundle.iter().map(String::as_str)).collect();
        let ran = self.run(&[&arguments[..], &["--json"]].concat())?;
        match parse(&ran.out) {
            Some(golden) if ran.code == 0 => Ok(Some(golden)),
            _ => Err(self.refused("verifying the bundle", ran.last_words)),
        }
    }

    /// Waits for the device, then runs status, self-test and bench.
    fn prove(
        &self,
        golden: Option<&serde_json::Value>,
        tell: &dyn Fn(&str),
    ) -> Result<[serde_json::Value; 3], DeployError> {
        let address = self.local_address();
        let id = self.release.id.as_str();
        let seconds = self.settings.timeout.as_secs().max(1).to_string();
        tell("waiting for the device");
        let awaited = self.ssh.run(&self.action("await"), &self.probe.dir, &[id, &seconds, &self.release.store])?;
        let status = self.answer("starting the device", awaited)?;
        self.uses_the_bundle(&status, golden)?;
        tell("running the self-test");
        let test = self.answer("the self-test", self.run(&["self-test", "--device", &address, "--json"])?)?;
        tell("measuring the encoder");
        let bundle = self.parts.bundle_arguments();
        let arguments: Vec<&str> =
            ["bench", "encoder", "--json", "--encoder"].into_iter().chain(bundle.iter().map(String::as_str)).collect();
        let bench = self.answer("measuring the encoder", self.run(&arguments)?)?;
        Ok([status, test, bench])
    }

    /// Checks that the device uses the bundle. A device keeps its bundle when the new one is older or was rolled back.
    fn uses_the_bundle(
        &self,
        status: &serde_json::Value,
        golden: Option<&serde_json::Value>,
    ) -> Result<(), DeployError> {
        let used = &status["bundle"];
        let Some(golden) = golden.filter(|_| used["sha256"].as_str() != Some(&self.parts.bundle.sha256)) else {
            return Ok(());
        };
        let (kept, new) = (used["counter"].as_u64().unwrap_or(0), golden["counter"].as_u64().unwrap_or(0));
        let tried = used["other_sha256"].as_str() == Some(&self.parts.bundle.sha256);
        // A device stores the first half of the identity.
        let identity =
            |of: &serde_json::Value| of["encoder_identity"].as_str().map(|hex| hex[..hex.len().min(32)].to_owned());
        let why = match used["reason"].as_str().filter(|_| tried) {
            Some(reason) => format!("rolled back: {reason}"),
            None if new < kept => "older".to_owned(),
            None if identity(status) != identity(golden) => {
                "for another encoder; use macula update, which asks whether samples may be forgotten".to_owned()
            }
            None => "refused, because a new bundle needs a higher counter".to_owned(),
        };
        let message = format!("it keeps the bundle with counter {kept}; the one with counter {new} is {why}");
        Err(self.refused("starting the device", message))
    }

    fn answer(&self, check: &'static str, ran: Ran) -> Result<serde_json::Value, DeployError> {
        match parse(&ran.out) {
            Some(value) if ran.code == 0 => Ok(value),
            _ => Err(self.refused(check, ran.last_words)),
        }
    }

    /// Rolls back to the previous release; returns the error with the release that serves now.
    fn roll_back(&self, error: DeployError, tell: &dyn Fn(&str)) -> DeployError {
        let (host, check, message) = match error {
            DeployError::Check { host, check, message, .. } => (host, check, message),
            other => (self.settings.host.clone(), "the new release", other.to_string()),
        };
        tell("rolling back to the previous release");
        let seconds = self.settings.timeout.as_secs().max(1).to_string();
        let back = || -> Result<String, DeployError> {
            let text = self.act("roll back", "back", &[&self.release.store, &start_name()?])?;
            let before = text.trim().trim_start_matches("before ").to_owned();
            if before != "none" {
                self.act("start the previous release", "await", &[&before, &seconds, &self.release.store])?;
            }
            Ok(before)
        };
        match back() {
            Ok(before) if before == "none" => {
                DeployError::Check { host, check, message, left: "no release serves there, as before".to_owned() }
            }
            Ok(before) => DeployError::Check { host, check, message, left: format!("release {before} serves again") },
            Err(why) => DeployError::NoWayBack { host, check, message, why: why.to_string() },
        }
    }

    fn report(
        &self,
        copied: Vec<bool>,
        golden: Option<serde_json::Value>,
        [status, self_test, bench]: [serde_json::Value; 3],
        started: bool,
    ) -> Report {
        let files = self.parts.all().zip(copied).map(|(part, copied)| Copied {
            name: part.name.clone(),
            sha256: part.sha256.clone(),
            bytes: part.bytes.len(),
            copied,
        });
        Report {
            host: self.settings.host.clone(),
            machine: self.about.machine.clone(),
            program_for: Machine::from_elf(&self.parts.program.bytes).map_or("", Machine::name),
            runner: self.settings.runner.clone(),
            dir: self.probe.dir.clone(),
            service: if self.about.systemd { "systemd" } else { "supervised" },
            address: self.settings.listen.to_string(),
            release: self.release.id.clone(),
            before: self.probe.current.clone(),
            started,
            files: files.collect(),
            golden,
            status,
            self_test,
            bench,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_the_script_are_parsed() {
        let about = About::of("system Linux\nmachine aarch64\nmanager systemd\n");
        assert_eq!((about.system.as_str(), about.machine.as_str(), about.systemd), ("Linux", "aarch64", true));
        let probe = Probe::of("dir /var/x\ncurrent \ntrial none\nrunning yes\nhave 01\nhave 02\n");
        assert!(probe.is_pending && probe.running && probe.current.is_none() && probe.dir == "/var/x");
        assert_eq!(probe.have, ["01", "02"]);
        let bare = Probe::of("current abc\ntrial \n");
        assert!(!bare.is_pending && !bare.running && bare.current.as_deref() == Some("abc"));
    }

    #[test]
    fn invalid_settings_are_refused() {
        let settings = Settings::new("ward", "macula".into(), "a.onnx".into());
        assert!(check(&settings).is_ok());
        for listen in ["tcp:127.0.0.1:0", "serial:ttyS0", "a.store"] {
            let settings = Settings { listen: listen.parse().unwrap(), ..settings.clone() };
            assert!(matches!(check(&settings), Err(DeployError::Setting { setting: "listen", .. })), "{listen}");
        }
        let unsigned = Settings { key: Some("maker.pub".into()), ..settings.clone() };
        let keyless = Settings { bundle: "a.macula".into(), ..settings.clone() };
        for settings in [unsigned, keyless] {
            assert!(matches!(check(&settings), Err(DeployError::Setting { setting: "encoder", .. })), "{settings:?}");
        }
        for dir in ["", "a b", "$(id)", "it's"] {
            let settings = Settings { dir: Some(dir.to_owned()), ..settings.clone() };
            assert!(matches!(check(&settings), Err(DeployError::Setting { setting: "dir", .. })), "{dir}");
        }
    }
}
