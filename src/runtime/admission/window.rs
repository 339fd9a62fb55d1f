//! Operators that slide a window over an image: convolution and pooling.
//!
//! N images, C channels, then 1 to 3 spatial dimensions. Output size along one of them, with `k` the extent of the
//! dilated kernel, `s` the stride and `p` the sum of both pads: `floor((size + p - k) / s) + 1`, or rounded up.

use super::call::{Call, Made, product};
use super::fact::{Fact, Reason};

/// Largest kernel side, stride, dilation and pad.
const SIDE_MAX: i64 = 1 << 16;
/// Cost of preparing the graph per kernel point and output position, in multiply-accumulates: tract lists them, 27 ns each.
const LISTED: u64 = 256;

/// A window along each spatial dimension.
struct Window {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    /// Pads at the starts, then at the ends.
    pads: Vec<usize>,
    padding: Padding,
    rounds_up: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    Explicit,
    Valid,
    SameUpper,
    SameLower,
}

impl Window {
    /// The window of `call` over `rank` spatial dimensions, with the kernel of the weights.
    fn of(call: &Call, rank: usize, weights: Option<&[usize]>) -> Result<Self, Reason> {
        if !(1..=3).contains(&rank) {
            return Err(format!("{rank} spatial dimensions; expected 1 to 3"));
        }
        let kernel = match (sides(call, "kernel_shape", rank, 1)?, weights) {
            (Some(kernel), Some(weights)) if kernel != weights => {
                return Err(format!("kernel_shape {kernel:?} differs from that of the weights, {weights:?}"));
            }
            (Some(kernel), _) => kernel,
            (None, Some(weights)) => weights.to_vec(),
            (None, None) => return Err("kernel_shape is missing".into()),
        };
        let strides = sides(call, "strides", rank, 1)?.unwrap_or_else(|| vec![1; rank]);
        let dilations = sides(call, "dilations", rank, 1)?.unwrap_or_else(|| vec![1; rank]);
        let padding = match call.string("auto_pad", "NOTSET")? {
            "NOTSET" | "" => Padding::Explicit,
            "VALID" => Padding::Valid,
            "SAME_UPPER" => Padding::SameUpper,
            "SAME_LOWER" => Padding::SameLower,
            other => return Err(format!("auto_pad is '{other}'")),
        };
        if padding != Padding::Explicit && call.has("pads") {
            return Err("it has both auto_pad and pads".into());
        }
        let pads = sides(call, "pads", 2 * rank, 0)?.unwrap_or_else(|| vec![0; 2 * rank]);
        let rounds_up = call.has("ceil_mode") && call.flag("ceil_mode", false)?;
        // The ONNX specification and its runtimes disagree on rounding up here.
        if rounds_up && padding == Padding::Valid {
            return Err("it has ceil_mode and auto_pad VALID".into());
        }
        Ok(Self { kernel, strides, dilations, pads, padding, rounds_up })
    }

    /// Size of the result along each dimension of `sizes`.
    fn apply(&self, sizes: &[usize]) -> Result<Vec<usize>, Reason> {
        let size = |axis: usize| {
            let (size, stride) = (sizes[axis], self.strides[axis]);
            if matches!(self.padding, Padding::SameUpper | Padding::SameLower) {
                return Ok(size.div_ceil(stride));
            }
            let (begin, end) = (self.pads[axis], self.pads[axis + sizes.len()]);
            let extent = self.extent(axis);
            let padded = size + begin + end;
            let Some(room) = padded.checked_sub(extent) else {
                return Err(format!("a kernel of {extent} is larger than the padded input of {padded}"));
            };
            let steps = if self.rounds_up { room.div_ceil(stride) } else { room / stride };
            // A last window that would begin in the padding after the image is dropped.
            let is_outside = self.rounds_up && steps * stride >= size + begin;
            Ok(steps + 1 - usize::from(is_outside))
        };
        (0..sizes.len()).map(size).collect()
    }

    /// Extent of the dilated kernel in pixels.
    fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilations[axis] + 1
    }

    /// Whether a window could be entirely in the padding.
    fn may_be_all_padding(&self) -> bool {
        let rank = self.kernel.len();
        self.padding == Padding::Explicit
            && (0..rank).any(|axis| self.pads[axis].max(self.pads[axis + rank]) >= self.extent(axis))
    }
}

