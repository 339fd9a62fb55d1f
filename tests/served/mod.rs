//! A device that serves until it is dropped.
#![allow(dead_code, reason = "not every test that starts a device needs all of it")]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

pub struct Served {
    pub child: Child,
    /// Where it listens, `tcp:HOST:PORT`.
    pub address: String,
}

impl Served {
    /// Starts `macula device --json`, which prints where it listens.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let report: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self { child, address: report["listening"].as_str().unwrap().to_owned() }
    }

    pub fn socket(&self) -> &str {
        self.address.strip_prefix("tcp:").unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(self.socket()).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}
