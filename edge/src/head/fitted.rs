//! Every kind of head, solved to weights and biases: `score_c = w_c · x + b_c`, then a softmax.
//!
//! n supports, D dimensions, C class slots, r coordinates (see [`super::span`]).

use super::block::dot;
use super::decision::{Decision, check_probabilities, softmax};
use super::error::HeadError;
use super::logistic::{self, INVERSE_PENALTY};
use super::shrunken::Shrunken;
use super::span::Span;
use crate::feature::{DIM_MAX, UNIT};
use crate::support_set::{CLASSES_MAX, Supports};

/// The kind of head. The numbers are part of the protocol: append, never renumber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::FromRepr)]
#[repr(u8)]
pub enum HeadKind {
    /// The default: a weighted mean of the scores of [`HeadKind::Gaussian`] and [`HeadKind::Logistic`].
    ///
    /// Each is the better one on some data; their mean is never far behind.
    #[default]
    Auto = 0,
    /// The class with the largest cosine between its mean and the feature (Snell et al. 2017, arXiv:1703.05175).
    Prototype = 1,
    /// Linear discriminant analysis: one shared covariance, its shrinkage chosen by leave-one-out.
    Gaussian = 2,
    /// Softmax regression with an L2 penalty.
    Logistic = 3,
}

impl HeadKind {
    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Prototype => "prototype",
            Self::Gaussian => "gaussian",
            Self::Logistic => "logistic",
        }
    }
}

/// Share of the Gaussian head in [`HeadKind::Auto`]; the rest is softmax regression.
///
/// With 0.5 the default was 1.1 points behind scikit-learn's logistic regression on raw colour pixels at 50 shots, where
/// the Gaussian head alone is 7 points behind. At 2 shots of x-rays softmax regression is the weaker one.
const GAUSSIAN_SHARE: f64 = 0.4;

/// Cosines are divided by this before the softmax. It changes probabilities, never the class.
///
/// Of 0.1, 0.2, 0.5, 1, 2 and 5 it gave the lowest log loss at 5 to 50 shots on chest x-rays.
const PROTOTYPE_TEMPERATURE: f64 = 0.5;

/// A solved head in scratch memory lent by the caller.
#[derive(Debug)]
pub struct Head<'w> {
    dim: usize,
    /// `[C, D]`, for quantised features.
    weights: &'w [f64],
    /// `[C]`; `-∞` for a class without supports.
    biases: &'w [f64],
}

impl<'w> Head<'w> {
    /// Scratch, in values, for `classes` slots and up to `supports_max` supports of `dim` dimensions.
    pub const fn scratch_len(dim: usize, classes: usize, supports_max: usize) -> usize {
        Self::weights_len(dim, classes) + Self::work_len(dim, classes, supports_max)
    }

    pub(crate) const fn weights_len(dim: usize, classes: usize) -> usize {
        classes * dim + classes
    }

    pub(crate) const fn work_len(dim: usize, classes: usize, supports_max: usize) -> usize {
        let rank = if dim < supports_max { dim } else { supports_max };
        let gaussian = Shrunken::scratch_len(rank, classes, supports_max);
        let logistic = logistic::scratch_len(rank, classes, supports_max);
        Span::scratch_len(dim, supports_max)
            + 2 * rank
            + classes * (rank + 1)
            + if gaussian > logistic { gaussian } else { logistic }
    }

    /// Solves a head of `kind` from `supports`.
    ///
    /// * `classes`: C; every support's class is below it
    /// * `scratch`: at least [`Self::scratch_len`] values, with any content
    ///
    /// # Errors
    /// If there is no support or a size is wrong.
    pub fn fit(
        kind: HeadKind,
        supports: Supports<'_>,
        classes: usize,
        scratch: &'w mut [f64],
    ) -> Result<Self, HeadError> {
        check(supports, classes)?;
        let expected = Self::scratch_len(supports.dim, classes, supports.len());
        if scratch.len() < expected {
            return Err(HeadError::Memory { what: "scratch", found: scratch.len(), expected });
        }
        let (weights, work) = scratch.split_at_mut(Self::weights_len(supports.dim, classes));
        let (span, work) = Span::new(supports, work);
        let (row, work) = work.split_at_mut(2 * span.rank);
        let (logistic, work) = work.split_at_mut(classes * (span.rank + 1));
        write_logistic(kind, supports, &span, classes, work, logistic);
        if matches!(kind, HeadKind::Auto | HeadKind::Gaussian) {
            let solved = Shrunken::fit(&span, supports, classes, None, work)?;
            write_weights(kind, supports, &span, Some(&solved), logistic, row, weights);
        } else {
            write_weights(kind, supports, &span, None, logistic, row, weights);
        }
        Ok(Self::of_weights(supports.dim, classes, weights))
    }

