//! The inner loop of every convolution: rows of the input times a matrix of weights.
//!
//! A row is what one output pixel reads: for a 3×3 kernel three runs of 3 C elements, because pixels that lie side by side are
//! contiguous. P rows times B vectors of output channels are computed together, so that each element that is loaded serves
//! several multiplications.

#![allow(unsafe_code)] // Vectors, and pointers to them.

use super::pieces::{Product, Runs, Target};
use super::vector::Vector;

/// A matrix of weights in the order in which it is read: for each block of output channels `[K, B * LANES]`.
#[derive(Clone, Debug)]
pub(super) struct Weights<E> {
    /// `[O / (B * LANES), K, B * LANES]`.
    pub elements: Vec<E>,
    /// B, vectors per block.
    pub block: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Elements of one block.
    block_len: usize,
}

impl<E: bytemuck::Pod> Weights<E> {
    /// A matrix to whose elements nothing is written yet.
    ///
    /// * `inner`: K
    /// * `channels`: O, a multiple of the lanes
    pub fn empty<V: Vector<Element = E>>(inner: usize, channels: usize) -> Self {
        let vectors = channels / V::LANES;
        // The widest block that leaves at least four rows, or one.
        let block = [4, 3, 2]
            .into_iter()
            .find(|block| vectors.is_multiple_of(*block) && V::ACCUMULATORS / block >= 4)
            .unwrap_or(1);
        let elements = Vec::with_capacity(inner * channels);
        Self { elements, block, blocks: vectors / block, block_len: inner * block * V::LANES }
    }

    /// Packs a matrix.
    ///
    /// * `weight`: `[outputs, …]`, the weights of each output channel
    /// * `places`: for each inner index, where its weight lies among those of a channel; `None` where it is zero
    pub fn pack<V: Vector<Element = E>>(
        weight: &[f32],
        outputs: usize,
        places: &[Option<usize>],
        channels: usize,
    ) -> Self {
        let mut packed = Self::empty::<V>(places.len(), channels);
        let (width, each) = (packed.block * V::LANES, weight.len() / outputs);
        for first in (0..channels).step_by(width) {
            let filters = &weight[first.min(outputs) * each..(first + width).min(outputs) * each];
            for place in places {
                let until = packed.elements.len() + width;
                if let Some(place) = *place {
                    let of_channels = filters.chunks_exact(each).map(|filter| V::element(filter[place]));
                    packed.elements.extend(of_channels);
                }
                packed.elements.resize(until, E::zeroed());
            }
        }
        packed
    }
}

/// Where sums go. The methods must be inlined.
pub(super) trait Sink<V: Vector> {
    /// Whether rows start from zero.
    const FROM_ZERO: bool;
    /// Whether runs do not end in a group.
    const HAS_REST: bool;

    /// The value that all rows start from otherwise, for the block that begins at `channel`.
    ///
    /// # Safety
    /// As for [`Vector`]; `channel` and those of the block exist.
    unsafe fn start<const B: usize>(&self, channel: usize) -> [V; B];

    /// Takes the sums of P rows from `row` on and of the block that begins at `channel`.
    ///
    /// # Safety
    /// As for [`Vector`]; rows and channels exist.
    unsafe fn put<const P: usize, const B: usize>(&self, row: usize, channel: usize, sums: [[V; B]; P]);

    /// What the other methods do, for the block that begins at `channel`.
    fn target(&self, channel: usize) -> Target<V::Element>;
}

/// Multiplies `rows` rows by block `block` of the weights.
///
/// # Safety
/// As for [`Vector`]. From `input` on, all rows are readable; the weights have as many inner elements as a row, and the sink
/// has all rows and channels.
#[inline(always)]
pub(super) unsafe fn multiply<V: Vector, S: Sink<V>>(
    input: *const V::Element,
    rows: usize,
    runs: Runs,
    weights: &Weights<V::Element>,
    block: usize,
    sink: &S,
) {
    let channel = block * weights.block * V::LANES;
    // SAFETY: promised by the caller; a block lies in the weights.
    unsafe {
        let elements = weights.elements.as_ptr().add(block * weights.block_len);
        match weights.block {
            4 => all_rows::<V, S, 4>(input, rows, runs, elements, channel, sink),
            3 => all_rows::<V, S, 3>(input, rows, runs, elements, channel, sink),
            2 => all_rows::<V, S, 2>(input, rows, runs, elements, channel, sink),
            _ => all_rows::<V, S, 1>(input, rows, runs, elements, channel, sink),
        }
    }
}

/// As many rows at a time as there are accumulators for.
#[inline(always)]
unsafe fn all_rows<V: Vector, S: Sink<V>, const B: usize>(
    input: *const V::Element,
    rows: usize,
    runs: Runs,
    weights: *const V::Element,
    channel: usize,
    sink: &S,
) {
    let most = V::ACCUMULATORS / B;
    let mut row = match B {
        2 => {
            let product = Product { input, runs, weights, target: sink.target(channel) };
            // SAFETY: promised by the caller.
            unsafe {
                match S::HAS_REST {
                    true => V::rows_times_two::<true>(product, rows),
                    false => V::rows_times_two::<false>(product, rows),
                }
            }
        }
        _ => 0,
    };
    macro_rules! step {
        ($rows:literal) => {
            while most >= $rows && rows - row >= $rows {
                // SAFETY: promised by the caller.
                unsafe {
                    let sums =
                        tile::<V, S, $rows, B>(sink.start(channel), input.add(row * runs.row_stride), runs, weights);
                    sink.put(row, channel, sums);
                }
                row += $rows;
            }
        };
    }
    step!(8);
    step!(6);
    step!(4);
    step!(2);
    step!(1);
}

/// The sums of P rows and B vectors.
#[inline(always)]
unsafe fn tile<V: Vector, S: Sink<V>, const P: usize, const B: usize>(
    start: [V; B],
    input: *const V::Element,
    runs: Runs,
    mut weights: *const V::Element,
) -> [[V; B]; P] {
    let mut sums = [start; P];
    for run in 0..runs.count {
        // SAFETY: promised by the caller of `multiply`.
        let rows: [*const V::Element; P] =
            std::array::from_fn(|row| unsafe { input.add(run * runs.stride + row * runs.row_stride) });
        let mut at = 0;
        if S::FROM_ZERO && run == 0 {
            // SAFETY: promised by the caller of `multiply`.
            unsafe { V::rows_times_block::<P, B, true>(&mut sums, rows, weights) };
            weights = weights.wrapping_add(V::GROUP * B * V::LANES);
            at = V::GROUP;
        }
        while at + if S::HAS_REST { V::GROUP - 1 } else { 0 } < runs.len {
            // SAFETY: promised by the caller of `multiply`.
            unsafe {
                V::rows_times_block::<P, B, false>(&mut sums, rows.map(|row| row.add(at)), weights);
                weights = weights.add(V::GROUP * B * V::LANES);
            }
            at += V::GROUP;
        }
        // The last elements of a run of the input, whose channels are not padded.
        while S::HAS_REST && at < runs.len {
            // SAFETY: promised by the caller of `multiply`.
            unsafe {
                let block: [V; B] = std::array::from_fn(|block| V::load(weights.add(block * V::LANES)));
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let element = V::repeat(row.add(at));
                    for (sum, weights) in sums.iter_mut().zip(block) {
                        *sum = sum.mul_add(weights, element);
                    }
                }
                weights = weights.add(B * V::LANES);
            }
            at += 1;
        }
    }
    sums
}
