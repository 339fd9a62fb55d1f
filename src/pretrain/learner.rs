//! The learner: encoder, head and optimisers, and one training step of them.

use std::sync::Arc;

use crate::encoder::{CorpusStatistics, FeatureGradient, NamedTensor, Network, Role, Schedule, TensorError, Workspace};
use crate::nn::optimiser::Optimiser;
use crate::objective::{Objective, StepOutput, Targets};
use crate::ranks::Ranks;
use crate::rng::Rng;

use super::config::PretrainConfig;
use super::weight_average::{AVERAGE, TRAINED, WeightAverage, prefixed_tensors, restore_prefixed};

/// Everything that a step changes.
pub struct Learner {
    /// The encoder that is trained.
    pub network: Network,
    /// The objective.
    pub objective: Box<dyn Objective>,
    /// The parameters of the objective's head.
    pub head: Vec<f32>,
    /// The average of encoder and head, if the run keeps one.
    average: Option<WeightAverage>,
    /// Encoder and head of the best epoch so far, if the run keeps it.
    kept: Option<(Network, Vec<f32>)>,
    network_optimiser: Optimiser,
    head_optimiser: Optimiser,
    /// Statistics of a frozen encoder's features, by which the head's inputs are standardised.
    pub frozen: Option<CorpusStatistics>,
    seed: u64,
    /// Most network inputs whose activations are kept at once.
    chunk: Option<usize>,
    workspace: Workspace,
    /// Gradient of the encoder's parameters, then of the head's.
    gradient: Vec<f32>,
    /// Names of the optimisers' vectors.
    state_names: &'static [&'static str],
}

impl Learner {
    /// The learner at the start of a run of `config`.
    pub fn new(config: &PretrainConfig, mut network: Network, mut objective: Box<dyn Objective>) -> Self {
        network.set_arithmetic(config.precision, config.convolution);
        // The probe of a frozen encoder reads its feature.
        let dim = if config.freeze.is_some() { network.feature_dim() } else { network.trained_dim() };
        let head = objective.head().initialise(dim, &mut Rng::for_purpose(config.seed, "initialise head"));
        objective.begin(&network, &head, config.seed);
        let decayed = (network.layout().iter()).filter(|t| t.role == Role::Weight).map(|t| t.range.clone()).collect();
        let head_layout = objective.head().layout(dim);
        let head_decayed = head_layout.into_iter().filter(|t| t.decayed).map(|t| t.range).collect();
        let optimiser = |len, decayed| Optimiser::new(config.optimiser, len, config.weight_decay, decayed);
        Self {
            average: config.weight_average.map(|decay| WeightAverage::new(&network, &head, decay)),
            kept: None,
            network_optimiser: optimiser(network.parameters.len(), decayed),
            head_optimiser: optimiser(head.len(), head_decayed),
            frozen: None,
            seed: config.seed,
            chunk: config.chunk,
            workspace: Workspace::default(),
            gradient: vec![0.0; network.parameters.len() + head.len()],
            state_names: config.optimiser.state_names(),
            network,
            objective,
            head,
        }
    }

    /// Lets steps keep the values that `schedule` keeps, of [`Self::network`]; all without a call.
    pub fn set_schedule(&mut self, schedule: Arc<Schedule>) {
        self.workspace = Workspace::with_schedule(schedule);
    }

    /// What steps keep.
    pub fn schedule(&self) -> Arc<Schedule> {
        self.workspace.given_schedule().unwrap_or_else(|| self.network.whole_schedule())
    }

    /// One step on `views`, all views of the images that `targets` belong to, which the objective may change. `step` counts
    /// from 0 and seeds draws.
    ///
    /// If the loss is not finite, no parameter changes. With several ranks in `targets` the step is collective, and the output
    /// is that of all of them, except its gradients.
    pub fn step(&mut self, views: &mut [f32], targets: Targets<'_>, learning_rate: f32, step: u64) -> StepOutput {
        let mut rng = Rng::for_item(self.seed, "step", step, 0);
        let ranks = targets.part.ranks;
        let input = self.objective.encoder_input(views, targets.part, &mut rng);
        let features = self.forward(input);
        if self.network.batch_ranks().is_one() {
            self.network.average_statistics(ranks);
        }
        let output = self.objective.loss(&self.head, &features, targets).over(ranks);
        if output.loss.is_finite() {
            self.backward(ranks, input, &output);
            let (of_network, of_head) = self.gradient.split_at(self.network.parameters.len());
            self.network_optimiser.step(&mut self.network.parameters, of_network, learning_rate);
            self.head_optimiser.step(&mut self.head, of_head, learning_rate);
            self.objective.after_step(&self.network, &self.head, targets);
            if let Some(average) = &mut self.average {
                average.update(&self.network, &self.head, step);
            }
        }
        output
    }

