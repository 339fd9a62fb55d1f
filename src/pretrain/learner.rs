//! What learns: encoder, head and optimisers, and one step of them.

use crate::encoder::{CorpusStatistics, NamedTensor, Network, Role, TensorError, Workspace};
use crate::nn::optimiser::Optimiser;
use crate::objective::{Batch, HeadTensor, Objective, Verdict};
use crate::rng::Rng;

use super::checkpoint::Checkpoint;
use super::config::PretrainConfig;
use super::momentum::MomentumEncoder;

/// Everything a step changes.
pub struct Learner {
    /// The encoder.
    pub network: Network,
    /// What is minimised.
    pub objective: Box<dyn Objective>,
    /// The objective's parameters.
    pub head: Vec<f32>,
    head_layout: Vec<HeadTensor>,
    network_optimiser: Optimiser,
    head_optimiser: Optimiser,
    momentum: Option<MomentumEncoder>,
    /// Of an encoder that stays as it is: the head sees its features standardised by these.
    pub frozen: Option<CorpusStatistics>,
    seed: u64,
    /// Most network inputs whose activations are kept at once.
    chunk: Option<usize>,
    workspace: Workspace,
    gradient: Vec<f32>,
    /// Names of the optimisers' vectors.
    state_names: &'static [&'static str],
}

impl Learner {
    /// At the start of a run of `config`.
    pub fn new(config: &PretrainConfig, network: Network, objective: Box<dyn Objective>) -> Self {
        let dim = network.spec().feature_dim();
        let head_layout = objective.head_layout(dim);
        let head = objective.head_start(dim, &mut Rng::for_purpose(config.seed, "initialise head"));
        let decayed = (network.layout().iter()).filter(|t| t.role == Role::Weight).map(|t| t.range.clone()).collect();
        let head_decayed = head_layout.iter().filter(|t| t.decayed).map(|t| t.range.clone()).collect();
        let optimiser = |len, decayed| Optimiser::new(config.optimiser, len, config.weight_decay, decayed);
        Self {
            network_optimiser: optimiser(network.parameters.len(), decayed),
            head_optimiser: optimiser(head.len(), head_decayed),
            momentum: objective.momentum().map(|m| MomentumEncoder::new(m, &network, &head, config.seed)),
            frozen: None,
            seed: config.seed,
            chunk: config.chunk,
            workspace: Workspace::default(),
            gradient: vec![0.0; network.parameters.len()],
            state_names: config.optimiser.state_names(),
            network,
            objective,
            head,
            head_layout,
        }
    }

    /// One step on `inputs`, all views of the images that `labels` are of; `step` counts from 0 and names what is drawn.
    ///
    /// A loss that is not finite moves nothing.
    pub fn step(&mut self, inputs: &[f32], labels: &[Option<usize>], learning_rate: f32, step: u64) -> Verdict {
        let mut rng = Rng::for_item(self.seed, "step", step, 0);
        let (queries, keys) = self.queries_and_keys(inputs, labels.len(), &mut rng);
        let (seen, masked) = self.masked(&queries, &mut rng);
        let queue = self.momentum.as_ref().map_or(&[][..], |momentum| momentum.queue());
        let mut dhead = vec![0.0; self.head.len()];
        let features = forward(&mut self.network, &mut self.workspace, &seen, self.chunk, !masked.is_empty());
        let mut dfeatures = vec![0.0; features.len()];
        let batch = Batch { features: &features, labels, keys: &keys, queue, inputs: &queries, masked: &masked };
        let verdict = self.objective.loss(&self.head, batch, &mut dhead, &mut dfeatures);
        if !verdict.loss.is_finite() {
            return verdict;
        }
        backward(
            &self.network,
            &mut self.workspace,
            &seen,
            &dfeatures,
            self.chunk,
            !masked.is_empty(),
            &mut self.gradient,
        );
        self.network_optimiser.step(&mut self.network.parameters, &self.gradient, learning_rate);
        self.head_optimiser.step(&mut self.head, &dhead, learning_rate);
        if let Some(momentum) = &mut self.momentum {
            momentum.follow(&self.network, &self.head);
            momentum.enqueue(&keys);
        }
        verdict
    }

    /// One step of the head alone on `features` of an encoder that stays as it is.
    pub fn step_head(&mut self, features: Vec<f32>, labels: &[Option<usize>], learning_rate: f32) -> Verdict {
        let features = self.standardised(features);
        let (mut dhead, mut dfeatures) = (vec![0.0; self.head.len()], vec![0.0; features.len()]);
        let batch = Batch { features: &features, labels, ..Batch::default() };
        let verdict = self.objective.loss(&self.head, batch, &mut dhead, &mut dfeatures);
        if verdict.loss.is_finite() {
            self.head_optimiser.step(&mut self.head, &dhead, learning_rate);
        }
        verdict
    }

    /// The input layer of a probe on a frozen encoder: `(x - mean) * (1 / std)`, and 0 where a dimension never varied.
    ///
    /// This is part of what is trained, not the device's [`crate::measure::Features::standardise`]: with another rounding
    /// or with dead dimensions let through, the same seed would give other weights.
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

