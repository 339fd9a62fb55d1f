//! Decodes an ONNX file and checks that it is an encoder: one image in, one vector out.

use std::collections::HashSet;

use prost::Message;

/// The messages of an ONNX file, as tract reads them.
pub use tract_onnx::pb;

use super::error::RuntimeError;
use super::limits::{FILE_BYTES_MAX, at_most};
use super::scan;
use crate::encoder::Layout;

/// Element type of a model's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
}

impl ElementType {
    /// The ONNX number of the type.
    pub fn onnx(self) -> i32 {
        match self {
            Self::F32 => pb::tensor_proto::DataType::Float as i32,
            Self::F16 => pb::tensor_proto::DataType::Float16 as i32,
        }
    }
}

/// The bytes of an ONNX file.
pub fn encode(model: &pb::ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

/// The input that the file declares. A size of `None` is left open by the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeclaredInput {
    pub name: String,
    pub element: ElementType,
    /// 1 or 3.
    pub channels: usize,
    pub height: Option<usize>,
    pub width: Option<usize>,
    pub layout: Layout,
}

/// Decodes `bytes` and checks that they are a complete model with a graph and an operator set.
///
/// # Errors
/// [`RuntimeError::Malformed`], or [`RuntimeError::Limit`] if the file is too large, before or after decoding.
pub fn decode(bytes: &[u8], path: &str) -> Result<pb::ModelProto, RuntimeError> {
    let fail = |message: String| RuntimeError::Malformed { path: path.to_owned(), message };
    at_most(path, "bytes", bytes.len() as u64, FILE_BYTES_MAX)?;
    scan::check(bytes, path)?;
    let model = pb::ModelProto::decode(bytes).map_err(|error| fail(error.to_string()))?;
    let Some(graph) = &model.graph else { return Err(fail("it has no graph".into())) };
    if model.opset_import.is_empty() {
        return Err(fail("it declares no operator set".into()));
    }
    let made: HashSet<&str> = (graph.node.iter().flat_map(|node| &node.output).map(String::as_str))
        .chain(graph.input.iter().map(|input| input.name.as_str()))
        .chain(graph.initializer.iter().map(|tensor| tensor.name.as_str()))
        .collect();
    match graph.output.iter().find(|output| !made.contains(output.name.as_str())) {
        Some(output) => Err(fail(format!("no node makes its output '{}'", output.name))),
        None => Ok(model),
    }
}

/// The image input of `graph`: `[N, 1|3, H, W]` or `[N, H, W, 1|3]` of f32 or f16; the former if both fit.
///
/// # Errors
/// When there is not exactly one input, or its rank, channels or type is another.
pub(super) fn image_input(graph: &pb::GraphProto, path: &str) -> Result<DeclaredInput, RuntimeError> {
    // Before IR version 4, weights were listed as inputs, too.
    let weights: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let inputs: Vec<_> = graph.input.iter().filter(|input| !weights.contains(input.name.as_str())).collect();
    let input = only(&inputs, "input", path)?;
    let (element, dims) = tensor_type(input, "input", path)?;
    let shape_error = || RuntimeError::Shape {
        path: path.to_owned(),
        what: "input",
        name: input.name.clone(),
        found: describe(&dims),
        needed: "[N, 1 or 3, height, width] or [N, height, width, 1 or 3]",
    };
    let (channels, height, width, layout) = match dims[..] {
        [_, Some(channels @ (1 | 3)), height, width] => (channels, height, width, Layout::Nchw),
        [_, height, width, Some(channels @ (1 | 3))] => (channels, height, width, Layout::Nhwc),
        _ => return Err(shape_error()),
    };
    if height == Some(0) || width == Some(0) {
        return Err(shape_error());
    }
    Ok(DeclaredInput { name: input.name.clone(), element, channels, height, width, layout })
}

/// Checks that `graph` has one output of f32 or f16, and returns its name. Admission infers the shape.
pub(super) fn vector_output(graph: &pb::GraphProto, path: &str) -> Result<String, RuntimeError> {
    let outputs: Vec<_> = graph.output.iter().collect();
    let output = only(&outputs, "output", path)?;
    tensor_type(output, "output", path)?;
    Ok(output.name.clone())
}

/// `dims` for messages, `?` for an open one.
pub(super) fn describe(dims: &[Option<usize>]) -> String {
    let dims: Vec<String> = dims.iter().map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string())).collect();
    format!("[{}]", dims.join(", "))
}

fn only<'a>(
    values: &[&'a pb::ValueInfoProto],
    what: &'static str,
    path: &str,
) -> Result<&'a pb::ValueInfoProto, RuntimeError> {
    match values {
        [value] => Ok(value),
        _ => Err(RuntimeError::Count {
            path: path.to_owned(),
            what,
            count: values.len(),
            names: values.iter().take(8).map(|value| value.name.as_str()).collect::<Vec<_>>().join(", "),
        }),
    }
}

type TensorType = (ElementType, Vec<Option<usize>>);

fn tensor_type(value: &pb::ValueInfoProto, what: &'static str, path: &str) -> Result<TensorType, RuntimeError> {
    use pb::tensor_proto::DataType;
    use pb::tensor_shape_proto::dimension::Value::DimValue;
    let Some(pb::type_proto::Value::TensorType(tensor)) =
        value.r#type.as_ref().and_then(|declared| declared.value.as_ref())
    else {
        let message = format!("{what} '{}' has no tensor type", value.name);
        return Err(RuntimeError::Malformed { path: path.to_owned(), message });
    };
    let element = match DataType::try_from(tensor.elem_type) {
        Ok(DataType::Float) => ElementType::F32,
        Ok(DataType::Float16) => ElementType::F16,
        other => {
            return Err(RuntimeError::ElementType {
                path: path.to_owned(),
                what,
                name: value.name.clone(),
                found: other.map_or(format!("type {}", tensor.elem_type), |known| known.as_str_name().to_owned()),
            });
        }
    };
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let size = |dim: &pb::tensor_shape_proto::Dimension| match dim.value {
        Some(DimValue(size)) => usize::try_from(size).ok(),
        _ => None,
    };
    Ok((element, dims.map(size).collect()))
}
