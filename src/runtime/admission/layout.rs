//! Operators that move values without computing.

use super::call::{Call, Made, axes, axis, product};
use super::elementwise::broadcast;
use super::fact::{Fact, INTEGERS_MAX, Reason, checked_len};

/// The result of an operator that keeps the order of values, and so of integers.
fn reordered_to(input: &Fact, dims: Vec<usize>) -> Made {
    input.with_dims(dims).into()
}

/// The integers `all` of shape `dims` at `indices` along `axis`, in row-major order.
fn taken(all: &[i64], dims: &[usize], axis: usize, indices: &[usize]) -> Vec<i64> {
    let inner = dims[axis + 1..].iter().product::<usize>();
    let part = (dims[axis] * inner).max(1);
    let of_part =
        |part: &[i64]| indices.iter().flat_map(|&at| part[at * inner..][..inner].to_vec()).collect::<Vec<_>>();
    all.chunks_exact(part).flat_map(of_part).collect()
}

/// The integers `all` of shape `dims` with its axes in the `order` of a transposition.
fn transposed(all: &[i64], dims: &[usize], order: &[usize]) -> Vec<i64> {
    let stride = |axis: usize| dims[axis + 1..].iter().product::<usize>();
    let mut places = vec![0];
    for &axis in order {
        let along = |place: usize| (0..dims[axis]).map(move |at| place + at * stride(axis));
        places = places.into_iter().flat_map(along).collect();
    }
    places.into_iter().map(|place| all[place]).collect()
}

/// The result of an operator that moves values. Integers are tracked only as far as shape arithmetic needs.
fn moved_to(input: &Fact, dims: Vec<usize>, integers: Option<Vec<i64>>) -> Made {
    Fact { integers, ..input.with_dims(dims) }.into()
}

/// 0 copies the input's size and -1 takes the remainder, unless `allowzero` is set.
pub(super) fn reshape(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    call.only_int("allowzero", 0)?;
    let wanted = match call.opset {
        ..5 => call.ints("shape")?,
        _ => call.integers(1, "shape")?,
    };
    let wanted = wanted.ok_or("shape is missing")?;
    let mut dims = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (at, &size) in wanted.iter().enumerate() {
        dims.push(match size {
            0 => *input.dims.get(at).ok_or_else(|| format!("shape {wanted:?} copies a size that does not exist"))?,
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            1.. => size as usize,
            _ => return Err(format!("invalid shape {wanted:?}")),
        });
    }
    let found = checked_len(&dims)?;
    if let Some(at) = open {
        dims[at] = input.len() / found;
    }
    if checked_len(&dims)? != input.len() {
        return Err(format!("shape {wanted:?} does not hold the {} values of {:?}", input.len(), input.dims));
    }
    Ok(reordered_to(input, dims))
}

pub(super) fn flatten(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let rank = input.rank() as i64;
    let axis = call.int("axis", 1)?;
    let at = if axis < 0 { axis.saturating_add(rank) } else { axis };
    if !(0..=rank).contains(&at) {
        return Err(format!("axis {axis} is outside {rank} dimensions"));
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
        return Err(format!("perm {order:?} is invalid for {} dimensions", input.rank()));
    }
    let order: Vec<usize> = order.into_iter().map(|from| from as usize).collect();
    let dims = order.iter().map(|&from| input.dims[from]).collect();
    let integers = input.integers.as_ref().map(|all| transposed(all, &input.dims, &order));
    Ok(moved_to(input, dims, integers))
}

/// The axes are an attribute, and an input since operator set 13.
fn named_axes<'a>(call: &Call<'a>) -> Result<Option<&'a [i64]>, Reason> {
    if call.opset < 13 { call.ints("axes") } else { call.integers(1, "axes") }
}

pub(super) fn squeeze(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let dropped = match named_axes(call)? {
        Some(named) => axes(named, input.rank())?,
        None if call.opset < 13 => return Err("axes are missing".into()),
        None => (0..input.rank()).filter(|&axis| input.dims[axis] == 1).collect(),
    };
    if let Some(&axis) = dropped.iter().find(|&&axis| input.dims[axis] != 1) {
        return Err(format!("axis {axis} has {} values; only 1 can be dropped", input.dims[axis]));
    }
    let dims = (0..input.rank()).filter(|axis| !dropped.contains(axis)).map(|axis| input.dims[axis]).collect();
    Ok(reordered_to(input, dims))
}

pub(super) fn unsqueeze(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let named = named_axes(call)?.ok_or("axes are missing")?;
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
            return Err(format!("inputs {:?} and {:?} are incompatible", first.dims, input.dims));
        }
        size = size.checked_add(input.dims[axis]).ok_or("result is too long")?;
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

