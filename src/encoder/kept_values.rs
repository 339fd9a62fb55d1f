//! Chooses the values that a training step keeps, so that its arrays fit into a limit of memory.
//!
//! Chen et al. 2016 (arXiv:1604.06174) keep some values of a chain and compute the segments between them again; Feng and Huang 2018
//! (arXiv:1808.00079) do the same with the values at the cuts of a graph. Here any set of values may be kept, each other one is computed again
//! once, and the set is the one with the fewest multiply-accumulates. Computing a value again more often (Herrmann et al. 2019,
//! arXiv:1911.13214) would need still less memory and is not done.
//!
//! # Search
//!
//! Values are decided from the last to the first. A value that is not kept is computed again when the backward pass first reads it, or a value
//! that is computed from it again: only later values matter, and they are decided. Between this time and its last reading it is alive, as
//! it would be if it were kept; a kept value is also alive before. So a decision only adds memory at known times, and a partial choice is given
//! up as soon as it is over the limit, or if another one has no more cost, memory at any time, and no earlier time of recomputation of
//! a value that is still to be decided. What remains are a few hundred choices at most for a graph of 30 values.

use std::sync::Arc;

use super::lifetimes::Lifetimes;
use super::network::Network;
use super::plan::Plan;
use super::schedule::{Schedule, macs_of};
use super::spec::ValueId;

/// Most partial choices that are continued. No preset needs as many; with more the result fits the limit but may not be the
/// cheapest.
const CHOICES_MAX: usize = 2_000;

/// Steps between 0 and the memory that keeps everything, in which the least memory is searched.
const LEAST_STEPS: usize = 1_024;

/// Share of the least memory by which another set has to need less.
const LEAST_SHARE: usize = 100;

/// Searches with a lower limit, because places are found greedily and leave gaps.
const TRIES: usize = 6;

impl Network {
    /// The schedule of a training step that keeps all values.
    pub fn whole_schedule(&self) -> Arc<Schedule> {
        Arc::new(Schedule::new(&self.plan, &self.pooled_values(), &vec![true; self.plan.grids.len()]))
    }

    /// The schedule of a forward pass without a backward pass.
    pub fn forward_schedule(&self) -> Arc<Schedule> {
        Arc::new(Schedule::forward_only(&self.plan, &self.pooled_values()))
    }

    /// The schedule of a training step with the fewest multiply-accumulates of those that need at most `bytes` for `images` images; `None` if
    /// there is none.
    pub fn schedule_within(&self, bytes: usize, images: usize) -> Option<Arc<Schedule>> {
        let whole = self.whole_schedule();
        if whole.bytes(images) <= bytes {
            return Some(whole);
        }
        let floats = bytes / size_of::<f32>() / images.max(1);
        let found = Search::new(&self.plan, self.pooled_values()).within(floats);
        found.map(Arc::new).or_else(|| Some(self.least_schedule()).filter(|least| least.len <= floats))
    }

    /// The schedule of a training step that needs the least memory. Places are found greedily, so there may be a smaller one; for the presets
    /// there is none that needs 2 % less.
    pub fn least_schedule(&self) -> Arc<Schedule> {
        let search = Search::new(&self.plan, self.pooled_values());
        let mut best = self.whole_schedule();
        let (mut low, mut high) = (0, best.len);
        let step = high / LEAST_STEPS;
        // What the arrays need at most at one time, without gaps between them.
        while high > low + step {
            let middle = low + (high - low) / 2;
            match search.cheapest(middle) {
                None => low = middle + 1,
                Some(kept) => {
                    high = middle;
                    let found = search.schedule(&kept);
                    if (found.len, found.recomputed_macs()) < (best.len, best.recomputed_macs()) {
                        best = Arc::new(found);
                    }
                }
            }
        }
        // Another set may leave smaller gaps.
        while let Some(found) = search.within(best.len - best.len.div_ceil(LEAST_SHARE)) {
            best = Arc::new(found);
        }
        best
    }
}

