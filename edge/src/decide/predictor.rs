//! A head with conformal prediction sets and out-of-distribution detection.

use super::ClassSet;
use super::conformal::{self, Query};
use super::nearest::{Nearest, nearest};
use super::operating_point::{OperatingPoint, Threshold, log_odds};
use super::out_of_distribution::{in_distribution, write_closest};
use crate::feature::Length;
use crate::head::block::dot;
use crate::head::fitted::{check, write_logistic, write_weights};
use crate::head::leave_one_out::write_left_out;
use crate::head::shrunken::Shrunken;
use crate::head::span::Span;
use crate::head::{Head, HeadError, HeadKind};
use crate::support_set::Supports;

/// The prediction for one feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The most probable class, the lowest of a tie.
    pub class: u8,
    /// Its probability, 0 to 1.
    pub probability: f32,
    /// Conformal prediction set: the classes that cannot be excluded at the error rate.
    ///
    /// It may hold several classes, or none if the feature is unlike every class. A class with too few supports is always
    /// in it.
    pub set: ClassSet,
    /// Whether the feature is in distribution, with 5 % false alarms.
    ///
    /// Its length must not exceed `length_max` of the corpus. If either is unknown, it must be as near to some support as
    /// supports are to each other, a test that needs 19 supports to reject anything.
    pub in_distribution: bool,
    /// Whether every class has [`Self::shots_needed`] supports.
    pub enough: bool,
    /// Supports that a class needs before it can be excluded at this error rate.
    pub shots_needed: u16,
    /// The supports most like the feature, nearest first.
    pub nearest: [Option<Nearest>; 3],
}

/// A fitted predictor apart from its scratch: the sizes that divide the scratch, and two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    dim: usize,
    classes: usize,
    supports: usize,
    kappa: f64,
    sharpness: f64,
}

/// The scratch, divided.
struct Parts<'w> {
    weights: &'w mut [f64],
    forms: &'w mut [f64],
    closest: &'w mut [f64],
    to_supports: &'w mut [f64],
    vectors: &'w mut [f64],
    work: &'w mut [f64],
}

impl<'w> Parts<'w> {
    fn of(dim: usize, classes: usize, supports: usize, scratch: &'w mut [f64]) -> Self {
        let (weights, rest) = scratch.split_at_mut(Head::weights_len(dim, classes));
        let (forms, rest) = rest.split_at_mut(supports * (classes + 1));
        let (closest, rest) = rest.split_at_mut(supports);
        let (to_supports, rest) = rest.split_at_mut(supports);
        let (vectors, work) = rest.split_at_mut(6 * classes);
        Self { weights, forms, closest, to_supports, vectors, work }
    }
}

/// A fitted head with what its predictions need, in scratch memory lent by the caller.
#[derive(Debug)]
pub struct Predictor<'w> {
    fitted: Fitted,
    head: Head<'w>,
    span: Span<'w>,
    solved: Shrunken<'w>,
    length_max: Option<Length>,
    error_permille: u16,
    /// `a(z, z)`, then `a(z, μ_c)` of each support: `[n, C + 1]`.
    forms: &'w [f64],
    /// Cosine similarity of each support to the nearest other one, `[n]`.
    closest: &'w [f64],
    /// `[2, r]`.
    rows: &'w mut [f64],
    to_supports: &'w mut [f64],
    /// Six vectors `[C]`.
    vectors: &'w mut [f64],
}

impl<'w> Predictor<'w> {
    /// Scratch, in values, for `classes` slots and up to `supports_max` supports of `dim` dimensions.
    pub const fn scratch_len(dim: usize, classes: usize, supports_max: usize) -> usize {
        Head::weights_len(dim, classes)
            + (classes + 3) * supports_max
            + 6 * classes
            + Head::work_len(dim, classes, supports_max)
    }

    /// Supports that a class needs before it can be excluded: with `n` of them the smallest p-value is `1 / (n + 1)`.
    pub const fn shots_needed(error_permille: u16) -> u16 {
        if error_permille == 0 { u16::MAX } else { 1000u16.div_ceil(error_permille) - 1 }
    }

