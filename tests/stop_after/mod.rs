//! Interrupts a training after a number of steps.

use std::sync::atomic::{AtomicBool, Ordering};

use macula::pretrain::{Event, Observer};

/// Raises `stop` once `after` steps are done.
pub struct StopAfter<'a> {
    pub after: u64,
    pub stop: &'a AtomicBool,
}

impl Observer for StopAfter<'_> {
    fn event(&mut self, event: Event<'_>) {
        let now = match event {
            Event::Started { step, .. } => step,
            Event::Step(line) => line.step,
            _ => return,
        };
        self.stop.fetch_or(now == self.after, Ordering::Relaxed);
    }
}
