//! MoCo: find the key of the same image among the keys of earlier images.
//!
//! He et al. 2020, arXiv:1911.05722, equation 1 and algorithm 1; with the projection head of version 2 (Chen et al.
//! 2020, arXiv:2003.04297). View 0 of an image is its query and view 1 its key. Keys come from a momentum encoder, so a
//! queue of them stays comparable, and the number of negatives does not depend on the batch.

use super::contrastive::{EmbeddingLoss, VIEWS, contrastive_step, projection_head};
use super::ema::EmaEncoder;
use super::head::Head;
use super::interface::{MethodInfo, Objective, StepOutput, Targets};
use super::queue::{Queue, similarities, weighted_candidates};
use super::settings::Comparison;
use crate::augment::Views;
use crate::encoder::{NamedTensor, Network, TensorError};
use crate::nn::cross_entropy::{argmax_rows, cross_entropy};
use crate::nn::l2_normalize::l2_normalize;
use crate::ranks::Part;
use crate::rng::Rng;

pub(super) const METHOD: MethodInfo = MethodInfo {
    is_contrastive: true,
    // Temperature 0.2, as version 2; He et al. 2020 take 0.07.
    comparison: Comparison::DEFAULT,
    build: |settings| Box::new(Moco::new(&settings.comparison)),
};

/// Parts that a batch of keys is normalised in, in random order. Query and key of an image then stand among different
/// images, and batch statistics cannot tell which key belongs to which query (section 3.3).
const KEY_GROUPS: usize = 4;

/// Prefix of the objective's tensors in a checkpoint.
const PREFIX: &str = "momentum_encoder.";

/// InfoNCE against a queue; reads no labels.
pub struct Moco {
    head: Head,
    temperature: f32,
    ema_decay: f32,
    /// K.
    queue_len: usize,
    /// Keys of earlier images; none until the first step.
    queue: Option<Queue>,
    /// None until the first step.
    key_encoder: Option<EmaEncoder>,
    /// Keys of the current step, `[N, P]`.
    keys: Vec<f32>,
}

impl Moco {
    /// From `temperature`, `key_momentum`, `queue`, `projection_hidden` and `projection_dim`.
    pub fn new(settings: &Comparison) -> Self {
        let Comparison { temperature, key_momentum: ema_decay, queue: queue_len, .. } = *settings;
        let (queue, keys, key_encoder) = (None, Vec::new(), None);
        Self { head: projection_head(settings), temperature, ema_decay, queue_len, queue, key_encoder, keys }
    }

    /// Keys `[N, P]` of the second of each two `views`, with the batch statistics of random parts of the batch: this rank's, or with
    /// synchronised batch norm that of all ranks.
    fn encode_keys(&mut self, views: &[f32], images: Part, rng: &mut Rng) -> Vec<f32> {
        let Some(encoder) = &mut self.key_encoder else { return Vec::new() };
        let images = if encoder.network.batch_ranks().is_one() { Part::whole(images.images) } else { images };
        let (one, dim) = (views.len() / images.images / 2, self.head.outputs());
        let mut order: Vec<usize> = (0..images.all).collect();
        rng.shuffle(&mut order);
        let mut keys = vec![0.0; images.images * dim];
        let mut gathered = Vec::new();
        // A part of one image would have no variance.
        for part in order.chunks(images.all.div_ceil(KEY_GROUPS).max(2)) {
            let own: Vec<usize> =
                part.iter().filter(|image| images.range().contains(image)).map(|image| image - images.first).collect();
            gathered.clear();
            own.iter().for_each(|&image| gathered.extend_from_slice(&views[(2 * image + 1) * one..][..one]));
            let projections = encoder.forward(&self.head, &gathered);
            for (&image, projection) in own.iter().zip(projections.chunks_exact(dim)) {
                l2_normalize(&mut keys[image * dim..][..dim], projection, dim);
            }
        }
        keys
    }
}

