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
//! **All candidates at once.** In coordinates where the scatter is tridiagonal (see [`super::tridiagonal`]) so is `M` for
//! every `κ`, and a support costs `r²` operations to rotate and `r C` for each candidate.
//!
//! `κ` is the value of a fixed grid with the smallest log loss of left-out supports, plus a penalty for distance from
//! the prior. The temperature `t`, which changes no decision, is chosen likewise.

use super::block::{BLOCK, accumulate, dot, products, products_of_columns};
use super::error::HeadError;
use super::leave_one_out::{Losses, write_left_out};
use super::span::Span;
use super::tridiagonal::{self, Factor};
use crate::support_set::Supports;

/// Candidates for `κ / D`.
pub(crate) const GRID: [f64; 7] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0];

/// Index in [`GRID`] of the candidate used if no class has two supports.
const PRIOR: usize = 3;

/// Penalty in nats, times the squared number of grid steps from the prior.
///
/// Without it a few left-out supports choose `κ` by chance.
const PRIOR_WEIGHT: f64 = 0.5;

/// The solved covariance and means. `Q` rotates coordinates, and `R` is the factor of `M` in rotated ones.
#[derive(Debug)]
pub(crate) struct Shrunken<'w> {
    /// `κ`.
    pub kappa: f64,
    /// `t (n - C' + κ)`. A score is -½ times this times a squared distance in `M⁻¹`.
    pub sharpness: f64,
    /// `Qᵀ`, `[r, r]`.
    rotation: &'w [f64],
    factor: Factor<'w>,
    /// `R⁻ᵀ Qᵀ μ_c`, `[C, r]`.
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
    /// The scatter, then `Qᵀ`.
    rotation: &'a mut [f64],
    /// The diagonal of `T`, then of the factor of the chosen `M`.
    diagonal: &'a mut [f64],
    /// The values beside it.
    beside: &'a mut [f64],
    /// Means, then rotated, then whitened.
    means: &'a mut [f64],
    between: &'a mut [f64],
    squares: &'a mut [f64],
    counts: &'a mut [f64],
    /// Needed until `M` is solved.
    rest: &'a mut [f64],
}

/// What leave-one-out needs of one `κ`.
struct Candidate<'a> {
    factor: Factor<'a>,
    /// `M⁻¹ μ_c` in rotated coordinates, `[C, r]`.
    solved: &'a [f64],
    /// `a(μ_k, μ_l)`, `[C, C]`.
    between: &'a [f64],
    /// `a(μ_k, μ_k)`, `[C]`.
    squares: &'a [f64],
}

/// Candidates that are compared in one pass over the supports: few if there are many classes, to save memory.
const fn candidates_at_once(classes: usize, supports: usize) -> usize {
    match supports / (3 * (classes + 2)) {
        0 => 1,
        fitting if fitting < GRID.len() => fitting,
        _ => GRID.len(),
    }
}

const fn candidate_len(rank: usize, classes: usize) -> usize {
    (2 + classes) * rank + classes * classes + classes
}

impl<'w> Shrunken<'w> {
    /// Values of scratch for `rank` coordinates at most.
    pub const fn scratch_len(rank: usize, classes: usize, supports_max: usize) -> usize {
        rank * (rank + 2)
            + (rank + classes + 2) * classes
            + candidates_at_once(classes, supports_max) * candidate_len(rank, classes)
            + BLOCK * (2 * rank + classes)
            + classes
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
        let mut work = Work::of(span.rank, classes, scratch);
        work.write_means(span, supports);
        work.write_scatter(span, supports);
        work.rotate();
        let present = work.counts.iter().filter(|&&count| count > 0.0).count() as f64;
        let samples = supports.len() as f64;
        let certainty = samples / (samples + 2.0 * supports.dim as f64);
        let (kappa, temperature) = match kappa {
            Some(kappa) => (kappa, work.leave_one_out(span, supports, &[kappa], certainty)?.1),
            None => {
                let dim = supports.dim as f64;
                work.leave_one_out(span, supports, &GRID.map(|multiple| multiple * dim), certainty)?
            }
        };
        work.solve(kappa)?;
        let sharpness = temperature * (samples - present + kappa);
        Ok(Self::of_work(kappa, sharpness, work))
    }

    /// The result that [`Self::fit`] left in this scratch.
    pub fn over((kappa, sharpness): (f64, f64), span: &Span<'_>, classes: usize, scratch: &'w mut [f64]) -> Self {
        Self::of_work(kappa, sharpness, Work::of(span.rank, classes, scratch))
    }