/// Sizes are an attribute before operator set 13, then an input; without them the parts are as equal as possible.
pub(super) fn split(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let axis = call.axis("axis", 0, input.rank())?;
    let (size, parts) = (input.dims[axis], call.node.output.len());
    let given = if call.opset < 13 { call.ints("split")? } else { call.integers(1, "split")? };
    let sizes: Vec<usize> = match given {
        Some(given) => given.iter().map(|&part| usize::try_from(part).unwrap_or(0)).collect(),
        None if call.has("num_outputs") && call.int("num_outputs", 0)? != parts as i64 => {
            return Err(format!("num_outputs is not {parts}, the number of outputs"));
        }
        None if !size.is_multiple_of(parts) => {
            return Err(format!("{size} values cannot be split into {parts} equal parts"));
        }
        None => vec![size / parts; parts],
    };
    let sum = sizes.iter().try_fold(0usize, |sum, &part| sum.checked_add(part));
    if sizes.len() != parts || sum != Some(size) || sizes.contains(&0) {
        return Err(format!("split {sizes:?} is not {parts} parts with a sum of {size}"));
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

/// Starts, ends, axes and steps are attributes before operator set 10, then inputs.
pub(super) fn slice(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let (starts, ends, named, steps) = if call.opset < 10 {
        (call.ints("starts")?, call.ints("ends")?, call.ints("axes")?, None)
    } else {
        let input = |index, what| call.integers(index, what);
        (input(1, "starts")?, input(2, "ends")?, input(3, "axes")?, input(4, "steps")?)
    };
    let (Some(starts), Some(ends)) = (starts, ends) else { return Err("starts or ends are missing".into()) };
    let all: Vec<i64> = (0..starts.len() as i64).collect();
    let ones = vec![1; starts.len()];
    let (named, steps) = (named.unwrap_or(&all), steps.unwrap_or(&ones));
    if [ends.len(), named.len(), steps.len()] != [starts.len(); 3] {
        return Err("starts, ends, axes and steps have different lengths".into());
    }
    axes(named, input.rank())?;
    // Before operator set 10, tract reads missing axes as all axes.
    if call.opset < 10 && call.ints("axes")?.is_none() && starts.len() != input.rank() {
        return Err(format!("no axes, but {} starts for {} dimensions", starts.len(), input.rank()));
    }
    let mut dims = input.dims.clone();
    let mut integers = input.integers.clone();
    for (((&start, &end), &name), &step) in starts.iter().zip(ends).zip(named).zip(steps) {
        // PyTorch reverses the constant widths of a border by a step of -1; images are never reversed.
        if step < 1 && (step != -1 || integers.is_none()) {
            return Err(format!("step is {step}; expected at least 1, or -1 for constant integers"));
        }
        let axis = axis(name, input.rank())?;
        let size = input.dims[axis];
        let kept: Vec<usize> = if step == -1 {
            let (first, past) = (counted(start, size).min(size as i64 - 1), counted(end, size).max(-1));
            (0..size).rev().filter(|&at| at as i64 <= first && at as i64 > past).collect()
        } else {
            let (start, end) = (clamped(start, size), clamped(end, size));
            let step = usize::try_from(step).unwrap_or(usize::MAX);
            (start..end).step_by(step).collect()
        };
        integers = integers.map(|all| taken(&all, &dims, axis, &kept));
        dims[axis] = kept.len();
    }
    if dims.contains(&0) {
        return Err(format!("an empty part of {:?}", input.dims));
    }
    Ok(moved_to(input, dims, integers))
}

/// A start or an end, counted from the front.
fn counted(at: i64, size: usize) -> i64 {
    if at < 0 { at.saturating_add(size as i64) } else { at }
}

/// A start or an end, counted from the front and clamped to `size`.
fn clamped(at: i64, size: usize) -> usize {
    counted(at, size).clamp(0, size as i64) as usize
}

/// Selects along an axis by known indices.
pub(super) fn gather(call: &Call) -> Result<Made, Reason> {
    let (input, indices) = (call.input(0)?, call.input(1)?);
    let axis = call.axis("axis", 0, input.rank())?;
    if !indices.element.is_integer() {
        return Err("indices are not integers".into());
    }
    let size = input.dims[axis] as i64;
    let known = indices.known("indices")?;
    if let Some(index) = known.iter().find(|&&index| !(-size..size).contains(&index)) {
        return Err(format!("index {index} is outside 0 to {size}"));
    }
    let dims = [&input.dims[..axis], &indices.dims, &input.dims[axis + 1..]].concat();
    let at = |index: i64| if index < 0 { index + size } else { index } as usize;
    let integers = input.integers.as_ref().filter(|_| input.rank() == 1);
    let integers = integers.map(|all| known.iter().map(|&index| all[at(index)]).collect());
    Ok(moved_to(input, dims, integers))
}

pub(super) fn expand(call: &Call) -> Result<Made, Reason> {
    let input = call.input(0)?;
    let wanted = call.integers(1, "shape")?.ok_or("shape is missing")?;
    let wanted: Option<Vec<usize>> = wanted.iter().map(|&size| usize::try_from(size).ok()).collect();
    let dims = broadcast(&[&input.dims, &wanted.ok_or("shape has a negative size")?])?;
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
    let repeats = call.integers(1, "repeats")?.ok_or("repeats are missing")?;
    if repeats.len() != input.rank() {
        return Err(format!("repeats {repeats:?} are invalid for {} dimensions", input.rank()));
    }
    let dims = input.dims.iter().zip(repeats);
    let dims = dims.map(|(&dim, &times)| usize::try_from(times).ok().and_then(|times| dim.checked_mul(times)));
    let dims: Option<Vec<usize>> = dims.collect();
    Ok(moved_to(input, dims.ok_or_else(|| format!("invalid repeats {repeats:?}"))?, None))
}

/// Constant, reflected or repeated borders; negative pads are refused.
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
                return Err(format!("value has shape {:?}; expected one number", value.dims));
            }
            // With a value, tract ignores the mode and uses constant.
            if mode != "constant" {
                return Err(format!("a value in mode '{mode}' is not supported"));
            }
        }
        (call.integers(1, "pads")?, call.integers(3, "axes")?)
    };
    let pads = pads.ok_or("pads are missing")?;
    let padded = match named {
        Some(named) => {
            axes(named, input.rank())?;
            named.iter().map(|&one| axis(one, input.rank())).collect::<Result<Vec<_>, _>>()?
        }
        None => (0..input.rank()).collect(),
    };
    if pads.len() != 2 * padded.len() {
        return Err(format!("pads {pads:?} are invalid for {} dimensions", padded.len()));
    }
    let mut dims = input.dims.clone();
    for (at, &axis) in padded.iter().enumerate() {
        let (begin, end) = (pads[at], pads[at + padded.len()]);
        let (Ok(before), Ok(after)) = (usize::try_from(begin), usize::try_from(end)) else {
            return Err(format!("pads {pads:?} remove values; negative pads are not supported"));
        };
        let size = input.dims[axis];
        let reaches = match mode {
            "constant" | "edge" => true,
            "reflect" => before.max(after) < size,
            other => return Err(format!("mode is '{other}'; expected constant, reflect or edge")),
        };
        if !reaches {
            return Err(format!("pads {pads:?} reflect more than the {size} values of the input"));
        }
        let sum = size.checked_add(before).and_then(|sum| sum.checked_add(after));
        dims[axis] = sum.ok_or("pads are too large")?;
    }
    Ok(moved_to(input, dims, None))
}

