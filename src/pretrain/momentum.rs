//! The momentum encoder: a copy of encoder and head that follows slowly, and the queue of keys it made.
//!
//! He et al. 2020, arXiv:1911.05722, section 3.2 and algorithm 1.

use crate::encoder::{NamedTensor, Network, TensorError, Workspace};
use crate::nn::l2_normalize::l2_normalize;
use crate::objective::{Momentum, Objective};
use crate::rng::Rng;

use super::checkpoint::Checkpoint;

/// Parts that a batch of keys is normalised in, in random order. Query and key of an image then stand among different
/// images, and batch statistics cannot tell which key goes with which query (section 3.3 there).
const KEY_GROUPS: usize = 4;

/// Prefix of its tensors in a checkpoint.
const PREFIX: &str = "momentum_encoder.";

/// Encoder and head for keys, and the queue.
pub(super) struct MomentumEncoder {
    settings: Momentum,
    network: Network,
    head: Vec<f32>,
    /// `[K, P]`, unit length, a ring.
    queue: Vec<f32>,
    /// Where the next key goes.
    next: usize,
    workspace: Workspace,
}

impl MomentumEncoder {
    /// A copy of `network` and `head`; the queue starts with random directions drawn from `seed`.
    pub fn new(settings: Momentum, network: &Network, head: &[f32], seed: u64) -> Self {
        let mut rng = Rng::for_purpose(seed, "initialise queue");
        let drawn: Vec<f32> = (0..settings.queue_len * settings.key_dim).map(|_| rng.normal()).collect();
        let mut queue = vec![0.0; drawn.len()];
        l2_normalize(&mut queue, &drawn, settings.key_dim);
        let (network, head) = (network.clone(), head.to_vec());
        Self { settings, network, head, queue, next: 0, workspace: Workspace::default() }
    }

    /// Keys `[N, P]` of `inputs` (N network inputs), with the statistics of random parts of the batch.
    pub fn keys(&mut self, objective: &dyn Objective, inputs: &[f32], images: usize, rng: &mut Rng) -> Vec<f32> {
        let (one, dim) = (inputs.len() / images, self.settings.key_dim);
        let feature_dim = self.network.spec().feature_dim();
        let mut order: Vec<usize> = (0..images).collect();
        rng.shuffle(&mut order);
        let mut keys = vec![0.0; images * dim];
        // A part of one image would have no variance to speak of.
        for part in order.chunks(images.div_ceil(KEY_GROUPS).max(2)) {
            let gathered: Vec<f32> = part.iter().flat_map(|&image| &inputs[image * one..][..one]).copied().collect();
            let features = self.network.forward(&mut self.workspace, &gathered);
            let made = objective.keys(&self.head, features, feature_dim);
            for (&image, key) in part.iter().zip(made.chunks_exact(dim)) {
                keys[image * dim..][..dim].copy_from_slice(key);
            }
        }
        keys
    }

    /// The keys of earlier images, `[K, P]`.
    pub fn queue(&self) -> &[f32] {
        &self.queue
    }

    /// Puts `keys` in place of the oldest.
    pub fn enqueue(&mut self, keys: &[f32]) {
        let dim = self.settings.key_dim;
        for key in keys.chunks_exact(dim) {
            self.queue[self.next * dim..][..dim].copy_from_slice(key);
            self.next = (self.next + 1) % self.settings.queue_len;
        }
    }

    /// `copy = keep · copy + (1 - keep) · original`, for encoder and head.
    pub fn follow(&mut self, network: &Network, head: &[f32]) {
        let keep = self.settings.keep;
        let follow = |copy: &mut [f32], original: &[f32]| {
            copy.iter_mut().zip(original).for_each(|(copy, original)| *copy += (1.0 - keep) * (original - *copy));
        };
        follow(&mut self.network.parameters, &network.parameters);
        follow(&mut self.head, head);
    }

    /// All it holds, by name; `head_tensors` names the parts of a head.
    pub fn tensors(&self, head_tensors: impl Fn(&str, &[f32]) -> Vec<NamedTensor>) -> Vec<NamedTensor> {
        let mut tensors = self.network.to_named(&self.network.parameters);
        tensors.extend(self.network.statistics());
        tensors.iter_mut().for_each(|tensor| tensor.name.insert_str(0, PREFIX));
        tensors.extend(head_tensors(PREFIX, &self.head));
        let shape = vec![self.settings.queue_len, self.settings.key_dim];
        tensors.push(NamedTensor { name: format!("{PREFIX}queue"), shape, data: self.queue.clone() });
        // A tensor as well: the ring's position belongs to the queue. Exact in f32 up to 2²⁴.
        tensors.push(NamedTensor { name: format!("{PREFIX}next"), shape: vec![1], data: vec![self.next as f32] });
        tensors
    }

