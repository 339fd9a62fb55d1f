//! Refusals: why a device did not execute a request, in numbers that never change.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::bundle::BundleError;
use crate::support_set::{CLASS_NAME_MAX, SupportSetError};

/// A reason with what was found and what is allowed; 0 when the reason has no such value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The number of a [`Reason`]; a newer device may have others.
    pub code: u16,
    /// What was found.
    pub found: u64,
    /// What is allowed or expected.
    pub limit: u64,
}

/// Why a device refuses a request. Hosts in the field know these numbers: append, never renumber, never reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::FromRepr, strum::VariantArray)]
#[repr(u16)]
pub enum Reason {
    /// The message cannot be read. Found: its bytes.
    Malformed = 1,
    /// A message does not fit. Limit: bytes that fit.
    MessageTooLong = 2,
    /// The host speaks another version. Found: the host's. Limit: the device's.
    Version = 3,
    /// No session of this number is open: send hello. Found: the number.
    NoSession = 4,
    /// The name is not allowed for a class. Found: its bytes. Limit: bytes allowed.
    Name = 5,
    /// Another class has this name. Found: its slot.
    NameTaken = 6,
    /// Every slot is taken. Limit: slots.
    ClassesFull = 7,
    /// There is no such class. Found: the requested slot.
    NoSuchClass = 8,
    /// Every place for a support is taken. Limit: places.
    SupportsFull = 9,
    /// This source belongs to another class: forget it first. Found: the slot of that class.
    SourceTaken = 10,
    /// The feature has another dimension than the device's. Found: its bytes. Limit: bytes expected.
    FeatureBytes = 11,
    /// The feature does not have length 1. Found: its length. Limit: 32767, which is 1.
    FeatureLength = 12,
    /// The image is empty or too large. Found: its bytes. Limit: bytes allowed.
    ImageBytes = 13,
    /// An image has 1 or 3 channels. Found: its channels.
    ImageChannels = 14,
    /// A part of the image does not follow the part before. Found: where it begins or ends. Limit: where it must.
    ImageOffset = 15,
    /// The image is not complete. Found: bytes received. Limit: bytes of the image, 0 when none was begun.
    ImageMissing = 16,
    /// The device takes features only.
    NoEncoder = 17,
    /// The encoder failed on the image. Found: the encoder's error number.
    EncoderFailed = 18,
    /// The store has no room; everything in it stays. Found: bytes needed. Limit: bytes free.
    StoreFull = 19,
    /// The store cannot read or write its flash, or the flash does not hold what was written. Found: the store's
    /// error number.
    StoreFault = 20,
    /// No class has a support yet.
    NothingLearned = 21,
    /// There is no such head. Found: its number. Limit: the highest.
    NoSuchHead = 22,
    /// The error rate is 0 or too high. Found: thousandths. Limit: thousandths allowed.
    ErrorRate = 23,
    /// The head could not be solved. Found: the head's error number.
    HeadFailed = 24,
    /// There is no such part of the state. Found: the cursor. Limit: the last one.
    Cursor = 25,
    /// The confirmation is missing or wrong.
    NotConfirmed = 26,
    /// The device accepts no bundles.
    NoBundles = 27,
    /// The bundle is empty or too large. Found: its bytes. Limit: bytes allowed.
    BundleBytes = 28,
    /// A part of the bundle does not follow the part before. Found: where it begins or ends. Limit: where it must.
    BundleOffset = 29,
    /// The bundle is not complete. Found: bytes received. Limit: bytes of the bundle, 0 when none was begun.
    BundleMissing = 30,
    /// The received bundle does not match the announced SHA-256. It must be sent again.
    BundleHash = 31,
    /// The device does not accept this bundle. Found: the number of a [`BundleError`].
    BundleRefused = 32,
    /// The flash of the firmware slot cannot be written.
    BundleFault = 33,
    /// The bundle is older than one that was in use. Found: its counter. Limit: the lowest that is allowed.
    BundleOlder = 34,
    /// The bundle has another encoder, and supports would be forgotten. Found: how many. Limit: how many there are.
    WouldForget = 35,
    /// Another bundle with this counter is in use: a new bundle needs a higher one. Found: the counter.
    BundleSameCounter = 36,
    /// The share or cost of the operating point is 0 or too high. Found: thousandths, or the cost. Limit: the highest allowed.
    OperatingPoint = 37,
}

impl Reason {
    /// All reasons by number, from 1.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// A refusal for this reason.
    pub const fn with(self, found: u64, limit: u64) -> Refusal {
        Refusal { code: self as u16, found, limit }
    }
}

impl Refusal {
    /// The reason; `None` for a number of newer devices.
    pub fn reason(&self) -> Option<Reason> {
        Reason::from_repr(self.code)
    }

    pub(super) const fn malformed(found: usize) -> Self {
        Reason::Malformed.with(found as u64, 0)
    }

