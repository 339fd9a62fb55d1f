//! Cost of an ONNX file for one image, from its admitted graph; nothing is run.

use std::path::Path;

use super::admission::{self, Admitted, Element, Fact};
use super::error::RuntimeError;
use super::model_file::{self, ElementType};
use super::{external, limits};
use crate::data::Preprocessing;
use crate::encoder::Layout;

/// Cost of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnnxCost {
    /// Multiply-accumulates of convolutions and matrix products.
    pub multiply_accumulates: u64,
    /// Values of all weights, constants included.
    pub parameters: u64,
}

/// The cost of the ONNX file at `path` for images of the size and channels of `preprocessing`.
///
/// # Errors
/// When the file is not an encoder that `runtime` admits.
pub fn cost_of(path: &Path, preprocessing: &Preprocessing) -> Result<OnnxCost, RuntimeError> {
    let name = path.display().to_string();
    let mut model = model_file::decode(&limits::read_file(path)?, &name)?;
    let graph = model.graph.clone().unwrap_or_default();
    let input = model_file::image_input(&graph, &name)?;
    external::take_in(&mut model, path.parent(), &name)?;
    let element = if input.element == ElementType::F16 { Element::F16 } else { Element::F32 };
    let Preprocessing { channels, height, width, .. } = *preprocessing;
    let dims = match input.layout {
        Layout::Nchw => [1, channels, height, width],
        Layout::Nhwc => [1, height, width, channels],
    };
    let admitted = admission::admit(model, &[(input.name.clone(), Fact::new(element, &dims))], &name)?;
    Ok(admitted.cost())
}

impl Admitted {
    fn cost(&self) -> OnnxCost {
        let len = |fact: &Fact| fact.dims.iter().map(|&dim| dim as u64).product::<u64>();
        let Some(graph) = &self.model.graph else { return OnnxCost { multiply_accumulates: 0, parameters: 0 } };
        let weights = graph.initializer.iter().filter_map(|tensor| self.facts.get(&tensor.name));
        let parameters = weights.filter(|fact| matches!(fact.element, Element::F32 | Element::F16)).map(len).sum();
        let products = |node: &super::pb::NodeProto| {
            let fact = |name: Option<&String>| self.facts.get(name?);
            let (left, right, out) = (fact(node.input.first())?, fact(node.input.get(1))?, fact(node.output.first())?);
            // Products per value of the result.
            let per_value = match node.op_type.as_str() {
                "Conv" => len(right) / *right.dims.first()? as u64,
                "Gemm" => len(right) / *out.dims.last()? as u64,
                "MatMul" => *left.dims.last()? as u64,
                _ => return None,
            };
            Some(len(out) * per_value)
        };
        OnnxCost { multiply_accumulates: graph.node.iter().filter_map(products).sum(), parameters }
    }
}