/// A list of `len` numbers from `least` to [`SIDE_MAX`]; none if the attribute is missing.
fn sides(call: &Call, name: &str, len: usize, least: i64) -> Result<Option<Vec<usize>>, Reason> {
    let Some(values) = call.ints(name)? else { return Ok(None) };
    if values.len() != len || values.iter().any(|value| !(least..=SIDE_MAX).contains(value)) {
        return Err(format!("{name} is {values:?}; expected {len} numbers from {least} to {SIDE_MAX}"));
    }
    Ok(Some(values.iter().map(|&value| value as usize).collect()))
}

fn images<'a>(call: &Call<'a>) -> Result<(&'a Fact, usize, usize), Reason> {
    let input = call.input(0)?;
    if input.rank() < 3 {
        return Err(format!("input has shape {:?}; expected images [N, C, …]", input.dims));
    }
    Ok((input, input.dims[0], input.dims[1]))
}

/// Weights `[M, C / groups, kernel…]`, bias `[M]`.
pub(super) fn conv(call: &Call) -> Result<Made, Reason> {
    let (input, batch, channels) = images(call)?;
    let weights = call.weights(1)?;
    if weights.rank() != input.rank() {
        return Err(format!("weights of shape {:?} do not fit an input of {:?}", weights.dims, input.dims));
    }
    let groups = usize::try_from(call.int("group", 1)?).unwrap_or(0);
    let (made, per_group) = (weights.dims[0], weights.dims[1]);
    let fits = groups > 0 && channels.is_multiple_of(groups) && made.is_multiple_of(groups);
    if !fits || channels / groups != per_group {
        return Err(format!("weights {:?} in {groups} groups do not fit {channels} channels", weights.dims));
    }
    if call.node.input.len() == 3 {
        let bias = call.weights(2)?;
        if bias.dims != [made] {
            return Err(format!("bias has shape {:?}; expected [{made}]", bias.dims));
        }
    }
    let window = Window::of(call, input.rank() - 2, Some(&weights.dims[2..]))?;
    let places = window.apply(&input.dims[2..])?;
    let dims = [&[batch, made], &places[..]].concat();
    let products = product(&weights.dims[1..]);
    let listed = product(&places).saturating_mul(product(&window.kernel)).saturating_mul(LISTED);
    let operations = product(&dims).saturating_mul(products).saturating_add(listed);
    // As a matrix product: one column of inputs per output position of a group.
    let scratch = product(&places).saturating_mul(products).saturating_mul(4);
    let is_constant = input.is_constant;
    Ok(Made { facts: vec![Fact { dims, integers: None, is_constant, ..input.clone() }], operations, scratch })
}

pub(super) fn max_pool(call: &Call) -> Result<Made, Reason> {
    call.only_int("storage_order", 0)?;
    pool(call)
}

pub(super) fn average_pool(call: &Call) -> Result<Made, Reason> {
    call.flag("count_include_pad", false)?;
    pool(call)
}

fn pool(call: &Call) -> Result<Made, Reason> {
    let (input, batch, channels) = images(call)?;
    let window = Window::of(call, input.rank() - 2, None)?;
    if window.may_be_all_padding() {
        return Err("pads are as large as the kernel".into());
    }
    let places = window.apply(&input.dims[2..])?;
    let dims = [&[batch, channels], &places[..]].concat();
    let listed = product(&places).saturating_mul(product(&window.kernel)).saturating_mul(LISTED);
    let operations = product(&dims).saturating_mul(product(&window.kernel)).saturating_add(listed);
    Ok(Made::with(vec![Fact { dims, integers: None, ..input.clone() }], operations))
}

/// The mean or the maximum over all positions.
pub(super) fn global_pool(call: &Call) -> Result<Made, Reason> {
    let (input, batch, channels) = images(call)?;
    let dims = [vec![batch, channels], vec![1; input.rank() - 2]].concat();
    let operations = product(&input.dims);
    Ok(Made::with(vec![Fact { dims, integers: None, ..input.clone() }], operations))
}
