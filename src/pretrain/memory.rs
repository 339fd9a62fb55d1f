//! The memory that a run needs, and the schedule of its steps that stays within a limit (`--memory`).
//!
//! Activations and gradients are known exactly ([`Schedule::bytes`]) and are most of it. The rest is counted by what allocates it. What is there
//! before training (program, dataset, images in memory) is measured, not modelled.

use std::sync::Arc;

use serde::Serialize;

use super::config::PretrainConfig;
use super::limits::{CACHE_SHARE, embed_together, images_ahead};
use crate::encoder::{Network, Schedule};
use crate::memory;
use crate::objective::Objective;

/// Most bytes of the process while it trains, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TrainingMemory {
    /// Program and dataset: what is there before training, without decoded images.
    pub process: usize,
    /// Decoded images that are kept.
    pub images: usize,
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
        let Self { process, images, activations, scratch, parameters, input, other } = self;
        process + images + activations + scratch + parameters + input + other
    }
}

/// No schedule stays within the limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "training needs at least {} MiB, more than the limit of {} MiB (--memory): {} MiB are activations and gradients of {inputs} network \
     inputs even if all that can be are computed again, and {} MiB the program with its images. Lower --batch-size, --chunk, --size or \
     --cache-mib, or raise the limit",
    mib(*needed), mib(*limit), mib(least.activations), mib(least.process + least.images)
)]
pub struct MemoryError {
    /// The limit in bytes.
    pub limit: usize,
    /// A limit that is enough, in bytes.
    pub needed: usize,
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
    /// Bytes of the process before training, without decoded images.
    pub process: usize,
    /// Bytes of decoded images that are kept, and of those that would be kept without a limit.
    pub images_kept: [usize; 2],
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
        let Self { config, network, objective, images, process, images_kept, .. } = *self;
        let inputs = self.inputs_together();
        let input = network.spec().input;
        let (views, one) = (images * objective.views().count(), input.channels * input.height * input.width);
        let of_head = objective.head().layout(network.trained_dim()).last().map_or(0, |tensor| tensor.range.end);
        let of_network = network.parameter_bytes();
        let parameters = of_network + size_of::<f32>() * of_head;
        // The gradient, and that of a chunk beside it.
        let copies = 3 + config.optimiser.state_names().len() + usize::from(config.weight_average.is_some());
        let image_views = one * objective.views().count();
        let loss = objective.step_bytes(network, images);
        let together = embed_together(one).min(views.max(1));
        let measure = size_of::<f32>() * embed_together(one) * one + network.embed_bytes(together);
        // A checkpoint is gathered tensor by tensor, and then written as one.
        let checkpoint = 2 * copies * parameters;
        TrainingMemory {
            process,
            images: images_kept[0],
            activations: 0,
            scratch: network.scratch_bytes(inputs, true),
            parameters: copies * parameters,
            input: size_of::<f32>() * views * one + images * image_views + self.ahead(self.limit),
            other: loss.max(measure).max(checkpoint),
        }
    }

    /// Bytes of views made ahead.
    fn ahead(&self, limit: Option<usize>) -> usize {
        let input = self.network.spec().input;
        let image = self.objective.views().count() * input.channels * input.height * input.width;
        image * images_ahead(self.prefetch, self.images, image, limit)
    }

    /// A limit that is enough for `least`: with a higher limit more images are kept and made ahead.
    fn needed(&self, least: TrainingMemory) -> usize {
        let without = least.total() - least.images - self.ahead(self.limit);
        let more = |limit: usize| without + self.images_kept[1].min(limit / CACHE_SHARE) + self.ahead(Some(limit));
        // Each time the rest is at most 3/8 of that before.
        (0..32).fold(without, |limit, _| more(limit))
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
            None => {
                let least = of(&self.network.least_schedule());
                Err(MemoryError { limit, needed: self.needed(least), least, inputs })
            }
        }
    }
}