    /// Whether [`Self::measure`] can say anything.
    pub fn can_measure(&self) -> bool {
        self.objective.momentum().is_none() && self.objective.mask_share().is_none()
    }

    /// The loss on `features` with the running statistics; none for an objective that needs more than features.
    pub fn measure(&self, features: Vec<f32>, labels: &[Option<usize>]) -> Option<Verdict> {
        if !self.can_measure() {
            return None;
        }
        let features = self.standardised(features);
        let (mut dhead, mut dfeatures) = (vec![0.0; self.head.len()], vec![0.0; features.len()]);
        let batch = Batch { features: &features, labels, ..Batch::default() };
        Some(self.objective.loss(&self.head, batch, &mut dhead, &mut dfeatures))
    }

    /// All inputs and no keys; or, for a momentum encoder, first views and the keys of second views.
    fn queries_and_keys(&mut self, inputs: &[f32], images: usize, rng: &mut Rng) -> (Vec<f32>, Vec<f32>) {
        let Some(momentum) = &mut self.momentum else { return (inputs.to_vec(), Vec::new()) };
        let one = inputs.len() / images / 2;
        let views =
            |first: usize| -> Vec<f32> { inputs.chunks_exact(one).skip(first).step_by(2).flatten().copied().collect() };
        let keys = momentum.keys(&*self.objective, &views(1), images, rng);
        (views(0), keys)
    }

    /// The inputs with patches masked, and which; the inputs alone for an objective that masks nothing.
    ///
    /// A masked patch is the mean of the corpus, 0 after normalisation.
    fn masked(&self, inputs: &[f32], rng: &mut Rng) -> (Vec<f32>, Vec<bool>) {
        let mut seen = inputs.to_vec();
        let Some(share) = self.objective.mask_share() else { return (seen, Vec::new()) };
        let (shape, (rows, columns)) = (self.network.spec().input, self.network.feature_map_size());
        let (tall, wide) = (shape.height / rows, shape.width / columns * shape.channels);
        let one = shape.height * shape.width * shape.channels;
        let mut masked = Vec::with_capacity(inputs.len() / one * rows * columns);
        for input in seen.chunks_exact_mut(one) {
            let mask = crate::augment::masked_patches(rows * columns, share, rng);
            for (place, _) in mask.iter().enumerate().filter(|(_, masked)| **masked) {
                for y in place / columns * tall..(place / columns + 1) * tall {
                    input[y * shape.width * shape.channels + place % columns * wide..][..wide].fill(0.0);
                }
            }
            masked.extend(mask);
        }
        (seen, masked)
    }

    /// All it holds, by name.
    pub fn tensors(&self) -> Vec<NamedTensor> {
        let mut tensors = self.network.to_named(&self.network.parameters);
        tensors.extend(self.network.statistics());
        tensors.extend(self.head_tensors("", &self.head));
        let states = self.network_optimiser.state.iter().zip(&self.head_optimiser.state);
        for (name, (network, head)) in self.state_names.iter().zip(states) {
            let prefix = format!("optimiser.{name}.");
            let prefixed = |t: NamedTensor| NamedTensor { name: format!("{prefix}{}", t.name), ..t };
            tensors.extend(self.network.to_named(network).into_iter().map(prefixed));
            tensors.extend(self.head_tensors(&prefix, head));
        }
        if let Some(momentum) = &self.momentum {
            tensors.extend(momentum.tensors(|prefix, head| self.head_tensors(prefix, head)));
        }
        tensors
    }

    /// Puts back what [`Self::tensors`] gave, the network excepted, after `steps` steps.
    pub fn restore(&mut self, checkpoint: &Checkpoint, steps: u64) -> Result<(), TensorError> {
        self.head = self.head_of(checkpoint, "")?;
        for (i, name) in self.state_names.iter().enumerate() {
            let prefix = format!("optimiser.{name}.");
            let of_network = |t: &NamedTensor| {
                let name = t.name.strip_prefix(&prefix)?.to_owned();
                Some(NamedTensor { name, ..t.clone() })
            };
            let tensors: Vec<NamedTensor> = checkpoint.tensors.iter().filter_map(of_network).collect();
            self.network_optimiser.state[i] = self.network.from_named(&tensors)?;
            self.head_optimiser.state[i] = self.head_of(checkpoint, &prefix)?;
        }
        (self.network_optimiser.steps, self.head_optimiser.steps) = (steps, steps);
        if let Some(mut momentum) = self.momentum.take() {
            momentum.restore(checkpoint, |prefix| self.head_of(checkpoint, prefix))?;
            self.momentum = Some(momentum);
        }
        Ok(())
    }

    fn head_tensors(&self, prefix: &str, flat: &[f32]) -> Vec<NamedTensor> {
        let named = |t: &HeadTensor| NamedTensor {
            name: format!("{prefix}{}", t.name),
            shape: t.shape.clone(),
            data: flat[t.range.clone()].to_vec(),
        };
        self.head_layout.iter().map(named).collect()
    }

