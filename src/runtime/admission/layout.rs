//! Operators that move values about without computing with them.

use super::call::{Call, Made, axes, axis, product};
use super::elementwise::broadcast;
use super::fact::{Fact, INTEGERS_MAX, Reason, checked_len};

/// Where the values keep their order, integers keep it too.
fn reordered_to(input: &Fact, dims: Vec<usize>) -> Made {
    input.with_dims(dims).into()
}

/// Where values move, integers are followed only through what shape arithmetic needs.
fn moved_to(input: &Fact, dims: Vec<usize>, integers: Option<Vec<i64>>) -> Made {
    Fact { integers, ..input.with_dims(dims) }.into()
}

/// 0 takes the input's size and -1 what is left, unless `allowzero` is set.
pub(super) fn reshape(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    call.only_int("allowzero", 0)?;
    let wanted = match call.opset {
        ..5 => call.ints("shape")?,
        _ => call.integers(1, "shape")?,
    };
    let wanted = wanted.ok_or("its shape is missing")?;
    let mut dims = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (at, &size) in wanted.iter().enumerate() {
        dims.push(match size {
            0 => *input.dims.get(at).ok_or_else(|| format!("its shape {wanted:?} copies a size that is not there"))?,
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            1.. => size as usize,
            _ => return Err(format!("its shape is {wanted:?}")),
        });
    }
    let found = checked_len(&dims)?;
    if let Some(at) = open {
        dims[at] = input.len() / found;
    }
    if checked_len(&dims)? != input.len() {
        return Err(format!("its shape {wanted:?} does not hold the {} values of {:?}", input.len(), input.dims));
    }
    Ok(reordered_to(input, dims))
}

pub(super) fn flatten(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let rank = input.rank() as i64;
    let axis = call.int("axis", 1)?;
    let at = if axis < 0 { axis.saturating_add(rank) } else { axis };
    if !(0..=rank).contains(&at) {
        return Err(format!("its axis {axis} is outside of {rank} dimensions"));
    }
    let (rows, columns) = input.dims.split_at(at as usize);
    let dims = vec![rows.iter().product(), columns.iter().product()];
    Ok(reordered_to(input, dims))
}

pub(super) fn transpose(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let order = match call.ints("perm")? {
        Some(order) => order.to_vec(),
        None => (0..input.rank() as i64).rev().collect(),
    };
    let mut seen = order.clone();
    seen.sort_unstable();
    if !seen.iter().copied().eq(0..input.rank() as i64) {
        return Err(format!("its perm is {order:?} for {} dimensions", input.rank()));
    }
    let dims = order.iter().map(|&from| input.dims[from as usize]).collect();
    let integers = if input.rank() < 2 { input.integers.clone() } else { None };
    Ok(moved_to(input, dims, integers))
}

/// The axes are an attribute, or an input from operator set 13 on.
fn named_axes<'a>(call: &Call<'a>) -> Result<Option<&'a [i64]>, Reason> {
    if call.opset < 13 { call.ints("axes") } else { call.integers(1, "axes") }
}

pub(super) fn squeeze(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let dropped = match named_axes(call)? {
        Some(named) => axes(named, input.rank())?,
        None if call.opset < 13 => return Err("its axes are missing".into()),
        None => (0..input.rank()).filter(|&axis| input.dims[axis] == 1).collect(),
    };
    if let Some(&axis) = dropped.iter().find(|&&axis| input.dims[axis] != 1) {
        return Err(format!("its axis {axis} has {} values, 1 can be dropped", input.dims[axis]));
    }
    let dims = (0..input.rank()).filter(|axis| !dropped.contains(axis)).map(|axis| input.dims[axis]).collect();
    Ok(reordered_to(input, dims))
}

pub(super) fn unsqueeze(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let named = named_axes(call)?.ok_or("its axes are missing")?;
    let added = axes(named, input.rank() + named.len())?;
    let mut dims = input.dims.clone();
    added.iter().for_each(|&axis| dims.insert(axis, 1));
    Ok(reordered_to(input, dims))
}

pub(super) fn concat(call: &Call) -> Result<Made, Reason> {
    let first = call.input(0)?;
    let axis = call.axis("axis", if call.opset < 4 { 1 } else { i64::MAX }, first.rank())?;
    let (mut size, mut integers, mut is_constant) = (0usize, Some(Vec::new()), true);
    for index in 0..call.inputs.len() {
        let input = call.like_first(index)?;
        let fits = input.rank() == first.rank()
            && (0..first.rank()).all(|other| other == axis || input.dims[other] == first.dims[other]);
        if !fits {
            return Err(format!("its inputs {:?} and {:?} do not fit together", first.dims, input.dims));
        }
        size = size.checked_add(input.dims[axis]).ok_or("its result is too long")?;
        is_constant &= input.is_constant;
        match (&mut integers, &input.integers) {
            (Some(all), Some(more)) if first.rank() == 1 => all.extend_from_slice(more),
            _ => integers = None,
        }
    }
    let mut dims = first.dims.clone();
    dims[axis] = size;
    Ok(Fact { element: first.element, dims, integers, is_constant }.into())
}

