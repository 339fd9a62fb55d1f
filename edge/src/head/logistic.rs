//! Softmax regression on coordinates of the supports.
//!
//! n supports, C classes, r coordinates. Minimises over `W` `[C, r]` and `b` `[C]`
//! `Σ_i -log softmax(W z_i + b)[y_i] + |W|² / (2 c)`, the objective of scikit-learn, with no penalty on the bias. For two
//! classes scikit-learn has one vector `w`. Here `W` is `(-w/2, w/2)`, so doubling the penalty gives the same decisions.
//!
//! Newton's method with conjugate gradients for each step (Nocedal and Wright 2006, algorithm 7.1). The loss is
//! convex, so every step is a descent direction. The numbers of steps, inner steps and halvings are bounded, and all sums
//! have a fixed order.
//!
//! **Loss and gradient are in f64, a Newton step is in f32.** An error of the step is corrected by the next one, so only
//! the gradient decides what the fit converges to.
//!
//! **Preconditioner.** At `W = 0` the Hessian has the blocks `h Z̃ᵀ Z̃ + penalty` for each class, `Z̃` the coordinates with a
//! 1 for the bias, `h = (1 - 1/C) / C`, apart from blocks between classes. One factorisation serves all steps.

use super::block::{BLOCK, accumulate, dot, products};
use super::cholesky::{factorise, solve, triangle_len};
use super::exponential::exponentials;
use super::span::Span;
use crate::support_set::Supports;

/// `c`, scikit-learn's `C`, for components of standard deviation 1, as coordinates have.
pub(crate) const INVERSE_PENALTY: f64 = 0.1;

const NEWTON_STEPS_MAX: usize = 30;
const INNER_STEPS_MAX: usize = 60;
const HALVINGS_MAX: usize = 20;

/// The fit ends when the length of the gradient is below this, per support.
const GRADIENT_MIN: f64 = 1e-7;

/// A Newton step is solved until its residual has at most this part of the gradient's length.
const FORCING_MAX: f64 = 0.3;

/// Vectors of `C (r + 1)` values in f64: parameters, trial, gradient.
const VECTORS: usize = 3;

/// Vectors of `C (r + 1)` values in f32: see [`Step`].
const STEP_VECTORS: usize = 5;

/// The data and the penalty.
struct Problem<'a> {
    span: &'a Span<'a>,
    supports: Supports<'a>,
    classes: usize,
    /// `1 / c`, or `2 / c` for two classes.
    penalty: f64,
}

/// Memory of conjugate gradients.
struct Step<'a> {
    step: &'a mut [f32],
    residual: &'a mut [f32],
    direction: &'a mut [f32],
    /// The Hessian times the direction.
    curved: &'a mut [f32],
    preconditioned: &'a mut [f32],
    /// The factor of the preconditioner, a triangle of `r + 1` rows.
    factor: &'a mut [f32],
    /// Coordinates of a block, `[BLOCK, r]`.
    block: &'a mut [f32],
    /// Vectors of a block of classes, `[r + 1]`.
    columns: &'a mut [[f32; BLOCK]],
    /// Products of the direction with a block, `[C]`.
    products: &'a mut [[f32; BLOCK]],
    /// Probabilities of each block, `[⌈n / BLOCK⌉, C]`.
    probabilities: &'a mut [[f32; BLOCK]],
}

/// Values in f32 of [`Step`].
const fn step_len(rank: usize, classes: usize, supports: usize) -> usize {
    STEP_VECTORS * classes * (rank + 1)
        + triangle_len(rank + 1)
        + BLOCK * (rank + rank + 1 + classes + supports.div_ceil(BLOCK) * classes)
}

/// Scratch, in values, for up to `rank` coordinates.
pub(crate) const fn scratch_len(rank: usize, classes: usize, supports_max: usize) -> usize {
    VECTORS * classes * (rank + 1) + BLOCK * (rank + classes) + step_len(rank, classes, supports_max).div_ceil(2)
}

