//! Device blobs with repaired length, version and checksum.

use bytemuck::{cast_slice, cast_slice_mut};
use macula::blob::BlobFile;
use macula_edge::encoder::format::{
    CHECKSUM_LEN, HEADER_LEN, LEN_AT, MAGIC, VERSION_AT, VERSION_MEAN, VERSION_READOUT,
};
use macula_edge::encoder::{Blob, BlobError, Encoder, Node, Op, encode_image};
use macula_edge::image::RawImage;

use crate::Outcome;

/// Largest arena that is run, in words.
const ARENA_MAX: usize = 1 << 16;
/// Largest encoder that is run, in products.
const PRODUCTS_MAX: usize = 1 << 22;

/// Parses and runs `data`: twice on an image of its size, with equal features, and on an image of another size.
pub fn run(data: &[u8]) -> Outcome {
    if data.len() < HEADER_LEN + CHECKSUM_LEN {
        return Outcome::Refused;
    }
    let mut words = vec![0u32; data.len() / 4];
    let bytes: &mut [u8] = cast_slice_mut(&mut words);
    bytes.copy_from_slice(&data[..data.len() / 4 * 4]);
    repair(bytes);
    let parsed = Blob::parse(cast_slice(&words));
    let is_first_check = |error: &BlobError| {
        use BlobError::{Checksum, Misaligned, NotABlob, Truncated, Version};
        matches!(error, Checksum { .. } | Misaligned | NotABlob { .. } | Truncated { .. } | Version { .. })
    };
    let blob = match parsed {
        Ok(blob) => blob,
        Err(error) => {
            assert!(!is_first_check(&error), "{error}");
            return Outcome::Refused;
        }
    };
    if blob.arena_words() > ARENA_MAX || products(&blob) > PRODUCTS_MAX {
        return Outcome::Accepted;
    }
    check_run(blob);
    let file = BlobFile::from_bytes("a.blob", cast_slice(&words)).expect("the blob was parsed before");
    assert!(file.blob().is_ok());
    Outcome::Accepted
}

fn repair(bytes: &mut [u8]) {
    bytes[..4].copy_from_slice(&MAGIC);
    let version = if u16::from(bytes[VERSION_AT]) == VERSION_READOUT { VERSION_READOUT } else { VERSION_MEAN };
    bytes[VERSION_AT..][..2].copy_from_slice(&version.to_le_bytes());
    let len = bytes.len();
    bytes[LEN_AT..][..4].copy_from_slice(&(len as u32).to_le_bytes());
    let (content, checksum) = bytes.split_at_mut(len - CHECKSUM_LEN);
    checksum.copy_from_slice(&crc32fast::hash(content).to_le_bytes());
}

/// An upper bound of the products for one image.
fn products(blob: &Blob<'_>) -> usize {
    let of = |index: usize| {
        let Node { input, op, .. } = blob.node(index);
        let made = blob.value(index + 1).values();
        match op {
            Op::Conv { kernel, .. } => made * kernel * kernel * usize::from(blob.value(input).channels),
            Op::Depthwise { .. } => 9 * made,
            Op::Add { .. } => made,
        }
    };
    (0..blob.node_count()).map(of).fold(0, usize::saturating_add)
}

fn check_run(blob: Blob<'_>) {
    let input = blob.input();
    let pixels: Vec<u8> = (0..input.values()).map(|index| (index * 37 % 251) as u8).collect();
    // The initial content of the arena must not matter.
    let features = [0u32, 0xA5A5_A5A5].map(|filling| {
        let (mut arena, mut feature) = (vec![filling; blob.arena_words()], vec![0.0; blob.dim()]);
        blob.encode(&pixels, &mut arena, &mut feature).expect("the image has the encoder's size");
        feature.iter().map(|value| value.to_bits()).collect::<Vec<u32>>()
    });
    assert_eq!(features[0], features[1], "the feature depends on the initial content of the arena");
    let (mut work, mut feature) = (vec![0; blob.info().work_words()], vec![0; blob.dim()]);
    let other = RawImage::new(7, 5, 1, &[9; 35]).map(|image| encode_image(&blob, &image, &mut work, &mut feature));
    assert!(other.is_ok(), "7×5 pixels are an image");
    if let Err(error) = blob.self_test(&mut work, &mut feature) {
        assert!(!error.to_string().is_empty());
    }
}
