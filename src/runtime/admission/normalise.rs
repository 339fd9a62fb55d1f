//! Normalisation and reduction.

use super::call::{Call, ELEMENTWISE, Made, axes, product};
use super::fact::{Element, Fact, Reason};

fn positive_epsilon(call: &Call) -> Result<(), Reason> {
    let epsilon = call.float("epsilon", 1e-5)?;
    if epsilon >= 0.0 { Ok(()) } else { Err(format!("epsilon is {epsilon}")) }
}

fn same_shape(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let operations = product(&input.dims).saturating_mul(2 * ELEMENTWISE);
    let is_constant = call.inputs.iter().flatten().all(|input| input.is_constant);
    Ok(Made::with(vec![Fact { integers: None, is_constant, ..input.clone() }], operations))
}

/// Checks that the weights `from..=to` are vectors of one value per channel.
fn one_a_channel(call: &Call, from: usize, to: usize) -> Result<(), Reason> {
    let input = call.input(0)?;
    let &[_, channels, ..] = &input.dims[..] else {
        return Err(format!("input has shape {:?}; expected [N, C, …]", input.dims));
    };
    for index in from..=to {
        let found = &call.weights(index)?.dims;
        if *found != [channels] {
            return Err(format!("input {index} has shape {found:?}; expected [{channels}]"));
        }
    }
    Ok(())
}

/// Batch normalisation with the statistics of training; those of a batch would mix images.
pub(super) fn batch(call: &Call) -> Result<Made, Reason> {
    if call.flag("training_mode", false)? {
        return Err("training mode is not supported".into());
    }
    call.only_int("spatial", 1)?;
    call.float("momentum", 0.9)?;
    positive_epsilon(call)?;
    one_a_channel(call, 1, 4)?;
    same_shape(call)
}

pub(super) fn instance(call: &Call) -> Result<Made, Reason> {
    positive_epsilon(call)?;
    if call.input(0)?.rank() < 3 {
        return Err("the input has no positions for statistics".into());
    }
    one_a_channel(call, 1, 2)?;
    same_shape(call)
}

pub(super) fn layer(call: &Call) -> Result<Made, Reason> {
    positive_epsilon(call)?;
    call.only_int("stash_type", 1)?;
    let input = call.input(0)?;
    let axis = call.axis("axis", -1, input.rank())?;
    for index in 1..call.inputs.len() {
        let found = &call.weights(index)?.dims;
        if *found != input.dims[axis..] {
            return Err(format!("input {index} has shape {found:?}; expected {:?}", &input.dims[axis..]));
        }
    }
    let mut made = same_shape(call)?;
    // Mean and inverse deviation, if they are outputs.
    let statistics = [&input.dims[..axis], &vec![1; input.rank() - axis]].concat();
    for _ in 1..call.node.output.len() {
        made.facts.push(Fact { element: Element::F32, integers: None, ..input.with_dims(statistics.clone()) });
    }
    Ok(made)
}

pub(super) fn group(call: &Call) -> Result<Made, Reason> {
    positive_epsilon(call)?;
    call.only_int("stash_type", 1)?;
    let input = call.input(0)?;
    if input.rank() < 3 {
        return Err("the input has no positions for statistics".into());
    }
    let groups = usize::try_from(call.int("num_groups", 0)?).unwrap_or(0);
    if groups == 0 || !input.dims[1].is_multiple_of(groups) {
        return Err(format!("{} channels do not form {groups} groups", input.dims[1]));
    }
    one_a_channel(call, 1, 2)?;
    same_shape(call)
}

pub(super) fn mean_variance(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    axes(call.ints("axes")?.unwrap_or(&[0, 2, 3]), input.rank())?;
    same_shape(call)
}

/// Local response normalisation over neighbouring channels.
pub(super) fn local_response(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let size = call.int("size", 0)?;
    if input.rank() != 4 || !(1..=1_024).contains(&size) || size % 2 == 0 {
        return Err(format!("size is {size} over {:?}; expected an odd number of channels", input.dims));
    }
    for name in ["alpha", "beta", "bias"] {
        call.float(name, 1.0)?;
    }
    let operations = product(&input.dims).saturating_mul(size as u64 + 2 * ELEMENTWISE);
    Ok(Made::with(vec![Fact { integers: None, ..input.clone() }], operations))
}

pub(super) fn lp(call: &Call) -> Result<Made, Reason> {
    let p = call.int("p", 2)?;
    if !matches!(p, 1 | 2) {
        return Err(format!("p is {p}; expected 1 or 2"));
    }
    call.axis("axis", -1, call.input(0)?.rank())?;
    same_shape(call)
}

/// Before operator set 13 softmax runs over all dimensions from the axis on.
pub(super) fn softmax(call: &Call) -> Result<Made, Reason> {
    let default = if call.opset < 13 { 1 } else { -1 };
    call.axis("axis", default, call.input(0)?.rank())?;
    same_shape(call)
}

/// The axes are an attribute, and an input since operator set `inputs_from`.
fn reduce(call: &Call, inputs_from: i64) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let keeps = call.flag("keepdims", true)?;
    let does_nothing = call.flag("noop_with_empty_axes", false)?;
    let named = if call.opset < inputs_from {
        if call.inputs.len() > 1 || call.has("noop_with_empty_axes") {
            return Err(format!("axes are an input; they are an attribute before operator set {inputs_from}"));
        }
        call.ints("axes")?
    } else {
        if call.has("axes") {
            return Err(format!("axes are an attribute; they are an input since operator set {inputs_from}"));
        }
        call.integers(1, "axes")?
    };
    let reduced = match named {
        Some(named) if !named.is_empty() => axes(named, input.rank())?,
        _ if does_nothing => return Err("noop_with_empty_axes without axes".into()),
        _ => (0..input.rank()).collect(),
    };
    let kept = |axis: usize| !reduced.contains(&axis);
    let dims = (0..input.rank()).filter(|&axis| keeps || kept(axis));
    let dims = dims.map(|axis| if kept(axis) { input.dims[axis] } else { 1 }).collect();
    let operations = product(&input.dims).saturating_mul(ELEMENTWISE);
    Ok(Made::with(vec![Fact { integers: None, ..input.with_dims(dims) }], operations))
}

pub(super) fn reduce_18(call: &Call) -> Result<Made, Reason> {
    reduce(call, 18)
}

pub(super) fn reduce_13(call: &Call) -> Result<Made, Reason> {
    reduce(call, 13)
}