/// Fits and returns weights and biases `[C, r + 1]`, the bias last. The bias of a class without supports is `-∞`.
pub(crate) fn fit<'w>(
    span: &Span<'_>,
    supports: Supports<'_>,
    classes: usize,
    inverse_penalty: f64,
    scratch: &'w mut [f64],
) -> &'w mut [f64] {
    let (rank, length) = (span.rank, classes * (span.rank + 1));
    let (parameters, rest) = scratch.split_at_mut(length);
    let (trial, rest) = rest.split_at_mut(length);
    let (gradient, rest) = rest.split_at_mut(length);
    let (block, rest) = rest.split_at_mut(BLOCK * rank);
    let (logits, rest) = rest.split_at_mut(BLOCK * classes);
    let logits = logits.as_chunks_mut().0;
    let mut memory = Step::over(rank, classes, supports.len(), bytemuck::cast_slice_mut(rest));
    parameters.fill(0.0);
    let present = mark_present(supports, rank, parameters);
    let penalty = if present == 2 { 2.0 } else { 1.0 } / inverse_penalty;
    let problem = Problem { span, supports, classes, penalty };
    problem.write_preconditioner(present as f64, &mut memory);
    let mut loss = problem.evaluate(parameters, block, logits, memory.probabilities, gradient);
    let enough = GRADIENT_MIN * supports.len() as f64;
    for _ in 0..NEWTON_STEPS_MAX {
        let size = libm::sqrt(dot(gradient, gradient));
        if size <= enough {
            break;
        }
        problem.solve_newton(gradient, size, enough / size, &mut memory);
        let mut slope = 0.0;
        for (&g, &s) in gradient.iter().zip(&*memory.step) {
            slope += g * f64::from(s);
        }
        slope *= size;
        let mut part = 1.0;
        let mut found = false;
        for _ in 0..HALVINGS_MAX {
            for ((trial, &parameter), &step) in trial.iter_mut().zip(&*parameters).zip(&*memory.step) {
                *trial = parameter + part * size * f64::from(step);
            }
            let trial_loss = problem.evaluate(trial, block, logits, memory.probabilities, gradient);
            if trial_loss <= loss + 1e-4 * part * slope {
                loss = trial_loss;
                parameters.copy_from_slice(trial);
                found = true;
                break;
            }
            part *= 0.5;
        }
        if !found {
            // Only rounding error is left.
            break;
        }
    }
    parameters
}

/// Sets the bias of classes without supports to `-∞` and returns the number of the others.
fn mark_present(supports: Supports<'_>, rank: usize, parameters: &mut [f64]) -> usize {
    let mut present = 0;
    for (class, row) in parameters.chunks_exact_mut(rank + 1).enumerate() {
        if supports.records.iter().any(|record| usize::from(record.class) == class) {
            present += 1;
        } else {
            row[rank] = f64::NEG_INFINITY;
        }
    }
    present
}

impl<'a> Step<'a> {
    fn over(rank: usize, classes: usize, supports: usize, memory: &'a mut [f32]) -> Self {
        let length = classes * (rank + 1);
        let (step, rest) = memory.split_at_mut(length);
        let (residual, rest) = rest.split_at_mut(length);
        let (direction, rest) = rest.split_at_mut(length);
        let (curved, rest) = rest.split_at_mut(length);
        let (preconditioned, rest) = rest.split_at_mut(length);
        let (factor, rest) = rest.split_at_mut(triangle_len(rank + 1));
        let (block, rest) = rest.split_at_mut(BLOCK * rank);
        let (columns, rest) = rest.as_chunks_mut().0.split_at_mut(rank + 1);
        let (products, rest) = rest.split_at_mut(classes);
        let probabilities = &mut rest[..supports.div_ceil(BLOCK) * classes];
        Self { step, residual, direction, curved, preconditioned, factor, block, columns, products, probabilities }
    }

