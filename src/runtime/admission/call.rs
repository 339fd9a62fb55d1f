//! One node for a rule: operands, attributes, operator set; and the result of the rule.

use super::fact::{Fact, Reason};
use crate::runtime::model_file::pb;
use pb::attribute_proto::AttributeType;

/// One use of an operator.
pub(super) struct Call<'a> {
    pub(super) node: &'a pb::NodeProto,
    /// Version of the ONNX operator set of the model.
    pub(super) opset: i64,
    /// Operands; none for an omitted optional one.
    pub(super) inputs: Vec<Option<&'a Fact>>,
}

/// The results of a node and their cost per image.
pub(super) struct Made {
    pub(super) facts: Vec<Fact>,
    /// Multiply-accumulates; other operators count [`ELEMENTWISE`] per value.
    pub(super) operations: u64,
    /// Bytes of scratch memory besides operands and results.
    pub(super) scratch: u64,
}

/// Cost of a value that is not a sum of products, in multiply-accumulates: a power takes about as long as 32.
pub(super) const ELEMENTWISE: u64 = 32;

impl Made {
    pub(super) fn with(facts: Vec<Fact>, operations: u64) -> Self {
        Self { facts, operations, scratch: 0 }
    }
}

impl From<Fact> for Made {
    fn from(fact: Fact) -> Self {
        Vec::from([fact]).into()
    }
}

impl From<Vec<Fact>> for Made {
    fn from(facts: Vec<Fact>) -> Self {
        // The dimensions are not checked yet.
        let operations = facts.iter().map(|fact| product(&fact.dims).saturating_mul(ELEMENTWISE)).sum();
        Self { facts, operations, scratch: 0 }
    }
}

/// The product of `dims`, saturating.
pub(super) fn product(dims: &[usize]) -> u64 {
    dims.iter().fold(1u64, |product, &dim| product.saturating_mul(dim as u64))
}

impl<'a> Call<'a> {
    /// Required operand `index`.
    pub(super) fn input(&self, index: usize) -> Result<&'a Fact, Reason> {
        self.optional(index).ok_or_else(|| format!("input {index} is missing"))
    }

    /// Optional operand `index`.
    pub(super) fn optional(&self, index: usize) -> Option<&'a Fact> {
        self.inputs.get(index).copied().flatten()
    }

    /// Operand `index`, which must have the floating-point type of the first.
    pub(super) fn like_first(&self, index: usize) -> Result<&'a Fact, Reason> {
        let (first, fact) = (self.input(0)?, self.input(index)?);
        if fact.element != first.element {
            return Err(format!("inputs 0 and {index} hold {:?} and {:?}", first.element, fact.element));
        }
        Ok(fact)
    }

    /// Operand `index`, which must be constant, that is, equal for every image.
    pub(super) fn weights(&self, index: usize) -> Result<&'a Fact, Reason> {
        let fact = self.like_first(index)?;
        if fact.is_constant { Ok(fact) } else { Err(format!("input {index} must be constant")) }
    }

    /// The integers of operand `index`, which must be a constant vector or scalar; none if it is omitted.
    pub(super) fn integers(&self, index: usize, what: &str) -> Result<Option<&'a [i64]>, Reason> {
        let Some(fact) = self.optional(index) else { return Ok(None) };
        if fact.rank() > 1 || !fact.element.is_integer() {
            return Err(format!("{what} must be a vector of integers"));
        }
        fact.known(what).map(Some)
    }

    fn attribute(&self, name: &str, kind: AttributeType) -> Result<Option<&'a pb::AttributeProto>, Reason> {
        let Some(attribute) = self.node.attribute.iter().find(|attribute| attribute.name == name) else {
            return Ok(None);
        };
        if attribute.r#type == kind as i32 {
            return Ok(Some(attribute));
        }
        Err(format!("attribute '{name}' is not {}", kind.as_str_name()))
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, Reason> {
        Ok(self.attribute(name, AttributeType::Int)?.map_or(default, |attribute| attribute.i))
    }

    /// An attribute that is 0 or 1.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Reason> {
        match self.int(name, i64::from(default))? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{name} is {other}; expected 0 or 1")),
        }
    }

    /// A finite number.
    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32, Reason> {
        let value = self.attribute(name, AttributeType::Float)?.map_or(default, |attribute| attribute.f);
        if value.is_finite() { Ok(value) } else { Err(format!("{name} is {value}")) }
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, Reason> {
        Ok(self.attribute(name, AttributeType::Ints)?.map(|attribute| attribute.ints.as_slice()))
    }

    pub(super) fn string(&self, name: &str, default: &'static str) -> Result<&'a str, Reason> {
        let Some(attribute) = self.attribute(name, AttributeType::String)? else { return Ok(default) };
        std::str::from_utf8(&attribute.s).map_err(|_| format!("{name} is not text"))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'a pb::TensorProto>, Reason> {
        match self.attribute(name, AttributeType::Tensor)? {
            None => Ok(None),
            Some(attribute) => attribute.t.as_ref().map(Some).ok_or_else(|| format!("{name} is missing")),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.node.attribute.iter().any(|attribute| attribute.name == name)
    }

    /// Checks that the float attribute `name` is `only`, the one value that the runtime computes correctly.
    pub(super) fn only_float(&self, name: &str, only: f32) -> Result<(), Reason> {
        let found = self.float(name, only)?;
        if found == only { Ok(()) } else { Err(format!("{name} is {found}; only {only} is supported")) }
    }

    /// Checks that the integer attribute `name` is `only`, the one value that the runtime computes correctly.
    pub(super) fn only_int(&self, name: &str, only: i64) -> Result<(), Reason> {
        let found = self.int(name, only)?;
        if found == only { Ok(()) } else { Err(format!("{name} is {found}; only {only} is supported")) }
    }

    /// The axis of attribute `name`, counted from the front, of a tensor of `rank` dimensions.
    pub(super) fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, Reason> {
        axis(self.int(name, default)?, rank)
    }
}

/// `axis` counted from the front of `rank` dimensions.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Reason> {
    let signed = rank as i64;
    let counted = if axis < 0 { axis.saturating_add(signed) } else { axis };
    if (0..signed).contains(&counted) {
        return Ok(counted as usize);
    }
    Err(format!("axis {axis} is outside {rank} dimensions"))
}

/// `axes` counted from the front, in ascending order, each once.
pub(super) fn axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, Reason> {
    let mut counted = axes.iter().map(|&one| axis(one, rank)).collect::<Result<Vec<_>, _>>()?;
    counted.sort_unstable();
    if counted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("axes {axes:?} have a duplicate"));
    }
    Ok(counted)
}