    /// The encoder after this step: the average of the weights if there is one.
    pub fn current(&self) -> &Network {
        self.average.as_ref().map_or(&self.network, |average| &average.network)
    }

    /// The head of [`Self::current`].
    fn current_head(&self) -> &[f32] {
        self.average.as_ref().map_or(&self.head, |average| &average.head)
    }

    /// The encoder that the run gives: the one that was kept, or the current.
    pub fn encoder(&self) -> &Network {
        self.kept.as_ref().map_or_else(|| self.current(), |(network, _)| network)
    }

    /// [`Self::encoder`], to give it its readout.
    pub fn encoder_mut(&mut self) -> &mut Network {
        match (&mut self.kept, &mut self.average) {
            (Some((network, _)), _) => network,
            (None, Some(average)) => &mut average.network,
            (None, None) => &mut self.network,
        }
    }

    /// Makes the current encoder the one that the run gives, whatever the next steps do.
    pub fn keep(&mut self) {
        self.kept = Some((self.current().clone(), self.current_head().to_vec()));
    }

    /// One step of the head alone, on `features` of a frozen encoder.
    pub fn step_head(&mut self, features: Vec<f32>, targets: Targets<'_>, learning_rate: f32) -> StepOutput {
        let output = self.objective.loss(&self.head, &self.standardised(features), targets);
        if output.loss.is_finite() {
            self.head_optimiser.step(&mut self.head, &output.dhead, learning_rate);
        }
        output
    }

    /// The loss on `features` from the running statistics; `None` for an objective without a held-out loss.
    pub fn held_out_loss(&self, features: Vec<f32>, targets: Targets<'_>) -> Option<StepOutput> {
        let defined = self.objective.has_held_out_loss();
        defined.then(|| self.objective.loss(self.current_head(), &self.standardised(features), targets))
    }

    /// The input layer of a probe on a frozen encoder: `(x - mean) * (1 / std)`, and 0 where a dimension never varied.
    ///
    /// Part of the trained model, not the device's [`crate::measure::Features::standardise`]: with another rounding,
    /// or without the zeros, the same seed would give other weights.
    fn standardised(&self, mut rows: Vec<f32>) -> Vec<f32> {
        let Some(corpus) = &self.frozen else { return rows };
        let scales: Vec<f32> = corpus.std.iter().map(|&std| if std > 0.0 { 1.0 / std } else { 0.0 }).collect();
        for row in rows.chunks_exact_mut(scales.len()) {
            for ((value, mean), scale) in row.iter_mut().zip(&corpus.mean).zip(&scales) {
                *value = (*value - mean) * scale;
            }
        }
        rows
    }

    /// Values of one chunk of `input`, or of all.
    fn chunk_len(&self, input: &[f32]) -> usize {
        let shape = self.network.spec().input;
        self.chunk.map_or(input.len(), |inputs| inputs * shape.channels * shape.height * shape.width)
    }

    /// Input of the objective: features of all `input`, or its last activations; chunk by chunk, each with
    /// its own batch statistics.
    fn forward(&mut self, input: &[f32]) -> Vec<f32> {
        let (len, reads_map) = (self.chunk_len(input), self.objective.reads_map());
        let mut features = Vec::new();
        for input in input.chunks(len) {
            let made = self.network.forward(&mut self.workspace, input);
            match reads_map {
                true if features.is_empty() => features = self.network.feature_map(&self.workspace),
                true => features.extend(self.network.feature_map(&self.workspace)),
                false => features.extend_from_slice(made),
            }
        }
        features
    }

