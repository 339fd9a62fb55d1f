//! What is asked of a device and what it answers: one postcard message each.
//!
//! Integers are postcard's varints, `f32` four bytes little-endian, arrays bare, strings and byte slices behind their
//! length, an enum behind the number of its variant. `docs/protocol.md` shows every message with its bytes.
//!
//! Hosts in the field know these numbers: variants and fields are appended, never moved; a change that an old host
//! cannot read raises [`VERSION`].
//!
//! Every request may be repeated without harm: a second [`Request::Learn`] or [`Request::Forget`] of the same source
//! finds nothing left to do and says so.

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::taught::{Record, Source};

/// Version of the protocol, told in [`Request::Hello`] and [`HelloReply`] and in the first byte of each frame.
pub const VERSION: u8 = 1;

/// What [`Request::FactoryReset`] must carry.
pub const RESET_CONFIRMATION: &str = "forget everything";

/// Nearest supports in a [`Prediction`].
pub const NEAREST: usize = 3;

/// Nearest supports in [`Reply::Why`].
pub const NEAREST_WHY: usize = 5;

/// The longest error rate that can be asked for, in thousandths: half of all answers wrong.
pub const ERROR_RATE_PERMILLE_MAX: u16 = 500;

/// Bytes that the longest message of a device with `dim` feature dimensions takes; at least 256.
///
/// Longest are [`Request::MergeState`] (68 bytes and the feature) and [`Reply::Why`] (191 bytes).
pub const fn message_max(dim: usize) -> usize {
    let feature = 2 * dim + 72;
    if feature < 256 { 256 } else { feature }
}

/// Bytes of an image or a bundle that fit a message of `message_max` bytes: 16 are left for kind, offset and length.
pub const fn chunk_max(message_max: usize) -> usize {
    message_max.saturating_sub(16)
}

