//! Requests of a host to a device.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::codec::{ERROR_RATE_PERMILLE_MAX, FORGETTING_CONFIRMATION, RESET_CONFIRMATION, VERSION, chunk_max};
use super::codec::{parse, write};
use super::refusal::Refusal;
use crate::decide::OperatingPoint;
use crate::support_set::SourceId;

/// The sample of a request: the staged image, or a feature that the same encoder made elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input<'a> {
    /// The image sent by [`Request::ImageBegin`] and [`Request::ImageChunk`]; it stays staged.
    Image,
    /// A quantised feature of length 1: `[D]` values of `i16`, little-endian.
    Feature(&'a [u8]),
    /// A feature and its [`Length`](crate::feature::Length) before quantisation, which out-of-distribution detection uses.
    Measured(&'a [u8], u16),
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Opens a session and asks for the device and its limits. Reply: `Reply::Hello`.
    Hello {
        /// The host's [`VERSION`].
        version: u8,
    },
    /// Asks for the status. Reply: `Reply::Status`.
    Status,
    /// Asks for the first class in slot `from` or above. Reply: `Reply::Class` or `Reply::NoMoreClasses`.
    Classes {
        /// The first slot to look at.
        from: u8,
    },
    /// Begins an image, sent row by row from the top, `[height, width, channels]`. Reply: `Reply::Staged`.
    ImageBegin {
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
        /// 1 grey, 3 red green blue.
        channels: u8,
    },
    /// Sends a part of the image. A part that was received before changes nothing. Reply: `Reply::Staged`.
    ImageChunk {
        /// Where it begins.
        offset: u32,
        /// The bytes, [`chunk_max`] at most.
        bytes: &'a [u8],
    },
    /// Asks for the feature of an image. Reply: `Reply::Feature`.
    Embed {
        /// The image; a feature is checked and returned unchanged.
        #[serde(borrow)]
        input: Input<'a>,
    },
    /// Adds a class in the lowest free slot. Reply: `Reply::ClassAdded`, also when a class of this name exists.
    AddClass {
        /// 1 to 32 bytes of UTF-8 without control characters, line separators and direction marks.
        name: &'a str,
    },
    /// Renames a class. Reply: `Reply::Done`.
    RenameClass {
        /// Its slot.
        class: u8,
        /// As in [`Request::AddClass`].
        name: &'a str,
    },
    /// Removes a class with all its supports. Reply: `Reply::ClassRemoved`.
    RemoveClass {
        /// Its slot.
        class: u8,
    },
    /// Learns a sample. Reply: `Reply::Learned`, also when this class has a support of this source already.
    Learn {
        /// The slot of its class.
        class: u8,
        /// Its source: any 16 bytes that identify it. `docs/protocol.md` says which ones our hosts take.
        source: SourceId,
        /// Number of the operator who teaches.
        operator: u32,
        /// Time in seconds since 1970; 0 leaves it to the device's clock, if it has one.
        time_s: u64,
        /// The sample.
        #[serde(borrow)]
        input: Input<'a>,
    },
    /// Forgets a sample. Reply: `Reply::Forgotten`, also when there is none of this source.
    Forget {
        /// Its source.
        source: SourceId,
    },
    /// Predicts the class of a sample. Reply: `Reply::Prediction`.
    Predict {
        /// The sample.
        #[serde(borrow)]
        input: Input<'a>,
        /// The head: 0 the device's choice, 1 prototype, 2 Gaussian, 3 softmax regression.
        head: u8,
        /// Error rate of the conformal prediction set, in thousandths, 1 to [`ERROR_RATE_PERMILLE_MAX`].
        error_rate_permille: u16,
    },
    /// Asks for the nearest supports of a sample. Reply: `Reply::Why`.
    Why {
        /// The sample.
        #[serde(borrow)]
        input: Input<'a>,
    },
    /// Asks for one part of the state: classes in the order of slots, then supports in the order of sources.
    /// Reply: `Reply::State`.
    ExportState {
        /// 0, or `next` of the reply before.
        cursor: u32,
    },
    /// Adds a support of another device; its class is found by name or added. Reply: `Reply::Learned`.
    MergeState {
        /// The class's name on the other device.
        name: &'a str,
        /// Its source.
        source: SourceId,
        /// Number of the operator who taught it.
        operator: u32,
        /// Time in seconds since 1970; 0 unknown.
        time_s: u64,
        /// The feature, as in [`Input::Feature`].
        feature: &'a [u8],
    },
    /// Begins a bundle. Reply: `Reply::Bundle` with the offset to continue at, not 0 when the same bundle was begun
    /// before.
    BundleBegin {
        /// Its bytes.
        len: u32,
        /// SHA-256 of its bytes.
        sha256: [u8; 32],
    },
    /// Sends the next part of the bundle. Reply: `Reply::Bundle`.
    BundleChunk {
        /// Where it begins.
        offset: u32,
        /// The bytes, [`chunk_max`] at most.
        bytes: &'a [u8],
    },
    /// Checks the complete bundle and makes it the candidate of the next start. Reply: `Reply::BundleTaken`.
    BundleCommit,
    /// Forgets all classes and supports. Reply: `Reply::Done`.
    FactoryReset {
        /// [`RESET_CONFIRMATION`].
        confirmation: &'a str,
    },
    /// Runs the self-test. Reply: `Reply::SelfTest`.
    SelfTest,
    /// Asks for the bundles. Reply: `Reply::Bundles`.
    Bundles,
    /// As [`Request::BundleCommit`], and allows supports to be forgotten for another encoder.
    BundleCommitForgetting {
        /// [`FORGETTING_CONFIRMATION`].
        confirmation: &'a str,
    },
    /// Asks for the operating point. Reply: `Reply::OperatingPoint`.
    OperatingPoint,
    /// Sets the operating point, or removes it. It is removed with its class, too. Reply: `Reply::OperatingPoint`.
    SetOperatingPoint {
        /// The operating point.
        point: Option<OperatingPoint>,
    },
    /// As [`Request::Predict`], and applies an operating point. Reply: `Reply::Decision`.
    Decide {
        /// The sample.
        #[serde(borrow)]
        input: Input<'a>,
        /// As in [`Request::Predict`].
        head: u8,
        /// As in [`Request::Predict`].
        error_rate_permille: u16,
        /// For this sample only; otherwise that of the device, if it has one.
        point: Option<OperatingPoint>,
    },
}

impl<'a> Request<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Refusal`] `Malformed` when the bytes are not one message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        parse(bytes)
    }

    /// Writes a message; returns its length.
    ///
    /// # Errors
    /// [`Refusal`] `MessageTooLong` when it does not fit.
    pub fn write(&self, bytes: &mut [u8]) -> Result<usize, Refusal> {
        write(self, bytes)
    }
}