    fn head_of(&self, checkpoint: &Checkpoint, prefix: &str) -> Result<Vec<f32>, TensorError> {
        let mut flat = vec![0.0; self.head.len()];
        for part in &self.head_layout {
            let name = format!("{prefix}{}", part.name);
            let tensor = checkpoint.tensor(&name).ok_or(TensorError::Missing { name: name.clone() })?;
            if tensor.shape != part.shape {
                let (found, expected) = (tensor.shape.clone(), part.shape.clone());
                return Err(TensorError::Shape { name, found, expected });
            }
            flat[part.range.clone()].copy_from_slice(&tensor.data);
        }
        Ok(flat)
    }
}

/// Values of `chunk` inputs, or of all.
fn chunk_len(network: &Network, inputs: &[f32], chunk: Option<usize>) -> usize {
    let shape = network.spec().input;
    chunk.map_or(inputs.len(), |inputs| inputs * shape.channels * shape.height * shape.width)
}

/// Features of all `inputs`, or their last activations; chunk by chunk, each with its own batch statistics.
fn forward(
    network: &mut Network,
    workspace: &mut Workspace,
    inputs: &[f32],
    chunk: Option<usize>,
    reads_maps: bool,
) -> Vec<f32> {
    let mut features = Vec::new();
    for inputs in inputs.chunks(chunk_len(network, inputs, chunk)) {
        let made = network.forward(workspace, inputs);
        if reads_maps { features.extend(network.feature_map(workspace)) } else { features.extend_from_slice(made) }
    }
    features
}

/// Gradient of the parameters from that of what [`forward`] gave.
///
/// With more than one chunk the activations of all but the last are gone: each chunk goes forward again, the same
/// way, before it goes backward (Gao et al. 2021, arXiv:2101.06983, "gradient cache"). The loss over the whole batch has
/// its exact gradient in the memory of one chunk.
fn backward(
    network: &Network,
    workspace: &mut Workspace,
    inputs: &[f32],
    dfeatures: &[f32],
    chunk: Option<usize>,
    reads_maps: bool,
    gradient: &mut [f32],
) {
    let len = chunk_len(network, inputs, chunk);
    let shape = network.spec().input;
    let count = inputs.len() / (shape.channels * shape.height * shape.width);
    let each = dfeatures.len() / count * (len * count / inputs.len()).min(count);
    let mut part = vec![0.0; gradient.len()];
    gradient.fill(0.0);
    for (inputs_of_chunk, dfeatures) in inputs.chunks(len).zip(dfeatures.chunks(each)) {
        if len < inputs.len() {
            network.forward_without_update(workspace, inputs_of_chunk);
        }
        if reads_maps {
            network.backward_feature_map(workspace, inputs_of_chunk, dfeatures, &mut part);
        } else {
            network.backward(workspace, inputs_of_chunk, dfeatures, &mut part);
        }
        gradient.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{EncoderSpec, InputShape, Preset};
    use crate::pretrain::Method;

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
        (config.channels, config.size, config.encoder, config.batch_size) = (1, 8, Preset::Pico, 6);
        let objective = config.objective(0);
        let (inputs, labels) = (inputs(12), [None; 6]);
        let network = network(Preset::Pico);
        let (dim, mut rng) = (network.spec().feature_dim(), Rng::for_purpose(1, "test"));
        let head = objective.head_start(dim, &mut rng);
        let mut dhead = vec![0.0; head.len()];

        let mut workspaces: Vec<Workspace> = (0..3).map(|_| Workspace::default()).collect();
        let chunks: Vec<&[f32]> = inputs.chunks(4 * 64).collect();
        let features: Vec<f32> = (chunks.iter().zip(&mut workspaces))
            .flat_map(|(chunk, workspace)| network.forward_without_update(workspace, chunk).to_vec())
            .collect();
        let mut dfeatures = vec![0.0; features.len()];
        let batch = Batch { features: &features, labels: &labels, ..Batch::default() };
        objective.loss(&head, batch, &mut dhead, &mut dfeatures);
        let mut expected = vec![0.0; network.parameters.len()];
        for ((chunk, workspace), dfeatures) in chunks.iter().zip(&mut workspaces).zip(dfeatures.chunks(4 * dim)) {
            let mut part = vec![0.0; expected.len()];
            network.backward(workspace, chunk, dfeatures, &mut part);
            expected.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
        }

        let (mut workspace, mut cached) = (Workspace::default(), network.clone());
        let again = forward(&mut cached, &mut workspace, &inputs, Some(4), false);
        assert_eq!(again, features);
        let mut gradient = vec![9.0; expected.len()];
        backward(&cached, &mut workspace, &inputs, &dfeatures, Some(4), false, &mut gradient);
        assert_eq!(gradient, expected, "bit by bit");
        assert!(expected.iter().any(|g| g.abs() > 1e-4));
    }

    /// The mean over a map's pixels is the feature, so both ways back agree.
    #[test]
    fn the_way_back_from_maps_is_that_from_features() {
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