/// `[N, C s², H, W]` to `[N, C, H s, W s]`.
pub(super) fn depth_to_space(call: &Call) -> Result<Made, Reason> {
    let (input, [batch, channels, height, width], block) = blocks(call)?;
    if !matches!(call.string("mode", "DCR")?, "DCR" | "CRD") {
        return Err("mode is neither DCR nor CRD".into());
    }
    if !channels.is_multiple_of(block * block) {
        return Err(format!("{channels} channels are not divisible by blocks of {block}"));
    }
    Ok(moved_to(input, vec![batch, channels / (block * block), height * block, width * block], None))
}

/// `[N, C, H s, W s]` to `[N, C s², H, W]`.
pub(super) fn space_to_depth(call: &Call) -> Result<Made, Reason> {
    let (input, [batch, channels, height, width], block) = blocks(call)?;
    if !height.is_multiple_of(block) || !width.is_multiple_of(block) {
        return Err(format!("{height} × {width} positions are not divisible by blocks of {block}"));
    }
    Ok(moved_to(input, vec![batch, channels * block * block, height / block, width / block], None))
}

fn blocks<'a>(call: &Call<'a>) -> Result<(&'a Fact, [usize; 4], usize), Reason> {
    let input = call.input(0)?;
    let block = call.int("blocksize", 0)?;
    match (<[usize; 4]>::try_from(input.dims.as_slice()), block) {
        (Ok(dims), 1..=64) => Ok((input, dims, block as usize)),
        _ => Err(format!("blocksize is {block} for {:?}; expected 1 to 64 for [N, C, H, W]", input.dims)),
    }
}
