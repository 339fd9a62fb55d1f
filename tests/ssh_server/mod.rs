//! An SSH server on the loopback address with its own keys and configuration.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Path of the server, `MACULA_SSHD`; it restarts itself for each login.
fn server() -> String {
    std::env::var("MACULA_SSHD").unwrap_or_else(|_| "/usr/sbin/sshd".to_owned())
}

/// A server started by root needs this folder, which its package makes at boot.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// A free port of the loopback address.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that runs until it is dropped.
pub struct SshServer {
    folder: tempfile::TempDir,
    child: Child,
}

impl SshServer {
    /// * `machine`: overrides `uname -m` there
    pub fn start(machine: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, port) = (folder.path(), free_port());
        for key in ["host-key", "user-key"] {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path.join(key)));
        }
        let public = |key: &str| std::fs::read_to_string(path.join(key).with_extension("pub")).unwrap();
        std::fs::write(path.join("authorized"), public("user-key")).unwrap();
        std::fs::write(path.join("known"), format!("[127.0.0.1]:{port} {}", public("host-key"))).unwrap();
        let mut served = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host-key\nPidFile none\nAuthorizedKeysFile {0}/authorized\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n",
            path.display()
        );
        if let Some(machine) = machine {
            let fake = path.join("bin");
            pretend(&fake, machine);
            let rest = std::env::var("PATH").unwrap();
            writeln!(served, "SetEnv PATH={}:{rest}", fake.display()).unwrap();
        }
        std::fs::write(path.join("sshd_config"), served).unwrap();
        let config = format!(
            "Host board\n HostName 127.0.0.1\n Port {port}\n IdentityFile {0}/user-key\n IdentitiesOnly yes\n \
             UserKnownHostsFile {0}/known\n StrictHostKeyChecking yes\n BatchMode yes\n LogLevel ERROR\n",
            path.display()
        );
        std::fs::write(path.join("ssh_config"), config).unwrap();
        std::fs::create_dir_all(PRIVILEGE_SEPARATION).ok();
        let program = server();
        let mut command = Command::new(&program);
        command.arg("-D").arg("-f").arg(path.join("sshd_config")).arg("-E").arg(path.join("log"));
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{program}: {error}; `./check deploy` brings it"));
        let server = Self { folder, child };
        server.await_port(port);
        server
    }

    /// A client configuration that names the server `board`.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("ssh_config")
    }

    fn await_port(&self, port: u16) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(30), "the server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A `uname` that reports another machine.
fn pretend(folder: &Path, machine: &str) {
    std::fs::create_dir(folder).unwrap();
    let uname = folder.join("uname");
    std::fs::write(&uname, format!("#!/bin/sh\n[ \"$1\" = -m ] && echo {machine} || echo Linux\n")).unwrap();
    std::fs::set_permissions(&uname, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
