//! What a host asks of a device.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::codec::{ERROR_RATE_PERMILLE_MAX, FORGETTING_CONFIRMATION, RESET_CONFIRMATION, VERSION, chunk_max};
use super::codec::{parse, write};
use super::refusal::Refusal;
use crate::support_set::SourceId;

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
    /// Opens a session: who are you, and what are your limits? Answer: `Reply::Hello`.
    Hello {
        /// The host's [`VERSION`].
        version: u8,
    },
    /// How are you? Answer: `Reply::Status`.
    Status,
    /// The first class in a slot not below `from`. Answer: `Reply::Class` or `Reply::NoMoreClasses`.
    Classes {
        /// The slot to begin with.
        from: u8,
    },
    /// An image follows, row by row from the top, `[height, width, channels]`. Answer: `Reply::Staged`.
    ImageBegin {
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
        /// 1 grey, 3 red green blue.
        channels: u8,
    },
    /// A part of the image. A part that was taken before changes nothing. Answer: `Reply::Staged`.
    ImageChunk {
        /// Where it begins.
        offset: u32,
        /// The bytes, [`chunk_max`] at most.
        bytes: &'a [u8],
    },
    /// The feature of an image. Answer: `Reply::Feature`.
    Embed {
        /// The image; a feature comes back as it is, once checked.
        #[serde(borrow)]
        input: Input<'a>,
    },
    /// A new class, in the lowest free slot. Answer: `Reply::ClassAdded`, also where the name is known already.
    AddClass {
        /// 1 to 32 bytes of UTF-8 without control characters, line separators and marks of direction.
        name: &'a str,
    },
    /// Another name for a class. Answer: `Reply::Done`.
    RenameClass {
        /// Its slot.
        class: u8,
        /// As in [`Request::AddClass`].
        name: &'a str,
    },
    /// Removes a class with all its supports. Answer: `Reply::ClassRemoved`.
    RemoveClass {
        /// Its slot.
        class: u8,
    },
    /// Keep this sample. Answer: `Reply::Learned`, also where the source is known as this class already.
    Learn {
        /// The slot of its class.
        class: u8,
        /// What it was made of: the first 16 bytes of the SHA-256 of the image file or of the feature.
        source: SourceId,
        /// Who teaches; the number is the operator's own.
        operator: u32,
        /// When, in seconds since 1970; 0 leaves it to the device's clock, if it has one.
        time_s: u64,
        /// The sample.
        #[serde(borrow)]
        input: Input<'a>,
    },
    /// Forget a sample. Answer: `Reply::Forgotten`, also where nothing was learned from it.
    Forget {
        /// What it was made of.
        source: SourceId,
    },
    /// Which class is this? Answer: `Reply::Prediction`.
    Predict {
        /// The sample.
        #[serde(borrow)]
        input: Input<'a>,
        /// The head: 0 the device's choice, 1 prototype, 2 Gaussian, 3 softmax regression.
        head: u8,
        /// How often the set of classes may miss the truth, in thousandths, 1 to [`ERROR_RATE_PERMILLE_MAX`].
        error_rate_permille: u16,
    },
    /// What is most like this? Answer: `Reply::Why`.
    Why {
        /// The sample.
        #[serde(borrow)]
        input: Input<'a>,
    },
    /// One part of what the device knows: classes in the order of slots, then supports in the order of sources.
    /// Answer: `Reply::State`.
    ExportState {
        /// 0, or `next` of the answer before.
        cursor: u32,
    },
    /// A support of another device; its class is found by name, or added. Answer: `Reply::Learned`.
    MergeState {
        /// The class's name on the other device.
        name: &'a str,
        /// What it was made of.
        source: SourceId,
        /// Who taught it.
        operator: u32,
        /// When.
        time_s: u64,
        /// The feature, as in [`Input::Feature`].
        feature: &'a [u8],
    },
    /// A bundle follows. Answer: `Reply::Bundle` with the offset to go on from: not 0 where the same bundle was
    /// begun before.
    BundleBegin {
        /// Its bytes.
        len: u32,
        /// Their SHA-256.
        sha256: [u8; 32],
    },
    /// A part of the bundle, in order. Answer: `Reply::Bundle`.
    BundleChunk {
        /// Where it begins.
        offset: u32,
        /// The bytes, [`chunk_max`] at most.
        bytes: &'a [u8],
    },
    /// The bundle is complete: check it and try it at the next start. Answer: `Reply::BundleTaken`.
    BundleCommit,
    /// Forget everything. Answer: `Reply::Done`.
    FactoryReset {
        /// [`RESET_CONFIRMATION`].
        confirmation: &'a str,
    },
    /// Test yourself. Answer: `Reply::SelfTest`.
    SelfTest,
    /// Which bundles have you? Answer: `Reply::Bundles`.
    Bundles,
    /// As [`Request::BundleCommit`], also where samples are forgotten for the bundle's encoder.
    BundleCommitForgetting {
        /// [`FORGETTING_CONFIRMATION`].
        confirmation: &'a str,
    },
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
