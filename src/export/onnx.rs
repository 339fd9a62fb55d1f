//! A folded encoder as an ONNX graph.
//!
//! `image` `[N, C, H, W]` → Conv (with bias), Relu, Clip(0, 6), Add in the order of the spec →
//! GlobalAveragePool → Flatten → `feature` `[N, D]`. The batch `N` is symbolic. Resizing and
//! normalisation are not in the graph but in the metadata ([`Metadata`]), so that a device can resize in integers.
//!
//! The mean over pixels is GlobalAveragePool and not ReduceMean, whose axes moved from an attribute
//! to an input in opset 18 and which some readers then silently ignore.

use half::f16;

use crate::encoder::{Activation, Conv, ConvKind, EncoderSpec, FoldedConv, FoldedEncoder, Node, SpecError};
use crate::runtime::{ElementType, Metadata, pb};

/// Operator set of the files. Every operator used here is unchanged since.
pub const OPSET: i64 = 17;
/// ONNX IR version, the one of [`OPSET`].
pub const IR_VERSION: i64 = 8;
/// Name of the graph's input.
pub const INPUT_NAME: &str = "image";
/// Name of the graph's output.
pub const OUTPUT_NAME: &str = "feature";

/// An encoder could not be written as ONNX.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OnnxError {
    /// The metadata has no JSON form.
    #[error("the metadata has no JSON form: {0}")]
    Metadata(String),
    /// The spec is not a valid network.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The weights do not fit the spec.
    #[error("{layer} has {found} {what}, its spec needs {needed}")]
    Length {
        /// Name of the convolution, or `the encoder`.
        layer: String,
        /// `weights`, `biases` or `convolutions`.
        what: &'static str,
        /// Number found.
        found: usize,
        /// Number that the spec needs.
        needed: usize,
    },
    /// A value is not finite, or becomes infinite in f16.
    #[error("{layer}: {what} {index} is {value}, {element} holds finite values up to {limit}")]
    Value {
        /// Name of the convolution.
        layer: String,
        /// `weight` or `bias`.
        what: &'static str,
        /// Its index in the tensor.
        index: usize,
        /// The value.
        value: f32,
        /// `f32` or `f16`.
        element: &'static str,
        /// The largest finite value.
        limit: f32,
    },
}

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
    spec.shapes()?;
    check_count(spec, encoder.convs.len())?;
    let mut graph = GraphBuilder { element, graph: pb::GraphProto::default(), clip_bounds: false };
    graph.graph.name = spec.name.clone();
    let mut values = vec![INPUT_NAME.to_owned()];
    let mut convs = encoder.convs.iter();
    for (index, node) in spec.nodes.iter().enumerate() {
        let value = match node {
            Node::Conv { input, conv } => {
                // `check_count` has checked that there is one each.
                let Some(folded) = convs.next() else { continue };
                graph.conv(conv, folded, &values[*input])?
            }
            Node::Add { left, right, activation } => {
                let name = format!("add.{index}");
                graph.node("Add", &name, &[&values[*left], &values[*right]], &name, vec![]);
                graph.activation(*activation, &name)
            }
        };
        values.push(value);
    }
    let last = values.pop().unwrap_or_default();
    graph.node("GlobalAveragePool", "pool", &[&last], "pool", vec![]);
    graph.node("Flatten", "flatten", &["pool"], OUTPUT_NAME, vec![]);
    graph.finish(spec, metadata)
}

fn check_count(spec: &EncoderSpec, found: usize) -> Result<(), OnnxError> {
    let needed = spec.nodes.iter().filter(|node| matches!(node, Node::Conv { .. })).count();
    if found == needed {
        return Ok(());
    }
    Err(OnnxError::Length { layer: "the encoder".into(), what: "convolutions", found, needed })
}

struct GraphBuilder {
    element: ElementType,
    graph: pb::GraphProto,
    /// Whether the initialisers hold the bounds of ReLU6 already.
    clip_bounds: bool,
}