impl Objective for Moco {
    fn views(&self) -> Views {
        VIEWS
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn has_held_out_loss(&self) -> bool {
        false
    }

    /// Copies the encoder and fills the queue with random directions.
    fn begin(&mut self, network: &Network, head: &[f32], seed: u64) {
        let mut rng = Rng::for_purpose(seed, "initialise queue");
        self.queue = Some(Queue::random(self.queue_len, self.head.outputs(), &mut rng));
        self.key_encoder = Some(EmaEncoder::new(network, head, self.ema_decay));
    }

    /// The queries; the keys are encoded here.
    fn encoder_input<'a>(&mut self, views: &'a mut [f32], part: Part, rng: &mut Rng) -> &'a [f32] {
        let (num_images, one) = (part.images, views.len() / part.images / 2);
        self.keys = self.encode_keys(views, part, rng);
        (1..num_images).for_each(|image| views.copy_within(2 * image * one..(2 * image + 1) * one, image * one));
        &views[..num_images * one]
    }

    fn loss(&self, head: &[f32], features: &[f32], _targets: Targets<'_>) -> StepOutput {
        let queue = self.queue.as_ref().map_or(&[][..], |queue| &queue.rows);
        contrastive_step(&self.head, head, features, |q| {
            info_nce(q, &self.keys, queue, self.head.outputs(), self.temperature)
        })
    }

    /// One view of each image.
    fn encoder_inputs(&self, images: usize) -> usize {
        images
    }

    /// The key encoder on a part of the images, the queue, and similarities, logits and their gradients.
    fn step_bytes(&self, network: &Network, images: usize) -> usize {
        let part = images.div_ceil(KEY_GROUPS).max(2).min(images);
        let input = network.spec().input;
        let gathered = size_of::<f32>() * part * input.channels * input.height * input.width;
        let encoder = network.forward_schedule().bytes(part) + network.scratch_bytes(part, false);
        let similarities = 3 * size_of::<f32>() * images * (self.queue_len + 1);
        let queue = size_of::<f32>() * self.queue_len * self.head.outputs();
        let head = self.head.pass_bytes(network.trained_dim(), images);
        network.parameter_bytes() + gathered + encoder + similarities + queue + head
    }

    fn after_step(&mut self, network: &Network, head: &[f32], targets: Targets<'_>) {
        if let Some(encoder) = &mut self.key_encoder {
            encoder.ema_update(network, head);
        }
        if let Some(queue) = &mut self.queue {
            queue.push(&targets.part.ranks.gather(&self.keys));
        }
    }

    fn state(&self) -> Vec<NamedTensor> {
        let mut tensors = self.key_encoder.as_ref().map_or(Vec::new(), |encoder| encoder.to_named(&self.head));
        tensors.extend(self.queue.iter().flat_map(Queue::to_named));
        tensors.into_iter().map(|tensor| tensor.with_prefix(PREFIX)).collect()
    }

    fn restore(&mut self, tensors: &[NamedTensor]) -> Result<(), TensorError> {
        let tensors = NamedTensor::without_prefix(tensors, PREFIX);
        if let Some(encoder) = &mut self.key_encoder {
            encoder.read_named(&self.head, &tensors)?;
        }
        if let Some(queue) = &mut self.queue {
            queue.read_named(&tensors)?;
        }
        Ok(())
    }

    fn collapse_advice(&self) -> Option<String> {
        Some(format!("a temperature above {}", self.temperature))
    }
}