    /// Computes the gradient of all parameters from those of the head and of the output of [`Self::forward`], summed over
    /// the ranks stage by stage while the backward pass goes on.
    ///
    /// With more than one chunk only the activations of the last are kept: each chunk goes forward again, in the same way,
    /// before it goes backward (Gao et al. 2021, arXiv:2101.06983, "gradient cache"). The loss over the whole batch has its
    /// exact gradient in the memory of one chunk.
    fn backward(&mut self, ranks: Ranks, input: &[f32], StepOutput { dfeatures, dhead, .. }: &StepOutput) {
        let (len, reads_map) = (self.chunk_len(input), self.objective.reads_map());
        let Self { network, workspace, gradient, .. } = self;
        let shape = network.spec().input;
        let count = input.len() / (shape.channels * shape.height * shape.width);
        let each = dfeatures.len() / count * (len * count / input.len()).min(count);
        let mut part = vec![0.0; network.parameters.len()];
        let chunks = input.chunks(len).len();
        ranks.sum_while(gradient, |gradient, completed| {
            let (of_network, of_head) = gradient.split_at_mut(part.len());
            of_network.fill(0.0);
            of_head.copy_from_slice(dhead);
            completed(gradient, part.len()..part.len() + dhead.len());
            for (number, (chunk, dfeatures)) in input.chunks(len).zip(dfeatures.chunks(each)).enumerate() {
                if chunks > 1 {
                    network.forward_without_update(workspace, chunk);
                }
                let from =
                    if reads_map { FeatureGradient::Map(dfeatures) } else { FeatureGradient::Features(dfeatures) };
                network.backward_by_stage(workspace, chunk, from, &mut part, &mut |part, stage| {
                    gradient[stage.clone()].iter_mut().zip(&part[stage.clone()]).for_each(|(sum, part)| *sum += part);
                    if number + 1 == chunks {
                        completed(gradient, stage);
                    }
                });
            }
        });
    }

    /// All parameters and state, by name.
    pub fn tensors(&self) -> Vec<NamedTensor> {
        let (head, encoder) = (self.objective.head(), self.encoder());
        let mut tensors = encoder.to_named(&encoder.parameters);
        tensors.extend(encoder.statistics());
        tensors.extend(encoder.map_tensors());
        tensors.extend(head.to_named(self.kept.as_ref().map_or(self.current_head(), |(_, head)| head)));
        if let (Some(WeightAverage { network, head: values, .. }), Some(_)) = (&self.average, &self.kept) {
            tensors.extend(prefixed_tensors(AVERAGE, network, head, values));
        }
        if self.average.is_some() || self.kept.is_some() {
            tensors.extend(prefixed_tensors(TRAINED, &self.network, head, &self.head));
        }
        let states = self.network_optimiser.state.iter().zip(&self.head_optimiser.state);
        for (name, (of_network, of_head)) in self.state_names.iter().zip(states) {
            let state = self.network.to_named(of_network).into_iter().chain(head.to_named(of_head));
            tensors.extend(state.map(|tensor| tensor.with_prefix(&format!("optimiser.{name}."))));
        }
        tensors.extend(self.objective.state());
        tensors
    }