impl GraphBuilder {
    fn node(&mut self, op: &str, name: &str, inputs: &[&str], output: &str, attribute: Vec<pb::AttributeProto>) {
        self.graph.node.push(pb::NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute,
            ..Default::default()
        });
    }

    /// Adds a convolution and its activation; returns the name of their output.
    fn conv(&mut self, conv: &Conv, folded: &FoldedConv, input: &str) -> Result<String, OnnxError> {
        let kernel = conv.kernel();
        let depthwise = conv.kind == ConvKind::Depthwise3x3;
        let channels_in = if depthwise { 1 } else { conv.channels_in };
        let (weight, bias) = (format!("{}.weight", conv.name), format!("{}.bias", conv.name));
        self.parameter(conv, "weight", &[conv.channels_out, channels_in, kernel, kernel], &folded.weight)?;
        self.parameter(conv, "bias", &[conv.channels_out], &folded.bias)?;
        let attributes = vec![
            ints("kernel_shape", &[kernel, kernel]),
            ints("pads", &[kernel / 2; 4]),
            ints("strides", &[conv.stride, conv.stride]),
            int("group", if depthwise { conv.channels_out } else { 1 }),
        ];
        self.node("Conv", &conv.name, &[input, &weight, &bias], &conv.name, attributes);
        Ok(self.activation(conv.activation, &conv.name))
    }

    fn activation(&mut self, activation: Activation, input: &str) -> String {
        match activation {
            Activation::Identity => input.to_owned(),
            Activation::Relu => {
                let output = format!("{input}.relu");
                self.node("Relu", &output, &[input], &output, vec![]);
                output
            }
            Activation::Relu6 => {
                if !self.clip_bounds {
                    self.clip_bounds = true;
                    self.initializer("relu6.min", &[], &[0.0]);
                    self.initializer("relu6.max", &[], &[6.0]);
                }
                let output = format!("{input}.relu6");
                self.node("Clip", &output, &[input, "relu6.min", "relu6.max"], &output, vec![]);
                output
            }
        }
    }

    fn parameter(&mut self, conv: &Conv, what: &'static str, dims: &[usize], data: &[f32]) -> Result<(), OnnxError> {
        let layer = || conv.name.clone();
        let needed = dims.iter().product();
        if data.len() != needed {
            let what = if what == "weight" { "weights" } else { "biases" };
            return Err(OnnxError::Length { layer: layer(), what, found: data.len(), needed });
        }
        let (element, limit) = match self.element {
            ElementType::F32 => ("f32", f32::MAX),
            ElementType::F16 => ("f16", f16::MAX.to_f32()),
        };
        let holds = |value: f32| match self.element {
            ElementType::F32 => value.is_finite(),
            // Values up to 65519.99 round to 65504, the largest finite f16.
            ElementType::F16 => f16::from_f32(value).is_finite(),
        };
        if let Some(index) = data.iter().position(|&value| !holds(value)) {
            return Err(OnnxError::Value { layer: layer(), what, index, value: data[index], element, limit });
        }
        self.initializer(&format!("{}.{what}", conv.name), dims, data);
        Ok(())
    }

    fn initializer(&mut self, name: &str, dims: &[usize], data: &[f32]) {
        let raw_data = match self.element {
            ElementType::F32 => data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ElementType::F16 => data.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        };
        self.graph.initializer.push(pb::TensorProto {
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            data_type: self.element.onnx(),
            name: name.to_owned(),
            raw_data,
            ..Default::default()
        });
    }

    fn finish(mut self, spec: &EncoderSpec, metadata: &Metadata) -> Result<pb::ModelProto, OnnxError> {
        let input = spec.input;
        let (channels, height, width) = (input.channels, input.height, input.width);
        self.graph.input = vec![value_info(INPUT_NAME, self.element, &[channels, height, width])];
        self.graph.output = vec![value_info(OUTPUT_NAME, self.element, &[spec.feature_dim()])];
        let mut model = pb::ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: OPSET }],
            doc_string: "Image encoder. Resize and normalise images first, as macula.preprocessing says.".into(),
            graph: Some(self.graph),
            ..Default::default()
        };
        metadata.write_to(&mut model).map_err(|error| OnnxError::Metadata(error.to_string()))?;
        Ok(model)
    }
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

fn ints(name: &str, values: &[usize]) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: pb::attribute_proto::AttributeType::Ints as i32,
        ints: values.iter().map(|&value| value as i64).collect(),
        ..Default::default()
    }
}

fn int(name: &str, value: usize) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: pb::attribute_proto::AttributeType::Int as i32,
        i: value as i64,
        ..Default::default()
    }
}
