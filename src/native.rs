//! Our own encoders on the engine of `macula-engine`, which has kernels for each processor.

pub use macula_engine::Isa;
use macula_engine::float::{self, Arena, FloatNetwork, Graph, Kernel, Shape};
pub use macula_engine::float::{GraphError, Precision};

use crate::encoder::{
    Conv, ConvKind, EncodeError, FoldedEncoder, HostEncoder, HostEncoderInfo, Node, STD_EPSILON, Spares,
};
use crate::kernel::Activation;

/// An encoder that runs on the native engine.
pub struct NativeEncoder {
    info: HostEncoderInfo,
    network: FloatNetwork,
    arenas: Spares<Arena>,
}

impl NativeEncoder {
    /// Plans `encoder` for this processor, in f32 if it has no kernels of `precision`. Preprocessing, identity and statistics
    /// are those of `info`.
    ///
    /// # Errors
    /// When the weights do not fit the graph.
    pub fn new(encoder: FoldedEncoder, info: HostEncoderInfo, precision: Precision) -> Result<Self, GraphError> {
        Self::with_isa(encoder, info, precision, Isa::best())
    }

    /// As [`Self::new`] for the instruction set `isa`, which this processor must have.
    ///
    /// # Errors
    /// When the weights do not fit the graph, or the processor does not have `isa`.
    pub fn with_isa(
        encoder: FoldedEncoder,
        info: HostEncoderInfo,
        precision: Precision,
        isa: Isa,
    ) -> Result<Self, GraphError> {
        let graph = graph(encoder, &info);
        let precision = if FloatNetwork::supports(isa, precision) { precision } else { Precision::F32 };
        let network = FloatNetwork::new(&graph, isa, precision)?;
        // f32 has kernels in every set, so the processor lacks this one.
        let Some(network) = network else {
            return Err(GraphError::Length { what: "instruction sets", found: 0, expected: 1 });
        };
        let name = match precision {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        };
        let arithmetic = format!("{name}, native kernels for {}", isa.name());
        let info = HostEncoderInfo { feature_dim: network.dim(), arithmetic, ..info };
        Ok(Self { info, network, arenas: Spares::default() })
    }
}

impl HostEncoder for NativeEncoder {
    fn info(&self) -> &HostEncoderInfo {
        &self.info
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        let encode = |arena: &mut Arena, image: &[u8], feature: &mut [f32]| self.network.encode(image, arena, feature);
        self.arenas.encode_each(&self.info, pixels, || Ok(self.network.arena()), encode)
    }
}

/// The encoder as the engine takes it.
fn graph(encoder: FoldedEncoder, info: &HostEncoderInfo) -> Graph {
    let FoldedEncoder { spec, convs, map } = encoder;
    let mut convs = convs.into_iter();
    let mut conv = |input: usize, conv: &Conv| {
        // Where weights are missing the engine refuses the lengths.
        let (weight, bias) = convs.next().map(|folded| (folded.weight, folded.bias)).unwrap_or_default();
        float::Node::Conv {
            input,
            kernel: match conv.kind {
                ConvKind::Full3x3 => Kernel::Full3x3,
                ConvKind::Pointwise => Kernel::Pointwise,
                ConvKind::Depthwise3x3 => Kernel::Depthwise3x3,
            },
            stride: conv.stride,
            channels: conv.channels_out,
            weight,
            bias,
            activation: activation(conv.activation),
        }
    };
    let nodes = spec.nodes.iter().map(|node| match node {
        Node::Conv { input, conv: stated } => conv(*input, stated),
        Node::Add { left, right, activation: after } => {
            float::Node::Add { left: *left, right: *right, activation: activation(*after) }
        }
    });
    let nodes = nodes.collect();
    let pooled = spec.pooled(spec.readout.pooling);
    let last = pooled.values.last().map(|&(value, _)| value);
    let values = pooled.values.iter().map(|&(value, _)| float::Pooled {
        value,
        has_std: pooled.has_std,
        has_cells: pooled.has_cells && Some(value) == last,
    });
    Graph {
        input: Shape { height: spec.input.height, width: spec.input.width, channels: spec.input.channels },
        pixel_values: info.preprocessing.normaliser().tables().to_vec(),
        nodes,
        pooled: values.collect(),
        std_epsilon: STD_EPSILON,
        map: map.map(|map| float::LinearMap { weight: map.weight, bias: map.bias }),
    }
}

fn activation(activation: Activation) -> float::Activation {
    match activation {
        Activation::Identity => float::Activation::Identity,
        Activation::Relu => float::Activation::Relu,
        Activation::Relu6 => float::Activation::Relu6,
    }
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::*;
    use crate::encoder::{EncoderSpec, InputShape, Network, Pooling, Preset, Readout};
    use crate::models::MODELS;
    use crate::pretrain::Run;

    #[test]
    fn shipped_models_have_the_features_of_the_training_core() {
        for model in MODELS {
            let run = Run::load(model.name.as_ref()).unwrap();
            let len = run.info.preprocessing.input_len();
            let pixels: Vec<u8> = (0..3 * len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let native = NativeEncoder::new(run.network.folded(), run.info.clone(), Precision::F32).unwrap();
            let (found, expected) = (native.encode_batch(&pixels).unwrap(), run.encode_batch(&pixels).unwrap());
            for (found, expected) in found.chunks(native.feature_dim()).zip(expected.chunks(native.feature_dim())) {
                let length = expected.iter().map(|value| value * value).sum::<f32>().sqrt();
                let error = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
                assert!(error < 1e-5 * length, "{}: {}", model.name, error / length);
            }
        }
    }

    #[test]
    fn every_preset_and_readout_has_the_features_of_the_training_core() {
        for (preset, channels, side) in
            [(Preset::Pico, 1, 28), (Preset::Nano, 3, 33), (Preset::Micro, 1, 20), (Preset::Mobile, 3, 40)]
        {
            for pooling in Pooling::ALL {
                let input = InputShape { channels, height: side, width: side + 3 };
                let spec = EncoderSpec::preset(preset, input).unwrap();
                let spec = EncoderSpec { readout: Readout::pooled(pooling), ..spec };
                let network = Network::new(spec, 7).unwrap();
                let preprocessing = crate::data::Preprocessing::unit(channels, side, side + 3);
                let pixels: Vec<u8> = (0..preprocessing.input_len()).map(|at| (at * 37 % 251) as u8).collect();
                let expected = network.embed(&preprocessing.normalise(&pixels));
                let info = HostEncoderInfo {
                    name: String::new(),
                    id: crate::encoder::EncoderId::of_bytes(&[]),
                    feature_dim: 0,
                    preprocessing,
                    corpus: None,
                    arithmetic: String::new(),
                };
                let native = NativeEncoder::new(network.folded(), info, Precision::F32).unwrap();
                let found = native.encode_batch(&pixels).unwrap();
                let length = expected.iter().map(|value| value * value).sum::<f32>().sqrt();
                let error = found.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
                assert_eq!(found.len(), expected.len());
                assert!(error < 1e-5 * length, "{preset:?} {pooling:?}: {}", error / length);
            }
        }
    }
}
