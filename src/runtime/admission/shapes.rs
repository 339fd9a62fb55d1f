//! Constants, and the shape arithmetic that exporters write. Its results are known before the graph runs.

use super::call::{Call, Made};
use super::fact::{Element, Fact, INTEGERS_MAX, Reason, checked_len, of_tensor};

/// A constant from an attribute: a tensor, a number or a list.
pub(super) fn constant(call: &Call) -> Result<Made, Reason> {
    let [attribute] = &call.node.attribute[..] else { return Err("expected exactly one attribute".into()) };
    let float = |dims: &[usize]| Fact { is_constant: true, ..Fact::new(Element::F32, dims) };
    let fact = match attribute.name.as_str() {
        "value" => of_tensor(call.tensor("value")?.ok_or("value is missing")?)?,
        "value_float" => {
            call.float("value_float", 0.0)?;
            float(&[])
        }
        "value_floats" => float(&[attribute.floats.len()]),
        "value_int" => Fact { dims: vec![], ..Fact::vector(vec![call.int("value_int", 0)?]) },
        "value_ints" => Fact::vector(call.ints("value_ints")?.unwrap_or_default().to_vec()),
        other => return Err(format!("a constant from the attribute '{other}' is not supported")),
    };
    Ok(fact.into())
}

/// The shape, from `start` to `end`.
pub(super) fn shape(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let rank = input.rank() as i64;
    let within = |at: i64| if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank) as usize;
    let (start, end) = (within(call.int("start", 0)?), within(call.int("end", rank)?));
    let sizes = input.dims.get(start..end.max(start)).unwrap_or_default();
    Ok(Fact::vector(sizes.iter().map(|&size| size as i64).collect()).into())
}

pub(super) fn size(call: &Call) -> Result<Made, Reason> {
    let len = call.input(0)?.len() as i64;
    Ok(Fact { dims: vec![], ..Fact::vector(vec![len]) }.into())
}

/// A tensor of one value, 0 by default, in a known shape.
pub(super) fn constant_of_shape(call: &Call) -> Result<Made, Reason> {
    let wanted = call.integers(0, "shape")?.ok_or("shape is missing")?;
    let dims: Option<Vec<usize>> = wanted.iter().map(|&size| usize::try_from(size).ok()).collect();
    let dims = dims.ok_or_else(|| format!("invalid shape {wanted:?}"))?;
    let len = checked_len(&dims)?;
    let value = match call.tensor("value")? {
        Some(tensor) => of_tensor(tensor)?,
        None => Fact { is_constant: true, ..Fact::new(Element::F32, &[1]) },
    };
    if value.len() != 1 {
        return Err(format!("value has shape {:?}; expected one number", value.dims));
    }
    let few = |_: &&Vec<i64>| len <= INTEGERS_MAX;
    let integers = value.integers.as_ref().filter(few).map(|one| vec![one[0]; len]);
    Ok(Fact { element: value.element, dims, integers, is_constant: true }.into())
}

/// `start`, `start + step`, … below `limit`, all known integers.
pub(super) fn range(call: &Call) -> Result<Made, Reason> {
    let number = |index, what| -> Result<i64, Reason> {
        match call.integers(index, what)? {
            Some(&[value]) => Ok(value),
            _ => Err(format!("{what} is not a single integer")),
        }
    };
    let (start, limit, step) = (number(0, "start")?, number(1, "limit")?, number(2, "step")?);
    let far = |value: i64| !(-65_536..=65_536).contains(&value);
    if far(start) || far(limit) || far(step) || step < 1 || limit <= start {
        return Err(format!("from {start} to {limit} by {step}; expected ascending integers up to 65,536"));
    }
    let integers: Vec<i64> = (start..limit).step_by(step as usize).collect();
    Ok(Fact { element: call.input(0)?.element, ..Fact::vector(integers) }.into())
}
