//! Distillation without labels: the features of other encoders, the teachers, are the targets.
//!
//! A head per teacher projects the student's feature to the teacher's dimensions. Losses compare the projection with the
//! teacher's feature of the same image, both of unit length: SimReg (Navaneet et al. 2021, arXiv:2201.05131), SEED (Fang
//! et al. 2021, arXiv:2101.04731), and NT-Xent of two views beside them, each with its weight. Losses of several teachers
//! are averaged.

use super::contrastive::{EmbeddingLoss, VIEWS, normalized_loss, pair_bytes, projection_head};
use super::distill_loss::{SeedTemperatures, seed_loss, simreg_loss};
use super::distillation::Distillation;
use super::head::Head;
use super::interface::{MethodInfo, Objective, StepOutput, Targets};
use super::nt_xent_over::nt_xent_over;
use super::queue::Queue;
use super::settings::Comparison;
use crate::augment::Views;
use crate::encoder::{NamedTensor, Network, TensorError};
use crate::measure::Features;
use crate::nn::matrix::matmul_bt;
use crate::rng::Rng;

pub(super) const METHOD: MethodInfo = MethodInfo {
    is_contrastive: true,
    comparison: Comparison::DEFAULT,
    build: |settings| {
        let distillation = settings.distillation.clone().unwrap_or_default();
        Box::new(Distill::new(distillation, &settings.comparison))
    },
};

/// Regression to the features of teachers; reads no labels.
pub struct Distill {
    /// One head per teacher, then the projection head of NT-Xent if it has a weight.
    head: Head,
    settings: Distillation,
    /// Temperature of NT-Xent.
    temperature: f32,
    queue_len: usize,
    /// For SEED, the targets of earlier steps of each teacher.
    queues: Vec<Queue>,
}

impl Distill {
    /// From `settings`, and from `queue`, `temperature`, `projection_hidden` and `projection_dim` of `comparison`.
    pub fn new(settings: Distillation, comparison: &Comparison) -> Self {
        let of_teacher = |(number, dim): (usize, usize)| {
            Head::mlp(&format!("teacher{number}"), &[settings.teacher_hidden], settings.target_dim(dim))
        };
        let heads = settings.teachers.iter().map(|teacher| teacher.dim).enumerate().map(of_teacher);
        let projector = (settings.simclr_weight > 0.0).then(|| projection_head(comparison));
        let head = Head::side_by_side(heads.chain(projector));
        let Comparison { temperature, queue: queue_len, .. } = *comparison;
        Self { head, settings, temperature, queue_len, queues: Vec::new() }
    }

    /// SimReg and SEED of embeddings `z` `[M, T]` and the features of the teacher `number`, each times its weight.
    fn teacher_loss(&self, z: &[f32], number: usize, targets: &Features) -> EmbeddingLoss {
        let Distillation { simreg_weight, seed_weight, teacher_temperature, student_temperature, .. } = self.settings;
        let dim = targets.dim;
        let (squared_distance, mut dz) = simreg_loss(z, &targets.rows, dim);
        let mut loss = f64::from(simreg_weight) * squared_distance;
        dz.iter_mut().for_each(|d| *d *= simreg_weight);
        if seed_weight > 0.0 {
            let temperatures = SeedTemperatures { teacher: teacher_temperature, student: student_temperature };
            let queue = self.queues.get(number).map_or(&[][..], |queue| &queue.rows);
            let (of_queue, dqueue) = seed_loss(z, &targets.rows, queue, dim, temperatures);
            loss += f64::from(seed_weight) * of_queue;
            dz.iter_mut().zip(dqueue).for_each(|(d, of_queue)| *d += seed_weight * of_queue);
        }
        let measures = vec![("cosine", 1.0 - squared_distance / 2.0)];
        EmbeddingLoss { loss, dz, correct: own_is_nearest(z, &targets.rows, dim), measures }
    }

    /// The loss of the head `number` for embeddings `z`, times its weight in the sum of all heads.
    fn head_loss(&self, z: &[f32], number: usize, targets: Targets<'_>) -> EmbeddingLoss {
        let teachers = self.settings.teachers.len();
        let (mut found, weight) = match targets.teachers.get(number) {
            Some(features) => (self.teacher_loss(z, number, features), 1.0 / teachers as f32),
            None => {
                let found = nt_xent_over(targets.part.ranks, z, self.head.outputs(), self.temperature);
                let measures = vec![("nt_xent", found.loss)];
                (EmbeddingLoss { measures, ..found }, self.settings.simclr_weight)
            }
        };
        found.loss *= f64::from(weight);
        found.dz.iter_mut().for_each(|d| *d *= weight);
        found
    }
}

