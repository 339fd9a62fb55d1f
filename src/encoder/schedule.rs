//! Which values a training step keeps from its forward to its backward pass, and where every array lies in memory.
//!
//! A value that is not kept is freed after its last reader, forward, and computed again before the first time that the backward pass reads it.
//! Once the forward pass is over, the statistics of all batch norms are known, so a value is computed again image by image, by the same
//! kernels in the same order, to the same bits. Which values to keep is decided in `recompute.rs`.
//!
//! All arrays lie in one block of memory. Times at which each is alive are known beforehand, so arrays that are never alive together share a
//! place.

use std::ops::Range;

use super::lifetimes::{Lifetimes, Span};
use super::plan::Plan;
use super::spec::ValueId;

/// Floats that the length of an array for one image is rounded up to: a cache line.
const ALIGN: usize = 16;

/// What an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// `z` of a convolution, `y` of a sum.
    Value(ValueId),
    /// The gradient with this number in [`Lifetimes::gradients`].
    Gradient(usize),
}

/// An array of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Array {
    pub content: Content,
    /// Floats per image.
    pub len: usize,
    /// Times at which it is alive.
    pub span: Span,
    /// Place in the block, in floats per image.
    pub offset: usize,
}

impl Array {
    /// Whether it is alive at `time`.
    pub fn is_alive(&self, time: usize) -> bool {
        self.span.0 <= time && time <= self.span.1
    }

    fn end(&self) -> usize {
        self.offset + self.len.next_multiple_of(ALIGN)
    }
}

/// The arrays of a step of one network, and the values that it computes twice.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub(super) lifetimes: Lifetimes,
    /// Sorted by place.
    pub(super) arrays: Vec<Array>,
    /// Length of the block, in floats per image.
    pub(super) len: usize,
    /// Nodes that are computed again at each time of the backward pass, in order.
    recomputed: Vec<Vec<Range<usize>>>,
    /// Multiply-accumulates of these.
    macs: u64,
    /// Length of each value, and the pooled values: what the schedule is for.
    made_for: (Vec<usize>, Vec<ValueId>),
    has_backward: bool,
}

impl Schedule {
    /// Of a step in which the values `kept` are kept.
    pub(super) fn new(plan: &Plan, pooled: &[ValueId], kept: &[bool]) -> Self {
        let lifetimes = Lifetimes::new(plan, pooled);
        let again = times_of_recomputation(plan, &lifetimes, kept);
        // A value that others are computed from again is alive at that time.
        let mut backward = lifetimes.backward.clone();
        for (value, time) in again.iter().enumerate() {
            let (Some(time), Some(node)) = (*time, value.checked_sub(1)) else { continue };
            plan.nodes[node].inputs().into_iter().for_each(|source| backward[source].1 = backward[source].1.max(time));
        }
        let mut arrays = Vec::new();
        let mut recomputed = vec![Vec::new(); lifetimes.backward_times().end];
        let mut macs = 0;
        for value in 1..plan.grids.len() {
            let mut add = |span| arrays.push(Array::new(Content::Value(value), plan.grids[value].len(), span));
            let ((computed, read), (_, end)) = (lifetimes.forward[value], backward[value]);
            match again[value] {
                None => add((computed, end)),
                Some(time) => {
                    add((computed, read));
                    add((time, end));
                    macs += macs_of(plan, value);
                    push_node(&mut recomputed[time], value - 1);
                }
            }
        }
        let gradients = lifetimes.gradients.iter().enumerate();
        arrays.extend(gradients.map(|(id, gradient)| Array::new(Content::Gradient(id), gradient.len, gradient.span)));
        Self::placed(plan, pooled, lifetimes, arrays, recomputed, macs)
    }

    /// Of a forward pass alone.
    pub(super) fn forward_only(plan: &Plan, pooled: &[ValueId]) -> Self {
        let lifetimes = Lifetimes::new(plan, pooled);
        let array = |value| Array::new(Content::Value(value), plan.grids[value].len(), lifetimes.forward[value]);
        let arrays = (1..plan.grids.len()).map(array).collect();
        let found = Self::placed(plan, pooled, lifetimes, arrays, Vec::new(), 0);
        Self { has_backward: false, ..found }
    }

    fn placed(
        plan: &Plan,
        pooled: &[ValueId],
        lifetimes: Lifetimes,
        mut arrays: Vec<Array>,
        recomputed: Vec<Vec<Range<usize>>>,
        macs: u64,
    ) -> Self {
        let len = place(&mut arrays);
        let made_for = (plan.grids.iter().map(|grid| grid.len()).collect(), pooled.to_vec());
        Self { lifetimes, arrays, len, recomputed, macs, made_for, has_backward: true }
    }

