//! For tests only: runs any admitted graph once.
//!
//! ONNX's backend test vectors have inputs of any number and shape, but go through the same admission and engine as encoders.

use tract_onnx::prelude::*;

use super::admission::{self, Element, Fact};
use super::arithmetic::Arithmetic;
use super::engine;
use super::error::RuntimeError;
use super::model_file::pb;

/// Runs `model` on `inputs`, in the order of its inputs, and returns its outputs.
///
/// With [`Arithmetic::F16WidenedToF32`], f16 is computed and returned in f32.
///
/// # Errors
/// When the graph is not admitted or fails.
pub fn run(
    model: pb::ModelProto,
    inputs: &[pb::TensorProto],
    arithmetic: Arithmetic,
) -> Result<Vec<pb::TensorProto>, RuntimeError> {
    let path = "the graph";
    let malformed = |message: String| RuntimeError::Malformed { path: path.to_owned(), message };
    let graph = model.graph.as_ref().ok_or_else(|| malformed("it has no graph".into()))?;
    let weights: Vec<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let names = graph.input.iter().map(|input| input.name.clone()).filter(|name| !weights.contains(&name.as_str()));
    let names: Vec<String> = names.collect();
    if names.len() != inputs.len() {
        return Err(malformed(format!("it has {} inputs, but {} tensors are given", names.len(), inputs.len())));
    }
    let facts = inputs.iter().map(fact_of).collect::<Result<Vec<_>, _>>().map_err(malformed)?;
    let inputs_of: Vec<(String, Fact)> = names.into_iter().zip(facts).collect();
    let admitted = admission::admit(model, &inputs_of, path)?;
    let runnable = engine::prepare(&admitted, arithmetic, path)?;
    let outputs = engine::catch_panic(|| {
        let mut tensors = tvec!();
        for (at, (tensor, (_, fact))) in inputs.iter().zip(&inputs_of).enumerate() {
            let tensor = tensor_of(tensor, fact)?;
            tensors.push(tensor.cast_to_dt(runnable.model().input_fact(at)?.datum_type)?.into_owned().into_tvalue());
        }
        let outputs = runnable.spawn()?.run(tensors)?;
        outputs.iter().map(|output| proto_of(output)).collect::<TractResult<Vec<_>>>()
    });
    outputs.map_err(|failure| failure.at(path))
}

/// Type and shape of an input; its values stay unknown.
fn fact_of(tensor: &pb::TensorProto) -> Result<Fact, String> {
    let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    Ok(Fact::new(Element::of(tensor.data_type)?, &dims.ok_or("it has a negative dimension")?))
}

fn tensor_of(tensor: &pb::TensorProto, fact: &Fact) -> TractResult<Tensor> {
    let (dims, raw) = (&fact.dims[..], &tensor.raw_data);
    match fact.element {
        Element::F32 => {
            Tensor::from_shape(dims, &raw.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect::<Vec<_>>())
        }
        Element::F16 => {
            let bits = raw.as_chunks().0.iter().map(|&b| f16::from_bits(u16::from_le_bytes(b)));
            Tensor::from_shape(dims, &bits.collect::<Vec<_>>())
        }
        Element::Bool => Tensor::from_shape(dims, &raw.iter().map(|&byte| byte != 0).collect::<Vec<_>>()),
        Element::I64 | Element::I32 => Err(TractError::msg("an input of integers is not admitted")),
    }
}

fn proto_of(tensor: &Tensor) -> TractResult<pb::TensorProto> {
    let kind = tensor.datum_type();
    let element = match kind {
        DatumType::F32 => Element::F32,
        DatumType::F16 => Element::F16,
        DatumType::Bool => Element::Bool,
        DatumType::I32 => Element::I32,
        _ => Element::I64,
    };
    let raw_data = match element {
        Element::F32 => bytes_of(tensor.try_as_plain_ram()?.as_slice::<f32>()?, |value| value.to_le_bytes().to_vec()),
        Element::F16 => bytes_of(tensor.try_as_plain_ram()?.as_slice::<f16>()?, |value| value.to_le_bytes().to_vec()),
        Element::Bool => bytes_of(tensor.try_as_plain_ram()?.as_slice::<bool>()?, |&value| vec![u8::from(value)]),
        Element::I32 => bytes_of(tensor.try_as_plain_ram()?.as_slice::<i32>()?, |value| value.to_le_bytes().to_vec()),
        Element::I64 => {
            let cast = tensor.cast_to::<i64>()?;
            bytes_of(cast.try_as_plain_ram()?.as_slice::<i64>()?, |value| value.to_le_bytes().to_vec())
        }
    };
    let dims = tensor.shape().iter().map(|&dim| dim as i64).collect();
    Ok(pb::TensorProto { dims, data_type: element.onnx(), raw_data, ..Default::default() })
}

fn bytes_of<T>(values: &[T], bytes: impl Fn(&T) -> Vec<u8>) -> Vec<u8> {
    values.iter().flat_map(bytes).collect()
}
