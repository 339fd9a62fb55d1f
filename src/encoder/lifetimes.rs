//! When a training step reads each value, and while which gradients are alive.
//!
//! With S stages a step passes through these times:
//!
//! ```text
//! 0 .. S - 1          stage forward
//! S                   pooling, loss
//! S + 1               gradient of the last value
//! S + 2 .. 2S + 1     stage backward, the last stage first
//! ```
//!
//! They follow from the graph and its [`Plan`] alone, not from which values are kept.

use std::ops::Range;

use super::plan::Plan;
use super::spec::{Node, ValueId};

/// First and last time, both included.
pub(super) type Span = (usize, usize);

/// An array for the gradient of one value, or of a sum and its summands, which have the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct GradientArray {
    /// Floats per image.
    pub len: usize,
    pub span: Span,
}

/// Times at which values and gradients are needed.
#[derive(Clone, Debug)]
pub(super) struct Lifetimes {
    /// S.
    pub stages: usize,
    /// Of each value: from its computation to its last reader, forward. That of the input is empty.
    pub forward: Vec<Span>,
    /// Of each value: the first and the last time it is read backward.
    pub backward: Vec<Span>,
    pub gradients: Vec<GradientArray>,
    /// At each time from S + 1 on: the array of the gradient of each value.
    gradients_of: Vec<Vec<Option<usize>>>,
}

impl Lifetimes {
    /// Of a step that pools the values `pooled`, of which the last value of the graph is one.
    pub fn new(plan: &Plan, pooled: &[ValueId]) -> Self {
        let (stages, values) = (plan.stages.len(), plan.grids.len());
        let mut found = Self {
            stages,
            forward: vec![(0, 0); values],
            backward: vec![(usize::MAX, 0); values],
            gradients: Vec::new(),
            gradients_of: Vec::new(),
        };
        for (time, stage) in plan.stages.iter().enumerate() {
            for index in stage.clone() {
                found.forward[index + 1] = (time, time);
                plan.nodes[index].inputs().into_iter().for_each(|value| found.forward[value].1 = time);
            }
        }
        pooled.iter().for_each(|&value| found.forward[value].1 = stages);
        found.forward[plan.nodes.len()].1 = stages;
        found.read_backward(plan);
        found.assign_gradients(plan);
        found
    }

    /// Time of the pooling.
    pub fn pooling(&self) -> usize {
        self.stages
    }

    /// Time at which the gradient of the last value is written.
    pub fn last(&self) -> usize {
        self.stages + 1
    }

    /// Time at which `stage` runs backward.
    pub fn stage_backward(&self, stage: usize) -> usize {
        2 * self.stages + 1 - stage
    }

    /// Stage that runs backward at `time`; none when the gradient of the last value is written.
    fn stage_at(&self, time: usize) -> Option<usize> {
        (2 * self.stages + 1).checked_sub(time).filter(|&stage| stage < self.stages)
    }

    /// The array of the gradient of each value at `time`, in the backward pass.
    pub fn gradient_of(&self, time: usize) -> &[Option<usize>] {
        &self.gradients_of[time - self.last()]
    }

    /// Times of the backward pass.
    pub fn backward_times(&self) -> Range<usize> {
        self.last()..2 * self.stages + 2
    }

    /// The values that are read at each time of the backward pass: the output of each convolution for the gradient through its batch norm,
    /// its input for that of its weights, and where a gradient is completed its value for the mask and the convolutions whose sums are taken.
    fn read_backward(&mut self, plan: &Plan) {
        let last = plan.nodes.len();
        let completed = |value: ValueId| plan.completed_with(value).into_iter().chain([value]);
        for time in self.backward_times() {
            let mut read: Vec<ValueId> = Vec::new();
            match self.stage_at(time) {
                None => read.extend(completed(last)),
                Some(stage) => {
                    for index in plan.stages[stage].clone() {
                        let Node::Conv { input, .. } = &plan.nodes[index] else { continue };
                        read.extend([index + 1, *input]);
                        if plan.first_reader[*input] == Some(index) {
                            read.extend(completed(*input));
                        }
                    }
                }
            }
            for value in read {
                let span = &mut self.backward[value];
                *span = (span.0.min(time), span.1.max(time));
            }
        }
    }

    /// Gives the gradient of each value an array. The last reader of a value, which is the first backward, begins it; a sum whose gradient is
    /// complete leaves its array to its summands.
    fn assign_gradients(&mut self, plan: &Plan) {
        let mut of_value: Vec<Option<usize>> = vec![None; plan.grids.len()];
        for time in self.backward_times() {
            let nodes = self.stage_at(time).map_or(0..0, |stage| plan.stages[stage].clone());
            let inputs = nodes.clone().rev().filter_map(|index| match &plan.nodes[index] {
                Node::Conv { input, .. } if *input != 0 => Some((*input, Some(index))),
                _ => None,
            });
            let last = (time == self.last()).then_some((plan.nodes.len(), None));
            for (value, reader) in inputs.chain(last) {
                if plan.last_reader[value] == reader {
                    let len = plan.grids[value].len();
                    of_value[value] = Some(self.gradients.len());
                    self.gradients.push(GradientArray { len, span: (time, time) });
                }
                if plan.first_reader[value] == reader {
                    plan.summands(value).into_iter().for_each(|summand| of_value[summand] = of_value[value]);
                }
            }
            of_value.iter().flatten().for_each(|&id| self.gradients[id].span.1 = time);
            self.gradients_of.push(of_value.clone());
            // The gradients of a stage's own values are not read again.
            nodes.for_each(|index| of_value[index + 1] = None);
        }
    }
}