    /// Solves the head and what conformal prediction needs for `supports`.
    ///
    /// * `kind`: head for class and probability. Sets always come from the distances of the Gaussian head
    /// * `classes`: C; every support's class is below it
    /// * `length_max`: feature length that 95 % of the encoder's unlabelled corpus do not exceed, if known
    /// * `error_permille`: rate at which the right class may be missing from the set, in thousandths, 1 to 999
    /// * `scratch`: at least [`Self::scratch_len`] values, with any content
    ///
    /// # Errors
    /// If there is no support, a size is wrong or the error rate is out of range.
    pub fn fit(
        kind: HeadKind,
        supports: Supports<'_>,
        classes: usize,
        length_max: Option<Length>,
        error_permille: u16,
        scratch: &'w mut [f64],
    ) -> Result<Self, HeadError> {
        check(supports, classes)?;
        if !(1..=999).contains(&error_permille) {
            return Err(HeadError::ErrorRate { found: error_permille });
        }
        let expected = Self::scratch_len(supports.dim, classes, supports.len());
        if scratch.len() < expected {
            return Err(HeadError::Memory { what: "scratch", found: scratch.len(), expected });
        }
        let Parts { weights, forms, closest, work, .. } = Parts::of(supports.dim, classes, supports.len(), scratch);
        let (span, work) = Span::new(supports, work);
        let (rows, work) = work.split_at_mut(2 * span.rank);
        let (logistic, work) = work.split_at_mut(classes * (span.rank + 1));
        // Softmax regression uses the scratch first, then `solved` keeps it.
        write_logistic(kind, supports, &span, classes, work, logistic);
        let solved = Shrunken::fit(&span, supports, classes, None, work)?;
        write_weights(kind, supports, &span, Some(&solved), logistic, rows, weights);
        write_forms(&span, supports, &solved, rows, forms);
        write_closest(supports, closest);
        let Shrunken { kappa, sharpness, .. } = solved;
        let fitted = Fitted { dim: supports.dim, classes, supports: supports.len(), kappa, sharpness };
        Ok(Self::resume(fitted, length_max, error_permille, scratch))
    }

    /// The predictor that [`Self::fit`] left in this scratch. Nothing is solved again, and the error rate may differ.
    ///
    /// * `scratch`: unchanged since then
    ///
    /// # Panics
    /// If the scratch is shorter than the one used by [`Self::fit`].
    pub fn resume(fitted: Fitted, length_max: Option<Length>, error_permille: u16, scratch: &'w mut [f64]) -> Self {
        let Fitted { dim, classes, supports, kappa, sharpness } = fitted;
        let Parts { weights, forms, closest, to_supports, vectors, work } = Parts::of(dim, classes, supports, scratch);
        let (span, work) = Span::over(dim, supports, work);
        let (rows, work) = work.split_at_mut(2 * span.rank);
        let work = &mut work[classes * (span.rank + 1)..];
        let solved = Shrunken::over((kappa, sharpness), &span, classes, work);
        let head = Head::of_weights(dim, classes, weights);
        Self { fitted, head, span, solved, length_max, error_permille, forms, closest, rows, to_supports, vectors }
    }

    /// What [`Self::resume`] needs beside the scratch.
    pub fn fitted(&self) -> Fitted {
        self.fitted
    }

    /// Shrinkage `κ` of the covariance, chosen by leave-one-out.
    pub fn kappa(&self) -> f64 {
        self.solved.kappa
    }

    /// Class slots C.
    pub fn classes(&self) -> usize {
        self.solved.counts.len()
    }

    /// Predicts `feature`, `[D]`, and writes the probability of each class.
    ///
    /// * `supports`: the ones it was fitted to
    /// * `length`: length of the feature before it was quantised, if known
    /// * `probabilities`: `[C]`; classes without supports get 0
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn predict(
        &mut self,
        supports: Supports<'_>,
        feature: &[i16],
        length: Option<Length>,
        probabilities: &mut [f64],
    ) -> Result<Prediction, HeadError> {
        let expected = self.to_supports.len();
        if supports.len() != expected {
            return Err(HeadError::Memory { what: "supports", found: supports.len(), expected });
        }
        let decision = self.head.predict(feature, probabilities)?;
        let nearest = nearest(supports, feature);
        let shots_needed = Self::shots_needed(self.error_permille);
        let mut present = self.solved.counts.iter().filter(|&&count| count > 0.0);
        let enough = present.all(|&count| count >= f64::from(shots_needed));
        Ok(Prediction {
            class: decision.class,
            probability: decision.probability,
            set: self.set(supports, feature),
            in_distribution: in_distribution(length.zip(self.length_max), nearest[0], self.closest),
            enough,
            shots_needed,
            nearest,
        })
    }

    /// The score of the feature that was predicted last for `class`: its log odds against all other classes by the Gaussian
    /// head, whichever head decides. `None` unless the class and another one have supports.
    pub fn score(&mut self, class: u8) -> Option<f32> {
        let classes = self.solved.counts.len();
        let (to_means, rest) = self.vectors.split_at_mut(classes);
        let distances = &mut rest[..classes];
        // The square of the feature itself is common to all classes.
        for (k, distance) in distances.iter_mut().enumerate() {
            let present = self.solved.counts[k] > 0.0;
            *distance = if present { self.solved.squares[k] - 2.0 * to_means[k] } else { f64::INFINITY };
        }
        log_odds(distances, class.into(), self.solved.sharpness)
    }