    fn of_work(kappa: f64, sharpness: f64, work: Work<'w>) -> Self {
        let Work { rotation, diagonal, beside, means, between, squares, counts, .. } = work;
        let factor = Factor::over(diagonal, beside);
        Self { kappa, sharpness, rotation, factor, whitened: means, between, squares, counts }
    }

    /// Writes `R⁻ᵀ Qᵀ z`: `a(p, q)` is the product of two of these.
    pub fn whiten(&self, z: &[f64], out: &mut [f64]) {
        rotate(self.rotation, z, out);
        self.factor.whiten(out);
    }

    /// Writes `M⁻¹ z` of a whitened `z`, which is overwritten.
    pub fn solve_whitened(&self, whitened: &mut [f64], out: &mut [f64]) {
        self.factor.solve(whitened);
        out.fill(0.0);
        for (&along, axis) in whitened.iter().zip(self.rotation.chunks_exact(out.len())) {
            out.iter_mut().zip(axis).for_each(|(out, q)| *out += along * q);
        }
    }
}

fn rotate(rotation: &[f64], z: &[f64], out: &mut [f64]) {
    out.iter_mut().zip(rotation.chunks_exact(z.len())).for_each(|(out, axis)| *out = dot(axis, z));
}

impl<'a> Work<'a> {
    fn of(rank: usize, classes: usize, scratch: &'a mut [f64]) -> Self {
        let (rotation, rest) = scratch.split_at_mut(rank * rank);
        let (diagonal, rest) = rest.split_at_mut(rank);
        let (beside, rest) = rest.split_at_mut(rank);
        let (means, rest) = rest.split_at_mut(classes * rank);
        let (between, rest) = rest.split_at_mut(classes * classes);
        let (squares, rest) = rest.split_at_mut(classes);
        let (counts, rest) = rest.split_at_mut(classes);
        Self { rotation, diagonal, beside, means, between, squares, counts, rest }
    }

    fn write_means(&mut self, span: &Span<'_>, supports: Supports<'_>) {
        let rank = span.rank;
        let row = &mut self.rest[..rank];
        self.counts.fill(0.0);
        self.means.fill(0.0);
        for (index, record) in supports.records.iter().enumerate() {
            let class = usize::from(record.class);
            self.counts[class] += 1.0;
            span.write_row(supports, index, row);
            self.means[class * rank..][..rank].iter_mut().zip(&*row).for_each(|(mean, z)| *mean += z);
        }
        for (mean, &count) in self.means.chunks_exact_mut(rank).zip(&*self.counts) {
            mean.iter_mut().for_each(|mean| *mean /= if count > 0.0 { count } else { 1.0 });
        }
    }

    /// Writes the lower triangle of the scatter.
    fn write_scatter(&mut self, span: &Span<'_>, supports: Supports<'_>) {
        let rank = span.rank;
        let block = &mut self.rest[..BLOCK * rank];
        self.rotation.fill(0.0);
        for first in (0..supports.len()).step_by(BLOCK) {
            span.write_block(supports, first, block);
            for (row, record) in block.chunks_exact_mut(rank).zip(&supports.records[first..]) {
                let mean = &self.means[usize::from(record.class) * rank..][..rank];
                row.iter_mut().zip(mean).for_each(|(z, mean)| *z -= mean);
            }
            for (i, line) in self.rotation.chunks_exact_mut(rank).enumerate() {
                let factors = core::array::from_fn(|b| block[b * rank + i]);
                accumulate(&factors, (block, rank), 0, &mut line[..=i]);
            }
        }
    }

    /// Replaces the scatter by `Qᵀ` and `T`, and rotates the means.
    fn rotate(&mut self) {
        let rank = self.diagonal.len();
        let row = &mut self.rest[..rank];
        tridiagonal::reduce(self.rotation, self.diagonal, self.beside, row);
        for mean in self.means.chunks_exact_mut(rank) {
            rotate(self.rotation, mean, row);
            mean.copy_from_slice(row);
        }
    }

    /// Factors `M`, whitens the means and writes their products.
    fn solve(&mut self, kappa: f64) -> Result<(), HeadError> {
        let rank = self.diagonal.len();
        tridiagonal::factorise(self.diagonal, self.beside, kappa)?;
        let factor = Factor::over(self.diagonal, self.beside);
        self.means.chunks_exact_mut(rank).for_each(|mean| factor.whiten(mean));
        write_between(self.means, self.means, rank, self.between, self.squares);
        Ok(())
    }

