//! Runs the example of the device crate on blobs of a preset.

#[path = "../edge/examples/blob_to_class.rs"]
mod example;
mod naive;

use example::{Memory, teach_and_predict};
use macula::blob::{BlobFile, BlobParts, Limits, Weights, calibrate, make};
use macula::data::open_named;
use macula::encoder::Preset;
use naive::random_encoder;

/// Aligned to 4 bytes, as in flash.
fn aligned(blob: &[u8]) -> Vec<u32> {
    blob.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn the_example_learns_and_predicts() {
    let naive = random_encoder(Preset::Pico, 1, 28, 7);
    let (encoder, preprocessing) = (&naive.encoder, &naive.info.preprocessing);
    let parts = |weights| BlobParts { encoder, preprocessing, weights, corpus: None, golden: None };
    let half = make(&parts(Weights::F16), Limits::default()).unwrap();
    let phantoms = open_named("phantoms:64:32", 2).unwrap();
    let pixels: Vec<Vec<u8>> =
        (0..32).map(|index| preprocessing.to_pixels(&phantoms.load(index).unwrap()).pixels).collect();
    let ranges = calibrate(&BlobFile::from_bytes("f16", &half).unwrap(), &encoder.spec, &pixels).unwrap();
    let int8 = make(&parts(Weights::Int8(&ranges)), Limits::default()).unwrap();
    for blob in [half, int8].map(|blob| aligned(&blob)) {
        let mut memory = Box::new(Memory::new());
        let predictions = teach_and_predict(bytemuck::cast_slice(&blob), &mut memory).unwrap();
        assert_eq!(predictions.map(|prediction| prediction.class), [0, 1]);
        // Memory can be reused.
        assert_eq!(teach_and_predict(bytemuck::cast_slice(&blob), &mut memory).unwrap(), predictions);
        let mut damaged = blob.clone();
        damaged[20] ^= 1;
        assert!(teach_and_predict(bytemuck::cast_slice(&damaged), &mut memory).is_err());
    }
}
