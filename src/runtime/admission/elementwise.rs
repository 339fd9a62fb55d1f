//! Elementwise operators.

use super::call::{Call, Made};
use super::fact::{Element, Fact, Reason};

/// The result has the shape of the first input.
pub(super) fn same(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    Ok(Fact { integers: None, ..input.clone() }.into())
}

/// The input itself.
pub(super) fn identity(call: &Call) -> Result<Made, Reason> {
    Ok(call.input(0)?.clone().into())
}

/// Operators with one attribute, any number.
pub(super) fn alpha(call: &Call) -> Result<Made, Reason> {
    call.float("alpha", 0.0)?;
    same(call)
}

pub(super) fn alpha_beta(call: &Call) -> Result<Made, Reason> {
    call.float("beta", 0.0)?;
    alpha(call)
}

pub(super) fn selu(call: &Call) -> Result<Made, Reason> {
    call.float("gamma", 1.0)?;
    alpha(call)
}

pub(super) fn shrink(call: &Call) -> Result<Made, Reason> {
    call.float("bias", 0.0)?;
    call.float("lambd", 0.5)?;
    same(call)
}

/// tract ignores `alpha` in the exponent of Celu, and `alpha` of Swish.
pub(super) fn alpha_of_1(call: &Call) -> Result<Made, Reason> {
    call.only_float("alpha", 1.0)?;
    same(call)
}

pub(super) fn gelu(call: &Call) -> Result<Made, Reason> {
    match call.string("approximate", "none")? {
        "none" | "tanh" => same(call),
        other => Err(format!("approximate is '{other}'; none or tanh is supported")),
    }
}

/// The slope has one value, or one per channel.
pub(super) fn prelu(call: &Call) -> Result<Made, Reason> {
    let (input, slope) = (call.input(0)?, call.weights(1)?);
    if broadcast(&[&input.dims, &slope.dims])? != input.dims {
        return Err(format!("slope of shape {:?} does not fit an input of {:?}", slope.dims, input.dims));
    }
    same(call)
}

/// The bounds are inputs since operator set 11.
pub(super) fn clip(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let bounds: &[&str] = if call.opset < 11 { &[] } else { &["min", "max"] };
    for (index, what) in bounds.iter().enumerate() {
        if call.has(what) {
            return Err(format!("{what} is an attribute; it is an input in operator set {}", call.opset));
        }
        if call.optional(index + 1).is_some() && call.weights(index + 1)?.len() != 1 {
            return Err(format!("{what} is not a single number"));
        }
    }
    if call.opset < 11 {
        if call.inputs.len() > 1 {
            return Err("bounds are inputs; they are attributes before operator set 11".into());
        }
        for what in ["min", "max"] {
            call.float(what, 0.0)?;
        }
    }
    Ok(Fact { integers: None, ..input.clone() }.into())
}

/// Dropout outside training returns the input.
pub(super) fn dropout(call: &Call) -> Result<Made, Reason> {
    call.float("ratio", 0.5)?;
    if let Some(training) = call.optional(2)
        && training.known("training_mode")?.iter().any(|&mode| mode != 0)
    {
        return Err("training mode is not supported".into());
    }
    call.int("seed", 0)?;
    same(call)
}

pub(super) fn cast(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let to = i32::try_from(call.int("to", 0)?).map_err(|_| "type is unknown".to_owned())?;
    call.flag("saturate", true)?;
    let to = Element::of(to)?;
    let integers = match (input.element, to) {
        (_, Element::F32 | Element::F16) => None,
        (from, Element::I64) if from.is_integer() || from == Element::Bool => input.integers.clone(),
        (from, Element::I32) if from.is_integer() || from == Element::Bool => {
            let known = input.integers.clone();
            known.filter(|known| known.iter().all(|&value| i32::try_from(value).is_ok()))
        }
        (from, _) => return Err(format!("a cast from {from:?} to {to:?} is not supported")),
    };
    if to.is_integer() && integers.is_none() {
        return Err("a cast to integers of values that are too large or depend on the image".into());
    }
    Ok(Fact { element: to, integers, ..input.clone() }.into())
}

/// The shape to which NumPy broadcasts `shapes`.
pub(super) fn broadcast(shapes: &[&[usize]]) -> Result<Vec<usize>, Reason> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut together = vec![1usize; rank];
    for shape in shapes {
        for (dim, &own) in together[rank - shape.len()..].iter_mut().zip(*shape) {
            if *dim == 1 {
                *dim = own;
            } else if own != 1 && own != *dim {
                return Err(format!("inputs of shapes {shapes:?} are incompatible"));
            }
        }
    }
    Ok(together)
}

/// Two floating-point inputs of one type, or known integers.
pub(super) fn arithmetic(call: &Call) -> Result<Made, Reason> {
    let (left, right) = (call.input(0)?, call.like_first(1)?);
    let dims = broadcast(&[&left.dims, &right.dims])?;
    let integers = match (&left.integers, &right.integers) {
        (Some(left_values), Some(right_values)) if left.element.is_integer() => {
            let pairs = pairs(&dims, (left, left_values), (right, right_values))?;
            let values = pairs.map(|(a, b)| integer(&call.node.op_type, a, b)).collect::<Result<Vec<_>, _>>()?;
            if left.element == Element::I32 && values.iter().any(|&value| i32::try_from(value).is_err()) {
                return Err("integers are too large".into());
            }
            Some(values)
        }
        _ => None,
    };
    let is_constant = left.is_constant && right.is_constant;
    Ok(Fact { element: left.element, dims, integers, is_constant }.into())
}

