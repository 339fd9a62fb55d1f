//! A folded encoder as an ONNX graph.
//!
//! `image` `[N, C, H, W]` → Conv (with bias), Relu, Clip(0, 6), Add in the order of the spec → readout (`readout.rs`) →
//! `feature` `[N, D]`. The batch `N` is symbolic. Resizing and
//! normalisation are not in the graph but in the metadata ([`Metadata`]), so that a device can resize in integers.
//!
//! The mean over pixels is GlobalAveragePool and not ReduceMean, whose axes moved from an attribute
//! to an input in opset 18 and which some readers then silently ignore.

use super::graph::{GraphBuilder, OnnxError, int, ints};
use super::readout;
use crate::encoder::{Activation, Conv, ConvKind, EncoderSpec, FoldedConv, FoldedEncoder, Node};
use crate::runtime::{ElementType, Metadata, pb};

/// Operator set of the files. Every operator used here is unchanged since.
pub const OPSET: i64 = 17;
/// ONNX IR version, the one of [`OPSET`].
pub const IR_VERSION: i64 = 8;
/// Name of the graph's input.
pub const INPUT_NAME: &str = "image";
/// Name of the graph's output.
pub const OUTPUT_NAME: &str = "feature";

/// `encoder` as an ONNX model whose tensors hold `element`.
///
/// # Errors
/// When the spec is invalid, the weights do not fit it, or `element` cannot hold a value.
pub fn to_onnx(
    encoder: &FoldedEncoder,
    element: ElementType,
    metadata: &Metadata,
) -> Result<pb::ModelProto, OnnxError> {
    let spec = &encoder.spec;
    let (shapes, pooled) = (spec.shapes()?, spec.pooled(spec.readout.pooling));
    check_count(spec, encoder.convs.len())?;
    let mut graph = GraphBuilder::new(element);
    graph.graph.name = spec.name.clone();
    let (mut values, mut parts) = (vec![INPUT_NAME.to_owned()], readout::Parts::default());
    let mut convs = encoder.convs.iter();
    for (index, node) in spec.nodes.iter().enumerate() {
        let value = match node {
            Node::Conv { input, conv } => {
                // `check_count` has checked that there is one each.
                let Some(folded) = convs.next() else { continue };
                add_conv(&mut graph, conv, folded, &values[*input])?
            }
            Node::Add { left, right, activation } => {
                let name = format!("add.{index}");
                graph.node("Add", &name, &[&values[*left], &values[*right]], &name, vec![]);
                add_activation(&mut graph, *activation, &name)
            }
        };
        parts.add(&mut graph, &pooled, index + 1, &value, shapes[index + 1]);
        values.push(value);
    }
    parts.finish(&mut graph, spec, encoder.map.as_ref(), OUTPUT_NAME)?;
    finish(graph, spec, metadata)
}

fn check_count(spec: &EncoderSpec, found: usize) -> Result<(), OnnxError> {
    let needed = spec.nodes.iter().filter(|node| matches!(node, Node::Conv { .. })).count();
    if found == needed {
        return Ok(());
    }
    Err(OnnxError::Length { layer: "the encoder".into(), what: "convolutions", found, needed })
}

/// Adds a convolution and its activation; returns the name of their output.
fn add_conv(graph: &mut GraphBuilder, conv: &Conv, folded: &FoldedConv, input: &str) -> Result<String, OnnxError> {
    let kernel = conv.kernel();
    let depthwise = conv.kind == ConvKind::Depthwise3x3;
    let channels_in = if depthwise { 1 } else { conv.channels_in };
    let (weight, bias) = (format!("{}.weight", conv.name), format!("{}.bias", conv.name));
    graph.parameter(&conv.name, "weight", &[conv.channels_out, channels_in, kernel, kernel], &folded.weight)?;
    graph.parameter(&conv.name, "bias", &[conv.channels_out], &folded.bias)?;
    let attributes = vec![
        ints("kernel_shape", &[kernel, kernel]),
        ints("pads", &[kernel / 2; 4]),
        ints("strides", &[conv.stride, conv.stride]),
        int("group", if depthwise { conv.channels_out } else { 1 }),
    ];
    graph.node("Conv", &conv.name, &[input, &weight, &bias], &conv.name, attributes);
    Ok(add_activation(graph, conv.activation, &conv.name))
}

fn add_activation(graph: &mut GraphBuilder, activation: Activation, input: &str) -> String {
    match activation {
        Activation::Identity => input.to_owned(),
        Activation::Relu => {
            let output = format!("{input}.relu");
            graph.node("Relu", &output, &[input], &output, vec![]);
            output
        }
        Activation::Relu6 => {
            if !graph.clip_bounds {
                graph.clip_bounds = true;
                graph.initializer("relu6.min", &[], &[0.0]);
                graph.initializer("relu6.max", &[], &[6.0]);
            }
            let output = format!("{input}.relu6");
            graph.node("Clip", &output, &[input, "relu6.min", "relu6.max"], &output, vec![]);
            output
        }
    }
}

fn finish(mut graph: GraphBuilder, spec: &EncoderSpec, metadata: &Metadata) -> Result<pb::ModelProto, OnnxError> {
    let input = spec.input;
    let (channels, height, width) = (input.channels, input.height, input.width);
    graph.graph.input = vec![value_info(INPUT_NAME, graph.element, &[channels, height, width])];
    graph.graph.output = vec![value_info(OUTPUT_NAME, graph.element, &[spec.feature_dim()])];
    let mut model = pb::ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: OPSET }],
        doc_string: "Image encoder. Resize and normalise images first, as macula.preprocessing says.".into(),
        graph: Some(graph.graph),
        ..Default::default()
    };
    metadata.write_to(&mut model).map_err(|error| OnnxError::Metadata(error.to_string()))?;
    Ok(model)
}

/// A tensor of shape `[N, dims…]`, `N` symbolic.
fn value_info(name: &str, element: ElementType, dims: &[usize]) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension::Value};
    let dimension = |value| Dimension { value: Some(value), ..Default::default() };
    let sizes = dims.iter().map(|&dim| dimension(Value::DimValue(dim as i64)));
    let dim = std::iter::once(dimension(Value::DimParam("N".into()))).chain(sizes).collect();
    let tensor = pb::type_proto::Tensor { elem_type: element.onnx(), shape: Some(pb::TensorShapeProto { dim }) };
    let value = Some(pb::type_proto::Value::TensorType(tensor));
    pb::ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(pb::TypeProto { value, ..Default::default() }),
        ..Default::default()
    }
}
