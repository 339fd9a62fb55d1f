//! What a device answers.

use serde::{Deserialize, Serialize};

use super::bundle::BundleReport;
#[cfg(doc)]
use super::codec::VERSION;
use super::codec::{NEAREST, NEAREST_WHY, parse, write};
use super::refusal::Refusal;
#[cfg(doc)]
use super::request::{Input, Request};
use crate::support_set::{SourceId, SupportRecord};

/// What a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// To [`Request::Hello`].
    Hello(#[serde(borrow)] HelloReply<'a>),
    /// The device did not do it, and is as it was before.
    Refused(Refusal),
    /// Done, and there is nothing more to say.
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
    /// To [`Request::Classes`]: none from there on.
    NoMoreClasses,
    /// To [`Request::ImageBegin`] and [`Request::ImageChunk`].
    Staged {
        /// Bytes that are there: where the next part begins.
        next: u32,
        /// Bytes of the whole image.
        len: u32,
    },
    /// To [`Request::Embed`].
    Feature {
        /// As in [`Input::Feature`].
        feature: &'a [u8],
        /// As in [`Input::Measured`], where the encoder knows its corpus.
        length: Option<u16>,
    },
    /// To [`Request::AddClass`].
    ClassAdded {
        /// Its slot.
        class: u8,
        /// `false` where a class of this name was there.
        new: bool,
    },
    /// To [`Request::RemoveClass`].
    ClassRemoved {
        /// Supports that went with it.
        supports: u32,
    },
    /// To [`Request::Learn`] and [`Request::MergeState`].
    Learned {
        /// The slot of its class.
        class: u8,
        /// `false` where it was known.
        new: bool,
        /// Supports of its class now.
        supports: u32,
    },
    /// To [`Request::Forget`].
    Forgotten {
        /// What is forgotten; `None` where nothing was known of this source.
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
        /// Grows with each change: where it differs between two parts, begin again.
        revision: u32,
        /// The cursor of the next part.
        next: u32,
        /// This part.
        #[serde(borrow)]
        part: StatePart<'a>,
    },
    /// To [`Request::BundleBegin`] and [`Request::BundleChunk`].
    Bundle {
        /// Bytes that are there: where the next part begins.
        next: u32,
    },
    /// To [`Request::BundleCommit`] and [`Request::BundleCommitForgetting`].
    BundleTaken {
        /// The slot it lies in; the next start tries it.
        slot: u8,
    },
    /// To [`Request::SelfTest`].
    SelfTest(SelfTest),
    /// To [`Request::Bundles`].
    Bundles(BundleReport),
}

/// Who a device is and what its limits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply<'a> {
    /// The device's [`VERSION`].
    pub version: u8,
    /// The program that runs on it, at most 32 bytes.
    pub program: &'a str,
    /// That program's version, at most 32 bytes.
    pub program_version: &'a str,
    /// Fingerprint of its encoder: features of another encoder mean nothing to it.
    pub identity: [u8; 16],
    /// Feature dimensions D.
    pub dim: u16,
    /// Class slots C.
    pub classes: u8,
    /// Places for supports S.
    pub supports: u32,
    /// Bytes of the longest message it takes or sends.
    pub message_max: u32,
    /// Bytes of the largest image it can stage; 0 where it takes features only.
    pub image_bytes_max: u32,
    /// Channels its encoder sees; an image of 1 or of 3 channels is converted. 0 where it takes features only.
    pub channels: u8,
    /// Bytes of the largest bundle it takes; 0 where it takes none.
    pub bundle_bytes_max: u32,
}

