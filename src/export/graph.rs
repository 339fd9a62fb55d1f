//! An ONNX graph in the making: nodes and weights of one element type.

use half::f16;

use crate::encoder::SpecError;
use crate::runtime::{ElementType, pb};

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
        /// Name of the convolution, `readout`, `the readout` or `the encoder`.
        layer: String,
        /// `weights`, `biases`, `convolutions` or `outputs`.
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

/// Appends nodes and weights to a graph.
pub(super) struct GraphBuilder {
    pub element: ElementType,
    pub graph: pb::GraphProto,
    /// Whether the initialisers hold the bounds of ReLU6 already.
    pub clip_bounds: bool,
}

impl GraphBuilder {
    /// An empty graph whose tensors hold `element`.
    pub fn new(element: ElementType) -> Self {
        Self { element, graph: pb::GraphProto::default(), clip_bounds: false }
    }

    /// Appends a node with one output.
    pub fn node(&mut self, op: &str, name: &str, inputs: &[&str], output: &str, attribute: Vec<pb::AttributeProto>) {
        self.graph.node.push(pb::NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute,
            ..Default::default()
        });
    }

    /// Adds the weight `LAYER.WHAT`, `weight` or `bias`.
    ///
    /// # Errors
    /// When its length is not that of `dims`, or the element cannot hold a value.
    pub fn parameter(
        &mut self,
        layer: &str,
        what: &'static str,
        dims: &[usize],
        data: &[f32],
    ) -> Result<(), OnnxError> {
        let needed = dims.iter().product();
        if data.len() != needed {
            let what = if what == "weight" { "weights" } else { "biases" };
            return Err(OnnxError::Length { layer: layer.to_owned(), what, found: data.len(), needed });
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
            return Err(OnnxError::Value { layer: layer.to_owned(), what, index, value: data[index], element, limit });
        }
        self.initializer(&format!("{layer}.{what}"), dims, data);
        Ok(())
    }

    /// Adds a tensor; one without `dims` is a scalar.
    pub fn initializer(&mut self, name: &str, dims: &[usize], data: &[f32]) {
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
}

/// An attribute of integers.
pub(super) fn ints(name: &str, values: &[usize]) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: pb::attribute_proto::AttributeType::Ints as i32,
        ints: values.iter().map(|&value| value as i64).collect(),
        ..Default::default()
    }
}

/// An attribute of one integer.
pub(super) fn int(name: &str, value: usize) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: pb::attribute_proto::AttributeType::Int as i32,
        i: value as i64,
        ..Default::default()
    }
}
