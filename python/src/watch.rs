//! Long work that Ctrl-C ends and that reports events to Python.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use pyo3::prelude::*;
use serde_json::Value;

use crate::error::Failure;

/// Interval between two looks for Ctrl-C.
pub const TICK: Duration = Duration::from_millis(50);

/// The worker's end.
pub struct Watch {
    /// Raised when the work should end.
    pub stop: AtomicBool,
    ends: Mutex<Option<(Sender<Value>, Receiver<()>)>>,
}

impl Watch {
    /// Whether the work should end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Reports an event and waits until it is handled, so that a stop takes effect at the event.
    pub fn report(&self, event: Value) {
        if let Ok(ends) = self.ends.lock()
            && let Some((events, handled)) = &*ends
            && events.send(event).is_ok()
        {
            // It fails when nobody listens any more.
            let _ = handled.recv();
        }
    }
}

/// Raises a flag when it is dropped, by a panic as well.
struct StopOnDrop<'f>(&'f AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` in another thread, and on this one looks for Ctrl-C and hands events to `on_event`, which says whether to go
/// on. After Ctrl-C or an exception of `on_event`, `work` is asked to stop, and the exception is raised when it has ended.
pub fn watched<T: Send>(
    py: Python<'_>,
    mut on_event: impl FnMut(Value) -> PyResult<bool>,
    work: impl FnOnce(&Watch) -> Result<T, Failure> + Send,
) -> PyResult<T> {
    let ((send_event, mut events), (send_handled, handled)) = (channel(), channel());
    let watch = &Watch { stop: AtomicBool::new(false), ends: Mutex::new(Some((send_event, handled))) };
    let mut raised = None;
    let done = std::thread::scope(|scope| {
        // A panic of `on_event` drops both before the scope waits for the worker, which would wait for an answer otherwise.
        let (send_handled, _stop) = (send_handled, StopOnDrop(&watch.stop));
        let worker = scope.spawn(move || {
            let done = catch_unwind(AssertUnwindSafe(|| work(watch)));
            // Nobody else has the sending end: this ends the loop below.
            watch.ends.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
            done
        });
        loop {
            let (event, receiver) = py.detach(move || (events.recv_timeout(TICK), events));
            events = receiver;
            let handled = match event {
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => py.check_signals(),
                Ok(event) => {
                    let answer = match raised {
                        Some(_) => Ok(false),
                        None => py.check_signals().and_then(|()| on_event(event)),
                    };
                    if !matches!(answer, Ok(true)) {
                        watch.stop.store(true, Ordering::Relaxed);
                    }
                    let _ = send_handled.send(());
                    answer.map(drop)
                }
            };
            if let Err(error) = handled {
                watch.stop.store(true, Ordering::Relaxed);
                raised.get_or_insert(error);
            }
        }
        py.detach(|| worker.join())
    });
    if let Some(error) = raised {
        return Err(error);
    }
    let done = done.and_then(|done| done).unwrap_or_else(|panic| Err(Failure::of_panic(&*panic)));
    Ok(done?)
}

/// As [`watched`] for work without events.
pub fn interruptible<T: Send>(py: Python<'_>, work: impl FnOnce(&Watch) -> Result<T, Failure> + Send) -> PyResult<T> {
    watched(py, |_| Ok(true), work)
}