    /// Multiplies the residual by the inverse of the preconditioner.
    fn precondition(&mut self, stride: usize) {
        let classes = self.residual.chunks(BLOCK * stride).zip(self.preconditioned.chunks_mut(BLOCK * stride));
        for (residuals, solved) in classes {
            for (i, column) in self.columns.iter_mut().enumerate() {
                *column = core::array::from_fn(|b| residuals.get(b * stride + i).copied().unwrap_or_default());
            }
            solve(self.factor, self.columns);
            for (b, solved) in solved.chunks_exact_mut(stride).enumerate() {
                solved.iter_mut().zip(&*self.columns).for_each(|(solved, column)| *solved = column[b]);
            }
        }
    }
}

impl Problem<'_> {
    /// Writes the factor of the preconditioner, for `present` classes with supports.
    fn write_preconditioner(&self, present: f64, memory: &mut Step<'_>) {
        let rank = self.span.rank;
        let Step { factor, block, .. } = memory;
        factor.fill(0.0);
        for first in (0..self.supports.len()).step_by(BLOCK) {
            let used = self.span.write_block(self.supports, first, block);
            let mut rest = &mut **factor;
            for i in 0..used {
                let (line, below) = rest.split_at_mut(rank + 1 - i);
                let column: [f32; BLOCK] = core::array::from_fn(|b| block[b * rank + i]);
                accumulate(&column, (block, rank), i, &mut line[..used - i]);
                line[rank - i] += column.iter().sum::<f32>();
                rest = below;
            }
        }
        let curvature = ((1.0 - 1.0 / present) / present) as f32;
        factor.iter_mut().for_each(|value| *value *= curvature);
        let mut start = 0;
        for i in 0..rank {
            factor[start] += self.penalty as f32;
            start += rank + 1 - i;
        }
        factor[start] = curvature * self.supports.len() as f32;
        // Exactly, a pivot is at least the penalty, and that of the bias is above 0.
        factorise(factor, rank + 1, 1e-3 * self.penalty as f32);
    }

    /// The loss at `parameters`. Writes the probabilities of each support and the gradient.
    fn evaluate(
        &self,
        parameters: &[f64],
        block: &mut [f64],
        logits: &mut [[f64; BLOCK]],
        probabilities: &mut [[f32; BLOCK]],
        gradient: &mut [f64],
    ) -> f64 {
        let (rank, stride) = (self.span.rank, self.span.rank + 1);
        let mut loss = 0.0;
        for (out, weight) in gradient.chunks_exact_mut(stride).zip(parameters.chunks_exact(stride)) {
            out[..rank].iter_mut().zip(weight).for_each(|(out, w)| *out = self.penalty * w);
            out[rank] = 0.0;
            loss += 0.5 * self.penalty * dot(&weight[..rank], &weight[..rank]);
        }
        for (index, probabilities) in probabilities.chunks_exact_mut(self.classes).enumerate() {
            let first = index * BLOCK;
            let used = self.span.write_block(self.supports, first, block);
            products::<f64, 2>((parameters, stride), (block, rank), used, logits);
            let records = &self.supports.records[first..];
            let mut largest = [f64::NEG_INFINITY; BLOCK];
            for (logits, weight) in logits.iter_mut().zip(parameters.chunks_exact(stride)) {
                for b in 0..BLOCK {
                    logits[b] += weight[rank];
                    largest[b] = if logits[b] > largest[b] { logits[b] } else { largest[b] };
                }
            }
            for (b, record) in records.iter().take(BLOCK).enumerate() {
                loss += largest[b] - logits[usize::from(record.class)][b];
            }
            let mut sums = [0.0; BLOCK];
            for logits in logits.iter_mut() {
                *logits = exponentials(core::array::from_fn(|b| logits[b] - largest[b]));
                sums.iter_mut().zip(&*logits).for_each(|(sum, e)| *sum += e);
            }
            // Rows without a support have no part in the gradient.
            let inverse =
                core::array::from_fn::<f64, BLOCK, _>(|b| if b < records.len() { 1.0 / sums[b] } else { 0.0 });
            for (logits, p) in logits.iter_mut().zip(probabilities.iter_mut()) {
                *logits = core::array::from_fn(|b| logits[b] * inverse[b]);
                *p = logits.map(|p| p as f32);
            }
            for (b, record) in records.iter().take(BLOCK).enumerate() {
                loss += libm::log(sums[b]);
                logits[usize::from(record.class)][b] -= 1.0;
            }
            for (out, excess) in gradient.chunks_exact_mut(stride).zip(&*logits) {
                accumulate(excess, (block, rank), 0, &mut out[..used]);
                out[rank] += excess.iter().sum::<f64>();
            }
        }
        loss
    }

    /// `step ≈ -H⁻¹ g / |g|` by preconditioned conjugate gradients from 0.
    ///
    /// * `size`: `|g|`
    /// * `enough`: length of the next gradient with which the fit ends, as part of `|g|`
    fn solve_newton(&self, gradient: &[f64], size: f64, enough: f64, memory: &mut Step<'_>) {
        let stride = self.span.rank + 1;
        memory.step.fill(0.0);
        memory.residual.iter_mut().zip(gradient).for_each(|(r, &g)| *r = (g / size) as f32);
        memory.precondition(stride);
        memory.direction.iter_mut().zip(&*memory.preconditioned).for_each(|(d, z)| *d = -z);
        let mut square = dot(memory.residual, memory.preconditioned);
        // Steps near the minimum are solved more exactly, but not more than the end needs.
        let part = FORCING_MAX.min(libm::sqrt(size / self.supports.len() as f64)).max(0.3 * enough) as f32;
        for _ in 0..INNER_STEPS_MAX {
            self.write_curvature(memory);
            let curvature = dot(memory.direction, memory.curved);
            if curvature <= 0.0 {
                break;
            }
            let along = square / curvature;
            memory.step.iter_mut().zip(&*memory.direction).for_each(|(s, d)| *s += along * d);
            memory.residual.iter_mut().zip(&*memory.curved).for_each(|(r, c)| *r += along * c);
            if dot(memory.residual, memory.residual) <= part * part {
                break;
            }
            memory.precondition(stride);
            let next = dot(memory.residual, memory.preconditioned);
            let ratio = next / square;
            memory.direction.iter_mut().zip(&*memory.preconditioned).for_each(|(d, z)| *d = ratio * *d - z);
            square = next;
        }
        if dot(memory.step, memory.step) == 0.0 {
            memory.step.iter_mut().zip(gradient).for_each(|(s, &g)| *s = (-g / size) as f32);
        }
    }

    /// Writes the Hessian times the direction.
    fn write_curvature(&self, memory: &mut Step<'_>) {
        let (rank, stride) = (self.span.rank, self.span.rank + 1);
        let Step { direction, curved, block, products: along, probabilities, .. } = memory;
        let penalty = self.penalty as f32;
        for (out, direction) in curved.chunks_exact_mut(stride).zip(direction.chunks_exact(stride)) {
            out[..rank].iter_mut().zip(direction).for_each(|(out, d)| *out = penalty * d);
            out[rank] = 0.0;
        }
        for (index, probabilities) in probabilities.chunks_exact(self.classes).enumerate() {
            let used = self.span.write_block(self.supports, index * BLOCK, block);
            products::<f32, 4>((direction, stride), (block, rank), used, along);
            let mut mean = [0.0; BLOCK];
            for ((along, p), direction) in along.iter_mut().zip(probabilities).zip(direction.chunks_exact(stride)) {
                for b in 0..BLOCK {
                    along[b] += direction[rank];
                    mean[b] += p[b] * along[b];
                }
            }
            for ((out, along), p) in curved.chunks_exact_mut(stride).zip(along.iter()).zip(probabilities) {
                let factors = core::array::from_fn(|b| p[b] * (along[b] - mean[b]));
                accumulate(&factors, (block, rank), 0, &mut out[..used]);
                out[rank] += factors.iter().sum::<f32>();
            }
        }
    }
}
