//! Softmax regression on coordinates of the supports.
//!
//! n supports, C classes, r coordinates. Minimises over `W` `[C, r]` and `b` `[C]`
//! `Σ_i -log softmax(W z_i + b)[y_i] + |W|² / (2 c)`, the objective of scikit-learn, with no penalty on the bias. For two
//! classes scikit-learn has one vector `w`. Here `W` is `(-w/2, w/2)`, so doubling the penalty gives the same decisions.
//!
//! Newton's method with conjugate gradients for each step (Nocedal and Wright 2006, algorithm 7.1). The loss is
//! convex, so every step is a descent direction. The numbers of steps, inner steps and halvings are bounded, and all sums
//! have a fixed order.

use super::cholesky::dot;
use super::span::Span;
use crate::support_set::Supports;

/// `c`, scikit-learn's `C`, for components of standard deviation 1, as coordinates have.
pub(crate) const INVERSE_PENALTY: f64 = 0.1;

const NEWTON_STEPS_MAX: usize = 30;
const INNER_STEPS_MAX: usize = 60;
const HALVINGS_MAX: usize = 20;

/// The fit ends when the length of the gradient is below this, per support.
const GRADIENT_MIN: f64 = 1e-7;

/// Number of vectors of `C (r + 1)` values in the scratch.
const VECTORS: usize = 6;

/// The data and the penalty.
struct Problem<'a> {
    rows: &'a [f64],
    rank: usize,
    classes: usize,
    /// `1 / c`, or `2 / c` for two classes.
    penalty: f64,
    supports: Supports<'a>,
}

/// Scratch, in values, for up to `rank` coordinates.
pub(crate) const fn scratch_len(rank: usize, classes: usize, supports_max: usize) -> usize {
    VECTORS * classes * (rank + 1) + supports_max * classes + classes
}

/// Fits and returns weights and biases `[C, r + 1]`, the bias last. The bias of a class without supports is `-∞`.
pub(crate) fn fit<'w>(
    span: &Span<'_>,
    supports: Supports<'_>,
    classes: usize,
    inverse_penalty: f64,
    scratch: &'w mut [f64],
) -> &'w mut [f64] {
    let length = classes * (span.rank + 1);
    let (parameters, rest) = scratch.split_at_mut(length);
    let (gradient, rest) = rest.split_at_mut(length);
    let (step, rest) = rest.split_at_mut(length);
    let (residual, rest) = rest.split_at_mut(length);
    let (direction, rest) = rest.split_at_mut(length);
    let (curved, rest) = rest.split_at_mut(length);
    let (probabilities, rest) = rest.split_at_mut(supports.len() * classes);
    // One value per class: first whether the class has supports, then a scratch of products.
    let present = &mut rest[..classes];
    present.fill(0.0);
    supports.records.iter().for_each(|record| present[usize::from(record.class)] = 1.0);
    let doubled = if dot(present, present) == 2.0 { 2.0 } else { 1.0 };
    let penalty = doubled / inverse_penalty;
    let problem = Problem { rows: span.rows, rank: span.rank, classes, penalty, supports };
    parameters.fill(0.0);
    mark_absent(parameters, present, span.rank);
    let mut loss = problem.loss(parameters, probabilities);
    for _ in 0..NEWTON_STEPS_MAX {
        problem.write_gradient(parameters, probabilities, gradient);
        let enough = GRADIENT_MIN * supports.len() as f64;
        let square = dot(gradient, gradient);
        if square <= enough * enough {
            break;
        }
        let vectors = [&mut *step, &mut *residual, &mut *direction, &mut *curved];
        solve_newton(&problem, probabilities, gradient, vectors, present);
        let slope = dot(gradient, step);
        let mut length = 1.0;
        let mut found = false;
        for _ in 0..HALVINGS_MAX {
            for ((trial, &parameter), &step) in residual.iter_mut().zip(&*parameters).zip(&*step) {
                *trial = parameter + length * step;
            }
            let trial_loss = problem.loss(residual, probabilities);
            if trial_loss <= loss + 1e-4 * length * slope {
                loss = trial_loss;
                parameters.copy_from_slice(residual);
                found = true;
                break;
            }
            length *= 0.5;
        }
        if !found {
            // Only rounding error is left.
            break;
        }
    }
    parameters
}

fn mark_absent(parameters: &mut [f64], present: &[f64], rank: usize) {
    for (class, row) in parameters.chunks_exact_mut(rank + 1).enumerate() {
        if present[class] == 0.0 {
            row[rank] = f64::NEG_INFINITY;
        }
    }
}

