//! Facts about a value before the graph runs: element type, shape, and small integers.

use crate::runtime::limits::{RANK_MAX, VALUES_MAX};
use crate::runtime::model_file::pb;
use pb::tensor_proto::DataType;

/// Why a node or a tensor is refused.
pub(super) type Reason = String;

/// Integers of a tensor that are tracked at most; tables of indices are not longer.
pub(super) const INTEGERS_MAX: usize = 65_536;

/// The element type of a tensor. Other types (double, 8-bit, text, complex) are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Element {
    F32,
    F16,
    I64,
    I32,
    Bool,
}

impl Element {
    /// The element type of ONNX's number `kind`.
    pub(in crate::runtime) fn of(kind: i32) -> Result<Self, Reason> {
        match DataType::try_from(kind) {
            Ok(DataType::Float) => Ok(Self::F32),
            Ok(DataType::Float16) => Ok(Self::F16),
            Ok(DataType::Int64) => Ok(Self::I64),
            Ok(DataType::Int32) => Ok(Self::I32),
            Ok(DataType::Bool) => Ok(Self::Bool),
            Ok(other) => Err(format!("values of type {} are not supported", other.as_str_name())),
            Err(_) => Err(format!("unknown element type {kind}")),
        }
    }

    /// ONNX's number of the type.
    pub(in crate::runtime) fn onnx(self) -> i32 {
        (match self {
            Self::F32 => DataType::Float,
            Self::F16 => DataType::Float16,
            Self::I64 => DataType::Int64,
            Self::I32 => DataType::Int32,
            Self::Bool => DataType::Bool,
        }) as i32
    }

    /// Bytes per value in a file.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F16 => 2,
            Self::I64 => 8,
            Self::Bool => 1,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16)
    }

    pub(super) fn is_integer(self) -> bool {
        matches!(self, Self::I64 | Self::I32)
    }
}

/// Facts about one value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runtime) struct Fact {
    pub(in crate::runtime) element: Element,
    pub(in crate::runtime) dims: Vec<usize>,
    /// Integers or booleans in row-major order, if they do not depend on the image.
    pub(super) integers: Option<Vec<i64>>,
    /// Whether it is equal for every image.
    pub(super) is_constant: bool,
}

impl Fact {
    /// A value that depends on the image.
    pub(in crate::runtime) fn new(element: Element, dims: &[usize]) -> Self {
        Self { element, dims: dims.to_vec(), integers: None, is_constant: false }
    }

    /// A vector of known integers.
    pub(super) fn vector(integers: Vec<i64>) -> Self {
        Self { element: Element::I64, dims: vec![integers.len()], integers: Some(integers), is_constant: true }
    }

    /// The same shape with another element type.
    pub(super) fn with_dims(&self, dims: Vec<usize>) -> Self {
        Self { dims, ..self.clone() }
    }

    pub(super) fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Number of values; [`Self::check`] ensures that it does not overflow.
    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Bytes while the graph runs: f16 may be widened, integers of shapes are symbolic, and booleans may be known.
    pub(super) fn bytes(&self) -> u64 {
        let size = match self.element {
            Element::F32 | Element::F16 => 4,
            Element::I64 | Element::I32 => 32,
            Element::Bool => 8,
        };
        self.len() as u64 * size
    }

    /// Checks rank, number of values, and that integers are known.
    pub(super) fn check(&self) -> Result<(), Reason> {
        checked_len(&self.dims)?;
        let followed = self.integers.as_ref().map_or(0, Vec::len);
        if followed > INTEGERS_MAX {
            return Err(format!("{followed} integers; at most {INTEGERS_MAX} are tracked"));
        }
        if self.element.is_integer() && self.integers.is_none() {
            let many = if self.len() > INTEGERS_MAX { " or are too many" } else { "" };
            return Err(format!("integers depend on the image{many}; only shapes and constant indices are supported"));
        }
        Ok(())
    }

    /// The integers of a vector or scalar that does not depend on the image.
    pub(super) fn known(&self, what: &str) -> Result<&[i64], Reason> {
        self.integers.as_deref().ok_or_else(|| format!("{what} must be constant integers"))
    }
}

/// The number of values of `dims`, checked against the limits.
pub(super) fn checked_len(dims: &[usize]) -> Result<usize, Reason> {
    if dims.len() as u64 > RANK_MAX {
        return Err(format!("a tensor has {} dimensions; at most {RANK_MAX} are allowed", dims.len()));
    }
    if dims.contains(&0) {
        return Err(format!("a tensor of shape {dims:?} has no values"));
    }
    let len = dims.iter().try_fold(1usize, |len, &dim| len.checked_mul(dim));
    match len {
        Some(len) if len as u64 <= VALUES_MAX => Ok(len),
        _ => Err(format!("a tensor of shape {dims:?} has more than {VALUES_MAX} values")),
    }
}

/// The facts about a tensor in the file, whose data are checked to be complete.
pub(super) fn of_tensor(tensor: &pb::TensorProto) -> Result<Fact, Reason> {
    let element = Element::of(tensor.data_type)?;
    if tensor.data_location.unwrap_or(0) != 0 || !tensor.external_data.is_empty() {
        return Err("values in another file are not supported".into());
    }
    if tensor.segment.is_some() {
        return Err("segments of tensors are not supported".into());
    }
    let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let dims = dims.ok_or_else(|| format!("invalid shape {:?}", tensor.dims))?;
    let len = checked_len(&dims)?;
    let found = stored(tensor, element);
    if found != Some(len) {
        let found = found.map_or("an odd number of bytes".to_owned(), |found| format!("{found} values"));
        return Err(format!("shape {dims:?} needs {len} values; the file has {found}"));
    }
    let integers = if element.is_float() || len > INTEGERS_MAX { None } else { Some(integers(tensor, element)) };
    Ok(Fact { element, dims, integers, is_constant: true })
}

/// Number of values of `tensor` in the file; none if it is not a whole number, or some are in the wrong field.
fn stored(tensor: &pb::TensorProto, element: Element) -> Option<usize> {
    if !tensor.raw_data.is_empty() {
        let len = tensor.raw_data.len();
        return len.is_multiple_of(element.size()).then(|| len / element.size());
    }
    Some(match element {
        Element::F32 => tensor.float_data.len(),
        Element::I64 => tensor.int64_data.len(),
        Element::F16 | Element::I32 | Element::Bool => tensor.int32_data.len(),
    })
}

fn integers(tensor: &pb::TensorProto, element: Element) -> Vec<i64> {
    let raw = &tensor.raw_data;
    match (raw.is_empty(), element) {
        (true, Element::I64) => tensor.int64_data.clone(),
        (true, Element::Bool) => tensor.int32_data.iter().map(|&value| i64::from(value != 0)).collect(),
        (true, _) => tensor.int32_data.iter().map(|&value| i64::from(value)).collect(),
        (false, Element::I64) => raw.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect(),
        (false, Element::Bool) => raw.iter().map(|&byte| i64::from(byte != 0)).collect(),
        (false, _) => raw.as_chunks().0.iter().map(|&bytes| i64::from(i32::from_le_bytes(bytes))).collect(),
    }
}
