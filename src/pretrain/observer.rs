//! Progress events of training. The library itself prints nothing.

use std::fmt;
use std::path::Path;

use super::memory::TrainingMemory;
use super::metrics::{EpochLine, StepLine};
use crate::data::Image;
use crate::measure::Features;

/// Steps of a run that has few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FewSteps {
    /// Steps of the run.
    pub steps: u64,
    /// Steps per epoch.
    pub per_epoch: u64,
    /// Fewest steps that are advised.
    pub least: u64,
}

/// Steps of an epoch waited for input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowInput {
    /// Share of the steps' time.
    pub share: f64,
    /// Whether views are made ahead ([`super::Options::prefetch`]).
    pub prefetches: bool,
    /// Bytes that the cache ([`super::Options::cache_bytes`]) needs for the images that are read again in every epoch; none if it holds all.
    pub cache_bytes: Option<usize>,
}

/// Features of some training images by the finished encoder.
#[derive(Clone, Copy)]
pub struct Embedded<'a> {
    /// `[N, D]`.
    pub features: &'a Features,
    /// Label of each image, `[N]`.
    pub labels: &'a [Option<usize>],
    /// Class names in label order.
    pub class_names: &'a [String],
    /// Reads image `index` in the encoder's input size; `None` if it cannot be read.
    pub load: &'a dyn Fn(usize) -> Option<Image>,
}

impl fmt::Debug for Embedded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "features of {} images", self.labels.len())
    }
}

/// A progress event.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Images read before training.
    Reading {
        /// Images read so far.
        done: usize,
        /// All images.
        of: usize,
    },
    /// Features of a teacher computed before training.
    Teaching {
        /// The teacher.
        encoder: &'a str,
        /// Images whose features are computed.
        done: usize,
        /// All images.
        of: usize,
        /// The file of the features.
        path: &'a Path,
        /// Bytes of the file when it is complete.
        bytes: u64,
    },
    /// An image cannot be read and is skipped.
    Skipped {
        /// The image.
        name: &'a str,
        /// The reason.
        reason: &'a str,
    },
    /// The memory that training is expected to need.
    Memory {
        /// By what it is for.
        memory: &'a TrainingMemory,
        /// Share of the multiply-accumulates of a forward pass that a step computes again, to stay within a limit.
        recomputed: f64,
    },
    /// Training starts or resumes.
    Started {
        /// Steps done before.
        step: u64,
        /// All steps.
        steps: u64,
        /// Training images.
        images: usize,
        /// Images per step.
        batch_size: usize,
    },
    /// Some training images and their first views, at the start of training ([`super::Options::pictures`]).
    Views {
        /// The images in the encoder's input size.
        images: &'a [Image],
        /// The views of each.
        views: &'a [Vec<Image>],
    },
    /// A step is done.
    Step(&'a StepLine),
    /// An epoch is done.
    Epoch(&'a EpochLine),
    /// The steps of the epoch that is done waited for input for a tenth of their time or more.
    SlowInput(SlowInput),
    /// Training is finished ([`super::Options::pictures`]).
    Embedded(Embedded<'a>),
    /// A remark on how the run trains.
    Remark(&'a str),
    /// The run has so few steps that it may make an encoder worse.
    FewSteps(FewSteps),
    /// A warning; training continues.
    Warning(&'a str),
}

/// Receives progress events.
pub trait Observer {
    /// Receives one event.
    fn event(&mut self, event: Event<'_>);
}

/// Ignores all events.
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _event: Event<'_>) {}
}
