//! Status codes.

use core::ffi::{CStr, c_char};

use macula_edge::encoder::BlobError;
use macula_edge::protocol::{Reason, Refusal};
use macula_edge::store::StoreError;
use macula_edge::support_set::SupportSetError;

/// The result of a function. Numbers are appended, never changed.
///
/// Positive: the device refused; the number is that of a refusal in the protocol. Negative: a
/// mistake in the call, or the device cannot be opened. `macula_error_detail` gives two numbers more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::FromRepr, strum::VariantArray)]
#[repr(i32)]
pub enum Status {
    /// Done.
    Ok = 0,

    /// The message cannot be read. Found: its bytes.
    Malformed = 1,
    /// A message does not fit. Limit: bytes that fit.
    MessageTooLong = 2,
    /// The host speaks another version of the protocol.
    Version = 3,
    /// No session of this number is open on the line.
    NoSession = 4,
    /// The name is not allowed for a class. Found: its bytes. Limit: bytes allowed.
    Name = 5,
    /// Another class has this name. Found: its slot.
    NameTaken = 6,
    /// Every slot is taken. Limit: slots.
    ClassesFull = 7,
    /// There is no such class. Found: the slot.
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
    /// The image is not complete. Found: bytes received. Limit: bytes of the image.
    ImageMissing = 16,
    /// The device takes features only.
    NoEncoder = 17,
    /// The encoder failed on the image, often because it was given too little work memory for an image of this size.
    EncoderFailed = 18,
    /// The store has no room; everything in it stays. Found: bytes needed. Limit: bytes free.
    StoreFull = 19,
    /// The store cannot read or write its flash, or the flash does not hold what was written. If later changes are refused
    /// with found 10, open the device again: only that tells whether this change took effect.
    StoreFault = 20,
    /// No class has a support yet.
    NothingLearned = 21,
    /// There is no such head. Found: its number. Limit: the highest.
    NoSuchHead = 22,
    /// The error rate is 0 or too high. Found: thousandths. Limit: thousandths allowed.
    ErrorRate = 23,
    /// The head could not be solved.
    HeadFailed = 24,
    /// There is no such part of the state.
    Cursor = 25,
    /// The confirmation is missing or wrong.
    NotConfirmed = 26,
    /// The device accepts no bundles.
    NoBundles = 27,
    /// The bundle is empty or too large.
    BundleBytes = 28,
    /// A part of the bundle does not follow the part before.
    BundleOffset = 29,
    /// The bundle is not complete.
    BundleMissing = 30,
    /// The received bundle does not match the announced SHA-256.
    BundleHash = 31,
    /// The device does not accept this bundle.
    BundleRefused = 32,
    /// The flash of the firmware slot cannot be written.
    BundleFault = 33,
    /// The bundle is older than one that was in use.
    BundleOlder = 34,
    /// The bundle has another encoder, and supports would be forgotten.
    WouldForget = 35,
    /// Another bundle with this counter is in use.
    BundleSameCounter = 36,
    /// The share or cost of the operating point is 0 or too high.
    OperatingPoint = 37,

    /// A pointer is null.
    NullPointer = -1,
    /// A pointer is misaligned. Found: its address. Limit: the alignment.
    Misaligned = -2,
    /// A number, a length or a text in the call is out of range. Found: the number. Limit: the highest or lowest.
    OutOfRange = -3,
    /// The memory is too small. Found: its size. Limit: the size needed, in the same unit.
    MemoryTooSmall = -4,
    /// The device is not open.
    NotOpen = -5,
    /// The device is in use: a callback called it.
    Busy = -6,
    /// The program was compiled with a header of another version. Found: its version. Limit: the library's.
    ApiVersion = -7,
    /// The library made a mistake.
    Internal = -8,

    /// The bytes are not a blob.
    NotABlob = -20,
    /// The blob has another format version. Found: its version.
    BlobVersion = -21,
    /// The blob ends too early. Found: its bytes. Limit: bytes needed.
    BlobTruncated = -22,
    /// The blob is damaged. Found: its CRC-32. Limit: the CRC-32 that it states.
    BlobChecksum = -23,
    /// A field of the blob is out of range.
    BlobInvalid = -24,