/// How a device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The device's clock, in seconds since 1970; 0 where it has none.
    pub now_s: u64,
    /// Classes there are.
    pub classes: u8,
    /// Class slots C.
    pub classes_limit: u8,
    /// Supports kept.
    pub supports: u32,
    /// Places for supports S.
    pub supports_limit: u32,
    /// Changes of what is known since the start.
    pub revision: u32,
    /// What the store has done to the flash.
    pub wear: Wear,
    /// Frames since the start.
    pub line: LineCounters,
    /// The slot of the bundle in use; 255 where the device has none.
    pub bundle_slot: u8,
    /// The slot to be used from the next start; 255 where the device has none.
    pub bundle_slot_next: u8,
    /// Bytes there are of a bundle that is under way.
    pub bundle_received: u32,
    /// Bytes of that bundle; 0 where none is under way.
    pub bundle_len: u32,
}

/// What flash has borne.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wear {
    /// Bytes programmed, as the store counts them.
    pub bytes_programmed: u64,
    /// Pages erased, as the store counts them.
    pub erases: u32,
    /// Bytes free in the store.
    pub free_bytes: u32,
    /// Samples learned since the start.
    pub learned: u32,
    /// Bytes programmed to learn them.
    pub learned_bytes: u64,
    /// Pages erased to learn them.
    pub learned_erases: u32,
}

/// What came over the line since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineCounters {
    /// Requests carried out.
    pub requests: u32,
    /// Requests that came again and were answered with the kept reply.
    pub repeated: u32,
    /// Requests older than the last one, or of a session that is over: dropped.
    pub stale: u32,
    /// Frames that failed decoding or the checksum: dropped.
    pub corrupted: u32,
    /// Frames longer than the device's buffer: dropped.
    pub oversized: u32,
}

/// Where a support came from, without its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The slot of its class.
    pub class: u8,
    /// Who taught it.
    pub operator: u32,
    /// When, in seconds since 1970; 0 unknown.
    pub time_s: u64,
}

impl From<SupportRecord> for Provenance {
    fn from(record: SupportRecord) -> Self {
        Self { class: record.class, operator: record.operator, time_s: record.time_s }
    }
}

/// A support and how like the sample it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// What it was made of.
    pub source: SourceId,
    /// Where it came from.
    pub provenance: Provenance,
    /// Cosine similarity, -1 to 1.
    pub similarity: f32,
}

/// A decision and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction<'a> {
    /// The head that was asked for.
    pub head: u8,
    /// The slot of the most probable class.
    pub class: u8,
    /// Its probability, 0 to 1. Where a single class is taught it is 1 whatever the sample, and says nothing.
    pub probability: f32,
    /// The classes that hold the truth at the asked error rate: slot `i` is bit `i % 8` of byte `i / 8`.
    pub set: &'a [u8],
    /// Whether the sample is like anything the device was taught.
    pub known: bool,
    /// Whether there are shots enough for the asked error rate; without, `set` promises nothing.
    pub enough: bool,
    /// Shots of each class that the asked error rate needs.
    pub shots_needed: u16,
    /// The nearest supports, nearest first.
    pub nearest: [Option<Neighbour>; NEAREST],
}

/// A part of what a device knows.
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
        /// What it was made of.
        source: SourceId,
        /// Where it came from.
        provenance: Provenance,
        /// As in [`Input::Feature`].
        feature: &'a [u8],
    },
    /// There is no more; `next` is the cursor that was asked for.
    End {
        /// SHA-256 of the canonical state.
        sha256: [u8; 32],
    },
}

/// What a device found when it tested itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// The store read again says what memory says: supports found, supports expected.
    pub store: TestResult,
    /// Every support has a class and a feature of length 1: sound ones, all.
    pub supports: TestResult,
    /// The encoder gives its known feature for its known image: 1 where it does, 1.
    pub encoder: TestResult,
    /// The memory lent suffices for every head: values lent, values needed.
    pub memory: TestResult,
}

/// The result of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// How it ended.
    pub outcome: Outcome,
    /// What was found.
    pub found: u32,
    /// What was expected.
    pub expected: u32,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
    /// This device has nothing to test here.
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

    /// Writes a message; tells its length.
    ///
    /// # Errors
    /// As [`Request::write`].
    pub fn write(&self, bytes: &mut [u8]) -> Result<usize, Refusal> {
        write(self, bytes)
    }
}