/// For each embedding, whether no target of the batch is nearer than its own.
fn own_is_nearest(z: &[f32], targets: &[f32], dim: usize) -> Vec<bool> {
    let rows = z.len() / dim;
    let mut cosines = vec![0.0; rows * rows];
    matmul_bt(z, targets, dim, &mut cosines);
    cosines.chunks_exact(rows).enumerate().map(|(own, row)| row.iter().all(|cosine| *cosine <= row[own])).collect()
}

impl Objective for Distill {
    fn views(&self) -> Views {
        if self.settings.simclr_weight > 0.0 { VIEWS } else { Views::Independent(1) }
    }

    fn head(&self) -> &Head {
        &self.head
    }

    /// There are no teacher features of held-out images.
    fn has_held_out_loss(&self) -> bool {
        false
    }

    /// Fills the queues with random directions.
    fn begin(&mut self, _network: &Network, _head: &[f32], seed: u64) {
        let dims = self.settings.teachers.iter().map(|teacher| self.settings.target_dim(teacher.dim));
        let queue = |(number, dim): (usize, usize)| {
            let mut rng = Rng::for_item(seed, "initialise teacher queue", 0, number as u64);
            Queue::random(self.queue_len, dim, &mut rng)
        };
        self.queues = if self.settings.seed_weight > 0.0 { dims.enumerate().map(queue).collect() } else { Vec::new() };
    }

    /// An input counts as correct if no target in the batch is nearer to it than its own, by the first teacher.
    ///
    /// # Panics
    /// When the features of a teacher are missing; [`crate::pretrain`] computes them before training begins.
    fn loss(&self, head: &[f32], features: &[f32], targets: Targets<'_>) -> StepOutput {
        let teachers = self.settings.teachers.len();
        assert_eq!(targets.teachers.len(), teachers, "each teacher has targets");
        let mut output = StepOutput {
            loss: 0.0,
            targets: Vec::new(),
            predictions: Vec::new(),
            measures: vec![("cosine", 0.0)],
            dhead: vec![0.0; head.len()],
            dfeatures: vec![0.0; features.len()],
        };
        for (number, (part, place)) in self.head.parts(head.len()).into_iter().enumerate() {
            let parameters = &head[place.clone()];
            let pass = part.forward(parameters, features);
            let found = normalized_loss(&pass.out, part.outputs(), |z| self.head_loss(z, number, targets));
            let (dpart, dfeatures) = part.backward(parameters, &pass, found.dz);
            output.loss += found.loss;
            output.dhead[place].copy_from_slice(&dpart);
            output.dfeatures.iter_mut().zip(dfeatures).for_each(|(sum, d)| *sum += d);
            if number == 0 {
                output.targets = vec![0; found.correct.len()];
                output.predictions = found.correct.iter().map(|&correct| usize::from(!correct)).collect();
            }
            for (name, value) in found.measures {
                match name {
                    "cosine" => output.measures[0].1 += value / teachers as f64,
                    _ => output.measures.push((name, value)),
                }
            }
        }
        output
    }

    fn step_bytes(&self, network: &Network, images: usize) -> usize {
        let rows = images * self.views().count();
        let queues = self.queues.iter().map(|queue| size_of_val(&queue.rows[..])).sum::<usize>();
        // SEED: similarities of student and teacher, and logits.
        let similarities = if queues > 0 { 3 * size_of::<f32>() * rows * (self.queue_len + 1) } else { 0 };
        self.head.pass_bytes(network.trained_dim(), rows) + pair_bytes(rows) + queues + similarities
    }

    fn after_step(&mut self, _network: &Network, _head: &[f32], targets: Targets<'_>) {
        for (queue, of_teacher) in self.queues.iter_mut().zip(targets.teachers) {
            queue.push(&targets.part.ranks.gather(&of_teacher.rows));
        }
    }

    fn state(&self) -> Vec<NamedTensor> {
        let of_queue =
            |(number, queue): (usize, &Queue)| queue.to_named().map(|tensor| tensor.with_prefix(&prefix(number)));
        self.queues.iter().enumerate().flat_map(of_queue).collect()
    }