    /// The flash cannot carry a store: its sizes or its place. Found: the number. Limit: the number needed.
    FlashGeometry = -30,
    /// A callback of the flash failed. Found: the address.
    FlashFailed = -31,
    /// The flash did not keep what was written: a block is worn out. Found: the address.
    FlashWorn = -32,
    /// The flash holds something that is not a store.
    NotAStore = -33,
    /// A later program wrote the store. Found: its format version. Limit: the latest that is read.
    StoreNewer = -34,
    /// The store belongs to another encoder. Erase the range to begin an empty one.
    StoreOtherEncoder = -35,
    /// The store is damaged. Found: the address.
    StoreDamaged = -36,
    /// The store does not fit: it has more classes or supports than the device has places.
    StoreDoesNotFit = -37,
}

impl Status {
    /// Short text, without the two numbers.
    const fn text(self) -> &'static CStr {
        match self {
            Self::Ok => c"done",
            Self::Malformed => c"the message cannot be read",
            Self::MessageTooLong => c"the message does not fit",
            Self::Version => c"the host speaks another version of the protocol",
            Self::NoSession => c"no session of this number is open",
            Self::Name => c"the name is not allowed for a class",
            Self::NameTaken => c"another class has this name",
            Self::ClassesFull => c"every class slot is taken",
            Self::NoSuchClass => c"there is no such class",
            Self::SupportsFull => c"every place for a support is taken",
            Self::SourceTaken => c"this source belongs to another class: forget it first",
            Self::FeatureBytes => c"the feature has another dimension than the device's",
            Self::FeatureLength => c"the feature does not have length 1",
            Self::ImageBytes => c"the image is empty or too large",
            Self::ImageChannels => c"an image has 1 or 3 channels",
            Self::ImageOffset => c"a part of the image does not follow the part before",
            Self::ImageMissing => c"the image is not complete",
            Self::NoEncoder => c"the device has no encoder and takes features only",
            Self::EncoderFailed => c"the encoder failed on the image",
            Self::StoreFull => c"the store is full: forget something first",
            Self::StoreFault => c"the store cannot read or write its flash",
            Self::NothingLearned => c"no sample has been learned yet",
            Self::NoSuchHead => c"there is no such head",
            Self::ErrorRate => c"the error rate is out of range",
            Self::HeadFailed => c"the head could not be solved",
            Self::Cursor => c"there is no such part of the state",
            Self::NotConfirmed => c"the confirmation is missing",
            Self::NoBundles => c"the device accepts no bundles",
            Self::BundleBytes => c"the bundle is empty or too large",
            Self::BundleOffset => c"a part of the bundle does not follow the part before",
            Self::BundleMissing => c"the bundle is not complete",
            Self::BundleHash => c"the bundle does not match its SHA-256",
            Self::BundleRefused => c"the device does not accept this bundle",
            Self::BundleFault => c"the flash of the firmware slot cannot be written",
            Self::BundleOlder => c"the bundle is older than one that was in use",
            Self::WouldForget => c"the bundle has another encoder, and samples would be forgotten",
            Self::BundleSameCounter => c"another bundle with this counter is in use",
            Self::OperatingPoint => c"the operating point is out of range",
            Self::NullPointer => c"a pointer is null",
            Self::Misaligned => c"a pointer is misaligned",
            Self::OutOfRange => c"a number, a length or a text is out of range",
            Self::MemoryTooSmall => c"the memory is too small",
            Self::NotOpen => c"the device is not open",
            Self::Busy => c"the device is in use",
            Self::ApiVersion => c"the program was compiled with a header of another version",
            Self::Internal => c"the library made a mistake",
            Self::NotABlob => c"the bytes are not a blob",
            Self::BlobVersion => c"the blob has another format version",
            Self::BlobTruncated => c"the blob ends too early",
            Self::BlobChecksum => c"the blob is damaged",
            Self::BlobInvalid => c"a field of the blob is out of range",
            Self::FlashGeometry => c"the flash cannot carry a store",
            Self::FlashFailed => c"a callback of the flash failed",
            Self::FlashWorn => c"the flash is worn out",
            Self::NotAStore => c"the flash holds something that is not a store",
            Self::StoreNewer => c"a later program wrote the store",
            Self::StoreOtherEncoder => c"the store belongs to another encoder",
            Self::StoreDamaged => c"the store is damaged",
            Self::StoreDoesNotFit => c"the store has more classes or supports than the device has places",
        }
    }
}

