//! Whether an ONNX file has exactly the form that `export` writes, checked on its graph.

use super::onnx::to_onnx;
use crate::encoder::{Conv, EncoderSpec, FoldedConv, FoldedEncoder, LinearMap, Node};
use crate::runtime::{ElementType, Metadata, pb};

/// Most bytes of activations per image in a file that is trusted by its form.
const ACTIVATION_BYTES_MAX: u64 = 256 << 20;

/// Most multiply-accumulates per image in a file that is trusted by its form.
const MACS_MAX: u64 = 20_000_000_000;

/// Whether `model` is, node by node, what this program writes for the network in its metadata.
///
/// Only the values of weights may differ, and no value can make such a graph fail: it consists of convolutions of checked
/// shapes, Relu, Clip, Add and the operators of a readout.
pub fn has_own_form(model: &pb::ModelProto) -> bool {
    own_spec(model).is_some()
}

/// The network in the metadata, if `model` has the form of its file.
fn own_spec(model: &pb::ModelProto) -> Option<EncoderSpec> {
    let metadata = Metadata::read_from(model, "").ok()??;
    let spec = &metadata.provenance.encoder;
    let graph = model.graph.as_ref().filter(|graph| is_small(spec, graph))?;
    let has_form = [ElementType::F32, ElementType::F16].into_iter().any(|element| {
        let written = to_onnx(&blank(spec), element, &metadata);
        written.is_ok_and(|written| {
            written.opset_import == model.opset_import
                && model.functions.is_empty()
                && written.graph.is_some_and(|written| is_same(written, graph))
        })
    });
    has_form.then_some(metadata.provenance.encoder)
}

/// The encoder in a file of the form that this program writes; `None` for any other file.
pub fn read_own_form(model: &pb::ModelProto) -> Option<FoldedEncoder> {
    let spec = own_spec(model)?;
    let tensors = &model.graph.as_ref()?.initializer;
    let values = |name: String| tensors.iter().find(|tensor| tensor.name == name).map(values);
    let convs = spec.nodes.iter().filter_map(Node::conv).map(|conv| {
        let [weight, bias] = ["weight", "bias"].map(|part| values(format!("{}.{part}", conv.name)));
        Some(FoldedConv { weight: weight?, bias: bias? })
    });
    let convs = convs.collect::<Option<Vec<_>>>()?;
    let map = match spec.readout.dim {
        None => None,
        Some(dim) => {
            // The file has it transposed.
            let columns = values("readout.weight".to_owned())?;
            let weight = (0..dim).flat_map(|row| columns[row..].iter().step_by(dim)).copied().collect();
            Some(LinearMap { weight, bias: values("readout.bias".to_owned())? })
        }
    };
    Some(FoldedEncoder { spec, convs, map })
}

