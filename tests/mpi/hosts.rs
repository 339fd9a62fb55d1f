//! Two hosts in network namespaces, connected by a virtual cable.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::job::Job;

/// The addresses exist only inside the namespaces.
const ADDRESSES: [&str; 2] = ["10.213.77.1", "10.213.77.2"];
const NETWORK: &str = "10.213.77.0/24";
const NAMES: [&str; 2] = ["node-a", "node-b"];

/// Two hosts that exist until this is dropped.
pub struct Hosts {
    folder: tempfile::TempDir,
    namespaces: [String; 2],
    servers: Vec<Child>,
    port: u16,
}

impl Hosts {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let id = std::process::id();
        let namespaces = ["a", "b"].map(|end| format!("macula-{id}-{end}"));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut hosts = Self { folder, namespaces, servers: Vec::new(), port };
        hosts.connect();
        hosts.write_keys();
        for index in 0..2 {
            let server = hosts.serve(index);
            hosts.servers.push(server);
        }
        hosts
    }

    fn connect(&self) {
        let [a, b] = &self.namespaces;
        let ip = |line: &str| run(Command::new("ip").args(line.split(' ')));
        ip(&format!("netns add {a}"));
        ip(&format!("netns add {b}"));
        ip(&format!("link add eth-a netns {a} type veth peer name eth-b netns {b}"));
        for ((namespace, address), device) in self.namespaces.iter().zip(ADDRESSES).zip(["eth-a", "eth-b"]) {
            ip(&format!("-n {namespace} addr add {address}/24 dev {device}"));
            ip(&format!("-n {namespace} link set {device} up"));
            ip(&format!("-n {namespace} link set lo up"));
        }
    }

    fn write_keys(&self) {
        let path = self.folder.path();
        for key in ["host-key", "user-key"] {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path.join(key)));
        }
        let public = |key: &str| std::fs::read_to_string(path.join(key).with_extension("pub")).unwrap();
        std::fs::write(path.join("authorized"), public("user-key")).unwrap();
        let known = ADDRESSES.map(|address| format!("[{address}]:{} {}", self.port, public("host-key"))).concat();
        std::fs::write(path.join("known"), known).unwrap();
        let client = format!(
            "Host *\n Port {}\n IdentityFile {1}/user-key\n IdentitiesOnly yes\n UserKnownHostsFile {1}/known\n \
             StrictHostKeyChecking yes\n BatchMode yes\n LogLevel ERROR\n",
            self.port,
            path.display()
        );
        std::fs::write(path.join("ssh_config"), client).unwrap();
        std::fs::write(path.join("hosts"), ADDRESSES.map(|address| format!("{address} slots=1\n")).concat()).unwrap();
    }

    /// A command in one of the hosts, which has a name of its own.
    fn inside(&self, index: usize, script: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespaces[index], "unshare", "--uts", "--mount", "sh", "-c"]);
        command.arg(format!("hostname {} && {script}", NAMES[index]));
        command
    }

    fn serve(&self, index: usize) -> Child {
        let path = self.folder.path();
        let config = path.join(format!("sshd-{index}"));
        let text = format!(
            "ListenAddress {}:{}\nHostKey {2}/host-key\nPidFile none\nAuthorizedKeysFile {2}/authorized\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n",
            ADDRESSES[index],
            self.port,
            path.display()
        );
        std::fs::write(&config, text).unwrap();
        // A server started by root needs this folder, which its package makes at boot.
        std::fs::create_dir_all("/run/sshd").ok();
        let program = std::env::var("MACULA_SSHD").unwrap_or_else(|_| "/usr/sbin/sshd".to_owned());
        let log = path.join(format!("log-{index}"));
        let script = format!("exec {program} -D -f {} -E {}", config.display(), log.display());
        let child = self.inside(index, &script).stdin(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains("listening")) {
            let text = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(30), "the server does not start: {}", text());
            std::thread::sleep(Duration::from_millis(50));
        }
        child
    }

    /// Runs the program with `words` once per host; the first host starts the job.
    pub fn mpirun(&self, folder: &Path, words: &[String]) -> Job {
        self.started(folder, &[&[env!("CARGO_BIN_EXE_macula").to_owned()], words].concat())
    }

    /// As [`Self::mpirun`], where the second host has an empty folder in place of `missing`.
    pub fn mpirun_without(&self, folder: &Path, missing: &str, words: &[String]) -> Job {
        let script = self.folder.path().join("elsewhere");
        let text = format!(
            "#!/bin/sh\n[ $(hostname) = node-b ] || exec \"$@\"\n\
             exec unshare --mount sh -c 'mount -t tmpfs none {} && exec \"$@\"' sh \"$@\"\n",
            folder.join(missing).display()
        );
        std::fs::write(&script, text).unwrap();
        run(Command::new("chmod").arg("+x").arg(&script));
        let program = [script.display().to_string(), env!("CARGO_BIN_EXE_macula").to_owned()];
        self.started(folder, &[&program, words].concat())
    }

    fn started(&self, folder: &Path, words: &[String]) -> Job {
        let path = self.folder.path().display();
        let line = format!(
            "exec mpirun --allow-run-as-root --hostfile {path}/hosts --mca plm_rsh_args '-F {path}/ssh_config' \
             --mca btl tcp,self --mca btl_tcp_if_include {NETWORK} --mca oob_tcp_if_include {NETWORK} --bind-to none \
             --map-by node -n 2 --wdir {} {}",
            folder.display(),
            words.join(" "),
        );
        Job::spawn(&mut self.inside(0, &line))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for server in &mut self.servers {
            server.kill().ok();
            server.wait().ok();
        }
        for namespace in &self.namespaces {
            Command::new("ip").args(["netns", "del", namespace]).status().ok();
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