/// What a request is about: the image that was staged, or a feature made elsewhere by the same encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input<'a> {
    /// The image brought by [`Request::ImageBegin`] and [`Request::ImageChunk`]; it stays staged.
    Image,
    /// A quantised feature of length 1: `[D]` values of `i16`, little-endian.
    Feature(&'a [u8]),
    /// A feature and the [`Length`](crate::feature::Length) that quantising took away, by which strangers are known.
    Measured(&'a [u8], u16),
}

/// What a host asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Opens a session: who are you, and what are your limits? Answer: [`Reply::Hello`].
    Hello {
        /// The host's [`VERSION`].
        version: u8,
    },
    /// How are you? Answer: [`Reply::Status`].
    Status,
    /// The first class in a slot not below `from`. Answer: [`Reply::Class`] or [`Reply::NoMoreClasses`].
    Classes {
        /// The slot to begin with.
        from: u8,
    },
    /// An image follows, row by row from the top, `[height, width, channels]`. Answer: [`Reply::Staged`].
    ImageBegin {
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
        /// 1 grey, 3 red green blue.
        channels: u8,
    },
    /// A part of the image. A part that was taken before changes nothing. Answer: [`Reply::Staged`].
    ImageChunk {
        /// Where it begins.
        offset: u32,
        /// The bytes, [`chunk_max`] at most.
        bytes: &'a [u8],
    },
    /// The feature of an image. Answer: [`Reply::Feature`].
    Embed {
        /// The image; a feature comes back as it is, once checked.
        #[serde(borrow)]
        input: Input<'a>,
    },
    /// A new class, in the lowest free slot. Answer: [`Reply::ClassAdded`], also where the name is known already.
    AddClass {
        /// 1 to 32 bytes of UTF-8 without control characters.
        name: &'a str,
    },
    /// Another name for a class. Answer: [`Reply::Done`].
    RenameClass {
        /// Its slot.
        class: u8,
        /// As in [`Request::AddClass`].
        name: &'a str,
    },
    /// Removes a class with all its supports. Answer: [`Reply::ClassRemoved`].
    RemoveClass {
        /// Its slot.
        class: u8,
    },
    /// Keep this sample. Answer: [`Reply::Learned`], also where the source is known as this class already.
    Learn {
        /// The slot of its class.
        class: u8,
        /// What it was made of: the first 16 bytes of the SHA-256 of the image file or of the feature.
        source: Source,
        /// Who teaches; the number is the operator's own.
        operator: u32,
        /// When, in seconds since 1970; 0 leaves it to the device's clock, if it has one.
        time_s: u64,
        /// The sample.
        #[serde(borrow)]
        input: Input<'a>,
    },
    /// Forget a sample. Answer: [`Reply::Forgotten`], also where nothing was learned from it.
    Forget {
        /// What it was made of.
        source: Source,
    },
    /// Which class is this? Answer: [`Reply::Prediction`].
    Predict {
        /// The sample.
        #[serde(borrow)]
        input: Input<'a>,
        /// The head: 0 the device's choice, 1 prototype, 2 Gaussian, 3 softmax regression.
        head: u8,
        /// How often the set of classes may miss the truth, in thousandths, 1 to [`ERROR_RATE_PERMILLE_MAX`].
        error_rate_permille: u16,
    },
    /// What is most like this? Answer: [`Reply::Why`].
    Why {
        /// The sample.
        #[serde(borrow)]
        input: Input<'a>,
    },
    /// One part of what the device knows: classes in the order of slots, then supports in the order of sources.
    /// Answer: [`Reply::State`].
    ExportState {
        /// 0, or `next` of the answer before.
        cursor: u32,
    },
    /// A support of another device; its class is found by name, or added. Answer: [`Reply::Learned`].
    MergeState {
        /// The class's name on the other device.
        name: &'a str,
        /// What it was made of.
        source: Source,
        /// Who taught it.
        operator: u32,
        /// When.
        time_s: u64,
        /// The feature, as in [`Input::Feature`].
        feature: &'a [u8],
    },
    /// A bundle follows. Answer: [`Reply::Bundle`] with the offset to go on from: not 0 where the same bundle was
    /// begun before.
    BundleBegin {
        /// Its bytes.
        len: u32,
        /// Their SHA-256.
        sha256: [u8; 32],
    },
    /// A part of the bundle, in order. Answer: [`Reply::Bundle`].
    BundleChunk {
        /// Where it begins.
        offset: u32,
        /// The bytes, [`chunk_max`] at most.
        bytes: &'a [u8],
    },
    /// The bundle is complete: check it and use it from the next start. Answer: [`Reply::BundleTaken`].
    BundleCommit,
    /// Forget everything. Answer: [`Reply::Done`].
    FactoryReset {
        /// [`RESET_CONFIRMATION`].
        confirmation: &'a str,
    },
    /// Test yourself. Answer: [`Reply::SelfTest`].
    SelfTest,
}

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
    /// To [`Request::BundleCommit`].
    BundleTaken {
        /// The slot it lies in; it is used from the next start.
        slot: u8,
    },
    /// To [`Request::SelfTest`].
    SelfTest(SelfTest),
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

impl From<Record> for Provenance {
    fn from(record: Record) -> Self {
        Self { class: record.class, operator: record.operator, time_s: record.time_s }
    }
}

/// A support and how like the sample it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// What it was made of.
    pub source: Source,
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
    /// Its probability, 0 to 1.
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
        source: Source,
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

impl<'a> Request<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Refusal`] `Malformed` where the bytes are no request, or more follow it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        parse(bytes)
    }

    /// Writes a message; tells its length.
    ///
    /// # Errors
    /// [`Refusal`] `MessageTooLong` where it does not fit.
    pub fn write(&self, bytes: &mut [u8]) -> Result<usize, Refusal> {
        write(self, bytes)
    }
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

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Refusal> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(Refusal::malformed(bytes.len())),
    }
}

fn write<T: Serialize>(message: &T, bytes: &mut [u8]) -> Result<usize, Refusal> {
    let limit = bytes.len();
    match postcard::to_slice(message, bytes) {
        Ok(written) => Ok(written.len()),
        Err(_) => Err(Refusal::message_too_long(limit)),
    }
}
