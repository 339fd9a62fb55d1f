//! Replies of a device to a host.

use serde::{Deserialize, Serialize};

use super::bundle::BundleReport;
#[cfg(doc)]
use super::codec::VERSION;
use super::codec::{NEAREST, NEAREST_WHY, parse, write};
use super::refusal::Refusal;
#[cfg(doc)]
use super::request::{Input, Request};
use crate::decide::{OperatingPoint, Threshold};
use crate::support_set::{SourceId, SupportRecord};

/// A reply.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// To [`Request::Hello`].
    Hello(#[serde(borrow)] HelloReply<'a>),
    /// The device did not execute the request; nothing has changed.
    Refused(Refusal),
    /// Done.
    Done,
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::Classes`].
    Class {
        /// Its slot.
        class: u8,
        /// Its name.
        name: &'a str,
        /// Its supports.
        supports: u32,
    },
    /// To [`Request::Classes`]: there are no more classes.
    NoMoreClasses,
    /// To [`Request::ImageBegin`] and [`Request::ImageChunk`].
    Staged {
        /// Bytes received: where the next part begins.
        next: u32,
        /// Bytes of the whole image.
        len: u32,
    },
    /// To [`Request::Embed`].
    Feature {
        /// As in [`Input::Feature`].
        feature: &'a [u8],
        /// As in [`Input::Measured`], if the encoder knows its corpus.
        length: Option<u16>,
    },
    /// To [`Request::AddClass`].
    ClassAdded {
        /// Its slot.
        class: u8,
        /// `false` when a class of this name existed.
        new: bool,
    },
    /// To [`Request::RemoveClass`].
    ClassRemoved {
        /// Supports that were removed with it.
        supports: u32,
    },
    /// To [`Request::Learn`] and [`Request::MergeState`].
    Learned {
        /// The slot of its class.
        class: u8,
        /// `false` when the support existed.
        new: bool,
        /// Supports of its class now.
        supports: u32,
    },
    /// To [`Request::Forget`].
    Forgotten {
        /// The forgotten support; `None` when there was none of this source.
        record: Option<Provenance>,
    },
    /// To [`Request::Predict`].
    Prediction(#[serde(borrow)] Prediction<'a>),
    /// To [`Request::Why`].
    Why {
        /// The nearest supports, nearest first.
        nearest: [Option<Neighbour>; NEAREST_WHY],
    },
    /// To [`Request::ExportState`].
    State {
        /// Rises with each change: begin again when it differs between two parts.
        revision: u32,
        /// The cursor of the next part.
        next: u32,
        /// This part.
        #[serde(borrow)]
        part: StatePart<'a>,
    },
    /// To [`Request::BundleBegin`] and [`Request::BundleChunk`].
    Bundle {
        /// Bytes received: where the next part begins.
        next: u32,
    },
    /// To [`Request::BundleCommit`] and [`Request::BundleCommitForgetting`].
    BundleTaken {
        /// Its slot; the next start tries it.
        slot: u8,
    },
    /// To [`Request::SelfTest`].
    SelfTest(SelfTest),
    /// To [`Request::Bundles`].
    Bundles(BundleReport),
    /// To [`Request::OperatingPoint`] and [`Request::SetOperatingPoint`]; `None` when the device has none.
    OperatingPoint(Option<OperatingPointReport>),
    /// To [`Request::Decide`].
    Decision {
        /// The prediction.
        #[serde(borrow)]
        prediction: Prediction<'a>,
        /// The operating point that was applied; `None` when neither the request nor the device has one.
        point: Option<OperatingPointReport>,
        /// The decision; `None` without a threshold.
        decision: Option<Decision>,
    },
}

/// A device and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply<'a> {
    /// The device's [`VERSION`].
    pub version: u8,
    /// Name of its program, at most 32 bytes.
    pub program: &'a str,
    /// That program's version, at most 32 bytes.
    pub program_version: &'a str,
    /// Identity of its encoder: features of other encoders are meaningless to it.
    pub identity: [u8; 16],
    /// Feature dimensions D.
    pub dim: u16,
    /// Class slots C.
    pub classes: u8,
    /// Places for supports S.
    pub supports: u32,
    /// Bytes of the longest message that it receives or sends.
    pub message_max: u32,
    /// Bytes of the largest image; 0 when it takes features only.
    pub image_bytes_max: u32,
    /// Channels of its encoder's input; an image of 1 or 3 channels is converted. 0 when it takes features only.
    pub channels: u8,
    /// Bytes of the largest bundle; 0 when it accepts none.
    pub bundle_bytes_max: u32,
}

/// The status of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The device's clock, in seconds since 1970; 0 when it has none.
    pub now_s: u64,
    /// Number of classes.
    pub classes: u8,
    /// Class slots C.
    pub classes_limit: u8,
    /// Number of supports.
    pub supports: u32,
    /// Places for supports S.
    pub supports_limit: u32,
    /// Changes of the support set since the start.
    pub revision: u32,
    /// Wear of the flash.
    pub wear: Wear,
    /// Line counters since the start.
    pub line: LineCounters,
    /// The firmware slot in use; 255 when the device has none.
    pub bundle_slot: u8,
    /// The firmware slot of the next start; 255 when the device has none.
    pub bundle_slot_next: u8,
    /// Bytes received of the incoming bundle.
    pub bundle_received: u32,
    /// Bytes of that bundle; 0 when none is incoming.
    pub bundle_len: u32,
}

/// Wear of the flash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wear {
    /// Bytes programmed by the store.
    pub bytes_programmed: u64,
    /// Blocks erased by the store.
    pub erases: u32,
    /// Bytes free in the store.
    pub free_bytes: u32,
    /// Samples learned since the start.
    pub learned: u32,
    /// Bytes programmed to learn them.
    pub learned_bytes: u64,
    /// Blocks erased to learn them.
    pub learned_erases: u32,
}

/// Counts of packets and frames since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineCounters {
    /// Requests executed.
    pub requests: u32,
    /// Repeated requests that were answered with the kept reply.
    pub repeated: u32,
    /// Requests older than the last one or of a closed session: dropped.
    pub stale: u32,
    /// Frames that failed decoding or the checksum: dropped.
    pub corrupted: u32,
    /// Frames longer than the device's buffer: dropped.
    pub oversized: u32,
}

/// The provenance of a support, without its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The slot of its class.
    pub class: u8,
    /// Number of the operator who taught it.
    pub operator: u32,
    /// Time in seconds since 1970; 0 unknown.
    pub time_s: u64,
}

impl From<SupportRecord> for Provenance {
    fn from(record: SupportRecord) -> Self {
        Self { class: record.class, operator: record.operator, time_s: record.time_s }
    }
}

/// A support and its similarity to the sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its source.
    pub source: SourceId,
    /// Its provenance.
    pub provenance: Provenance,
    /// Cosine similarity, -1 to 1.
    pub similarity: f32,
}

/// A prediction and its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction<'a> {
    /// The requested head.
    pub head: u8,
    /// The slot of the most probable class.
    pub class: u8,
    /// Its probability, 0 to 1. With a single class it is always 1 and means nothing.
    pub probability: f32,
    /// The conformal prediction set at the requested error rate: slot `i` is bit `i % 8` of byte `i / 8`.
    pub set: &'a [u8],
    /// Whether the sample is in distribution: similar to the supports or the corpus.
    pub known: bool,
    /// Whether there are enough shots for the requested error rate; otherwise `set` guarantees nothing.
    pub enough: bool,
    /// Shots per class that the requested error rate needs.
    pub shots_needed: u16,
    /// The nearest supports, nearest first.
    pub nearest: [Option<Neighbour>; NEAREST],
}

/// An operating point with its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatingPointReport {
    /// The operating point.
    pub point: OperatingPoint,
    /// The threshold from the supports that the device has now; `None` while too few have a score.
    pub threshold: Option<Threshold>,
}

/// The decision at an operating point. It does not say whether the sample is in distribution: see [`Prediction::known`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Log odds of the positive class against all others by the Gaussian head.
    pub score: f32,
    /// Whether the score reaches the threshold.
    pub positive: bool,
}

/// A part of the state of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatePart<'a> {
    /// A class.
    Class {
        /// Its slot.
        class: u8,
        /// Its name.
        name: &'a str,
    },
    /// A support.
    Support {
        /// Its source.
        source: SourceId,
        /// Its provenance.
        provenance: Provenance,
        /// As in [`Input::Feature`].
        feature: &'a [u8],
    },
    /// The end; `next` is the requested cursor.
    End {
        /// SHA-256 of the canonical state.
        sha256: [u8; 32],
    },
}

/// The results of a self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// The store holds what memory holds: supports found, supports expected.
    pub store: TestResult,
    /// Every support has a class and a feature of length 1: sound supports, all supports.
    pub supports: TestResult,
    /// The encoder gives the expected feature for a known image: 1 if it does, 1.
    pub encoder: TestResult,
    /// The memory suffices for every head: values lent, values needed.
    pub memory: TestResult,
}

/// The result of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// The outcome.
    pub outcome: Outcome,
    /// What was found.
    pub found: u32,
    /// What was expected.
    pub expected: u32,
}

/// The outcome of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
    /// The device has nothing to test.
    Absent,
}

impl<'a> Reply<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// As [`Request::parse`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        parse(bytes)
    }

    /// Writes a message; returns its length.
    ///
    /// # Errors
    /// As [`Request::write`].
    pub fn write(&self, bytes: &mut [u8]) -> Result<usize, Refusal> {
        write(self, bytes)
    }
}