/// What the search reads of a graph. Steps count from the first stage to the last one, and then the gradient of the last value: backward
/// they run in reverse.
struct Search<'a> {
    plan: &'a Plan,
    pooled: Vec<ValueId>,
    /// Floats per image of gradients at each step.
    gradients: Vec<usize>,
    /// Of each value: the steps that read it backward, the last of which is the first in time.
    read: Vec<(usize, usize)>,
}

/// A decision for all values from some value on.
#[derive(Clone)]
struct Choice {
    /// Multiply-accumulates, and one operation for each value of a sum.
    cost: u64,
    /// Floats per image at each step: those of decided values, and what undecided ones need in any case.
    memory: Vec<usize>,
    /// Step at which each undecided value is computed again, if it is.
    again: Vec<usize>,
    kept: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(plan: &'a Plan, pooled: Vec<ValueId>) -> Self {
        let lifetimes = Lifetimes::new(plan, &pooled);
        let steps = plan.stages.len() + 1;
        let step = |time: usize| 2 * lifetimes.stages + 1 - time;
        let mut gradients = vec![0; steps];
        for gradient in &lifetimes.gradients {
            (step(gradient.span.1)..=step(gradient.span.0)).for_each(|step| gradients[step] += gradient.len);
        }
        let read = lifetimes.backward.iter().enumerate().map(|(value, &(first, last))| match value {
            0 => (0, 0),
            _ => (step(last), step(first)),
        });
        let read = read.collect();
        Self { plan, pooled, gradients, read }
    }

    fn schedule(&self, kept: &[bool]) -> Schedule {
        Schedule::new(self.plan, &self.pooled, kept)
    }

    /// A schedule of at most `floats` per image, as cheap as may be.
    fn within(&self, floats: usize) -> Option<Schedule> {
        let mut limit = floats;
        for _ in 0..TRIES {
            let found = self.schedule(&self.cheapest(limit)?);
            if found.len <= floats {
                return Some(found);
            }
            limit = limit.saturating_sub(found.len - floats);
        }
        None
    }

    fn len(&self, value: ValueId) -> usize {
        self.plan.grids[value].len()
    }

    fn values(&self) -> std::ops::Range<ValueId> {
        1..self.plan.grids.len()
    }

    /// Nothing decided.
    fn start(&self) -> Choice {
        let mut memory = self.gradients.clone();
        for value in self.values() {
            let (first, last) = self.read[value];
            memory[first..=last].iter_mut().for_each(|sum| *sum += self.len(value));
        }
        let again = self.read.iter().map(|read| read.1).collect();
        Choice { cost: 0, memory, again, kept: vec![true; self.plan.grids.len()] }
    }

    /// `choice` with a decision for `value`.
    fn decided(&self, choice: &Choice, value: ValueId, keep: bool) -> Choice {
        let mut next = choice.clone();
        let (read, again) = (self.read[value].1, choice.again[value]);
        let end = if keep { next.memory.len() } else { again + 1 };
        next.memory[read + 1..end].iter_mut().for_each(|sum| *sum += self.len(value));
        next.kept[value] = keep;
        if !keep {
            next.cost += macs_of(self.plan, value).max(self.len(value) as u64);
            let inputs = self.plan.nodes[value - 1].inputs();
            inputs.into_iter().for_each(|input| next.again[input] = next.again[input].max(again));
        }
        next
    }