/// InfoNCE: cross-entropy of `q · k / τ` over the key of the same image and the queue. All rows have unit length.
///
/// With the softmax `p` over the K + 1 candidates and N queries, `dq_i = (Σ_j p_ij k_j - k_i) / (N τ)`; keys and queue
/// are constants. An image is correct if its own key has the largest similarity.
///
/// * `q`: queries, `[N, P]`
/// * `keys`: the key of each query's image, `[N, P]`
/// * `queue`: `[K, P]`
///
/// # Panics
/// When the lengths do not fit.
pub fn info_nce(q: &[f32], keys: &[f32], queue: &[f32], dim: usize, temperature: f32) -> EmbeddingLoss {
    let (images, queued) = (q.len() / dim, queue.len() / dim);
    assert!(keys.len() == q.len() && queue.len() == queued * dim, "rows of {dim} values");
    let cosines = similarities(q, keys, queue, dim);
    // All keys in the queue are of other images.
    let others = cosines.chunks_exact(queued + 1).flat_map(|row| &row[1..]);
    let sum = others.map(|&cosine| f64::from(cosine)).sum::<f64>();
    let distance = (queued > 0).then(|| 2.0 - 2.0 * sum / (images * queued) as f64);
    let logits: Vec<f32> = cosines.iter().map(|cosine| cosine / temperature).collect();
    let mut dlogits = vec![0.0; logits.len()];
    let loss = cross_entropy(&mut dlogits, &logits, &vec![0; images], 0.0);
    let mut dz = weighted_candidates(&dlogits, keys, queue, dim);
    dz.iter_mut().for_each(|d| *d /= temperature);
    let solved = dlogits.chunks_exact(queued + 1).filter(|row| -row[0] * (images as f32) < 1e-3).count();
    let measures = [("zero_gradient", solved as f64 / images as f64)].into_iter();
    EmbeddingLoss {
        loss,
        dz,
        correct: argmax_rows(&logits, queued + 1).into_iter().map(|largest| largest == 0).collect(),
        measures: measures.chain(distance.map(|distance| ("distance", distance))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::contrastive::normalized_loss;
    use crate::objective::ema::tests::network;
    use crate::objective::gradient_check::{check_gradient, check_objective};

    fn moco(queue: usize, projection_dim: usize) -> Moco {
        let (temperature, projection_hidden) = (0.3, 6);
        Moco::new(&Comparison { temperature, queue, projection_hidden, projection_dim, ..Comparison::DEFAULT })
    }

    fn unit_rows(seed: u64, rows: usize, dim: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(seed, "test");
        let u: Vec<f32> = (0..rows * dim).map(|_| rng.normal()).collect();
        let mut z = vec![0.0; u.len()];
        l2_normalize(&mut z, &u, dim);
        z
    }

    /// Own key at cosine 1 and K keys at cosine 0: `ln(1 + K exp(-1/τ))`.
    #[test]
    fn orthogonal_keys_in_closed_form() {
        let (queue, temperature) = ([0.0, 1.0, 0.0, -1.0, 0.0, 1.0], 0.2f32);
        let found = info_nce(&[1.0, 0.0], &[1.0, 0.0], &queue, 2, temperature);
        let expected = (1.0 + 3.0 * (-1.0 / f64::from(temperature)).exp()).ln();
        assert!((found.loss - expected).abs() < 1e-6, "{} {expected}", found.loss);
        assert_eq!(found.correct, [true]);
        let empty = info_nce(&[1.0, 0.0], &[1.0, 0.0], &[], 2, temperature);
        assert_eq!(empty.loss, 0.0, "there are no negatives");
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        let mut moco = moco(5, 4);
        let queue = Queue::random(5, 4, &mut Rng::for_purpose(3, "test"));
        (moco.keys, moco.queue) = (unit_rows(2, 3, 4), Some(queue.clone()));
        check_objective(&moco, 3, &[None; 3], 1.0 / 512.0, 1e-3);
        let (u, loss) = (unit_rows(4, 3, 4), |q: &[f32]| info_nce(q, &moco.keys, &queue.rows, 4, 0.3));
        let found = normalized_loss(&u, 4, loss);
        check_gradient(&found.dz, &u, 1.0 / 512.0, 1e-3, |u| normalized_loss(u, 4, loss).loss);
    }

    #[test]
    fn the_queue_is_a_ring_buffer_of_unit_vectors() {
        let mut moco = moco(3, 2);
        moco.begin(
            &network(1),
            &moco.head.initialise(network(1).spec().feature_dim(), &mut Rng::for_purpose(1, "x")),
            1,
        );
        let queue = |moco: &Moco| moco.queue.as_ref().unwrap().rows.clone();
        assert!(queue(&moco).chunks(2).all(|key| (key[0].hypot(key[1]) - 1.0).abs() < 1e-6));
        for keys in [[1.0, 0.0, 0.0, 1.0], [-1.0, 0.0, 0.0, -1.0]] {
            moco.keys = keys.to_vec();
            moco.queue.as_mut().unwrap().push(&moco.keys);
        }
        assert_eq!(queue(&moco), [0.0, -1.0, 0.0, 1.0, -1.0, 0.0], "the fourth key replaces the first");
    }

    #[test]
    fn keys_stay_with_their_images_in_any_order() {
        let (images, mut rng) = (10, Rng::for_purpose(1, "test"));
        let mut moco = moco(4, 4);
        let head = moco.head.initialise(network(1).spec().feature_dim(), &mut rng);
        let views: Vec<f32> = (0..images * 2 * 64).map(|_| rng.normal()).collect();
        let mut keys = |seed: u64| {
            moco.begin(&network(1), &head, 1);
            moco.encode_keys(&views, Part::whole(images), &mut Rng::for_purpose(seed, "order"))
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
