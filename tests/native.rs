//! The native engine in f32 against the training core, with the kernels of every instruction set of this processor, on real
//! images. `engine/tests` compares int8 with the device's code byte for byte.
#![cfg(all(feature = "host", feature = "onnx"))]
#![allow(clippy::print_stdout, reason = "the errors are a result")]

mod common;

use macula::data::{self, Split};
use macula::encoder::HostEncoder;
use macula::export::{F32_TOLERANCE, ParityStep, Sample, compare};
use macula::models::MODELS;
use macula::native::{Isa, NativeEncoder, Precision};
use macula::pretrain::Run;

const IMAGES: usize = 200;

#[test]
fn every_kernel_gives_the_features_and_classes_of_the_training_core() {
    let Some(root) = common::data_or_skip("features of the native engine on 200 real images") else { return };
    let [grey, colour] =
        ["kermany-cxr/kermany-3class.csv", "cifar10"].map(|name| data::open(&root.join(name)).unwrap());
    for model in MODELS {
        let run = Run::load(model.name.as_ref()).unwrap();
        let dataset = if run.preprocessing().channels == 1 { &grey } else { &colour };
        let indices = dataset.indices(Some(Split::Test));
        let spread: Vec<usize> = (0..IMAGES).map(|at| indices[at * indices.len() / IMAGES]).collect();
        let sample = Sample::load(dataset, &spread, run.preprocessing()).unwrap();
        let on = |isa| NativeEncoder::with_isa(run.network.folded(), run.info.clone(), Precision::F32, isa).unwrap();
        let encoders: Vec<_> = Isa::available().into_iter().map(on).collect();
        let named =
            encoders.iter().map(|encoder| ("native", encoder.info().arithmetic.clone(), encoder as _, F32_TOLERANCE));
        let candidates: Vec<_> = named.collect();
        let parity = compare(&run, &candidates, &sample).unwrap();
        for ParityStep { arithmetic, max_error, flips, .. } in &parity.steps {
            println!("{}: {arithmetic}: largest error {max_error:.1e}, {flips} flips of {IMAGES}", model.name);
            assert!(parity.passed && *flips == 0, "{}: {parity:#?}", model.name);
        }
    }
}
