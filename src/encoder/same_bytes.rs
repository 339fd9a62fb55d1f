//! Training gives the same bytes with every instruction set that has a fused multiply-add: AVX-512, AVX2 and NEON. The digests below are
//! those of all of them; this test compares the sets of the CPU that it runs on.

use sha2::{Digest, Sha256};

use super::network::Network;
use super::precision::{Algorithm, Precision};
use super::presets::Preset;
use super::spec::{EncoderSpec, InputShape};
use super::workspace::Workspace;
use crate::kernel::Isa;
use crate::nn::optimiser::{Optimiser, OptimiserKind};
use crate::rng::Rng;

/// The digest of the parameters after two steps on two images, which pull the features to random numbers.
///
/// Weights are uniform: normal numbers need a logarithm and a cosine, which C libraries round differently.
fn digest(isa: Isa, preset: Preset, input: InputShape, algorithm: Algorithm) -> String {
    let mut rng = Rng::for_purpose(1, "same bytes");
    let mut uniform =
        |len: usize, width: f32| -> Vec<f32> { (0..len).map(|_| rng.uniform_in(-width, width)).collect() };
    let mut network = Network::new(EncoderSpec::preset(preset, input).unwrap(), 1).unwrap();
    network.isa = isa;
    network.set_arithmetic(Precision::F32, algorithm);
    network.parameters = uniform(network.parameters.len(), 0.1);
    let images = uniform(2 * input.channels * input.height * input.width, 1.0);
    let targets = uniform(2 * network.feature_dim(), 1.0);
    let mut optimiser = Optimiser::new(OptimiserKind::SGD, network.parameters.len(), 0.0, Vec::new());
    let (mut workspace, mut gradient) = (Workspace::default(), vec![0.0; network.parameters.len()]);
    for _ in 0..2 {
        let features = network.forward(&mut workspace, &images);
        let dfeatures: Vec<f32> = features.iter().zip(&targets).map(|(found, target)| found - target).collect();
        network.backward(&mut workspace, &images, &dfeatures, &mut gradient);
        optimiser.step(&mut network.parameters, &gradient, 0.1);
    }
    assert!(network.parameters.iter().all(|parameter| parameter.is_finite()));
    let hash = Sha256::digest(bytemuck::cast_slice::<f32, u8>(&network.parameters));
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn steps_of_training_give_the_same_bytes_on_every_processor() {
    // 28 pixels in a row leave narrow tiles; `micro` has channels for Winograd's tiles of both sizes, `mobile` depthwise convolutions.
    let cases = [
        (Preset::Pico, 1, 28, Algorithm::Direct),
        (Preset::Micro, 3, 32, Algorithm::Winograd),
        (Preset::Mobile, 3, 32, Algorithm::Direct),
    ];
    for isa in Isa::available().into_iter().filter(|isa| *isa != Isa::Portable) {
        let found = cases.map(|(preset, channels, side, algorithm)| {
            digest(isa, preset, InputShape { channels, height: side, width: side }, algorithm)
        });
        assert_eq!(found, ["5ccc1cee43d6f974", "59ea5091e148b0a5", "a80605188d133ef9"], "{}", isa.name());
    }
}
