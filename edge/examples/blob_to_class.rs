//! Blob → feature → learn → predict → forget, in memory whose size the compiler knows.
//!
//!     cargo run --package macula-edge --example blob_to_class -- SHIPPED/encoder.int8.blob
//!
//! All that a device allocates is in [`Memory`]: put it in a `static` of your firmware, as `firmware-sim/cortex-m`
//! does, and the linker tells what it costs. The blob is read where it lies; here that is a buffer, there it is flash.

use std::error::Error;
use std::mem::size_of;

use macula_edge::decide::{Prediction, Predictor};
use macula_edge::encoder::{Blob, Encoder, encode_image};
use macula_edge::head::HeadKind;
use macula_edge::image::RawImage;
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};

/// The limits of this device. A blob that needs more is refused, not cut.
const DIM_MAX: usize = 128;
const CLASSES: usize = 4;
const SUPPORTS: usize = 16;
const WORK_WORDS: usize = 24 * 1024 + SIDE * SIDE * CHANNELS / 4 + DIM_MAX;

/// Images of this device's camera: 32×32, colour.
const SIDE: usize = 32;
const CHANNELS: usize = 3;

/// How often the set of classes may miss the truth, in thousandths.
const ERROR_PERMILLE: u16 = 200;

/// Everything that is written to while it runs.
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
    /// All of it, empty.
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

/// What a camera would give: something striped or something plain, in a light of its own each time.
pub fn picture(striped: bool, shot: usize) -> [u8; SIDE * SIDE * CHANNELS] {
    let value = |at: usize| {
        let (row, column, channel) = (at / CHANNELS / SIDE, at / CHANNELS % SIDE, at % CHANNELS);
        let pattern = if striped { 160 * ((column + shot) / 2 % 2) } else { 70 + row };
        (30 + pattern + 6 * shot + 5 * channel) as u8
    };
    std::array::from_fn(value)
}

/// Teaches two classes of four pictures, and asks about a fifth of each; then forgets one sample.
///
/// * `blob`: an encoder, at a multiple of 4 bytes
///
/// # Errors
/// A blob that is none or asks for more than this device has.
pub fn teach_and_ask(blob: &[u8], memory: &mut Memory) -> Result<[Prediction; 2], Box<dyn Error>> {
    let Memory { work, names, records, features, feature, scratch, probabilities } = memory;
    let encoder = Blob::parse(blob)?;
    let (dim, corpus) = (encoder.dim(), encoder.info().corpus);
    let feature = feature.get_mut(..dim).ok_or("the blob's features have more dimensions than this device takes")?;
    let mut support_set = SupportSet::new(dim, names, records, &mut features[..SUPPORTS * dim])?;
    for (class, name) in ["plain", "striped"].into_iter().enumerate() {
        support_set.put_class(class as u8, ClassName::new(name)?)?;
        for shot in 0..4 {
            let picture = picture(class == 1, shot);
            encode_image(&encoder, &RawImage::new(SIDE, SIDE, CHANNELS, &picture)?, work, feature)?;
            // A device has the first bytes of the SHA-256 of the image here, so that no image is learned twice.
            let mut source = [0; 16];
            source[..2].copy_from_slice(&[class as u8, shot as u8]);
            support_set.learn(SupportRecord { source, class: class as u8, ..SupportRecord::EMPTY }, feature)?;
        }
    }
    let length_max = corpus.and_then(|corpus| corpus.length_max);
    let mut ask = |striped: bool, support_set: &SupportSet<'_>| -> Result<Prediction, Box<dyn Error>> {
        let picture = picture(striped, 5);
        let length = encode_image(&encoder, &RawImage::new(SIDE, SIDE, CHANNELS, &picture)?, work, feature)?;
        let mut predictor =
            Predictor::fit(HeadKind::Auto, support_set.supports(), CLASSES, length_max, ERROR_PERMILLE, scratch)?;
        Ok(predictor.predict(support_set.supports(), feature, length, probabilities)?)
    };
    let predictions = [ask(false, &support_set)?, ask(true, &support_set)?];
    // Forgetting is exact: the device is then as if the sample had never been shown.
    let mut source = [0; 16];
    source[0] = 1;
    support_set.forget(&source)?;
    assert_eq!(support_set.supports().len(), 7);
    Ok(predictions)
}

#[allow(clippy::print_stdout, dead_code, reason = "an example prints, and a test has no use for this part")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: blob_to_class FILE.blob")?;
    let bytes = std::fs::read(path)?;
    // Flash is aligned; a buffer of bytes need not be.
    let words: Vec<u32> = bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap_or([0; 4]))).collect();
    let mut memory = Box::new(Memory::new());
    println!("{} bytes of flash for the blob, {} of RAM for all else", bytes.len(), size_of::<Memory>());
    for prediction in teach_and_ask(bytemuck::cast_slice(&words), &mut memory)? {
        let class = ["plain", "striped"][usize::from(prediction.class)];
        println!(
            "{class}: {:.3}, known: {}, set: {:?}",
            prediction.probability, prediction.in_distribution, prediction.set
        );
    }
    Ok(())
}
