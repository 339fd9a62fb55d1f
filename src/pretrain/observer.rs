//! What the loop tells while it works. Nothing in the library prints.

use super::metrics::{EpochLine, StepLine};

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// Images read before training.
    Reading {
        /// So far.
        done: usize,
        /// In all.
        of: usize,
    },
    /// An image cannot be read and is left out.
    Skipped {
        /// The image.
        name: &'a str,
        /// What is wrong with it.
        reason: &'a str,
    },
    /// Training begins or goes on.
    Started {
        /// Steps done before.
        step: u64,
        /// Steps in all.
        steps: u64,
        /// Images trained on.
        images: usize,
        /// Images a step.
        batch_size: usize,
    },
    /// A step is done.
    Step(&'a StepLine),
    /// An epoch is done.
    Epoch(&'a EpochLine),
    /// Training goes on, but something is wrong with it.
    Warning(&'a str),
}

/// Is told what happens.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: Event<'_>);
}

/// Does not listen.
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _event: Event<'_>) {}
}