    /// The values to keep so that no step needs more than `limit` floats per image, with the least cost.
    fn cheapest(&self, limit: usize) -> Option<Vec<bool>> {
        let fits = |choice: &Choice| choice.memory.iter().all(|&sum| sum <= limit);
        let mut choices: Vec<Choice> = [self.start()].into_iter().filter(fits).collect();
        for value in self.values().rev() {
            let mut next: Vec<Choice> = Vec::new();
            for choice in &choices {
                next.push(self.decided(choice, value, true));
                // Computed again at once, it would only cost time.
                if choice.again[value] + 1 < choice.memory.len() {
                    next.push(self.decided(choice, value, false));
                }
            }
            next.retain(fits);
            next.sort_by_key(|choice| (choice.cost, choice.memory.iter().sum::<usize>()));
            choices.clear();
            for choice in next {
                if choices.len() < CHOICES_MAX && !choices.iter().any(|other| self.is_no_worse(other, &choice, value)) {
                    choices.push(choice);
                }
            }
        }
        choices.into_iter().min_by_key(|choice| choice.cost).map(|choice| choice.kept)
    }

    /// Whether whatever is decided for the values before `value` leaves `a` with no more cost and memory than `b`.
    fn is_no_worse(&self, a: &Choice, b: &Choice, value: ValueId) -> bool {
        let open = 1..value;
        if a.cost > b.cost || open.clone().any(|value| a.again[value] > b.again[value]) {
            return false;
        }
        // Above this step an undecided value is alive if it is kept, and never otherwise: only the most memory counts.
        let middle = open.map(|value| b.again[value] + 1).max().unwrap_or(0);
        let most = |choice: &Choice| choice.memory[middle..].iter().max().copied();
        most(a) <= most(b) && a.memory[..middle].iter().zip(&b.memory).all(|(a, b)| a <= b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{Activation, Conv, ConvKind, EncoderSpec, InputShape, Node, Preset, Readout};
    use crate::rng::Rng;

    fn network(preset: Preset, side: usize) -> Network {
        let input = InputShape { height: side, width: side, ..preset.usual_input() };
        Network::new(EncoderSpec::preset(preset, input).unwrap(), 1).unwrap()
    }

    /// A random graph under construction.
    struct Graph {
        spec: EncoderSpec,
        rng: Rng,
    }

    impl Graph {
        fn conv(
            &mut self,
            input: ValueId,
            [channels_in, channels_out]: [usize; 2],
            stride: usize,
            relu: bool,
        ) -> ValueId {
            let (name, norm) = (format!("conv{}", self.spec.nodes.len()), format!("norm{}", self.spec.nodes.len()));
            let kind = [ConvKind::Full3x3, ConvKind::Pointwise][self.rng.bits() as usize % 2];
            let activation = if relu { Activation::Relu } else { Activation::Identity };
            let conv = Conv { name, norm, kind, channels_in, channels_out, stride, activation };
            self.spec.nodes.push(Node::Conv { input, conv });
            self.spec.nodes.len()
        }

        /// A convolution, or two beside a shortcut with or without a convolution of its own; returns its value and its channels.
        fn block(&mut self, input: ValueId, width: usize) -> (ValueId, usize) {
            let (draw, out) = (self.rng.bits() % 3, [width, 2 * width][self.rng.bits() as usize % 2]);
            let (stride, out) = if draw == 1 { (1, width) } else { (1 + self.rng.bits() as usize % 2, out) };
            let first = self.conv(input, [width, out], stride, true);
            if draw == 0 {
                return (first, out);
            }
            let left = self.conv(first, [out, out], 1, false);
            let right = if draw == 1 { input } else { self.conv(input, [width, out], stride, false) };
            self.spec.nodes.push(Node::Add { left, right, activation: Activation::Relu });
            (self.spec.nodes.len(), out)
        }
    }

    fn random(seed: u64, blocks: usize) -> Network {
        let input = InputShape { channels: 1, height: 16, width: 16 };
        let spec = EncoderSpec { name: "random".into(), input, readout: Readout::default(), nodes: Vec::new() };
        let mut graph = Graph { spec, rng: Rng::for_purpose(seed, "graph") };
        let (mut value, mut width) = (graph.conv(0, [1, 8], 1, true), 8);
        for _ in 0..blocks {
            (value, width) = graph.block(value, width);
        }
        Network::new(graph.spec, seed).unwrap()
    }

    /// Most floats per image at one time of the backward pass.
    fn most(schedule: &Schedule) -> usize {
        let alive = |time| schedule.arrays.iter().filter(|array| array.is_alive(time)).map(|array| array.len).sum();
        schedule.lifetimes.backward_times().map(alive).max().unwrap_or(0)
    }

    fn cost(search: &Search<'_>, kept: &[bool]) -> u64 {
        let again = search.values().filter(|&value| !kept[value]);
        again.map(|value| macs_of(search.plan, value).max(search.len(value) as u64)).sum()
    }

    /// The search against all sets of values, with memory as the schedules have it.
    #[test]
    fn no_set_of_values_is_cheaper() {
        let random = (0..12).map(|seed| random(seed, 3)).filter(|network| network.plan.grids.len() <= 11);
        let mut compared = 0;
        for network in random {
            let search = Search::new(&network.plan, network.pooled_values());
            let count = network.plan.grids.len();
            let sets = (0..1usize << (count - 1))
                .map(|set| (0..count).map(|value| value == 0 || set >> (value - 1) & 1 == 1).collect());
            let all: Vec<(usize, u64)> =
                sets.map(|kept: Vec<bool>| (most(&search.schedule(&kept)), cost(&search, &kept))).collect();
            let least = all.iter().map(|(memory, _)| *memory).min().unwrap();
            assert_eq!(search.cheapest(least - 1), None);
            let whole = most(&network.whole_schedule());
            for limit in [least, (least + whole) / 2, (least + 3 * whole) / 4, whole - 1, whole] {
                let expected = all.iter().filter(|(memory, _)| *memory <= limit).map(|(_, cost)| *cost).min();
                let found = search.cheapest(limit.max(least)).unwrap();
                assert!(most(&search.schedule(&found)) <= limit.max(least));
                assert_eq!(Some(cost(&search, &found)), expected.or(Some(cost(&search, &found))), "limit {limit}");
                compared += 1;
            }
        }
        assert!(compared >= 20, "{compared}");
    }

    /// No two arrays that are alive at the same time overlap, and each lies in the block.
    fn check_places(schedule: &Schedule) {
        for (at, a) in schedule.arrays.iter().enumerate() {
            assert!(a.offset + a.len <= schedule.len);
            for b in &schedule.arrays[at + 1..] {
                let meet = a.span.0 <= b.span.1 && b.span.0 <= a.span.1;
                assert!(!meet || a.offset + a.len <= b.offset || b.offset + b.len <= a.offset, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn schedules_hold_their_limit() {
        let presets = Preset::ALL.into_iter().flat_map(|preset| [network(preset, 32), network(preset, 128)]);
        for network in presets.chain((0..8).map(|seed| random(seed, 5))) {
            let (whole, least) = (network.whole_schedule(), network.least_schedule());
            let name = &network.spec().name;
            [&whole, &least].into_iter().for_each(|schedule| check_places(schedule));
            assert!(least.recomputed_macs() <= network.spec().cost().unwrap().macs, "{name}");
            // A small random graph may have nothing to save, or another set of values with smaller gaps.
            let is_least = network.schedule_within(least.bytes(3) * 49 / 50, 3).is_none();
            assert!(least.len < whole.len && is_least || name == "random" && least.len <= whole.len, "{name}");
            let mut before = u64::MAX;
            for sixths in 0..=6 {
                let bytes = least.bytes(3) + (whole.bytes(3) - least.bytes(3)) * sixths / 6;
                let found = network.schedule_within(bytes, 3).unwrap();
                check_places(&found);
                assert!(found.bytes(3) <= bytes, "{name}: {} {bytes}", found.bytes(3));
                assert!(found.recomputed_macs() <= before, "{name}: more memory costs no more");
                before = found.recomputed_macs();
            }
            assert_eq!(before, 0, "{name}");
        }
    }
}
