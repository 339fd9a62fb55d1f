//! The memory that a run needs, and the schedule of its steps that stays within a limit (`--memory`).
//!
//! Activations and gradients are known exactly ([`Schedule::bytes`]) and are most of it. The rest is counted by what allocates it. What is there
//! before training (program, dataset, images in memory) is measured, not modelled.

use std::sync::Arc;

use serde::Serialize;

use super::config::PretrainConfig;
use super::features::embed_together;
use super::prefetch::images_ahead;
use crate::encoder::{Network, Schedule};
use crate::memory;
use crate::objective::Objective;

/// Share of a limit that the images kept in memory may take, and that views made ahead may take.
const CACHE_SHARE: usize = 4;
const AHEAD_SHARE: usize = 8;

/// Most bytes of the process while it trains, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TrainingMemory {
    /// Program, dataset, and decoded images: what is there before training.
    pub process: usize,
    /// Activations and their gradients.
    pub activations: usize,
    /// Arrays that the images of a group share, and the weights in the order of the kernels.
    pub scratch: usize,
    /// Parameters of encoder and head, their gradients, averages and the optimiser's state.
    pub parameters: usize,
    /// Network inputs of a step, and views made ahead.
    pub input: usize,
    /// The larger of what the loss needs in a step and what measuring the encoder needs after an epoch.
    pub other: usize,
}

impl TrainingMemory {
    /// All of it.
    pub fn total(&self) -> usize {
        let Self { process, activations, scratch, parameters, input, other } = self;
        process + activations + scratch + parameters + input + other
    }
}

/// No schedule stays within the limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "training needs at least {} MiB with {inputs} network inputs per step, more than the limit of {} MiB (--memory); of these {} MiB are \
     activations and gradients, even if all that can be are computed again. Lower --batch-size, --chunk or --size, or raise the limit",
    mib(least.total()), mib(*limit), mib(least.activations)
)]
pub struct MemoryError {
    /// The limit in bytes.
    pub limit: usize,
    /// What is needed if as much as possible is computed again.
    pub least: TrainingMemory,
    /// Network inputs that are trained on together.
    pub inputs: usize,
}

/// `bytes` in MiB, rounded up.
fn mib(bytes: usize) -> String {
    format!("{:.1}", (10.0 * bytes as f64 / f64::from(1 << 20)).ceil() / 10.0)
}

/// What the memory of a run depends on.
pub struct MemoryModel<'a> {
    /// The run.
    pub config: &'a PretrainConfig,
    /// Its encoder.
    pub network: &'a Network,
    /// Its objective.
    pub objective: &'a dyn Objective,
    /// Images per step of this process.
    pub images: usize,
    /// As in [`super::Options::prefetch`].
    pub prefetch: usize,
    /// Bytes of the process before training.
    pub process: usize,
    /// As in [`super::Options::memory`].
    pub limit: Option<usize>,
}

impl MemoryModel<'_> {
    /// Bytes of this process now.
    pub fn process_now() -> usize {
        memory::resident_bytes().map_or(0, |bytes| bytes as usize)
    }

    /// Views whose activations are in memory together.
    fn inputs_together(&self) -> usize {
        let inputs = self.objective.encoder_inputs(self.images);
        self.config.chunk.map_or(inputs, |chunk| chunk.min(inputs))
    }

    /// Activations and gradients of steps that keep what `schedule` keeps.
    pub fn activations(&self, schedule: &Schedule) -> usize {
        schedule.bytes(self.inputs_together())
    }

    /// The memory without [`TrainingMemory::activations`], which takes a step on one image.
    pub fn fixed(&self) -> TrainingMemory {
        let Self { config, network, objective, images, process, .. } = *self;
        let inputs = self.inputs_together();
        let input = network.spec().input;
        let (views, one) = (images * objective.views().count(), input.channels * input.height * input.width);
        let of_head = objective.head().layout(network.trained_dim()).last().map_or(0, |tensor| tensor.range.end);
        let of_network = network.parameter_bytes();
        let parameters = of_network + size_of::<f32>() * of_head;
        // The gradient, and that of a chunk beside it.
        let copies = 3 + config.optimiser.state_names().len() + usize::from(config.weight_average.is_some());
        let image_views = one * objective.views().count();
        let ahead = images_ahead(self.prefetch, images, image_views, bytes_ahead(self.limit));
        let loss = objective.step_bytes(network, images);
        let together = embed_together(one).min(views.max(1));
        let measure = size_of::<f32>() * embed_together(one) * one + network.embed_bytes(together);
        // A checkpoint is gathered tensor by tensor, and then written as one.
        let checkpoint = 2 * copies * parameters;
        TrainingMemory {
            process,
            activations: 0,
            scratch: network.scratch_bytes(inputs, true),
            parameters: copies * parameters,
            input: size_of::<f32>() * views * one + (ahead + images) * image_views,
            other: loss.max(measure).max(checkpoint),
        }
    }

    /// The schedule of a run, which keeps within the limit, and its memory; `fixed` is [`Self::fixed`].
    ///
    /// # Errors
    /// When no schedule keeps within it.
    pub fn schedule(&self, fixed: TrainingMemory) -> Result<(Arc<Schedule>, TrainingMemory), MemoryError> {
        let of = |schedule: &Schedule| TrainingMemory { activations: self.activations(schedule), ..fixed };
        let limit = self.limit.unwrap_or(usize::MAX);
        let inputs = self.inputs_together();
        match self.network.schedule_within(limit.saturating_sub(fixed.total()), inputs) {
            Some(schedule) => Ok((Arc::clone(&schedule), of(&schedule))),
            None => Err(MemoryError { limit, least: of(&self.network.least_schedule()), inputs }),
        }
    }
}

/// Most bytes of decoded images kept in memory, where `cache_bytes` are allowed.
pub(super) fn cache_bytes(cache_bytes: usize, limit: Option<usize>) -> usize {
    limit.map_or(cache_bytes, |limit| cache_bytes.min(limit / CACHE_SHARE))
}

/// Most bytes of views made ahead.
pub(super) fn bytes_ahead(limit: Option<usize>) -> usize {
    limit.map_or(usize::MAX, |limit| limit / AHEAD_SHARE)
}