    /// The threshold of `point` on [`Self::score`], from the scores of the left-out supports; `None` when too few have one.
    ///
    /// Costs `O(n C)` operations and no factorisation. It does not depend on the kind of head.
    ///
    /// * `supports`: the ones it was fitted to
    pub fn threshold(&mut self, supports: Supports<'_>, point: OperatingPoint) -> Option<Threshold> {
        let Shrunken { kappa, sharpness, counts, squares, between, .. } = self.solved;
        let classes = counts.len();
        let present = counts.iter().filter(|&&count| count > 0.0).count() as f64;
        let certainty = supports.len() as f64 - present + kappa;
        // The vector in front is that of the feature predicted last.
        let distances = &mut self.vectors[classes..2 * classes];
        // Positives fill the scores from the front, negatives from the back.
        let scores = &mut self.to_supports[..];
        let (mut positives, mut negatives) = (0, scores.len());
        for (record, form) in supports.records.iter().zip(self.forms.chunks_exact(classes + 1)) {
            let class = usize::from(record.class);
            distances.copy_from_slice(&form[1..]);
            let of_rest = if counts[class] > 1.0 {
                write_left_out(form[0], class, squares, &between[class * classes..][..classes], counts, distances);
                // One sample fewer has made the covariance.
                sharpness * (certainty - 1.0) / certainty
            } else {
                // Its class is gone without it. It lay on the mean of its class, so the covariance is the same.
                for (k, distance) in distances.iter_mut().enumerate() {
                    let is_left = counts[k] > 0.0 && k != class;
                    *distance = if is_left { form[0] - 2.0 * *distance + squares[k] } else { f64::INFINITY };
                }
                sharpness
            };
            let Some(score) = log_odds(distances, point.class.into(), of_rest) else { continue };
            if record.class == point.class {
                scores[positives] = score.into();
                positives += 1;
            } else {
                negatives -= 1;
                scores[negatives] = score.into();
            }
        }
        let (front, back) = scores.split_at_mut(negatives);
        point.target.threshold(&mut front[..positives], back)
    }

    /// The conformal prediction set of `feature`.
    fn set(&mut self, supports: Supports<'_>, feature: &[i16]) -> ClassSet {
        let (classes, rank) = (self.solved.counts.len(), self.span.rank);
        let (row, whitened) = self.rows.split_at_mut(rank);
        let outside = self.span.project(supports, feature, row);
        self.solved.whiten(row, whitened);
        // Outside the span of the supports `M` is `κ I`.
        let own = dot(whitened, whitened) + outside / self.solved.kappa;
        let (to_means, work) = self.vectors.split_at_mut(classes);
        for (form, mean) in to_means.iter_mut().zip(self.solved.whitened.chunks_exact(rank)) {
            *form = dot(whitened, mean);
        }
        self.solved.solve_whitened(whitened, row);
        for (index, form) in self.to_supports.iter_mut().enumerate() {
            *form = self.span.product(supports, index, row);
        }
        let (along, rest) = work.split_at_mut(classes);
        let (squares, rest) = rest.split_at_mut(classes);
        let (to_class, rest) = rest.split_at_mut(classes);
        let (counts, scores) = rest.split_at_mut(classes);
        let mut work = conformal::Work { along, squares, to_class, counts, scores };
        let query = Query { own, to_means, to_supports: self.to_supports };
        let mut set = ClassSet::EMPTY;
        for class in (0..classes).filter(|&class| self.solved.counts[class] > 0.0) {
            let records = supports.records.iter().enumerate();
            let members = records.filter(|(_, record)| usize::from(record.class) == class).map(|(index, _)| index);
            let p = conformal::p_value(&self.solved, self.forms, members, &query, class, &mut work);
            if p * 1000.0 > f64::from(self.error_permille) {
                set.insert(class as u8);
            }
        }
        set
    }
}

fn write_forms(span: &Span<'_>, supports: Supports<'_>, solved: &Shrunken<'_>, rows: &mut [f64], forms: &mut [f64]) {
    let classes = solved.counts.len();
    let (row, whitened) = rows.split_at_mut(span.rank);
    for (index, form) in forms.chunks_exact_mut(classes + 1).enumerate() {
        span.write_row(supports, index, row);
        solved.whiten(row, whitened);
        form[0] = dot(whitened, whitened);
        for (form, mean) in form[1..].iter_mut().zip(solved.whitened.chunks_exact(span.rank)) {
            *form = dot(whitened, mean);
        }
    }
}
