//! A session with a device, in a thread of its own.
//!
//! Encoder, store, device, line and client borrow from each other, so that one function must hold them all. It runs in a
//! thread, takes jobs from a channel, and ends when the channel is closed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use macula::link::{Address, Client, ClientMemory, Embed, Transport, session_numbers};
use pyo3::prelude::*;

use crate::error::{Failure, Kind};
use crate::watch::TICK;

type Job = Box<dyn FnOnce(&mut Client<'_>) + Send>;

/// Warnings of a device: replies carry numbers only.
pub type Warnings = Arc<Mutex<Vec<String>>>;

/// The thread's end of a line.
pub struct Served {
    jobs: Receiver<Job>,
    ready: Sender<Result<(), Failure>>,
    /// Receives warnings.
    pub warnings: Warnings,
}

impl Served {
    /// Opens a session over `line` and does jobs until there are no more.
    pub fn serve(&self, address: &Address, line: &mut dyn Transport, embed: Option<&Embed<'_>>) -> Result<(), Failure> {
        let mut memory = ClientMemory::new();
        let mut client = Client::new(address, line, &mut memory, session_numbers())?;
        if let Some(embed) = embed {
            client.set_local_encoder(embed);
        }
        let _ = self.ready.send(Ok(()));
        while let Ok(job) = self.jobs.recv() {
            job(&mut client);
        }
        Ok(())
    }

    /// Keeps a warning for the next caller.
    pub fn warn(&self, message: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
    }
}

/// A line to a device.
pub struct Line {
    running: Mutex<Option<(Sender<Job>, JoinHandle<()>)>>,
    warnings: Warnings,
    /// The process that started the thread: a forked child has no such thread.
    process: u32,
}

impl Line {
    /// Starts the thread, which runs `hold`, and waits until its session is open.
    pub fn open(py: Python<'_>, hold: impl FnOnce(&Served) -> Result<(), Failure> + Send + 'static) -> PyResult<Self> {
        let ((send, jobs), (ready, opened)) = (channel(), channel());
        let warnings = Warnings::default();
        let served = Served { jobs, ready, warnings: Arc::clone(&warnings) };
        let thread = std::thread::Builder::new().name("macula device".to_owned()).spawn(move || {
            let done = catch_unwind(AssertUnwindSafe(|| hold(&served)));
            let done = done.unwrap_or_else(|panic| Err(Failure::of_panic(&*panic)));
            if let Err(failure) = done {
                // Nobody listens after the session was opened: then a job had the error.
                let _ = served.ready.send(Err(failure));
            }
        });
        let thread = thread.map_err(|error| Failure::new(Kind::Device, format!("cannot start a thread: {error}")))?;
        // After Ctrl-C nobody waits for a device that may not reply.
        let answer = wait(py, opened, || false)?;
        answer.unwrap_or_else(|| Err(Failure::new(Kind::Internal, "the thread of the device ended")))?;
        Ok(Self { running: Mutex::new(Some((send, thread))), warnings, process: std::process::id() })
    }

    /// Runs `job` with the client. After Ctrl-C the flag that it receives is raised, and the exception follows when the job has
    /// ended, so that what it undoes is undone. A second Ctrl-C does not wait for it.
    pub fn call<T: Send + 'static>(
        &self,
        py: Python<'_>,
        job: impl FnOnce(&mut Client<'_>, &AtomicBool) -> Result<T, Failure> + Send + 'static,
    ) -> PyResult<T> {
        if self.process != std::process::id() {
            let message =
                "the device was opened by another process; open it after the fork, or start processes by 'spawn'";
            return Err(Failure::new(Kind::Device, message).into());
        }
        let (send, answered) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let work: Job = Box::new(move |client| {
            let done = catch_unwind(AssertUnwindSafe(|| job(client, &flag)));
            let _ = send.send(done.unwrap_or_else(|panic| Err(Failure::of_panic(&*panic))));
        });
        let closed = || Failure::new(Kind::Device, "the device is closed");
        {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let (jobs, _) = running.as_ref().ok_or_else(closed)?;
            jobs.send(work).map_err(|_| closed())?;
        }
        let answer = wait(py, answered, || {
            stop.store(true, Ordering::Relaxed);
            true
        })?;
        let warnings = std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner));
        let more: String = warnings.iter().map(|warning| format!("; {warning}")).collect();
        Ok(answer.unwrap_or_else(|| Err(closed())).map_err(|failure| failure.with(&more))?)
    }

    /// Ends the session and waits for the thread, so that the store is closed.
    pub fn close(&self, py: Python<'_>) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.process != std::process::id() {
            // A forked child has no such thread to wait for or to detach.
            std::mem::forget(running);
            return;
        }
        if let Some((jobs, thread)) = running {
            drop(jobs);
            // The thread answers panics itself.
            let _ = py.detach(|| thread.join());
        }
    }
}

impl Drop for Line {
    /// A device that was not closed is closed when it is collected, at the latest when the interpreter ends.
    fn drop(&mut self) {
        Python::try_attach(|py| self.close(py));
    }
}

/// Waits for an answer and looks for Ctrl-C meanwhile; `None` if no answer will come. The first Ctrl-C calls `interrupt`, which
/// says whether to wait for the end of the work; the second ends the wait.
fn wait<T: Send>(py: Python<'_>, mut answers: Receiver<T>, interrupt: impl Fn() -> bool) -> PyResult<Option<T>> {
    let mut raised = None;
    loop {
        let (answer, receiver) = py.detach(move || (answers.recv_timeout(TICK), answers));
        answers = receiver;
        let answer = match answer {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = py.check_signals() {
                    if raised.is_some() || !interrupt() {
                        return Err(error);
                    }
                    raised = Some(error);
                }
                continue;
            }
        };
        return raised.map_or(Ok(answer), Err);
    }
}