/// The values of a tensor of f32 or f16.
fn values(tensor: &pb::TensorProto) -> Vec<f32> {
    if tensor.data_type == ElementType::F16.onnx() {
        let halves = tensor.raw_data.as_chunks::<2>().0.iter();
        return halves.map(|&bytes| half::f16::from_le_bytes(bytes).to_f32()).collect();
    }
    tensor.raw_data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// Whether the network that the metadata states is small, and `graph` has as many weights: comparing allocates them.
fn is_small(spec: &EncoderSpec, graph: &pb::GraphProto) -> bool {
    let stored: u64 = graph.initializer.iter().map(|tensor| tensor.raw_data.len() as u64).sum();
    let sides = [spec.input.channels, spec.input.height, spec.input.width];
    let in_range = |conv: &Conv| (1..=65_536).contains(&conv.channels_in) && (1..=65_536).contains(&conv.channels_out);
    let convs = spec.nodes.iter().all(|node| match node {
        Node::Conv { conv, .. } => in_range(conv),
        Node::Add { .. } => true,
    });
    // Sides are bounded first, so that the products below fit 64 bits.
    sides.iter().all(|side| (1..=4096).contains(side))
        && convs
        && spec.nodes.len() <= 1000
        && spec.cost().is_ok_and(|cost| {
            // At least 2 bytes a weight, and a bias for the two parameters of a batch norm.
            let has_weights = cost.parameters <= stored;
            has_weights && cost.activation_bytes <= ACTIVATION_BYTES_MAX && cost.macs <= MACS_MAX
        })
}

/// The network with all weights 0.
fn blank(spec: &EncoderSpec) -> FoldedEncoder {
    let convs = spec.nodes.iter().filter_map(|node| match node {
        Node::Conv { conv, .. } => {
            Some(FoldedConv { weight: vec![0.0; conv.weight_len()], bias: vec![0.0; conv.channels_out] })
        }
        Node::Add { .. } => None,
    });
    let weights = |dim| LinearMap { weight: vec![0.0; dim * spec.pooled_len()], bias: vec![0.0; dim] };
    FoldedEncoder { spec: spec.clone(), convs: convs.collect(), map: spec.readout.dim.map(weights) }
}

/// Whether two graphs differ only in the values of weights.
fn is_same(written: pb::GraphProto, graph: &pb::GraphProto) -> bool {
    let pb::GraphProto { node, initializer, input, output, .. } = written;
    let weights = initializer.len() == graph.initializer.len()
        && initializer.into_iter().zip(&graph.initializer).all(|(mut written, found)| {
            // Weights must have the right length; scalars (the bounds of ReLU6, the ε of a deviation) also the right values.
            let is_bound = written.dims.is_empty();
            if !is_bound && written.raw_data.len() == found.raw_data.len() {
                written.raw_data.copy_from_slice(&found.raw_data);
            }
            *found == written
        });
    weights
        && node == graph.node
        && input == graph.input
        && output == graph.output
        && graph.sparse_initializer.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Preprocessing;
    use crate::encoder::{InputShape, Pooling, Preset, Readout};
    use crate::runtime::Provenance;

    fn model(preset: Preset, element: ElementType, readout: Readout) -> pb::ModelProto {
        let spec = EncoderSpec::preset(preset, InputShape { channels: 1, height: 32, width: 32 }).unwrap();
        let spec = EncoderSpec { readout, ..spec };
        let provenance = Provenance {
            program_version: "0.1.0".into(),
            method: "rotation".into(),
            seed: 1,
            data: "phantoms".into(),
            encoder: spec.clone(),
            config_sha256: String::new(),
            teachers: Vec::new(),
        };
        let metadata = Metadata { preprocessing: Preprocessing::unit(1, 32, 32), provenance, corpus: None };
        let mut encoder = blank(&spec);
        encoder.convs.iter_mut().flat_map(|conv| &mut conv.weight).for_each(|weight| *weight = 0.25);
        to_onnx(&encoder, element, &metadata).unwrap()
    }

    fn readouts() -> Vec<Readout> {
        let maps = [(None, false), (Some(20), false), (Some(20), true)];
        let readout = |pooling| maps.map(|(dim, whiten)| Readout { pooling, dim, whiten });
        Pooling::ALL.into_iter().flat_map(readout).collect()
    }

    #[test]
    fn only_graphs_of_presets_are_recognised() {
        for preset in Preset::ALL {
            for element in [ElementType::F32, ElementType::F16] {
                for readout in readouts() {
                    assert!(has_own_form(&model(preset, element, readout)), "{preset:?} {element:?} {readout}");
                }
            }
        }
        let mut doubled = model(Preset::Pico, ElementType::F32, Readout::pooled(Pooling::Stages));
        let shrink = doubled.graph.as_mut().unwrap().initializer.iter_mut().find(|tensor| tensor.name == "pool.shrink");
        shrink.unwrap().raw_data = 2f32.to_le_bytes().to_vec();
        assert!(!has_own_form(&doubled), "another constant");
        let changes: [fn(&mut pb::GraphProto); 6] = [
            |graph| graph.node[0].attribute[1].ints[0] = -1,
            |graph| graph.node[0].op_type = "Mod".to_owned(),
            |graph| graph.node.truncate(3),
            |graph| graph.initializer[0].dims[0] = 1 << 40,
            |graph| graph.initializer[0].raw_data.truncate(4),
            |graph| graph.output.clear(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = model(Preset::Mobile, ElementType::F32, Readout::default());
            change(changed.graph.as_mut().unwrap());
            assert!(!has_own_form(&changed), "change {number}");
        }
        let mut foreign = model(Preset::Pico, ElementType::F32, Readout::default());
        foreign.metadata_props.clear();
        foreign.producer_name.clear();
        assert!(!has_own_form(&foreign));
    }
}
