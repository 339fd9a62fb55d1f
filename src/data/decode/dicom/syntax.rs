//! Transfer syntaxes: how the data set is written, and how its pixels are compressed.

use super::super::refusal::Refusal;

/// The compression of the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// Uncompressed: all frames in one value.
    Native,
    /// Uncompressed: each frame in a fragment.
    Fragments,
    Rle,
    /// Baseline and extended JPEG.
    Jpeg,
    LosslessJpeg,
    JpegLs,
    Jpeg2000,
}

/// How the data set is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    pub name: &'static str,
    /// Whether elements state the type of their value.
    pub is_explicit: bool,
    pub is_big_endian: bool,
    /// Whether the data set is compressed as a whole.
    pub is_deflated: bool,
    pub codec: Codec,
}

/// The syntax of the file meta information, whatever that of the data set is.
pub(super) const META: Syntax = written("Explicit VR Little Endian", Codec::Native);

const fn written(name: &'static str, codec: Codec) -> Syntax {
    Syntax { name, is_explicit: true, is_big_endian: false, is_deflated: false, codec }
}

/// UIDs below `1.2.840.10008.1.2` of supported syntaxes. PS3.5 annex A.
const SUPPORTED: [(&str, Syntax); 14] = [
    ("", Syntax { is_explicit: false, ..written("Implicit VR Little Endian", Codec::Native) }),
    (".1", META),
    (".1.98", written("Encapsulated Uncompressed Explicit VR Little Endian", Codec::Fragments)),
    (".1.99", Syntax { is_deflated: true, ..written("Deflated Explicit VR Little Endian", Codec::Native) }),
    (".2", Syntax { is_big_endian: true, ..written("Explicit VR Big Endian", Codec::Native) }),
    (".5", written("RLE Lossless", Codec::Rle)),
    (".4.50", written("JPEG Baseline", Codec::Jpeg)),
    (".4.51", written("JPEG Extended", Codec::Jpeg)),
    (".4.57", written("JPEG Lossless", Codec::LosslessJpeg)),
    (".4.70", written("JPEG Lossless SV1", Codec::LosslessJpeg)),
    (".4.80", written("JPEG-LS Lossless", Codec::JpegLs)),
    (".4.81", written("JPEG-LS Near Lossless", Codec::JpegLs)),
    (".4.90", written("JPEG 2000 Lossless", Codec::Jpeg2000)),
    (".4.91", written("JPEG 2000", Codec::Jpeg2000)),
];

/// Names of other syntaxes, for messages.
const OTHERS: [(&str, &str); 21] = [
    (".4.52", "JPEG Extended, process 3 and 5"),
    (".4.53", "JPEG Spectral Selection"),
    (".4.55", "JPEG Full Progression"),
    (".4.92", "JPEG 2000 Part 2 Lossless"),
    (".4.93", "JPEG 2000 Part 2"),
    (".4.94", "JPIP Referenced"),
    (".4.95", "JPIP Referenced Deflate"),
    (".4.100", "MPEG-2 Main Profile"),
    (".4.101", "MPEG-2 High Level"),
    (".4.102", "MPEG-4 AVC"),
    (".4.103", "MPEG-4 AVC, Blu-ray"),
    (".4.104", "MPEG-4 AVC 2D"),
    (".4.105", "MPEG-4 AVC 3D"),
    (".4.106", "MPEG-4 AVC Stereo"),
    (".4.107", "HEVC Main"),
    (".4.108", "HEVC Main 10"),
    (".4.110", "JPEG XL Lossless"),
    (".4.111", "JPEG XL Recompression"),
    (".4.112", "JPEG XL"),
    (".4.201", "High-Throughput JPEG 2000 Lossless"),
    (".4.203", "High-Throughput JPEG 2000"),
];

const ROOT: &str = "1.2.840.10008.1.2";

/// Characters of a UID at most. PS3.5 section 9.1.
const UID_MAX: usize = 64;

/// The syntax with the identifier `uid`; others are refused by name.
pub(super) fn of_uid(uid: &str) -> Result<Syntax, Refusal> {
    let ending = uid.strip_prefix(ROOT);
    if let Some((_, syntax)) = SUPPORTED.iter().find(|(known, _)| Some(*known) == ending) {
        return Ok(*syntax);
    }
    let name = OTHERS.iter().find(|(known, _)| Some(*known) == ending).map_or("unknown", |(_, name)| *name);
    let is_uid = uid.len() <= UID_MAX && uid.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let shown = if is_uid { uid } else { "that is no UID" };
    Err(format!("transfer syntax {shown} ({name}) is not supported").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntaxes_are_found_by_uid_and_others_are_named() {
        assert_eq!(of_uid("1.2.840.10008.1.2").unwrap().name, "Implicit VR Little Endian");
        assert_eq!(of_uid("1.2.840.10008.1.2.4.70").unwrap().codec, Codec::LosslessJpeg);
        let text = |uid: &str| format!("{:?}", of_uid(uid).unwrap_err());
        assert!(
            text("1.2.840.10008.1.2.4.201").contains("1.2.840.10008.1.2.4.201 (High-Throughput JPEG 2000 Lossless)")
        );
        assert!(text("1.2.840.10008.1.20").contains("(unknown)"));
        assert!(!text("JOHN DOE").contains("JOHN"));
    }
}
