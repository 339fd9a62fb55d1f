//! Blob → feature → learn → predict → forget, in statically sized memory.
//!
//!     cargo run --package macula-edge --example blob_to_class -- SHIPPED/encoder.int8.blob
//!
//! [`Memory`] is all the memory that a device needs. Put it in a `static` of your firmware, as `firmware-sim/cortex-m`
//! does, and the linker reports its size. The blob is read in place: here from a buffer, on a device from flash.

use std::error::Error;
use std::mem::size_of;

use macula_edge::decide::{Prediction, Predictor};
use macula_edge::encoder::{Blob, Encoder, encode_image};
use macula_edge::head::HeadKind;
use macula_edge::image::RawImage;
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};

/// Limits of this device. A blob that needs more is refused.
const DIM_MAX: usize = 128;
const CLASSES: usize = 4;
const SUPPORTS: usize = 16;
const WORK_WORDS: usize = 24 * 1024 + SIDE * SIDE * CHANNELS / 4 + DIM_MAX;

/// The camera's images: 32×32, colour.
const SIDE: usize = 32;
const CHANNELS: usize = 3;

/// Rate at which the prediction set may miss the right class, in thousandths.
const ERROR_PERMILLE: u16 = 200;

/// All memory that is written to.
pub struct Memory {
    work: [u32; WORK_WORDS],
    names: [ClassName; CLASSES],
    records: [SupportRecord; SUPPORTS],
    features: [i16; SUPPORTS * DIM_MAX],
    feature: [i16; DIM_MAX],
    scratch: [f64; Predictor::scratch_len(DIM_MAX, CLASSES, SUPPORTS)],
    probabilities: [f64; CLASSES],
}

impl Memory {
    /// Zeroed memory.
    pub const fn new() -> Self {
        Self {
            work: [0; WORK_WORDS],
            names: [ClassName::FREE; CLASSES],
            records: [SupportRecord::EMPTY; SUPPORTS],
            features: [0; SUPPORTS * DIM_MAX],
            feature: [0; DIM_MAX],
            scratch: [0.0; Predictor::scratch_len(DIM_MAX, CLASSES, SUPPORTS)],
            probabilities: [0.0; CLASSES],
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// A synthetic camera image, striped or plain, with a brightness that depends on `shot`.
pub fn picture(striped: bool, shot: usize) -> [u8; SIDE * SIDE * CHANNELS] {
    let value = |at: usize| {
        let (row, column, channel) = (at / CHANNELS / SIDE, at / CHANNELS % SIDE, at % CHANNELS);
        let pattern = if striped { 160 * ((column + shot) / 2 % 2) } else { 70 + row };
        (30 + pattern + 6 * shot + 5 * channel) as u8
    };
    std::array::from_fn(value)
}

/// Learns four images of each of two classes, predicts a fifth of each, then forgets one sample.
///
/// * `blob`: an encoder, at an address that is a multiple of 4
///
/// # Errors
/// If the blob is invalid or exceeds the limits of this device.
pub fn teach_and_predict(blob: &[u8], memory: &mut Memory) -> Result<[Prediction; 2], Box<dyn Error>> {
    let Memory { work, names, records, features, feature, scratch, probabilities } = memory;
    let encoder = Blob::parse(blob)?;
    let (dim, corpus) = (encoder.dim(), encoder.info().corpus);
    let feature =
        feature.get_mut(..dim).ok_or("the features of the blob have more dimensions than this device supports")?;
    let mut support_set = SupportSet::new(dim, names, records, &mut features[..SUPPORTS * dim])?;
    for (class, name) in ["plain", "striped"].into_iter().enumerate() {
        support_set.put_class(class as u8, ClassName::new(name)?)?;
        for shot in 0..4 {
            let picture = picture(class == 1, shot);
            encode_image(&encoder, &RawImage::new(SIDE, SIDE, CHANNELS, &picture)?, work, feature)?;
            // A device takes the first 16 bytes of the SHA-256 of the image here, so that no image is learned twice.
            let mut source = [0; 16];
            source[..2].copy_from_slice(&[class as u8, shot as u8]);
            support_set.learn(SupportRecord { source, class: class as u8, ..SupportRecord::EMPTY }, feature)?;
        }
    }
    let length_max = corpus.and_then(|corpus| corpus.length_max);
    let mut predict = |striped: bool, support_set: &SupportSet<'_>| -> Result<Prediction, Box<dyn Error>> {
        let picture = picture(striped, 5);
        let length = encode_image(&encoder, &RawImage::new(SIDE, SIDE, CHANNELS, &picture)?, work, feature)?;
        let mut predictor =
            Predictor::fit(HeadKind::Auto, support_set.supports(), CLASSES, length_max, ERROR_PERMILLE, scratch)?;
        Ok(predictor.predict(support_set.supports(), feature, length, probabilities)?)
    };
    let predictions = [predict(false, &support_set)?, predict(true, &support_set)?];
    // Forgetting is exact: the state is as if the sample had never been learned.
    let mut source = [0; 16];
    source[0] = 1;
    support_set.forget(&source)?;
    assert_eq!(support_set.supports().len(), 7);
    Ok(predictions)
}

#[allow(
    clippy::print_stdout,
    dead_code,
    reason = "an example prints; the test that includes this file does not call it"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: blob_to_class FILE.blob")?;
    let bytes = std::fs::read(path)?;
    // A buffer of bytes may be misaligned, unlike flash.
    let words: Vec<u32> = bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap_or([0; 4]))).collect();
    let mut memory = Box::new(Memory::new());
    println!("{} bytes of flash for the blob, {} bytes of RAM", bytes.len(), size_of::<Memory>());
    for prediction in teach_and_predict(bytemuck::cast_slice(&words), &mut memory)? {
        let class = ["plain", "striped"][usize::from(prediction.class)];
        println!(
            "{class}: {:.3}, in distribution: {}, set: {:?}",
            prediction.probability, prediction.in_distribution, prediction.set
        );
    }
    Ok(())
}