    /// Restores the tensors of [`Self::tensors`] after `steps` steps, except the encoder, which is that of [`Self::new`].
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn restore(&mut self, tensors: &[NamedTensor], steps: u64) -> Result<(), TensorError> {
        let head = self.objective.head();
        head.read_named(tensors, &mut self.head)?;
        let has = |prefix: &str| tensors.iter().any(|tensor| tensor.name.starts_with(prefix));
        if has(AVERAGE) || self.average.is_none() && has(TRAINED) {
            self.kept = Some((self.network.clone(), self.head.clone()));
        }
        if let Some(average) = &mut self.average {
            average.head.clone_from(&self.head);
            if self.kept.is_some() {
                restore_prefixed(AVERAGE, tensors, &mut average.network, head, &mut average.head)?;
            }
        }
        if has(TRAINED) {
            restore_prefixed(TRAINED, tensors, &mut self.network, head, &mut self.head)?;
        }
        for (i, name) in self.state_names.iter().enumerate() {
            let state = NamedTensor::without_prefix(tensors, &format!("optimiser.{name}."));
            self.network_optimiser.state[i] = self.network.from_named(&state)?;
            head.read_named(&state, &mut self.head_optimiser.state[i])?;
        }
        (self.network_optimiser.steps, self.head_optimiser.steps) = (steps, steps);
        self.objective.restore(tensors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{EncoderSpec, InputShape, Preset};
    use crate::objective::Method;

    const INPUT: InputShape = InputShape { channels: 1, height: 8, width: 8 };

    fn network(preset: Preset) -> Network {
        Network::new(EncoderSpec::preset(preset, INPUT).unwrap(), 1).unwrap()
    }

    fn inputs(count: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(3, "test");
        (0..count * 64).map(|_| rng.normal()).collect()
    }

    /// The gradient of one loss over a batch in three chunks, against keeping the activations of all three.
    #[test]
    fn the_cached_gradient_is_that_of_the_whole_batch() {
        let mut config = PretrainConfig::new("test", Method::Simclr);
        (config.channels, config.size, config.encoder, config.chunk) = (1, 8, Preset::Pico, Some(4));
        let (inputs, mut network) = (inputs(12), network(Preset::Pico));
        network.set_arithmetic(config.precision, config.convolution);
        let mut learner = Learner::new(&config, network.clone(), config.objective(0));
        let dim = network.spec().feature_dim();

        let mut workspaces: Vec<Workspace> = (0..3).map(|_| Workspace::default()).collect();
        let chunks: Vec<&[f32]> = inputs.chunks(4 * 64).collect();
        let features: Vec<f32> = (chunks.iter().zip(&mut workspaces))
            .flat_map(|(chunk, workspace)| network.forward_without_update(workspace, chunk).to_vec())
            .collect();
        let output = learner.objective.loss(&learner.head, &features, Targets::labels(&[None; 6]));
        let dfeatures = &output.dfeatures;
        let mut expected = vec![0.0; network.parameters.len()];
        for ((chunk, workspace), dfeatures) in chunks.iter().zip(&mut workspaces).zip(dfeatures.chunks(4 * dim)) {
            let mut part = vec![0.0; expected.len()];
            network.backward(workspace, chunk, dfeatures, &mut part);
            expected.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
        }

        assert_eq!(learner.forward(&inputs), features);
        learner.backward(Ranks::ONE, &inputs, &output);
        let (of_network, of_head) = learner.gradient.split_at(expected.len());
        assert_eq!((of_network, of_head), (&expected[..], &output.dhead[..]), "bit by bit");
        assert!(expected.iter().any(|g| g.abs() > 1e-4));
    }

    /// The mean over a map's pixels is the feature, so both backward passes agree.
    #[test]
    fn gradients_through_maps_equal_those_through_features() {
        for preset in [Preset::Pico, Preset::Mobile] {
            let (mut network, inputs) = (network(preset), inputs(5));
            let mut workspace = Workspace::default();
            let features = network.forward(&mut workspace, &inputs).to_vec();
            let map = network.feature_map(&workspace);
            let (dim, (rows, columns)) = (network.spec().feature_dim(), network.feature_map_size());
            let mut rng = Rng::for_purpose(4, "test");
            let dfeatures: Vec<f32> = features.iter().map(|_| rng.normal()).collect();
            let mut dmap = vec![0.0; map.len()];
            for (image, dfeature) in dfeatures.chunks(dim).enumerate() {
                for place in 0..rows * columns {
                    let at = (image * rows * columns + place) * dim;
                    dmap[at..at + dim]
                        .iter_mut()
                        .zip(dfeature)
                        .for_each(|(d, f)| *d = f * (1.0 / (rows * columns) as f32));
                }
            }
            for (image, feature) in features.chunks(dim).enumerate() {
                let of =
                    |d: usize| (0..rows * columns).map(|p| map[(image * rows * columns + p) * dim + d]).sum::<f32>();
                for (d, value) in feature.iter().enumerate() {
                    assert!((of(d) / (rows * columns) as f32 - value).abs() < 1e-5, "{preset:?}");
                }
            }
            let mut by_feature = vec![0.0; network.parameters.len()];
            network.backward(&mut workspace, &inputs, &dfeatures, &mut by_feature);
            network.forward_without_update(&mut workspace, &inputs);
            let mut by_map = vec![0.0; network.parameters.len()];
            network.backward_feature_map(&mut workspace, &inputs, &dmap, &mut by_map);
            assert_eq!(by_map, by_feature, "{preset:?}");
        }
    }
}