/// A short English text for `status`. It is static; for a number that is no status it says so.
#[unsafe(no_mangle)]
pub extern "C" fn macula_status_text(status: i32) -> *const c_char {
    Status::from_repr(status).map_or(c"an unknown status", Status::text).as_ptr()
}

/// A status other than [`Status::Ok`], with what was found and what is allowed; 0 where it has no such value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub status: Status,
    pub found: u64,
    pub limit: u64,
}

/// A reply of another kind than the session gives to the request.
pub(crate) const UNEXPECTED: Failure = Failure { status: Status::Internal, found: 0, limit: 0 };

impl Status {
    /// A failure with two numbers.
    pub(crate) fn with(self, found: u64, limit: u64) -> Failure {
        Failure { status: self, found, limit }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        status.with(0, 0)
    }
}

impl From<Refusal> for Failure {
    fn from(Refusal { code, found, limit }: Refusal) -> Self {
        let status = Status::from_repr(code.into()).filter(|&status| status != Status::Ok);
        status.unwrap_or(Status::Internal).with(found, limit)
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Misaligned => Status::Misaligned.with(0, 4),
            BlobError::Truncated { needed, available } => Status::BlobTruncated.with(available as u64, needed as u64),
            BlobError::NotABlob { .. } => Status::NotABlob.into(),
            BlobError::Version { found } => Status::BlobVersion.with(found.into(), 0),
            BlobError::Checksum { stored, computed } => Status::BlobChecksum.with(computed.into(), stored.into()),
            BlobError::Header { found, limit, .. }
            | BlobError::Node { found, limit, .. }
            | BlobError::Readout { found, limit, .. } => Status::BlobInvalid.with(found, limit),
            BlobError::Section { len, needed, .. } => Status::BlobInvalid.with(len, needed),
            BlobError::Overlap { node, value } => Status::BlobInvalid.with(node as u64, value as u64),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Geometry { found, needed, .. } => Status::FlashGeometry.with(found as u64, needed as u64),
            StoreError::Buffer { found, needed } => Status::MemoryTooSmall.with(found as u64, needed as u64),
            StoreError::NotAStore => Status::NotAStore.into(),
            StoreError::NewerVersion { found, limit } => Status::StoreNewer.with(found.into(), limit.into()),
            StoreError::Identity { .. } => Status::StoreOtherEncoder.into(),
            StoreError::Damaged { at } => Status::StoreDamaged.with(at.into(), 0),
            StoreError::SupportSet(SupportSetError::Dimension { found, expected }) => {
                Status::OutOfRange.with(found as u64, expected as u64)
            }
            StoreError::SupportSet(_) => Status::StoreDoesNotFit.into(),
            StoreError::Full { needed, free } => Reason::StoreFull.with(needed.into(), free.into()).into(),
            StoreError::Length { found, limit } => Status::OutOfRange.with(found as u64, limit as u64),
            StoreError::Worn { at } => Status::FlashWorn.with(at.into(), 0),
            StoreError::Flash { at, .. } => Status::FlashFailed.with(at.into(), 0),
            StoreError::Unknown => Reason::StoreFault.with(0, 0).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::vec::Vec;

    use strum::VariantArray;

    use super::*;

    #[test]
    fn every_refusal_has_the_status_of_its_number_and_name() {
        for &reason in Reason::ALL {
            let failure = Failure::from(reason.with(3, 4));
            assert_eq!(format!("{:?}", failure.status), format!("{reason:?}"));
            assert_eq!((failure.status as i32, failure.found, failure.limit), (reason as i32, 3, 4));
        }
        let positive = Status::VARIANTS.iter().filter(|&&status| status as i32 > 0).count();
        assert_eq!(positive, Reason::ALL.len());
        assert_eq!(Failure::from(Refusal { code: 0, found: 0, limit: 0 }).status, Status::Internal);
        assert_eq!(Failure::from(Refusal { code: 999, found: 0, limit: 0 }).status, Status::Internal);
    }

    #[test]
    fn every_status_has_its_own_text() {
        let mut texts: Vec<_> = Status::VARIANTS.iter().map(|status| status.text()).collect();
        texts.sort();
        let all = texts.len();
        texts.dedup();
        assert_eq!(texts.len(), all);
    }
}