    /// Whether it is for a step of `plan` that pools `pooled`.
    pub(super) fn fits(&self, plan: &Plan, pooled: &[ValueId]) -> bool {
        let lens = plan.grids.iter().map(|grid| grid.len());
        self.made_for.0.iter().copied().eq(lens) && self.made_for.1 == pooled
    }

    /// Nodes to compute again at `time`, in order.
    pub(super) fn recomputed(&self, time: usize) -> &[Range<usize>] {
        self.recomputed.get(time).map_or(&[], Vec::as_slice)
    }

    /// Whether it has a backward pass.
    pub(super) fn has_backward(&self) -> bool {
        self.has_backward
    }

    /// Bytes of activations and gradients for `images` images.
    pub fn bytes(&self, images: usize) -> usize {
        size_of::<f32>() * self.len * images
    }

    /// Multiply-accumulates that a step computes again, for one image.
    pub fn recomputed_macs(&self) -> u64 {
        self.macs
    }
}

impl Array {
    fn new(content: Content, len: usize, span: Span) -> Self {
        Self { content, len, span, offset: 0 }
    }
}

/// Multiply-accumulates of the node that computes `value`; 0 for a sum.
pub(super) fn macs_of(plan: &Plan, value: ValueId) -> u64 {
    let grid = plan.grids[value];
    plan.conv(value).map_or(0, |conv| (conv.weight_len() * grid.rows * grid.columns) as u64)
}

/// When each value that is not in `kept` is computed again: when the backward pass first reads it, or a value that is computed from it
/// again.
fn times_of_recomputation(plan: &Plan, lifetimes: &Lifetimes, kept: &[bool]) -> Vec<Option<usize>> {
    let mut times = vec![None; kept.len()];
    let mut wanted: Vec<usize> = lifetimes.backward.iter().map(|span| span.0).collect();
    for value in (1..kept.len()).rev().filter(|&value| !kept[value]) {
        times[value] = Some(wanted[value]);
        let inputs = plan.nodes[value - 1].inputs();
        inputs.into_iter().for_each(|input| wanted[input] = wanted[input].min(wanted[value]));
    }
    times
}

/// Adds `node` to ranges in order.
fn push_node(ranges: &mut Vec<Range<usize>>, node: usize) {
    match ranges.last_mut() {
        Some(range) if range.end == node => range.end += 1,
        _ => ranges.push(node..node + 1),
    }
}

/// Gives each array a place such that those alive at the same time do not overlap; returns the length of the block. Sorts the arrays by
/// place.
///
/// Greedy in several orders, of which the shortest block counts: the largest first (Pisarchyk and Lee 2020, arXiv:2001.03288), by time,
/// and by the product of length and lifetime.
fn place(arrays: &mut [Array]) -> usize {
    type Key = fn(&Array) -> (std::cmp::Reverse<usize>, usize);
    let orders: [Key; 3] = [
        |array| (std::cmp::Reverse(array.len), array.span.0),
        |array| (std::cmp::Reverse(0), array.span.0),
        |array| (std::cmp::Reverse(array.len * (array.span.1 - array.span.0 + 1)), array.span.0),
    ];
    let placed = orders.map(|order| {
        let mut found = arrays.to_vec();
        found.sort_by_key(order);
        (place_in_order(&mut found), found)
    });
    let best = placed.into_iter().min_by_key(|(len, _)| *len);
    let (len, mut best) = best.expect("there is an order");
    best.sort_by_key(|array| (array.offset, array.span.0));
    arrays.copy_from_slice(&best);
    len
}

/// Places each array in the smallest gap that it fits, among those alive at the same time.
fn place_in_order(arrays: &mut [Array]) -> usize {
    for next in 0..arrays.len() {
        let (placed, rest) = arrays.split_at_mut(next);
        let array = &mut rest[0];
        let mut beside: Vec<&Array> =
            placed.iter().filter(|other| other.span.0 <= array.span.1 && array.span.0 <= other.span.1).collect();
        beside.sort_by_key(|other| other.offset);
        let (len, mut end, mut gap) = (array.len.next_multiple_of(ALIGN), 0, None);
        for other in beside {
            let free = other.offset.saturating_sub(end);
            if free >= len && gap.is_none_or(|(smallest, _)| free < smallest) {
                gap = Some((free, end));
            }
            end = end.max(other.end());
        }
        array.offset = gap.map_or(end, |(_, start)| start);
    }
    arrays.iter().map(Array::end).max().unwrap_or(0)
}
