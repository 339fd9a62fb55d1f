//! A machine to deploy to: this one, behind an SSH server.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::shell::{draw_pictures, expect, json};
use crate::ssh_server::{SshServer, free_port};

/// A machine and the files to deploy.
pub struct Stage {
    folder: tempfile::TempDir,
    server: SshServer,
    /// The address of the device.
    pub listen: String,
}

impl Stage {
    /// * `machine`: overrides the machine type that the server reports
    pub fn new(machine: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = SshServer::start(machine);
        draw_pictures(folder.path());
        Self { folder, server, listen: format!("tcp:127.0.0.1:{}", free_port()) }
    }

    /// The folder on this machine.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the deployment on "the other machine".
    pub fn there(&self) -> PathBuf {
        self.path().join("there")
    }

    /// An encoder of random weights drawn from `seed`, as a file.
    pub fn encoder(&self, seed: &str) -> String {
        let (run, out) = (format!("run-{seed}"), format!("shipped-{seed}"));
        let pretrain = ["pretrain", "--data", "phantoms:16:60", "--method", "rotation", "--encoder", "pico", "--quiet"];
        let small = ["--channels", "1", "--size", "16", "--epochs", "1", "--seed", seed, "--out", &run];
        expect(0, self.path(), &[&pretrain[..], &small].concat());
        expect(0, self.path(), &["export", &run, "--out", &out, "--quiet"]);
        format!("{out}/encoder.onnx")
    }

    /// The encoder of [`Self::encoder`] in a bundle, signed by the key `maker`, which is made if missing.
    pub fn bundle(&self, seed: &str, counter: &str, maker: &str) -> String {
        let (shipped, out) = (format!("shipped-{seed}"), format!("{maker}-{seed}-{counter}.macula"));
        if !self.path().join(&shipped).exists() {
            self.encoder(seed);
        }
        let secret = format!("{maker}.key");
        if !self.path().join(&secret).exists() {
            expect(0, self.path(), &["keygen", "--out", maker, "--quiet"]);
        }
        let counted = ["--counter", counter, "--out", &out, "--quiet"];
        expect(0, self.path(), &[&["bundle", &shipped, "--signing-key", &secret], &counted[..]].concat());
        out
    }

    /// The program without debug information.
    pub fn program(&self) -> String {
        let program = self.path().join("program");
        let stripped = Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_macula")).status();
        assert!(stripped.unwrap().success());
        "program".to_owned()
    }

    /// Deploys and checks the exit code.
    pub fn deploy(&self, code: i32, bundle: &str, program: &str, more: &[&str]) -> (String, String) {
        self.deploy_to(&self.there(), code, bundle, program, more)
    }

    /// As [`Self::deploy`], to the folder `there`.
    pub fn deploy_to(&self, there: &Path, code: i32, bundle: &str, program: &str, more: &[&str]) -> (String, String) {
        let (config, there) = (self.server.config(), there.to_str().unwrap());
        let config = config.to_str().unwrap();
        let to = ["deploy", "board", "--ssh-config", config, "--dir", there, "--listen", &self.listen, "--no-systemd"];
        let what = ["--encoder", bundle, "--binary", program, "--json"];
        expect(code, self.path(), &[&to[..], &what, more].concat())
    }

    /// Deploys, and returns the report.
    pub fn deployed(&self, bundle: &str, program: &str, more: &[&str]) -> Value {
        json(&self.deploy(0, bundle, program, more).0)
    }

    /// Teaches two classes of two pictures.
    pub fn teach(&self) {
        for class in ["bright", "dark"] {
            let (one, two) = (format!("{class}-0.png"), format!("{class}-1.png"));
            expect(0, self.path(), &["learn", "--device", &self.listen, "--class", class, &one, &two]);
        }
    }

    /// The state hash of the serving device.
    pub fn state(&self) -> Value {
        let status = json(&expect(0, self.path(), &["status", "--device", &self.listen, "--json"]).0);
        status["state_sha256"].clone()
    }

    /// The process ID of the supervisor.
    pub fn keeper(&self) -> String {
        std::fs::read_to_string(self.there().join("pid")).unwrap()
    }
}

impl Drop for Stage {
    /// Stops the device.
    fn drop(&mut self) {
        if let Ok(pid) = std::fs::read_to_string(self.there().join("pid")) {
            Command::new("kill").arg(pid.trim()).status().ok();
        }
    }
}

/// The files that a deployment copied.
pub fn copied(report: &Value) -> Vec<&str> {
    let files = report["files"].as_array().unwrap();
    files.iter().filter(|file| file["copied"] == true).map(|file| file["name"].as_str().unwrap()).collect()
}
