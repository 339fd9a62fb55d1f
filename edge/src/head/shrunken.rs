//! Linear discriminant analysis on coordinates, with the shrinkage chosen by leave-one-out cross-validation.
//!
//! n supports, C classes of which C' have supports, r coordinates; `z` the coordinates of a support, `μ_c` the mean of
//! the `n_c` supports of class c.
//!
//! ```text
//! M = Σ_i (z_i - μ)(z_i - μ)ᵀ + κ I           each support with the mean of its own class
//! score_c(z) = -½ t (n - C' + κ) (z - μ_c)ᵀ M⁻¹ (z - μ_c)
//! ```
//!
//! `M / (n - C' + κ)` is the shared covariance after `κ` pseudo-supports of covariance `I`. `t` is a temperature.
//!
//! **Leave-one-out in closed form.** Let `d = z - μ_c` and `β = n_c / (n_c - 1)`. Without `z`, the mean of its class is
//! `μ_c - d / (n_c - 1)`, so `z` minus that mean is `β d`. The scatter of the class loses `d dᵀ` for `z` itself and
//! `(n_c - 1) d dᵀ / (n_c - 1)²` because the other supports are now taken about their own mean, together `β d dᵀ`. Hence
//! `M⁻ = M - β d dᵀ`, and by Sherman and Morrison, with `a(p, q) = pᵀ M⁻¹ q`,
//!
//! ```text
//! a⁻(p, q) = a(p, q) + β a(p, d) a(d, q) / (1 - β a(d, d))
//! ```
//!
//! The squared distances of the left-out `z` are `β² a⁻(d, d)` to its own class and `a⁻(z - μ_k, z - μ_k)` to class k.
//! Both are made of `a(z, z)`, `a(z, μ_k)` and `a(μ_k, μ_l)`: one factorisation of `M` serves all n supports.
//!
//! `κ` is the value of a fixed grid with the smallest log loss of left-out supports, plus a penalty for distance from
//! the prior. The temperature `t`, which changes no decision, is chosen likewise.

use super::cholesky::{dot, factorise, solve_transposed, triangle_len};
use super::error::HeadError;
use super::span::Span;
use crate::support_set::Supports;

/// Candidates for `κ / D`.
pub(crate) const GRID: [f64; 7] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0];

/// Index in [`GRID`] of the candidate used if no class has two supports.
const PRIOR: usize = 3;

/// Penalty in nats, times the squared number of grid steps from the prior.
///
/// Without it a few left-out supports choose `κ` by chance.
const PRIOR_WEIGHT: f64 = 0.5;

/// The solved covariance and means.
#[derive(Debug)]
pub(crate) struct Shrunken<'w> {
    /// `κ`.
    pub kappa: f64,
    /// `t (n - C' + κ)`. A score is -½ times this times a squared distance in `M⁻¹`.
    pub sharpness: f64,
    /// Upper triangle `R` of r rows, `Rᵀ R = M`.
    pub factor: &'w [f64],
    /// `R⁻ᵀ μ_c`, `[C, r]`.
    pub whitened: &'w [f64],
    /// `a(μ_k, μ_l)`, `[C, C]`.
    pub between: &'w [f64],
    /// `a(μ_k, μ_k)`, `[C]`.
    pub squares: &'w [f64],
    /// `n_c`, `[C]`.
    pub counts: &'w [f64],
}

/// The scratch, divided.
struct Work<'a> {
    scatter: &'a mut [f64],
    factor: &'a mut [f64],
    means: &'a mut [f64],
    whitened: &'a mut [f64],
    between: &'a mut [f64],
    squares: &'a mut [f64],
    counts: &'a mut [f64],
    row: &'a mut [f64],
    scores: &'a mut [f64],
}

impl<'w> Shrunken<'w> {
    /// Values of scratch for `rank` coordinates at most.
    pub const fn scratch_len(rank: usize, classes: usize, supports_max: usize) -> usize {
        2 * triangle_len(rank) + (2 * rank + classes + 2) * classes + rank + supports_max * classes
    }