    /// Solves linear discriminant analysis (Fisher 1936) with the fixed shrinkage `kappa`, greater than 0.
    ///
    /// A baseline for evaluation. Unlike [`HeadKind::Gaussian`] it does not choose `κ` and does not scale the class
    /// means.
    ///
    /// * `classes`, `scratch`: as for [`Self::fit`]
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn fit_with_shrinkage(
        supports: Supports<'_>,
        classes: usize,
        kappa: f64,
        scratch: &'w mut [f64],
    ) -> Result<Self, HeadError> {
        check(supports, classes)?;
        let expected = Self::scratch_len(supports.dim, classes, supports.len());
        if scratch.len() < expected {
            return Err(HeadError::Memory { what: "scratch", found: scratch.len(), expected });
        }
        let (weights, work) = scratch.split_at_mut(Self::weights_len(supports.dim, classes));
        let (span, work) = Span::new(supports, work);
        let (row, work) = work.split_at_mut(2 * span.rank);
        let solved = Shrunken::fit(&span, supports, classes, Some(kappa), work)?;
        let (rows, biases) = weights.split_at_mut(classes * supports.dim);
        for (class, weight) in rows.chunks_exact_mut(supports.dim).enumerate() {
            let (row, other) = row.split_at_mut(span.rank);
            biases[class] = write_discriminant(&solved, class, 1.0, other, row);
            span.write_weight(supports, row, weight);
        }
        Ok(Self::of_weights(supports.dim, classes, weights))
    }

    /// A head from weights `[C, D]`, then biases `[C]`.
    pub(crate) fn of_weights(dim: usize, classes: usize, weights: &'w [f64]) -> Self {
        let (weights, biases) = weights.split_at(classes * dim);
        Self { dim, weights, biases }
    }

    /// A head that was solved before.
    ///
    /// * `classes`: C
    /// * `weights`: those of [`Self::weights`], `[C, D]`, then those of [`Self::biases`], `[C]`
    ///
    /// # Errors
    /// When a size is out of range or `weights` has another length.
    pub fn from_weights(dim: usize, classes: usize, weights: &'w [f64]) -> Result<Self, HeadError> {
        check_sizes(dim, classes)?;
        let expected = Self::weights_len(dim, classes);
        if weights.len() != expected {
            return Err(HeadError::Memory { what: "weights", found: weights.len(), expected });
        }
        Ok(Self::of_weights(dim, classes, weights))
    }

    /// Weights `[C, D]` for quantised features.
    pub fn weights(&self) -> &'w [f64] {
        self.weights
    }

    /// Biases `[C]`; `-∞` for a class without supports.
    pub fn biases(&self) -> &'w [f64] {
        self.biases
    }

    /// Classifies `feature`, `[D]`, and writes the probability of each class.
    ///
    /// * `probabilities`: `[C]`; classes without supports get 0
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn predict(&self, feature: &[i16], probabilities: &mut [f64]) -> Result<Decision, HeadError> {
        if feature.len() != self.dim {
            return Err(HeadError::FeatureDimension { found: feature.len(), expected: self.dim });
        }
        check_probabilities(probabilities.len(), self.biases.len())?;
        for (class, score) in probabilities.iter_mut().enumerate() {
            let mut sum = 0.0;
            for (&w, &x) in self.weights[class * self.dim..][..self.dim].iter().zip(feature) {
                sum += w * f64::from(x);
            }
            *score = sum + self.biases[class];
        }
        softmax(probabilities)
    }
}

fn check_sizes(dim: usize, classes: usize) -> Result<(), HeadError> {
    if !(1..=DIM_MAX).contains(&dim) {
        return Err(HeadError::DimensionOutOfRange { found: dim });
    }
    if !(1..=CLASSES_MAX).contains(&classes) {
        return Err(HeadError::ClassesOutOfRange { found: classes });
    }
    Ok(())
}

pub(crate) fn check(supports: Supports<'_>, classes: usize) -> Result<(), HeadError> {
    check_sizes(supports.dim, classes)?;
    let expected = supports.len() * supports.dim;
    if supports.features.len() != expected {
        return Err(HeadError::Memory { what: "features", found: supports.features.len(), expected });
    }
    if let Some(record) = supports.records.iter().find(|record| usize::from(record.class) >= classes) {
        return Err(HeadError::ClassOutOfRange { class: record.class, classes });
    }
    if supports.is_empty() { Err(HeadError::NothingLearned) } else { Ok(()) }
}