/// `step ≈ -H⁻¹ g` by conjugate gradients from 0; `products` is scratch `[C]`.
fn solve_newton(
    problem: &Problem<'_>,
    probabilities: &[f64],
    gradient: &[f64],
    [step, residual, direction, curved]: [&mut [f64]; 4],
    products: &mut [f64],
) {
    step.fill(0.0);
    residual.copy_from_slice(gradient);
    direction.iter_mut().zip(gradient).for_each(|(d, g)| *d = -g);
    let start = dot(residual, residual);
    let mut square = start;
    // Tolerance for superlinear convergence: steps near the minimum are solved more exactly.
    let length = libm::sqrt(start);
    let part = if length < 0.25 { length } else { 0.25 };
    let enough = part * part * start;
    for _ in 0..INNER_STEPS_MAX {
        problem.write_curvature(probabilities, direction, curved, products);
        let curvature = dot(direction, curved);
        if curvature <= 0.0 {
            break;
        }
        let along = square / curvature;
        step.iter_mut().zip(&*direction).for_each(|(s, d)| *s += along * d);
        residual.iter_mut().zip(&*curved).for_each(|(r, c)| *r += along * c);
        let next = dot(residual, residual);
        if next <= enough {
            break;
        }
        let ratio = next / square;
        direction.iter_mut().zip(&*residual).for_each(|(d, r)| *d = ratio * *d - r);
        square = next;
    }
    if dot(step, step) == 0.0 {
        step.iter_mut().zip(gradient).for_each(|(s, g)| *s = -g);
    }
}

impl Problem<'_> {
    /// The loss at `parameters`. Writes the probabilities of each support, `[n, C]`.
    fn loss(&self, parameters: &[f64], probabilities: &mut [f64]) -> f64 {
        let mut loss = 0.0;
        let supports = self.rows.chunks_exact(self.rank).zip(self.supports.records);
        for (out, (row, record)) in probabilities.chunks_exact_mut(self.classes).zip(supports) {
            self.write_products(parameters, row, out);
            let mut largest = f64::NEG_INFINITY;
            for &logit in &*out {
                largest = if logit > largest { logit } else { largest };
            }
            let own = out[usize::from(record.class)];
            let mut sum = 0.0;
            for value in out.iter_mut() {
                *value = libm::exp(*value - largest);
                sum += *value;
            }
            out.iter_mut().for_each(|value| *value /= sum);
            loss += libm::log(sum) + largest - own;
        }
        for weight in parameters.chunks_exact(self.rank + 1) {
            loss += 0.5 * self.penalty * dot(&weight[..self.rank], &weight[..self.rank]);
        }
        loss
    }

    fn write_gradient(&self, parameters: &[f64], probabilities: &[f64], gradient: &mut [f64]) {
        self.write_penalised(parameters, gradient);
        let supports = self.rows.chunks_exact(self.rank).zip(self.supports.records);
        for (probability, (row, record)) in probabilities.chunks_exact(self.classes).zip(supports) {
            for (class, (out, &p)) in gradient.chunks_exact_mut(self.rank + 1).zip(probability).enumerate() {
                let excess = if class == usize::from(record.class) { p - 1.0 } else { p };
                self.add(row, excess, out);
            }
        }
    }

    /// Writes the Hessian times `direction`; `products` is scratch `[C]`.
    fn write_curvature(&self, probabilities: &[f64], direction: &[f64], curved: &mut [f64], products: &mut [f64]) {
        self.write_penalised(direction, curved);
        for (probability, row) in probabilities.chunks_exact(self.classes).zip(self.rows.chunks_exact(self.rank)) {
            self.write_products(direction, row, products);
            let mut mean = 0.0;
            for (&p, &along) in probability.iter().zip(&*products) {
                mean += p * along;
            }
            let classes = curved.chunks_exact_mut(self.rank + 1).zip(probability).zip(&*products);
            for ((out, &p), &along) in classes {
                self.add(row, p * (along - mean), out);
            }
        }
    }

    /// Writes `w · row + b` for the vector and bias of each class, each summed in order.
    ///
    /// Four classes at a time: a sum in order waits for each addition, and four sums wait together.
    fn write_products(&self, weights: &[f64], row: &[f64], out: &mut [f64]) {
        let stride = self.rank + 1;
        let mut fours = out.chunks_exact_mut(4);
        let mut weights = weights.chunks_exact(stride);
        for four in &mut fours {
            let mut next = || weights.next().unwrap_or(&[]);
            let [a, b, c, d] = [next(), next(), next(), next()];
            let mut sums = [0.0; 4];
            for ((((&a, &b), &c), &d), &z) in a.iter().zip(b).zip(c).zip(d).zip(row) {
                sums[0] += a * z;
                sums[1] += b * z;
                sums[2] += c * z;
                sums[3] += d * z;
            }
            for ((out, sum), weight) in four.iter_mut().zip(sums).zip([a, b, c, d]) {
                *out = sum + weight[self.rank];
            }
        }
        for (out, weight) in fours.into_remainder().iter_mut().zip(weights) {
            *out = dot(&weight[..self.rank], row) + weight[self.rank];
        }
    }

    fn write_penalised(&self, parameters: &[f64], out: &mut [f64]) {
        for (out, weight) in out.chunks_exact_mut(self.rank + 1).zip(parameters.chunks_exact(self.rank + 1)) {
            out[..self.rank].iter_mut().zip(weight).for_each(|(out, w)| *out = self.penalty * w);
            out[self.rank] = 0.0;
        }
    }

    fn add(&self, row: &[f64], factor: f64, out: &mut [f64]) {
        out[..self.rank].iter_mut().zip(row).for_each(|(out, z)| *out += factor * z);
        out[self.rank] += factor;
    }
}