    /// Solves covariance and means.
    ///
    /// * `kappa`: `None` chooses it by leave-one-out
    pub fn fit(
        span: &Span<'_>,
        supports: Supports<'_>,
        classes: usize,
        kappa: Option<f64>,
        scratch: &'w mut [f64],
    ) -> Result<Self, HeadError> {
        let mut work = Work::of(span.rank, classes, supports.len(), scratch);
        work.write_means(span, supports);
        work.write_scatter(span, supports);
        let dim = supports.dim as f64;
        let present = work.counts.iter().filter(|&&count| count > 0.0).count() as f64;
        let samples = supports.len() as f64;
        let certainty = samples / (samples + 2.0 * dim);
        let mut best = (f64::INFINITY, kappa.unwrap_or(GRID[PRIOR] * dim), certainty);
        for (index, &multiple) in GRID.iter().enumerate() {
            let candidate = kappa.unwrap_or(multiple * dim);
            work.solve(candidate)?;
            let Some((loss, temperature)) = work.leave_one_out(span, supports, candidate, present, certainty) else {
                break;
            };
            let apart = index as f64 - PRIOR as f64;
            let loss = loss + PRIOR_WEIGHT * apart * apart;
            if loss < best.0 {
                best = (loss, candidate, temperature);
            }
            if kappa.is_some() {
                break;
            }
        }
        let (_, kappa, temperature) = best;
        work.solve(kappa)?;
        let sharpness = temperature * (samples - present + kappa);
        Ok(Self::of_work(kappa, sharpness, work))
    }

    /// The result that [`Self::fit`] left in this scratch.
    pub fn over(
        (kappa, sharpness): (f64, f64),
        span: &Span<'_>,
        classes: usize,
        supports: usize,
        scratch: &'w mut [f64],
    ) -> Self {
        Self::of_work(kappa, sharpness, Work::of(span.rank, classes, supports, scratch))
    }

    fn of_work(kappa: f64, sharpness: f64, work: Work<'w>) -> Self {
        let Work { factor, whitened, between, squares, counts, .. } = work;
        Self { kappa, sharpness, factor, whitened, between, squares, counts }
    }
}

impl<'a> Work<'a> {
    fn of(rank: usize, classes: usize, supports: usize, scratch: &'a mut [f64]) -> Self {
        let triangle = triangle_len(rank);
        let (scatter, rest) = scratch.split_at_mut(triangle);
        let (factor, rest) = rest.split_at_mut(triangle);
        let (means, rest) = rest.split_at_mut(classes * rank);
        let (whitened, rest) = rest.split_at_mut(classes * rank);
        let (between, rest) = rest.split_at_mut(classes * classes);
        let (squares, rest) = rest.split_at_mut(classes);
        let (counts, rest) = rest.split_at_mut(classes);
        let (row, rest) = rest.split_at_mut(rank);
        let scores = &mut rest[..supports * classes];
        Self { scatter, factor, means, whitened, between, squares, counts, row, scores }
    }

    fn write_means(&mut self, span: &Span<'_>, supports: Supports<'_>) {
        let rank = span.rank;
        self.counts.fill(0.0);
        self.means.fill(0.0);
        for (row, record) in span.rows.chunks_exact(rank).zip(supports.records) {
            let class = usize::from(record.class);
            self.counts[class] += 1.0;
            self.means[class * rank..][..rank].iter_mut().zip(row).for_each(|(mean, z)| *mean += z);
        }
        for (mean, &count) in self.means.chunks_exact_mut(rank).zip(&*self.counts) {
            mean.iter_mut().for_each(|mean| *mean /= if count > 0.0 { count } else { 1.0 });
        }
    }

    fn write_scatter(&mut self, span: &Span<'_>, supports: Supports<'_>) {
        let rank = span.rank;
        self.scatter.fill(0.0);
        for (row, record) in span.rows.chunks_exact(rank).zip(supports.records) {
            let mean = &self.means[usize::from(record.class) * rank..][..rank];
            self.row.iter_mut().zip(row).zip(mean).for_each(|((d, z), mean)| *d = z - mean);
            let mut rest = &mut *self.scatter;
            for i in 0..rank {
                let (line, below) = rest.split_at_mut(rank - i);
                let d = self.row[i];
                line.iter_mut().zip(&self.row[i..]).for_each(|(value, other)| *value += d * other);
                rest = below;
            }
        }
    }

