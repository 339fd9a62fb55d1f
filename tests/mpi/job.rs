//! Jobs of `mpirun` on this machine.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest time that a job may take.
const LIMIT: Duration = Duration::from_secs(300);

/// A started job. Dropping it ends it.
pub struct Job {
    child: Option<Child>,
}

impl Job {
    /// Starts the program with `words` in `folder`, `size` times.
    pub fn start(folder: &Path, size: usize, words: &[String]) -> Self {
        let mut command = Command::new("mpirun");
        // More processes than cores, as root in a container, and ten seconds to write a checkpoint after a signal.
        command.args(["--oversubscribe", "--allow-run-as-root", "--bind-to", "none"]);
        command.args(["--mca", "odls_base_sigkill_timeout", "10", "-n", &size.to_string()]);
        command.arg(env!("CARGO_BIN_EXE_macula")).args(words);
        Self::spawn(command.current_dir(folder))
    }

    /// Starts any command.
    pub fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; `./check mpi` brings it"));
        Self { child: Some(child) }
    }

    /// The process of `mpirun`.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Waits for the end: exit code, and what was printed.
    pub fn output(mut self) -> (Option<i32>, String) {
        let child = self.child.as_mut().unwrap();
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < LIMIT, "the job does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text.into_owned())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // `mpirun` passes SIGTERM on; it could not pass on SIGKILL.
            Command::new("kill").arg(child.id().to_string()).status().ok();
            child.wait().ok();
        }
    }
}

/// Waits for the end of `job`, and asserts its exit code.
pub fn finish(code: i32, job: Job) {
    let (found, text) = job.output();
    assert_eq!(found, Some(code), "{text}");
}

/// The processes that `mpirun` started, in the order of their ids.
pub fn ranks_of(job: &Job) -> Vec<u32> {
    let output = Command::new("pgrep").args(["-P", &job.id().to_string()]).output().unwrap();
    let mut ids: Vec<u32> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim().parse().unwrap()).collect();
    ids.sort_unstable();
    assert!(!ids.is_empty(), "the job has no processes");
    ids
}
