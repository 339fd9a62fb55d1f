//! Multinomial logistic regression with an L2 penalty, as scikit-learn defines it.
//!
//! N examples, D feature length, K classes. Minimises over `W` `[K, D]` and `b` `[K]`
//! `Σ_n -log softmax(W x_n + b)[y_n] + |W|² / (2 C)`; the bias is free. For two classes scikit-learn
//! keeps one vector `w` and penalises `|w|² / (2 C)`; here `W` is `(-w/2, w/2)`, whose square is
//! half of that, so the penalty counts twice and the decisions are the same.

use rayon::prelude::*;

use super::lbfgs::{self, Outcome, Stop};
use crate::nn::matrix::{matmul_at, matmul_bt};

/// Settings of the fit.
#[derive(Clone, Copy, Debug)]
pub struct LogisticSettings {
    /// C, the inverse strength of the penalty. scikit-learn's default is 1.
    pub inverse_penalty: f64,
    /// The fit converges when no component of the gradient of the mean loss exceeds this. Products in f32 limit the gradient
    /// to about 1e-6; scikit-learn stops at 1e-4.
    pub gradient_max: f64,
    /// Limit of steps.
    pub iterations_max: usize,
}

impl LogisticSettings {
    /// Settings with the inverse penalty C.
    pub fn with_c(inverse_penalty: f64) -> Self {
        Self { inverse_penalty, gradient_max: 1e-5, iterations_max: 500 }
    }
}

/// A fitted classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegression {
    dim: usize,
    /// `[K, D]`.
    weight: Vec<f32>,
    /// `[K]`.
    bias: Vec<f32>,
}

/// Examples per task. Fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 512;

impl LogisticRegression {
    /// Fits `features` `[N, D]` with `labels` below `num_classes`.
    pub fn fit(
        features: &[f32],
        dim: usize,
        labels: &[usize],
        num_classes: usize,
        settings: LogisticSettings,
    ) -> (Self, Outcome) {
        let loss = Loss::new(features, dim, labels, num_classes, settings.inverse_penalty);
        let mut parameters = vec![0.0; num_classes * (dim + 1)];
        let stop = Stop { gradient_max: settings.gradient_max, iterations_max: settings.iterations_max };
        let outcome = lbfgs::minimise(|x, gradient| loss.evaluate(x, gradient), &mut parameters, stop);
        let (weight, bias) = split(&parameters, num_classes * dim);
        (Self { dim, weight, bias }, outcome)
    }

    /// `[K, D]`.
    pub fn weight(&self) -> &[f32] {
        &self.weight
    }

    /// `[K]`.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// `W x + b` of each of `features` `[N, D]`: `[N, K]`.
    pub fn scores(&self, features: &[f32]) -> Vec<f64> {
        let blocks = features.par_chunks(BLOCK * self.dim);
        blocks
            .flat_map_iter(|block| logits(block, self.dim, &self.weight, &self.bias).into_iter().map(f64::from))
            .collect()
    }
}

/// The minimised function: mean loss plus penalty.
struct Loss<'a> {
    features: &'a [f32],
    dim: usize,
    labels: &'a [usize],
    num_classes: usize,
    /// Factor of `|W|² / 2`.
    penalty: f64,
}

impl<'a> Loss<'a> {
    fn new(features: &'a [f32], dim: usize, labels: &'a [usize], num_classes: usize, inverse_penalty: f64) -> Self {
        let twice_for_two = if num_classes == 2 { 2.0 } else { 1.0 };
        let penalty = twice_for_two / (inverse_penalty * labels.len() as f64);
        Self { features, dim, labels, num_classes, penalty }
    }

    /// Value at `parameters` (`W`, then `b`); `gradient` is overwritten.
    fn evaluate(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let weight_len = self.num_classes * self.dim;
        let (weight, bias) = split(parameters, weight_len);
        let blocks: Vec<(f64, Vec<f32>, Vec<f64>)> = (self.features.par_chunks(BLOCK * self.dim))
            .zip(self.labels.par_chunks(BLOCK))
            .map(|(block, labels)| self.block(block, labels, &weight, &bias))
            .collect();
        gradient.fill(0.0);
        let mut value = 0.0;
        for (loss, dweight, dbias) in blocks {
            value += loss;
            let (into_weight, into_bias) = gradient.split_at_mut(weight_len);
            into_weight.iter_mut().zip(&dweight).for_each(|(sum, &d)| *sum += f64::from(d));
            into_bias.iter_mut().zip(&dbias).for_each(|(sum, &d)| *sum += d);
        }
        let examples = self.labels.len() as f64;
        gradient.iter_mut().for_each(|g| *g /= examples);
        let mut squares = 0.0;
        for (g, w) in gradient.iter_mut().zip(&parameters[..weight_len]) {
            *g += self.penalty * w;
            squares += w * w;
        }
        value / examples + 0.5 * self.penalty * squares
    }