    /// The best of `kappas` and its temperature, by the log loss summed over left-out supports.
    ///
    /// If no class has two supports, the prior one, or the only one.
    fn leave_one_out(
        &mut self,
        span: &Span<'_>,
        supports: Supports<'_>,
        kappas: &[f64],
        certainty: f64,
    ) -> Result<(f64, f64), HeadError> {
        let (rank, classes) = (span.rank, self.counts.len());
        let (samples, present) = (supports.len(), self.counts.iter().filter(|&&count| count > 0.0).count());
        let mut best = (f64::INFINITY, kappas[PRIOR.min(kappas.len() - 1)], certainty);
        if self.counts.iter().all(|&count| count < 2.0) {
            return Ok((best.1, best.2));
        }
        let at_once = candidates_at_once(classes, samples);
        let (memory, work) = self.rest.split_at_mut(at_once * candidate_len(rank, classes));
        for (group, kappas) in kappas.chunks(at_once).enumerate() {
            for (&kappa, memory) in kappas.iter().zip(memory.chunks_exact_mut(candidate_len(rank, classes))) {
                write_candidate(self.diagonal, self.beside, self.means, kappa, memory)?;
            }
            let mut losses = [Losses::new(certainty); GRID.len()];
            let (block, rest) = work.split_at_mut(BLOCK * rank);
            let (scores_of_row, rest) = rest.split_at_mut(classes);
            let (rotated, rest) = rest.as_chunks_mut::<BLOCK>().0.split_at_mut(rank);
            let scores = &mut rest[..classes];
            for first in (0..samples).step_by(BLOCK) {
                let used = span.write_block(supports, first, block);
                products::<f64, 2>((self.rotation, rank), (block, rank), used, rotated);
                for ((&kappa, memory), losses) in
                    kappas.iter().zip(memory.chunks_exact(candidate_len(rank, classes))).zip(&mut losses)
                {
                    let candidate = Candidate::over(memory, rank, classes);
                    let own = candidate.factor.squares(rotated);
                    products_of_columns(candidate.solved, rotated, scores);
                    let sharpness = samples as f64 - 1.0 - present as f64 + kappa;
                    for (b, record) in supports.records[first..].iter().take(BLOCK).enumerate() {
                        let class = usize::from(record.class);
                        if self.counts[class] < 2.0 {
                            continue;
                        }
                        let row = &mut *scores_of_row;
                        row.iter_mut().zip(&*scores).for_each(|(row, scores)| *row = scores[b]);
                        let to_class = &candidate.between[class * classes..][..classes];
                        write_left_out(own[b], class, candidate.squares, to_class, self.counts, row);
                        losses.add(row, class, sharpness);
                    }
                    losses.settle();
                }
            }
            for (place, (&kappa, losses)) in kappas.iter().zip(&losses).enumerate() {
                let (loss, temperature) = losses.best();
                let apart = (group * at_once + place) as f64 - PRIOR as f64;
                let loss = loss + PRIOR_WEIGHT * apart * apart;
                if loss < best.0 {
                    best = (loss, kappa, temperature);
                }
            }
        }
        Ok((best.1, best.2))
    }
}

impl<'a> Candidate<'a> {
    fn over(memory: &'a [f64], rank: usize, classes: usize) -> Self {
        let (inverse, rest) = memory.split_at(rank);
        let (beside, rest) = rest.split_at(rank);
        let (solved, rest) = rest.split_at(classes * rank);
        let (between, squares) = rest.split_at(classes * classes);
        Self { factor: Factor::over(inverse, beside), solved, between, squares }
    }
}

/// Writes a [`Candidate`].
fn write_candidate(
    diagonal: &[f64],
    beside: &[f64],
    means: &[f64],
    kappa: f64,
    memory: &mut [f64],
) -> Result<(), HeadError> {
    let rank = diagonal.len();
    let classes = means.len() / rank;
    let (inverse, rest) = memory.split_at_mut(rank);
    let (factor_beside, rest) = rest.split_at_mut(rank);
    let (solved, rest) = rest.split_at_mut(classes * rank);
    let (between, squares) = rest.split_at_mut(classes * classes);
    inverse.copy_from_slice(diagonal);
    factor_beside.copy_from_slice(beside);
    tridiagonal::factorise(inverse, factor_beside, kappa)?;
    let factor = Factor::over(inverse, factor_beside);
    solved.copy_from_slice(means);
    for mean in solved.chunks_exact_mut(rank) {
        factor.whiten(mean);
        factor.solve(mean);
    }
    write_between(means, solved, rank, between, squares);
    Ok(())
}

/// Writes the products of each of `left` with each of `right`, `[C, C]`, and those of equal classes, `[C]`.
fn write_between(left: &[f64], right: &[f64], rank: usize, between: &mut [f64], squares: &mut [f64]) {
    let classes = squares.len();
    for (k, left) in left.chunks_exact(rank).enumerate() {
        for (l, right) in right.chunks_exact(rank).enumerate() {
            between[k * classes + l] = dot(left, right);
        }
        squares[k] = between[k * classes + k];
    }
}