    fn restore(&mut self, tensors: &[NamedTensor]) -> Result<(), TensorError> {
        let mut queues = self.queues.iter_mut().enumerate();
        queues.try_for_each(|(number, queue)| queue.read_named(&NamedTensor::without_prefix(tensors, &prefix(number))))
    }
}

/// Prefix of the tensors of a teacher's queue in a checkpoint.
fn prefix(number: usize) -> String {
    format!("teacher_queue{number}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::l2_normalize::l2_normalize;
    use crate::objective::distillation::Teacher;
    use crate::objective::ema::tests::network;
    use crate::objective::gradient_check::check_objective_with;

    const SETTINGS: Comparison =
        Comparison { queue: 5, projection_hidden: 6, projection_dim: 4, ..Comparison::DEFAULT };

    /// Two teachers of 3 and 4 dimensions.
    fn settings() -> Distillation {
        let teacher = |dim| Teacher { encoder: "t".into(), sha256: String::new(), dim, preprocessing: None };
        Distillation { teachers: vec![teacher(3), teacher(4)], teacher_hidden: 6, ..Distillation::default() }
    }

    fn targets(rows: usize) -> [Features; 2] {
        [3, 4].map(|dim| {
            let mut rng = Rng::for_purpose(dim as u64, "test");
            let drawn: Vec<f32> = (0..rows * dim).map(|_| rng.normal()).collect();
            let mut rows = vec![0.0; drawn.len()];
            l2_normalize(&mut rows, &drawn, dim);
            Features { dim, rows }
        })
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        for (simreg_weight, seed_weight, simclr_weight) in [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.7, 0.3)] {
            let weights = Distillation { simreg_weight, seed_weight, simclr_weight, ..settings() };
            let settings = Distillation { teacher_temperature: 0.2, ..weights };
            let mut distill = Distill::new(settings, &SETTINGS);
            let head = distill.head.initialise(network(1).spec().feature_dim(), &mut Rng::for_purpose(1, "test"));
            distill.begin(&network(1), &head, 1);
            let (labels, teachers) = ([None; 2], targets(4));
            let targets = Targets { teachers: &teachers, ..Targets::labels(&labels) };
            check_objective_with(&distill, 4, targets, 1.0 / 1024.0, 2e-3);
        }
    }

    #[test]
    fn a_student_that_equals_its_teacher_has_no_loss() {
        let one = Distillation { teachers: settings().teachers[..1].to_vec(), ..settings() };
        let distill = Distill::new(one, &SETTINGS);
        let [teacher, _] = targets(4);
        // The head passes on features of 3 dimensions, whose sign two hidden units each keep.
        let mut head = vec![0.0; 3 * 6 + 6 + 6 * 3 + 3];
        for d in 0..3 {
            (head[2 * d * 3 + d], head[(2 * d + 1) * 3 + d]) = (1.0, -1.0);
            (head[24 + d * 6 + 2 * d], head[24 + d * 6 + 2 * d + 1]) = (1.0, -1.0);
        }
        let features: Vec<f32> = teacher.rows.iter().map(|value| 5.0 * value).collect();
        let teachers = [teacher];
        let output = distill.loss(&head, &features, Targets { teachers: &teachers, ..Targets::labels(&[None; 4]) });
        assert!(output.loss.abs() < 1e-5, "{}", output.loss);
        assert_eq!((output.predictions, output.measures.len()), (vec![0; 4], 1));
        assert!((output.measures[0].1 - 1.0).abs() < 1e-5);
    }

    #[test]
    fn queues_hold_the_newest_targets_and_are_restored() {
        let taught = Distillation { seed_weight: 1.0, ..settings() };
        let (mut one, mut other) = (Distill::new(taught.clone(), &SETTINGS), Distill::new(taught, &SETTINGS));
        one.begin(&network(1), &[], 1);
        other.begin(&network(1), &[], 2);
        let teachers = targets(5);
        one.after_step(&network(1), &[], Targets { teachers: &teachers, ..Targets::labels(&[None; 5]) });
        assert_eq!((&one.queues[0].rows, &one.queues[1].rows), (&teachers[0].rows, &teachers[1].rows));
        assert_ne!(one.queues, other.queues);
        other.restore(&one.state()).unwrap();
        assert_eq!(one.queues, other.queues);
        assert!(matches!(other.restore(&[]), Err(TensorError::Missing { .. })));
    }
}