    /// Summed loss of one block and its gradient with respect to `W` and `b`.
    fn block(&self, features: &[f32], labels: &[usize], weight: &[f32], bias: &[f32]) -> (f64, Vec<f32>, Vec<f64>) {
        let mut residuals = logits(features, self.dim, weight, bias);
        let mut loss = 0.0;
        let mut dbias = vec![0.0; self.num_classes];
        for (row, &label) in residuals.chunks_mut(self.num_classes).zip(labels) {
            loss += softmax_residual(row, label);
            dbias.iter_mut().zip(&*row).for_each(|(sum, &r)| *sum += f64::from(r));
        }
        let mut dweight = vec![0.0; weight.len()];
        matmul_at(&residuals, features, self.num_classes, self.dim, &mut dweight);
        (loss, dweight, dbias)
    }
}

/// Weights and biases of a flat parameter vector, as the products take them.
fn split(parameters: &[f64], weight_len: usize) -> (Vec<f32>, Vec<f32>) {
    let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
    (narrow(&parameters[..weight_len]), narrow(&parameters[weight_len..]))
}

/// `x Wᵀ + b`, `[N, K]`.
fn logits(features: &[f32], dim: usize, weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; features.len() / dim * bias.len()];
    matmul_bt(features, weight, dim, &mut out);
    out.chunks_mut(bias.len()).for_each(|row| row.iter_mut().zip(bias).for_each(|(value, b)| *value += b));
    out
}

/// Turns logits into `softmax - onehot(label)`, the gradient of the loss that it returns.
fn softmax_residual(row: &mut [f32], label: usize) -> f64 {
    // Subtracting the largest keeps exp() finite.
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = row.iter().map(|&value| f64::from(value - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    let loss = sum.ln() - f64::from(row[label] - largest);
    row.iter_mut().zip(&exponentials).for_each(|(value, e)| *value = (e / sum) as f32);
    row[label] = (exponentials[label] / sum - 1.0) as f32;
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn cloud(seed: u64, examples: usize, dim: usize, num_classes: usize) -> (Vec<f32>, Vec<usize>) {
        let mut rng = Rng::for_purpose(seed, "test");
        let labels: Vec<usize> = (0..examples).map(|i| i % num_classes).collect();
        let mut features = Vec::new();
        for &label in &labels {
            features.extend((0..dim).map(|d| rng.normal() + if d == label { 1.0 } else { 0.0 }));
        }
        (features, labels)
    }

    #[test]
    fn gradient_agrees_with_central_differences() {
        for num_classes in [2, 3] {
            let (features, labels) = cloud(5, 40, 6, num_classes);
            let loss = Loss::new(&features, 6, &labels, num_classes, 0.5);
            let mut rng = Rng::for_purpose(6, "test");
            let x: Vec<f64> = (0..num_classes * 7).map(|_| f64::from(rng.normal())).collect();
            let mut gradient = vec![0.0; x.len()];
            loss.evaluate(&x, &mut gradient);
            for i in 0..x.len() {
                // Wide enough that the f32 products' rounding stays below a thousandth of the difference.
                let at = |shift: f64| {
                    let mut moved = x.clone();
                    moved[i] += shift;
                    loss.evaluate(&moved, &mut vec![0.0; x.len()])
                };
                let difference = (at(5e-3) - at(-5e-3)) / 1e-2;
                assert!((difference - gradient[i]).abs() < 1e-4, "{i}: {difference} {}", gradient[i]);
            }
        }
    }

    /// Two points at ±1 and C: by symmetry `b = 0` and `w` solves `w / (2 C) = σ(-w)`
    /// (loss 2 log(1 + exp(-w)), penalty w² / 2C).
    #[test]
    fn two_points_have_a_closed_form() {
        let settings = LogisticSettings { gradient_max: 1e-7, ..LogisticSettings::with_c(1.0) };
        let (fitted, outcome) = LogisticRegression::fit(&[-1.0, 1.0], 1, &[0, 1], 2, settings);
        let w = f64::from(fitted.weight()[1] - fitted.weight()[0]);
        assert!(outcome.converged, "{outcome:?}");
        assert!((w / 2.0 - 1.0 / (1.0 + w.exp())).abs() < 1e-5, "w = {w}");
        assert!(fitted.bias().iter().all(|b| b.abs() < 1e-6));
    }

    #[test]
    fn one_thread_gives_the_same_bits_as_many() {
        let (features, labels) = cloud(9, 3 * BLOCK + 7, 5, 4);
        let fit = || LogisticRegression::fit(&features, 5, &labels, 4, LogisticSettings::with_c(1.0)).0;
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(fit);
        let many = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap().install(fit);
        assert_eq!(alone, many);
    }
}