    /// Puts back what [`Self::tensors`] gave.
    pub fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        head_of: impl Fn(&str) -> Result<Vec<f32>, TensorError>,
    ) -> Result<(), TensorError> {
        let own = |t: &NamedTensor| Some(NamedTensor { name: t.name.strip_prefix(PREFIX)?.to_owned(), ..t.clone() });
        let tensors: Vec<NamedTensor> = checkpoint.tensors.iter().filter_map(own).collect();
        self.network.parameters = self.network.from_named(&tensors)?;
        self.network.set_statistics(&tensors)?;
        self.head = head_of(PREFIX)?;
        let part = |name: &str, len: usize| {
            let found = tensors.iter().find(|tensor| tensor.name == name);
            let found = found.ok_or_else(|| TensorError::Missing { name: format!("{PREFIX}{name}") })?;
            match found.data.len() == len {
                true => Ok(found.data.clone()),
                false => Err(TensorError::Shape {
                    name: format!("{PREFIX}{name}"),
                    found: found.shape.clone(),
                    expected: vec![len],
                }),
            }
        };
        self.queue = part("queue", self.queue.len())?;
        self.next = part("next", 1)?[0] as usize % self.settings.queue_len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{EncoderSpec, InputShape, Preset};
    use crate::objective::Moco;

    fn network(seed: u64) -> Network {
        let input = InputShape { channels: 1, height: 8, width: 8 };
        Network::new(EncoderSpec::preset(Preset::Pico, input).unwrap(), seed).unwrap()
    }

    /// After n steps towards a fixed original: `original + keepⁿ (start - original)`.
    #[test]
    fn the_copy_follows_in_closed_form() {
        let (start, original) = (network(1), network(2));
        let settings = Momentum { keep: 0.9, queue_len: 4, key_dim: 2 };
        let mut copy = MomentumEncoder::new(settings, &start, &[1.0, -2.0], 1);
        (0..20).for_each(|_| copy.follow(&original, &[3.0, 4.0]));
        let left = 0.9f32.powi(20);
        let check = |found: &[f32], start: &[f32], original: &[f32]| {
            for ((found, start), original) in found.iter().zip(start).zip(original) {
                let expected = original + left * (start - original);
                assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
            }
        };
        check(&copy.network.parameters, &start.parameters, &original.parameters);
        check(&copy.head, &[1.0, -2.0], &[3.0, 4.0]);
    }

    /// After n steps behind originals that move: `keepⁿ start + (1 - keep) Σ keepⁿ⁻¹⁻ⁱ original_i`.
    #[test]
    fn the_copy_of_a_moving_encoder_is_a_weighted_mean_of_where_it_was() {
        let steps = 30;
        let originals: Vec<Network> = (0..steps).map(|step| network(10 + step)).collect();
        let settings = Momentum { keep: 0.8, queue_len: 4, key_dim: 2 };
        let mut copy = MomentumEncoder::new(settings, &network(1), &[], 1);
        originals.iter().for_each(|original| copy.follow(original, &[]));
        let keep = f64::from(settings.keep);
        let first = network(1).parameters;
        for (at, found) in copy.network.parameters.iter().enumerate() {
            let start = keep.powi(steps as i32) * f64::from(first[at]);
            let weight = |step: usize| (1.0 - keep) * keep.powi(steps as i32 - 1 - step as i32);
            let moved = originals.iter().enumerate().map(|(step, o)| weight(step) * f64::from(o.parameters[at]));
            let expected = start + moved.sum::<f64>();
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{at}: {found} {expected}");
        }
    }

    #[test]
    fn the_queue_is_a_ring_of_unit_vectors() {
        let settings = Momentum { keep: 0.9, queue_len: 3, key_dim: 2 };
        let mut copy = MomentumEncoder::new(settings, &network(1), &[], 1);
        assert!(copy.queue().chunks(2).all(|key| (key[0].hypot(key[1]) - 1.0).abs() < 1e-6));
        copy.enqueue(&[1.0, 0.0, 0.0, 1.0]);
        copy.enqueue(&[-1.0, 0.0, 0.0, -1.0]);
        assert_eq!(copy.queue(), [0.0, -1.0, 0.0, 1.0, -1.0, 0.0], "the fourth takes the place of the first");
    }

    #[test]
    fn keys_keep_their_places_whatever_the_order() {
        let objective = Moco::new(0.2, 0.9, 4, 8, 4);
        let (images, mut rng) = (10, Rng::for_purpose(1, "test"));
        let head = objective.head_start(network(1).spec().feature_dim(), &mut rng);
        let inputs: Vec<f32> = (0..images * 64).map(|_| rng.normal()).collect();
        let settings = objective.momentum().unwrap();
        let keys = |seed: u64| {
            let mut encoder = MomentumEncoder::new(settings, &network(1), &head, 1);
            encoder.keys(&objective, &inputs, images, &mut Rng::for_purpose(seed, "order"))
        };
        let (one, other) = (keys(1), keys(2));
        assert_ne!(one, other, "other parts, other statistics");
        for image in 0..images {
            let cosine = |to: usize| (0..4).map(|d| one[image * 4 + d] * other[to * 4 + d]).sum::<f32>();
            let nearest = (0..images).max_by(|&a, &b| cosine(a).total_cmp(&cosine(b))).unwrap();
            assert!(cosine(image) > 0.6 || nearest == image, "{image}: {}", cosine(image));
        }
    }
}
