//! Requests on their way to the thread of the device, which handles one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tokio::sync::{broadcast, oneshot};

use super::controller::Controller;
use super::error::{ApiError, ErrorKind};
use super::types::{Change, Progress};

/// Requests that wait; a client beyond is told that the server is busy.
const WAITING_MAX: usize = 64;

/// Events that a slow client may miss before it is told to read everything again.
const EVENTS_MAX: usize = 64;

/// Interval of checks for a stop request.
const TICK: Duration = Duration::from_millis(200);

/// Work for the thread of the device.
type Job = Box<dyn FnOnce(&mut Controller<'_, '_>) + Send>;

/// What clients are told without asking.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// Something has changed.
    Change(Change),
    /// A long request advances.
    Progress(Progress),
}

/// Sends work to the thread of the device.
#[derive(Clone)]
pub struct Handle {
    jobs: SyncSender<Job>,
    events: broadcast::Sender<Event>,
}

/// Receives the work.
pub struct Worker {
    jobs: Receiver<Job>,
    events: broadcast::Sender<Event>,
    known: Option<Change>,
}

/// Both ends.
pub fn channel() -> (Handle, Worker) {
    let (sender, jobs) = sync_channel(WAITING_MAX);
    let (events, _) = broadcast::channel(EVENTS_MAX);
    (Handle { jobs: sender, events: events.clone() }, Worker { jobs, events, known: None })
}

impl Handle {
    /// Runs `work` on the thread of the device.
    ///
    /// # Errors
    /// As `work`; [`ErrorKind::Busy`] if too many requests wait, or the server ends.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Controller<'_, '_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (reply, result) = oneshot::channel();
        let job: Job = Box::new(move |controller| {
            // The client may have gone; a change is made all the same.
            let _ = reply.send(work(controller));
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => ApiError::new(ErrorKind::Busy, "too many requests wait for the device"),
            TrySendError::Disconnected(_) => ending(),
        })?;
        result.await.map_err(|_| ending())?
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Tells clients how far a long request is.
    pub fn progress(&self, progress: Progress) {
        // Without a client nobody hears it.
        let _ = self.events.send(Event::Progress(progress));
    }
}

fn ending() -> ApiError {
    ApiError::new(ErrorKind::Busy, "the server ends")
}

impl Worker {
    /// Handles requests until `stop` is set. Requests that still wait are handled when it is called again.
    pub fn serve(&mut self, controller: &mut Controller<'_, '_>, stop: &Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            // The queue is embedded while nothing else is to be done.
            let job = match self.jobs.try_recv() {
                Ok(job) => job,
                Err(_) => match controller.embed_one() {
                    Some((done, total)) => {
                        let _ = self.events.send(Event::Progress(Progress { task: "queue", done, total }));
                        continue;
                    }
                    None => match self.jobs.recv_timeout(TICK) {
                        Ok(job) => job,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => return,
                    },
                },
            };
            job(controller);
            self.tell(controller);
        }
    }

    /// Tells clients of a change.
    fn tell(&mut self, controller: &mut Controller<'_, '_>) {
        // The next request of a client reports an error.
        let Ok(change) = controller.change_event() else { return };
        if self.known.replace(change) != Some(change) {
            let _ = self.events.send(Event::Change(change));
        }
    }
}