/// Writes the weights `[C, r + 1]` of softmax regression on coordinates if `kind` needs them, else 0.
pub(crate) fn write_logistic(
    kind: HeadKind,
    supports: Supports<'_>,
    span: &Span<'_>,
    classes: usize,
    work: &mut [f64],
    logistic: &mut [f64],
) {
    match kind {
        HeadKind::Auto | HeadKind::Logistic => {
            logistic.copy_from_slice(logistic::fit(span, supports, classes, INVERSE_PENALTY, work));
        }
        HeadKind::Prototype | HeadKind::Gaussian => logistic.fill(0.0),
    }
}

/// Writes weights `[C, D]`, then biases `[C]`.
///
/// * `solved`: for the kinds that use it
/// * `logistic`: from [`write_logistic`]; overwritten
/// * `rows`: `[2, r]`
pub(crate) fn write_weights(
    kind: HeadKind,
    supports: Supports<'_>,
    span: &Span<'_>,
    solved: Option<&Shrunken<'_>>,
    logistic: &mut [f64],
    rows: &mut [f64],
    weights: &mut [f64],
) {
    let (row, other) = rows.split_at_mut(span.rank);
    let classes = logistic.len() / (span.rank + 1);
    let (weights, biases) = weights.split_at_mut(classes * supports.dim);
    if kind == HeadKind::Prototype {
        return write_prototypes(supports, weights, biases);
    }
    for (class, fitted) in logistic.chunks_exact_mut(span.rank + 1).enumerate() {
        let (weight, bias) = fitted.split_at_mut(span.rank);
        if let (Some(solved), HeadKind::Auto | HeadKind::Gaussian) = (solved, kind) {
            let gaussian = write_gaussian(solved, class, other, row);
            // The mean of two scores is the score of the mean of the weights.
            let share = if kind == HeadKind::Auto { GAUSSIAN_SHARE } else { 1.0 };
            weight.iter_mut().zip(&*row).for_each(|(w, g)| *w = (1.0 - share) * *w + share * g);
            bias[0] = if gaussian.is_finite() { (1.0 - share) * bias[0] + share * gaussian } else { gaussian };
        }
        span.write_weight(supports, weight, &mut weights[class * supports.dim..][..supports.dim]);
        biases[class] = bias[0];
    }
}

/// Writes mean directions, scaled so that the score of a unit feature is its cosine divided by the temperature.
fn write_prototypes(supports: Supports<'_>, weights: &mut [f64], biases: &mut [f64]) {
    weights.fill(0.0);
    biases.fill(f64::NEG_INFINITY);
    for (class, feature) in supports.iter() {
        let class = usize::from(class);
        biases[class] = 0.0;
        weights[class * supports.dim..][..supports.dim].iter_mut().zip(feature).for_each(|(w, &x)| *w += f64::from(x));
    }
    for weight in weights.chunks_exact_mut(supports.dim) {
        let length = libm::sqrt(dot(weight, weight)) * f64::from(UNIT) * PROTOTYPE_TEMPERATURE;
        weight.iter_mut().for_each(|w| *w = if length > 0.0 { *w / length } else { 0.0 });
    }
}

/// Weights and bias of a class, as [`write_discriminant`] has them, with means scaled towards one common length.
///
/// The length of a mean measures how similar its samples are; two or three samples estimate it badly. Its weight grows
/// with the shots, by `1 - 2 / n_c`; up to two shots only the direction counts, as for the prototype head.
fn write_gaussian(solved: &Shrunken<'_>, class: usize, work: &mut [f64], weight: &mut [f64]) -> f64 {
    let (count, square) = (solved.counts[class], solved.squares[class]);
    let (mut total, mut present) = (0.0, 0.0);
    for (&square, _) in solved.squares.iter().zip(solved.counts).filter(|(_, count)| **count > 0.0) {
        total += square;
        present += 1.0;
    }
    let share = if count > 2.0 { 2.0 / count } else { 1.0 };
    let factor = if square > 0.0 { libm::exp(0.5 * share * libm::log(total / present / square)) } else { 1.0 };
    write_discriminant(solved, class, factor, work, weight)
}

/// Writes `w_c = sharpness · M⁻¹ f μ_c` and returns the bias `-½ sharpness · f² μ_cᵀ M⁻¹ μ_c`, `f` the factor of the
/// mean. The bias of a class without supports is `-∞`.
fn write_discriminant(solved: &Shrunken<'_>, class: usize, factor: f64, work: &mut [f64], weight: &mut [f64]) -> f64 {
    let (count, square) = (solved.counts[class], solved.squares[class]);
    if count == 0.0 || square <= 0.0 {
        weight.fill(0.0);
        return if count > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    }
    work.copy_from_slice(&solved.whitened[class * weight.len()..][..weight.len()]);
    solved.solve_whitened(work, weight);
    weight.iter_mut().for_each(|w| *w *= solved.sharpness * factor);
    -0.5 * solved.sharpness * factor * factor * square
}
