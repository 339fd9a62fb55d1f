//! Runs commands on another machine with the system's SSH client, which has the user's keys and known hosts.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::DeployError;

/// The script that runs on the other machine.
const SCRIPT: &str = include_str!("remote.sh");

/// The exit code of a failure of the client itself.
const CLIENT_FAILED: i32 = 255;

/// Bytes that are sent at once.
const PIECE_LEN: usize = 1 << 16;

/// Connection options; the client's configuration has the rest.
#[derive(Clone, Debug, Default)]
pub struct SshOptions {
    /// Port of the server.
    pub port: Option<u16>,
    /// User name.
    pub user: Option<String>,
    /// The file of a private key.
    pub identity: Option<PathBuf>,
    /// A configuration file instead of the user's.
    pub config: Option<PathBuf>,
}

/// A connection to a machine.
pub struct Ssh {
    host: String,
    arguments: Vec<OsString>,
    /// Folder of the socket by which all commands share one login.
    shared: tempfile::TempDir,
}

/// The result of a command there.
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// The last line of its standard error.
    pub last_words: String,
}

impl Ssh {
    /// Prepares a connection to `host`; sends nothing.
    ///
    /// # Errors
    /// When the host looks like an option, or there is no place for the socket.
    pub fn new(host: &str, options: &SshOptions) -> Result<Self, DeployError> {
        if host.is_empty() || host.starts_with('-') {
            let needed = "HOST or USER@HOST is needed";
            return Err(DeployError::Setting { setting: "host", value: host.to_owned(), needed });
        }
        let shared = tempfile::Builder::new()
            .prefix("macula-ssh-")
            .tempdir()
            .map_err(|source| DeployError::Client { program: "ssh", source })?;
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |flag: &str, value: OsString| arguments.extend([OsString::from(flag), value]);
        if let Some(config) = &options.config {
            add("-F", config.into());
        }
        if let Some(port) = options.port {
            add("-p", port.to_string().into());
        }
        if let Some(user) = &options.user {
            add("-l", user.into());
        }
        if let Some(identity) = &options.identity {
            add("-i", identity.into());
        }
        let mut socket = OsString::from("ControlPath=");
        socket.push(shared.path().join("line"));
        for option in ["ControlMaster=auto".into(), socket, "ControlPersist=60".into()] {
            add("-o", option);
        }
        // Detects a dead connection after a minute.
        add("-o", "ServerAliveInterval=20".into());
        arguments.push("-T".into());
        Ok(Self { host: host.to_owned(), arguments, shared })
    }

    /// Runs `action` of the script in `dir`; returns its output.
    ///
    /// # Errors
    /// When the machine cannot be reached, or the action fails there.
    pub fn act(&self, step: &'static str, action: &str, dir: &str, values: &[&str]) -> Result<String, DeployError> {
        let ran = self.run(action, dir, values)?;
        match ran.code {
            0 => Ok(ran.out),
            _ => Err(DeployError::Remote { host: self.host.clone(), step, message: ran.last_words }),
        }
    }

    /// As [`Self::act`], but returns the result of a failed action.
    ///
    /// # Errors
    /// When the machine cannot be reached.
    pub fn run(&self, action: &str, dir: &str, values: &[&str]) -> Result<Ran, DeployError> {
        let output = self.command(action, dir, values).stdin(Stdio::null()).output();
        self.ran(output.map_err(client_failed)?)
    }

    /// As [`Self::act`] with `content` on the action's standard input.
    ///
    /// # Errors
    /// As [`Self::act`].
    pub fn send(
        &self,
        step: &'static str,
        action: &str,
        dir: &str,
        values: &[&str],
        mut content: &[u8],
    ) -> Result<(), DeployError> {
        let mut command = self.command(action, dir, values);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(client_failed)?;
        if let Some(mut pipe) = child.stdin.take() {
            let mut piece = vec![0; PIECE_LEN];
            while let Ok(len @ 1..) = content.read(&mut piece) {
                // The exit status tells more than this error.
                if pipe.write_all(&piece[..len]).is_err() {
                    break;
                }
            }
        }
        let ran = self.ran(child.wait_with_output().map_err(client_failed)?)?;
        match ran.code {
            0 => Ok(()),
            _ => Err(DeployError::Remote { host: self.host.clone(), step, message: ran.last_words }),
        }
    }

    fn command(&self, action: &str, dir: &str, values: &[&str]) -> Command {
        // The client joins these words with blanks for the login shell there.
        let words = ["sh", "-c", SCRIPT, "macula-deploy", action, dir].into_iter().chain(values.iter().copied());
        let line = words.map(quote).collect::<Vec<_>>().join(" ");
        let mut command = Command::new("ssh");
        command.args(&self.arguments).arg("--").arg(&self.host).arg(line);
        command
    }

    fn ran(&self, output: Output) -> Result<Ran, DeployError> {
        let said = String::from_utf8_lossy(&output.stderr);
        let last_words = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no output").trim().to_owned();
        // With `--json`, the program there prints its error as JSON.
        let message = serde_json::from_str::<serde_json::Value>(&last_words).ok();
        let message = message.and_then(|said| Some(said["error"]["message"].as_str()?.to_owned()));
        let last_words = message.unwrap_or(last_words);
        match output.status.code() {
            None | Some(CLIENT_FAILED) => {
                Err(DeployError::Unreachable { host: self.host.clone(), message: last_words })
            }
            Some(code) => Ok(Ran { code, out: String::from_utf8_lossy(&output.stdout).into_owned(), last_words }),
        }
    }
}

impl Drop for Ssh {
    /// Closes the shared login.
    fn drop(&mut self) {
        if self.shared.path().join("line").exists() {
            let mut command = Command::new("ssh");
            command.args(&self.arguments).args(["-O", "exit", "--", &self.host]);
            // If this fails, it closes by itself after a minute.
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
        }
    }
}

fn client_failed(source: std::io::Error) -> DeployError {
    DeployError::Client { program: "ssh", source }
}

/// Quotes `word` for a POSIX shell.
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_stays_one_word() {
        for word in ["", "plain", "two words", "it's", "$(id) `id` \\ \" ; & | > * ? ~ #", "line\nbreak", "'"] {
            let output = Command::new("sh").args(["-c", &format!("printf %s {}", quote(word))]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn a_host_is_not_taken_for_an_option() {
        for host in ["", "-oProxyCommand=id"] {
            assert!(matches!(Ssh::new(host, &SshOptions::default()), Err(DeployError::Setting { .. })), "{host}");
        }
        assert!(Ssh::new("pi@ward-3.local", &SshOptions::default()).is_ok());
    }
}