    /// Writes the factor of `M`, the whitened means and their products for `kappa`.
    fn solve(&mut self, kappa: f64) -> Result<(), HeadError> {
        let rank = self.row.len();
        self.factor.copy_from_slice(self.scatter);
        let mut position = 0;
        for i in 0..rank {
            self.factor[position] += kappa;
            position += rank - i;
        }
        factorise(self.factor, rank)?;
        self.whitened.copy_from_slice(self.means);
        self.whitened.chunks_exact_mut(rank).for_each(|mean| solve_transposed(self.factor, mean));
        let classes = self.counts.len();
        for k in 0..classes {
            for l in 0..classes {
                self.between[k * classes + l] =
                    dot(&self.whitened[k * rank..][..rank], &self.whitened[l * rank..][..rank]);
            }
            self.squares[k] = self.between[k * classes + k];
        }
        Ok(())
    }

    /// Log loss summed over left-out supports and the best temperature; `None` if no class has two supports.
    fn leave_one_out(
        &mut self,
        span: &Span<'_>,
        supports: Supports<'_>,
        kappa: f64,
        present: f64,
        certainty: f64,
    ) -> Option<(f64, f64)> {
        let classes = self.counts.len();
        let rank = span.rank;
        let sharpness = supports.len() as f64 - 1.0 - present + kappa;
        let mut left_out = 0;
        for (index, record) in supports.records.iter().enumerate() {
            let class = usize::from(record.class);
            if self.counts[class] < 2.0 {
                continue;
            }
            self.row.copy_from_slice(span.row(index));
            solve_transposed(self.factor, self.row);
            let scores = &mut self.scores[left_out * classes..][..classes];
            for (score, mean) in scores.iter_mut().zip(self.whitened.chunks_exact(rank)) {
                *score = dot(self.row, mean);
            }
            let to_class = &self.between[class * classes..][..classes];
            write_left_out(dot(self.row, self.row), class, self.squares, to_class, self.counts, scores);
            // Margins of the scores over that of the right class, which is moved to the front.
            scores.iter_mut().for_each(|score| *score *= 0.5 * sharpness);
            let own = scores[class];
            scores.swap(0, class);
            scores.iter_mut().for_each(|score| *score = own - *score);
            left_out += 1;
        }
        if left_out == 0 {
            return None;
        }
        Some(best_temperature(&self.scores[..left_out * classes], classes, certainty))
    }
}

/// Replaces `a(z, μ_k)` by the squared distance of `z` to class k after `z` is left out of `class`.
///
/// * `own`: `a(z, z)`
/// * `squares`: `a(μ_k, μ_k)`, `[C]`
/// * `to_class`: `a(μ_k, μ_class)`, `[C]`
/// * `counts`: `[C]`, at least 2 of `class`
/// * `scores`: `[C]`; `∞` for a class without supports
pub(crate) fn write_left_out(
    own: f64,
    class: usize,
    squares: &[f64],
    to_class: &[f64],
    counts: &[f64],
    scores: &mut [f64],
) {
    let beta = counts[class] / (counts[class] - 1.0);
    let own_to_class = scores[class];
    let of_d = own - 2.0 * own_to_class + squares[class];
    let remaining = 1.0 - beta * of_d;
    // Exactly, this is above 0, because `M⁻` is at least `κ I`; rounding may make it 0 or less.
    let gain = beta / if remaining > 1e-12 { remaining } else { 1e-12 };
    for (k, score) in scores.iter_mut().enumerate() {
        let (square, with_d) = if k == class {
            (beta * beta * of_d, beta * of_d)
        } else {
            (own - 2.0 * *score + squares[k], own - own_to_class - *score + to_class[k])
        };
        *score = if counts[k] > 0.0 { square + gain * with_d * with_d } else { f64::INFINITY };
    }
}

/// The smallest penalised log loss over a fixed grid of temperatures around `certainty`, and its temperature.
///
/// * `margins`: `[n, C]`, score minus that of the right class; the right class is first
fn best_temperature(margins: &[f64], classes: usize, certainty: f64) -> (f64, f64) {
    let mut best = (f64::INFINITY, certainty);
    let mut temperature = certainty / 8.0;
    for step in 0..13 {
        let mut loss = 0.0;
        for row in margins.chunks_exact(classes) {
            let mut largest = 0.0;
            for &margin in row {
                largest = if margin > largest { margin } else { largest };
            }
            let mut sum = 0.0;
            for &margin in row {
                sum += libm::exp(temperature * (margin - largest));
            }
            loss += temperature * largest + libm::log(sum);
        }
        let apart = f64::from(step) / 2.0 - 3.0;
        loss += 1.0 * apart * apart;
        if loss < best.0 {
            best = (loss, temperature);
        }
        temperature *= core::f64::consts::SQRT_2;
    }
    best
}