/// Sizes are an attribute before operator set 13, an input from there on, or as equal as can be.
pub(super) fn split(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let axis = call.axis("axis", 0, input.rank())?;
    let (size, parts) = (input.dims[axis], call.node.output.len());
    let given = if call.opset < 13 { call.ints("split")? } else { call.integers(1, "split")? };
    let sizes: Vec<usize> = match given {
        Some(given) => given.iter().map(|&part| usize::try_from(part).unwrap_or(0)).collect(),
        None if call.has("num_outputs") && call.int("num_outputs", 0)? != parts as i64 => {
            return Err(format!("its num_outputs is not its {parts} outputs"));
        }
        None if !size.is_multiple_of(parts) => {
            return Err(format!("its axis of {size} is not divided into {parts} equal parts"));
        }
        None => vec![size / parts; parts],
    };
    let sum = sizes.iter().try_fold(0usize, |sum, &part| sum.checked_add(part));
    if sizes.len() != parts || sum != Some(size) || sizes.contains(&0) {
        return Err(format!("its parts {sizes:?} are not {parts} of {size} together"));
    }
    let mut start = 0;
    let part = |size: usize| {
        let mut dims = input.dims.clone();
        dims[axis] = size;
        let integers = input.integers.as_ref().filter(|_| input.rank() == 1);
        let integers = integers.map(|all| all[start..start + size].to_vec());
        start += size;
        Fact { integers, ..input.with_dims(dims) }
    };
    Ok(sizes.into_iter().map(part).collect::<Vec<_>>().into())
}

/// Starts, ends, axes and steps are attributes before operator set 10, inputs from there on.
pub(super) fn slice(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let (starts, ends, named, steps) = if call.opset < 10 {
        (call.ints("starts")?, call.ints("ends")?, call.ints("axes")?, None)
    } else {
        let input = |index, what| call.integers(index, what);
        (input(1, "starts")?, input(2, "ends")?, input(3, "axes")?, input(4, "steps")?)
    };
    let (Some(starts), Some(ends)) = (starts, ends) else { return Err("its starts or ends are missing".into()) };
    let all: Vec<i64> = (0..starts.len() as i64).collect();
    let ones = vec![1; starts.len()];
    let (named, steps) = (named.unwrap_or(&all), steps.unwrap_or(&ones));
    if [ends.len(), named.len(), steps.len()] != [starts.len(); 3] {
        return Err("its starts, ends, axes and steps are not of one length".into());
    }
    axes(named, input.rank())?;
    // Before operator set 10, tract takes as many axes as there are for all of them.
    if call.opset < 10 && call.ints("axes")?.is_none() && starts.len() != input.rank() {
        return Err(format!("it has no axes, and {} starts for {} dimensions", starts.len(), input.rank()));
    }
    let mut dims = input.dims.clone();
    let mut integers = input.integers.clone().filter(|_| input.rank() == 1);
    for (((&start, &end), &name), &step) in starts.iter().zip(ends).zip(named).zip(steps) {
        if step < 1 {
            return Err(format!("its step is {step}, 1 and more are run"));
        }
        let axis = axis(name, input.rank())?;
        let size = input.dims[axis];
        let (start, end) = (clamped(start, size), clamped(end, size));
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        dims[axis] = end.saturating_sub(start).div_ceil(step);
        integers = integers.map(|all| all.iter().take(end).skip(start).step_by(step).copied().collect());
    }
    if dims.contains(&0) {
        return Err(format!("it takes nothing of {:?}", input.dims));
    }
    Ok(moved_to(input, dims, integers))
}

/// A start or an end, counted from the front and kept within `size`.
fn clamped(at: i64, size: usize) -> usize {
    let size = size as i64;
    let counted = if at < 0 { at.saturating_add(size) } else { at };
    counted.clamp(0, size) as usize
}

/// Rows of an axis by indices, which must be known.
pub(super) fn gather(call: &Call) -> Result<Made, Reason> {
    let (input, indices) = (call.input(0)?, call.input(1)?);
    let axis = call.axis("axis", 0, input.rank())?;
    if !indices.element.is_integer() {
        return Err("its indices are no integers".into());
    }
    let size = input.dims[axis] as i64;
    let known = indices.known("indices")?;
    if let Some(index) = known.iter().find(|&&index| !(-size..size).contains(&index)) {
        return Err(format!("its index {index} is outside of {size} values"));
    }
    let dims = [&input.dims[..axis], &indices.dims, &input.dims[axis + 1..]].concat();
    let at = |index: i64| if index < 0 { index + size } else { index } as usize;
    let integers = input.integers.as_ref().filter(|_| input.rank() == 1);
    let integers = integers.map(|all| known.iter().map(|&index| all[at(index)]).collect());
    Ok(moved_to(input, dims, integers))
}