    pub(super) const fn message_too_long(limit: usize) -> Self {
        Reason::MessageTooLong.with(0, limit as u64)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, found, limit } = *self;
        let Some(reason) = self.reason() else {
            return write!(
                f,
                "the device refused for reason {code} (found {found}, limit {limit}), which this program does not know"
            );
        };
        match reason {
            Reason::Malformed => write!(f, "the device cannot read the message of {found} bytes"),
            Reason::MessageTooLong => write!(f, "the message is longer than {limit} bytes"),
            Reason::Version => write!(f, "the host speaks version {found} of the protocol, the device version {limit}"),
            Reason::NoSession => write!(f, "the session is closed: the device was restarted or serves another host"),
            Reason::Name => {
                write!(
                    f,
                    "the class name has {found} bytes; 1 to {limit} are allowed, without control or invisible characters"
                )
            }
            Reason::NameTaken => write!(f, "class {found} has this name already"),
            Reason::ClassesFull => write!(f, "all {limit} class slots are taken"),
            Reason::NoSuchClass => write!(f, "there is no class {found}"),
            Reason::SupportsFull => write!(f, "all {limit} places for samples are taken; forget some first"),
            Reason::SourceTaken => write!(f, "this source belongs to class {found}; forget it first"),
            Reason::FeatureBytes => write!(f, "the feature has {found} bytes; the device needs {limit}"),
            Reason::FeatureLength => write!(f, "the feature has length {found}; {limit} is needed"),
            Reason::ImageBytes => write!(f, "the image has {found} bytes; 1 to {limit} are allowed"),
            Reason::ImageChannels => write!(f, "the image has {found} channels; 1 or 3 are needed"),
            Reason::ImageOffset => write!(f, "the part of the image is at byte {found}; it must be at byte {limit}"),
            Reason::ImageMissing => write!(f, "the image is not complete: {found} of {limit} bytes were received"),
            Reason::NoEncoder => write!(f, "the device has no encoder and takes features only"),
            Reason::EncoderFailed => write!(f, "the encoder failed on the image (reason {found})"),
            Reason::StoreFull => {
                write!(f, "the store is full: {found} bytes are needed, {limit} are free; forget something first")
            }
            Reason::StoreFault => write!(f, "the store cannot read or write its flash (reason {found})"),
            Reason::NothingLearned => write!(f, "no sample has been learned yet"),
            Reason::NoSuchHead => write!(f, "there is no head {found}; the highest is {limit}"),
            Reason::ErrorRate => write!(f, "the error rate is {found} thousandths; 1 to {limit} are allowed"),
            Reason::HeadFailed => write!(f, "the head could not be solved (reason {found})"),
            Reason::Cursor => write!(f, "there is no part {found} of the state; the last is {limit}"),
            Reason::NotConfirmed => write!(f, "the confirmation is missing"),
            Reason::NoBundles => write!(f, "the device accepts no bundles"),
            Reason::BundleBytes => write!(f, "the bundle has {found} bytes; 1 to {limit} are allowed"),
            Reason::BundleOffset => write!(f, "the part of the bundle is at byte {found}; it must be at byte {limit}"),
            Reason::BundleMissing => write!(f, "the bundle is not complete: {found} of {limit} bytes were received"),
            Reason::BundleHash => write!(f, "the received bundle does not match its SHA-256; send it again"),
            Reason::BundleRefused => match BundleError::meaning(found) {
                Some(meaning) => write!(f, "the device does not accept this bundle: {meaning}"),
                None => write!(f, "the device does not accept this bundle (reason {found})"),
            },
            Reason::BundleFault => write!(f, "the flash of the firmware slot cannot be written"),
            Reason::BundleOlder => write!(f, "the bundle has counter {found}; at least {limit} is needed"),
            Reason::WouldForget => {
                write!(f, "the bundle has another encoder: {found} of {limit} samples would be forgotten")
            }
            Reason::BundleSameCounter => {
                write!(f, "another bundle with counter {found} is in use; a new bundle needs a higher counter")
            }
            Reason::OperatingPoint => {
                write!(
                    f,
                    "the operating point asks for {found} thousandths, or a cost of {found}; 1 to {limit} are allowed"
                )
            }
        }
    }
}

impl core::error::Error for Refusal {}

impl From<SupportSetError> for Refusal {
    fn from(error: SupportSetError) -> Self {
        match error {
            SupportSetError::Name { found } => Reason::Name.with(found as u64, CLASS_NAME_MAX as u64),
            SupportSetError::NameTaken { class } => Reason::NameTaken.with(class.into(), 0),
            SupportSetError::ClassesFull { limit } => Reason::ClassesFull.with(0, limit as u64),
            SupportSetError::NoSuchClass { class } => Reason::NoSuchClass.with(class.into(), 0),
            SupportSetError::SupportsFull { limit } => Reason::SupportsFull.with(0, limit as u64),
            SupportSetError::SourceTaken { class } => Reason::SourceTaken.with(class.into(), 0),
            // The session handles these itself: one that gets here means that the wrong memory was lent.
            SupportSetError::NoSuchSource | SupportSetError::Memory { .. } => Reason::StoreFault.with(0, 0),
            SupportSetError::Dimension { found, expected } => {
                Reason::FeatureBytes.with(2 * found as u64, 2 * expected as u64)
            }
        }
    }
}
