//! Losses between the embeddings of a student and the features of a teacher, both of unit length.
//!
//! M embeddings `z_i`, their targets `t_i`, T dimensions, a queue of K earlier targets.

use super::queue::{similarities, weighted_candidates};

/// Temperatures of [`seed_loss`], above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedTemperatures {
    /// Of the teacher's similarities.
    pub teacher: f32,
    /// Of the student's similarities.
    pub student: f32,
}

/// SimReg: the mean over rows of `|z - t|² = 2 - 2 z · t`, and its gradient `-2 t / M` with respect to `z`.
///
/// Navaneet et al. 2021, arXiv:2201.05131, section 3.
///
/// * `z`, `targets`: `[M, T]`
/// * `dim`: T
pub fn simreg_loss(z: &[f32], targets: &[f32], dim: usize) -> (f64, Vec<f32>) {
    let rows = (z.len() / dim).max(1) as f64;
    let cosines: f64 = z.iter().zip(targets).map(|(z, t)| f64::from(*z) * f64::from(*t)).sum();
    let scale = (-2.0 / rows) as f32;
    (2.0 - 2.0 * cosines / rows, targets.iter().map(|t| scale * t).collect())
}

/// SEED: the student's similarities to the own target and a queue of earlier ones are distributed as the teacher's.
///
/// With the K + 1 candidates `d_j`, which are `t_i` and the queue, `p_ij = softmax_j(t_i · d_j / τ_teacher)` and
/// `q_ij = softmax_j(z_i · d_j / τ_student)`, the loss is the mean over `i` of `-Σ_j p_ij ln q_ij`. Targets and queue are
/// constants, so `dz_i = Σ_j (q_ij - p_ij) d_j / (M τ_student)`.
///
/// Fang et al. 2021, arXiv:2101.04731, equations 3 to 6.
///
/// * `z`, `targets`: `[M, T]`
/// * `queue`: `[K, T]`
/// * `dim`: T
///
/// # Panics
/// When the lengths do not fit.
pub fn seed_loss(
    z: &[f32],
    targets: &[f32],
    queue: &[f32],
    dim: usize,
    temperatures: SeedTemperatures,
) -> (f64, Vec<f32>) {
    assert!(z.len() == targets.len() && z.len().is_multiple_of(dim), "rows of {dim} values");
    let (rows, columns) = (z.len() / dim, queue.len() / dim + 1);
    let logits = |rows: &[f32], temperature: f32| -> Vec<f32> {
        similarities(rows, targets, queue, dim).into_iter().map(|similarity| similarity / temperature).collect()
    };
    let (teacher, mut student) = (logits(targets, temperatures.teacher), logits(z, temperatures.student));
    let (mut loss, scale) = (0.0, 1.0 / (rows as f64 * f64::from(temperatures.student)));
    for (student, teacher) in student.chunks_exact_mut(columns).zip(teacher.chunks_exact(columns)) {
        let (of_teacher, of_student) = (log_sum(teacher), log_sum(student));
        for (student, teacher) in student.iter_mut().zip(teacher) {
            let log_q = f64::from(*student) - of_student;
            let p = (f64::from(*teacher) - of_teacher).exp();
            loss -= p * log_q;
            *student = ((log_q.exp() - p) * scale) as f32;
        }
    }
    // `student` now has the gradient of each similarity.
    (loss / rows as f64, weighted_candidates(&student, targets, queue, dim))
}

/// `ln Σ exp(x)`. Subtracting the largest value first keeps `exp` finite.
fn log_sum(logits: &[f32]) -> f64 {
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
    f64::from(max) + logits.iter().map(|&x| f64::from(x - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::l2_normalize::l2_normalize;
    use crate::objective::gradient_check::check_gradient;
    use crate::rng::Rng;

    fn unit_rows(seed: u64, rows: usize, dim: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(seed, "test");
        let u: Vec<f32> = (0..rows * dim).map(|_| rng.normal()).collect();
        let mut z = vec![0.0; u.len()];
        l2_normalize(&mut z, &u, dim);
        z
    }

    #[test]
    fn simreg_is_the_squared_distance() {
        let (z, t) = (unit_rows(1, 5, 4), unit_rows(2, 5, 4));
        let squares: f64 = z.iter().zip(&t).map(|(z, t)| f64::from(z - t).powi(2)).sum();
        let (loss, dz) = simreg_loss(&z, &t, 4);
        assert!((loss - squares / 5.0).abs() < 1e-6, "{loss} {squares}");
        check_gradient(&dz, &z, 1.0 / 64.0, 1e-4, |z| simreg_loss(z, &t, 4).0);
        assert!(simreg_loss(&t, &t, 4).0.abs() < 1e-6);
    }

    /// One student at right angles to its target, a queue with the target and its opposite. With similarities over
    /// temperatures, teacher `(1, 1, -1) / 0.5` and student `(0, 0, 0)`: `p = softmax(2, 2, -2)`, `q = 1/3` each, so the
    /// loss is `ln 3` and `dz = Σ_j (q_j - p_j) d_j / τ`.
    #[test]
    fn seed_by_hand() {
        let temperatures = SeedTemperatures { teacher: 0.5, student: 0.2 };
        let (loss, dz) = seed_loss(&[0.0, 1.0], &[1.0, 0.0], &[1.0, 0.0, -1.0, 0.0], 2, temperatures);
        assert!((loss - 3f64.ln()).abs() < 1e-6, "{loss}");
        let p = 2f64.exp() / (2.0 * 2f64.exp() + (-2f64).exp());
        let along = (2.0 * (1.0 / 3.0 - p) - (1.0 / 3.0 - (1.0 - 2.0 * p))) / 0.2;
        assert!((f64::from(dz[0]) - along).abs() < 1e-5 && dz[1] == 0.0, "{dz:?} {along}");
        assert!(dz[0] < 0.0, "descent moves the student towards its target");
    }

    #[test]
    fn seed_gradients_agree_with_central_differences() {
        let (z, t, queue) = (unit_rows(1, 3, 4), unit_rows(2, 3, 4), unit_rows(3, 6, 4));
        for queue in [&queue[..], &[]] {
            let temperatures = SeedTemperatures { teacher: 0.1, student: 0.3 };
            let (loss, dz) = seed_loss(&z, &t, queue, 4, temperatures);
            check_gradient(&dz, &z, 1.0 / 512.0, 1e-3, |z| seed_loss(z, &t, queue, 4, temperatures).0);
            assert_eq!(loss == 0.0, queue.is_empty(), "without a queue there is one candidate");
        }
    }

    #[test]
    fn the_least_loss_is_the_entropy_of_the_teacher() {
        let (t, queue) = (unit_rows(2, 3, 4), unit_rows(3, 6, 4));
        let temperatures = SeedTemperatures { teacher: 0.2, student: 0.2 };
        let (least, dz) = seed_loss(&t, &t, &queue, 4, temperatures);
        assert!(dz.iter().all(|d| d.abs() < 1e-6), "equal distributions have no gradient");
        for seed in 4..8 {
            assert!(seed_loss(&unit_rows(seed, 3, 4), &t, &queue, 4, temperatures).0 > least);
        }
    }
}