pub(super) fn expand(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let wanted = call.integers(1, "shape")?.ok_or("its shape is missing")?;
    let wanted: Option<Vec<usize>> = wanted.iter().map(|&size| usize::try_from(size).ok()).collect();
    let dims = broadcast(&[&input.dims, &wanted.ok_or("its shape has a negative size")?])?;
    checked_len(&dims)?;
    let integers = match &input.integers {
        Some(all) if dims == input.dims => Some(all.clone()),
        Some(all) if all.len() == 1 && product(&dims) <= INTEGERS_MAX as u64 => {
            Some(vec![all[0]; product(&dims) as usize])
        }
        _ => None,
    };
    Ok(moved_to(input, dims, integers))
}

pub(super) fn tile(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let repeats = call.integers(1, "repeats")?.ok_or("its repeats are missing")?;
    if repeats.len() != input.rank() {
        return Err(format!("its repeats are {repeats:?} for {} dimensions", input.rank()));
    }
    let dims = input.dims.iter().zip(repeats);
    let dims = dims.map(|(&dim, &times)| usize::try_from(times).ok().and_then(|times| dim.checked_mul(times)));
    let dims: Option<Vec<usize>> = dims.collect();
    Ok(moved_to(input, dims.ok_or_else(|| format!("its repeats are {repeats:?}"))?, None))
}

/// Constant, reflected or repeated borders, which may not cut anything off.
pub(super) fn pad(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let mode = call.string("mode", "constant")?;
    let (pads, named) = if call.opset < 11 {
        call.float("value", 0.0)?;
        (call.ints("pads")?, None)
    } else {
        if call.optional(2).is_some() {
            let value = call.weights(2)?;
            if value.len() != 1 || value.rank() > 0 {
                return Err(format!("its value has shape {:?}, one number is needed", value.dims));
            }
            // tract takes a value for the constant mode, whatever the mode is.
            if mode != "constant" {
                return Err(format!("it has a value in mode '{mode}'"));
            }
        }
        (call.integers(1, "pads")?, call.integers(3, "axes")?)
    };
    let pads = pads.ok_or("its pads are missing")?;
    let padded = match named {
        Some(named) => {
            axes(named, input.rank())?;
            named.iter().map(|&one| axis(one, input.rank())).collect::<Result<Vec<_>, _>>()?
        }
        None => (0..input.rank()).collect(),
    };
    if pads.len() != 2 * padded.len() {
        return Err(format!("its pads are {pads:?} for {} dimensions", padded.len()));
    }
    let mut dims = input.dims.clone();
    for (at, &axis) in padded.iter().enumerate() {
        let (begin, end) = (pads[at], pads[at + padded.len()]);
        let (Ok(before), Ok(after)) = (usize::try_from(begin), usize::try_from(end)) else {
            return Err(format!("its pads {pads:?} cut off values, only added ones are run"));
        };
        let size = input.dims[axis];
        let reaches = match mode {
            "constant" | "edge" => true,
            "reflect" => before.max(after) < size,
            other => return Err(format!("its mode is '{other}', constant, reflect or edge is run")),
        };
        if !reaches {
            return Err(format!("its pads {pads:?} reflect more than the {size} values there are"));
        }
        let sum = size.checked_add(before).and_then(|sum| sum.checked_add(after));
        dims[axis] = sum.ok_or("its pads are too large")?;
    }
    Ok(moved_to(input, dims, None))
}

/// `[N, C s², H, W]` to `[N, C, H s, W s]`.
pub(super) fn depth_to_space(call: &Call) -> Result<Made, Reason> {
    let (input, [batch, channels, height, width], block) = blocks(call)?;
    if !matches!(call.string("mode", "DCR")?, "DCR" | "CRD") {
        return Err("its mode is neither DCR nor CRD".into());
    }
    if !channels.is_multiple_of(block * block) {
        return Err(format!("its {channels} channels are not divided by blocks of {block}"));
    }
    Ok(moved_to(input, vec![batch, channels / (block * block), height * block, width * block], None))
}

/// `[N, C, H s, W s]` to `[N, C s², H, W]`.
pub(super) fn space_to_depth(call: &Call) -> Result<Made, Reason> {
    let (input, [batch, channels, height, width], block) = blocks(call)?;
    if !height.is_multiple_of(block) || !width.is_multiple_of(block) {
        return Err(format!("its {height} × {width} places are not divided by blocks of {block}"));
    }
    Ok(moved_to(input, vec![batch, channels * block * block, height / block, width / block], None))
}

fn blocks<'a>(call: &Call<'a>) -> Result<(&'a Fact, [usize; 4], usize), Reason> {
    let input = call.input(0)?;
    let block = call.int("blocksize", 0)?;
    match (<[usize; 4]>::try_from(input.dims.as_slice()), block) {
        (Ok(dims), 1..=64) => Ok((input, dims, block as usize)),
        _ => Err(format!("its blocksize is {block} for {:?}, 1 to 64 for [N, C, H, W] is run", input.dims)),
    }
}