fn integer(op: &str, a: i64, b: i64) -> Result<i64, Reason> {
    let value = match op {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        // ONNX versions round towards zero or down; for these operands both agree.
        "Div" if a >= 0 && b > 0 => Some(a / b),
        "Max" => Some(a.max(b)),
        "Min" => Some(a.min(b)),
        "Equal" => Some(i64::from(a == b)),
        "Greater" => Some(i64::from(a > b)),
        "Less" => Some(i64::from(a < b)),
        "GreaterOrEqual" => Some(i64::from(a >= b)),
        "LessOrEqual" => Some(i64::from(a <= b)),
        _ => None,
    };
    let value = value.filter(|value| value.unsigned_abs() < 1 << 53);
    value.ok_or_else(|| format!("{op} of the integers {a} and {b} is not supported"))
}

type Known<'a> = (&'a Fact, &'a [i64]);

/// The pairs of integers at each position of `dims`; vectors and scalars only.
fn pairs<'a>(
    dims: &[usize],
    (left, left_values): (&Fact, &'a [i64]),
    (right, right_values): (&Fact, &'a [i64]),
) -> Result<impl Iterator<Item = (i64, i64)> + use<'a>, Reason> {
    let one_to_one = |known: Known| known.0.dims == dims || known.1.len() == 1;
    if !one_to_one((left, left_values)) || !one_to_one((right, right_values)) {
        return Err("integers of these shapes are not supported".into());
    }
    let len = dims.iter().product::<usize>();
    Ok((0..len).map(move |at| (left_values[at % left_values.len()], right_values[at % right_values.len()])))
}

/// Booleans from two inputs of one type.
pub(super) fn comparison(call: &Call) -> Result<Made, Reason> {
    let (left, right) = (call.input(0)?, call.like_first(1)?);
    let dims = broadcast(&[&left.dims, &right.dims])?;
    let integers = match (&left.integers, &right.integers) {
        (Some(left_values), Some(right_values)) if left.element.is_integer() => Some(
            pairs(&dims, (left, left_values), (right, right_values))?
                .map(|(a, b)| integer(&call.node.op_type, a, b))
                .collect::<Result<Vec<_>, _>>()?,
        ),
        _ => None,
    };
    let is_constant = left.is_constant && right.is_constant;
    Ok(Fact { element: Element::Bool, dims, integers, is_constant }.into())
}

/// Booleans from booleans.
pub(super) fn logic(call: &Call) -> Result<Made, Reason> {
    let inputs = call.inputs.iter().flatten();
    if inputs.clone().any(|input| input.element != Element::Bool) {
        return Err("inputs are not booleans".into());
    }
    let shapes: Vec<&[usize]> = inputs.map(|input| input.dims.as_slice()).collect();
    let is_constant = call.inputs.iter().flatten().all(|input| input.is_constant);
    Ok(Fact { element: Element::Bool, dims: broadcast(&shapes)?, integers: None, is_constant }.into())
}

/// One or more floating-point inputs of one type, or two known integers.
pub(super) fn variadic(call: &Call) -> Result<Made, Reason> {
    if call.input(0)?.element.is_integer() && call.inputs.len() == 2 {
        return arithmetic(call);
    }
    let inputs = (0..call.inputs.len()).map(|index| call.like_first(index)).collect::<Result<Vec<_>, _>>()?;
    let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.dims.as_slice()).collect();
    let dims = broadcast(&shapes)?;
    if call.node.op_type == "Mean" && dims.len() != inputs[0].rank() {
        return Err(format!("the first input has {} dimensions; the result has {}", inputs[0].rank(), dims.len()));
    }
    let is_constant = inputs.iter().all(|input| input.is_constant);
    Ok(Fact { element: inputs[0].element, dims, integers: None, is_constant }.into())
}

/// `condition ? left : right`.
pub(super) fn select(call: &Call) -> Result<Made, Reason> {
    let (condition, left, right) = (call.input(0)?, call.input(1)?, call.input(2)?);
    if condition.element != Element::Bool || left.element != right.element {
        return Err(format!(
            "a choice by {:?} between {:?} and {:?} is not supported",
            condition.element, left.element, right.element
        ));
    }
    let dims = broadcast(&[&condition.dims, &left.dims, &right.dims])?;
    let integers = match (&condition.integers, &left.integers, &right.integers) {
        (Some(chosen), Some(yes), Some(no)) if [condition, left, right].iter().all(|fact| fact.dims == dims) => {
            Some(chosen.iter().zip(yes.iter().zip(no)).map(|(&c, (&a, &b))| if c != 0 { a } else { b }).collect())
        }
        _ => None,
    };
    let is_constant = [condition, left, right].iter().all(|fact| fact.is_constant);
    Ok(Fact { element: left.element, dims, integers, is_constant }.into())
}

/// A boolean for each value.
pub(super) fn truths(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    Ok(Fact { element: Element::Bool, integers: None, ..input.clone() }.into())
}
