//! The heads that few-shot episodes are judged with.
//!
//! N supports, D feature length, K classes. All but logistic regression are the device's own heads, run
//! on features quantised as the device does it; logistic regression is what a desk would take, and the yardstick.

use std::fmt;
use std::str::FromStr;

use macula_edge::feature::{FeatureError, UNIT, quantise};
use macula_edge::head::{self, ClassSums, Gaussian, Head, HeadError, Prototype};
use macula_edge::support_set::{SupportRecord, Supports};

use super::EvaluateError;
use super::logistic::{LogisticRegression, LogisticSettings};
use crate::measure::{Features, l2_normalize_rows};

/// A head by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// What a device takes unless told otherwise: one covariance, shrunk as leaving one out finds best.
    Auto,
    /// The class whose mean direction is nearest by cosine.
    Prototype,
    /// Classes share one covariance, shrunk by a fixed amount: what can be had from sums alone.
    Gaussian,
    /// The device's softmax regression, on quantised features of length 1.
    Softmax,
    /// Softmax regression with an L2 penalty as scikit-learn has it, C = 0.1, on features as they are.
    Logistic,
}

/// C of [`HeadKind::Logistic`]: that of the protocol the floors were measured by.
const LOGISTIC_C: f64 = 0.1;

impl HeadKind {
    /// All of them.
    pub const ALL: [HeadKind; 5] =
        [HeadKind::Auto, HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Softmax, HeadKind::Logistic];

    /// Scores `[Q, K]` of Q `queries`, greatest for the likeliest class.
    ///
    /// `supports` `[N, D]` have `labels` below `num_classes`, each at least once; both are standardised.
    ///
    /// # Errors
    /// When the device's heads cannot take the features: more than 4,096 dimensions or 255 classes.
    pub fn scores(
        self,
        supports: &Features,
        labels: &[usize],
        num_classes: usize,
        queries: &Features,
    ) -> Result<Vec<f64>, EvaluateError> {
        match self {
            HeadKind::Logistic => {
                let settings = LogisticSettings::with_c(LOGISTIC_C);
                let (fitted, _) = LogisticRegression::fit(&supports.rows, supports.dim, labels, num_classes, settings);
                Ok(fitted.scores(&queries.rows))
            }
            HeadKind::Auto => fitted_scores(head::HeadKind::Auto, supports, labels, num_classes, queries),
            HeadKind::Softmax => fitted_scores(head::HeadKind::Logistic, supports, labels, num_classes, queries),
            HeadKind::Prototype => {
                let (supports, queries) = (quantised(supports)?, quantised(queries)?);
                Ok(prototype_scores(&supports, labels, num_classes, &queries)?)
            }
            HeadKind::Gaussian if supports.dim > supports.len() => {
                let (supports, queries) = in_span_of_supports(supports, queries);
                Ok(gaussian_scores(&supports, labels, num_classes, &queries)?)
            }
            HeadKind::Gaussian => {
                let (supports, queries) = (quantised(supports)?, quantised(queries)?);
                Ok(gaussian_scores(&supports, labels, num_classes, &queries)?)
            }
        }
    }
}

impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            HeadKind::Auto => "auto",
            HeadKind::Prototype => "prototype",
            HeadKind::Gaussian => "gaussian",
            HeadKind::Softmax => "softmax",
            HeadKind::Logistic => "logistic",
        })
    }
}

impl FromStr for HeadKind {
    type Err = EvaluateError;

    fn from_str(name: &str) -> Result<Self, EvaluateError> {
        let found = Self::ALL.into_iter().find(|head| head.to_string() == name);
        found.ok_or_else(|| EvaluateError::UnknownHead { name: name.to_owned() })
    }
}

/// Features as the device keeps them, `[N, D]`.
pub(super) struct Quantised {
    pub dim: usize,
    pub rows: Vec<i16>,
}

/// Supports as a device would have been taught them: one source each, in the order of their features' bytes, so that
/// classes are mixed.
pub(super) struct EpisodeSupports {
    dim: usize,
    records: Vec<SupportRecord>,
    features: Vec<i16>,
}

impl EpisodeSupports {
    /// Of `supports` `[N, D]` with their `labels`.
    pub fn new(supports: &Quantised, labels: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        let feature = |index: usize| &supports.rows[index * supports.dim..][..supports.dim];
        order.sort_by(|&a, &b| feature(a).cmp(feature(b)));
        let record = |(place, &index): (usize, &usize)| SupportRecord {
            source: (place as u128).to_be_bytes(),
            class: u8::try_from(labels[index]).unwrap_or(u8::MAX),
            ..SupportRecord::EMPTY
        };
        let records = order.iter().enumerate().map(record).collect();
        let features = order.iter().flat_map(|&index| feature(index)).copied().collect();
        Self { dim: supports.dim, records, features }
    }

    /// As the device sees them.
    pub fn supports(&self) -> Supports<'_> {
        Supports { dim: self.dim, records: &self.records, features: &self.features }
    }
}

fn fitted_scores(
    kind: head::HeadKind,
    supports: &Features,
    labels: &[usize],
    num_classes: usize,
    queries: &Features,
) -> Result<Vec<f64>, EvaluateError> {
    let taught = EpisodeSupports::new(&quantised(supports)?, labels);
    let mut scratch = vec![0.0; Head::scratch_len(supports.dim, num_classes, labels.len())];
    let head = Head::fit(kind, taught.supports(), num_classes, None, &mut scratch)?;
    Ok(predict_all(num_classes, &quantised(queries)?, |feature, out| head.predict(feature, out).map(drop))?)
}

pub(super) fn quantised(features: &Features) -> Result<Quantised, EvaluateError> {
    let mut rows = vec![0; features.rows.len()];
    for (row, out) in features.rows.chunks(features.dim).zip(rows.chunks_mut(features.dim)) {
        match quantise(row, None, out) {
            // An image that equals the corpus's mean in every dimension stays 0: no class is nearer.
            Ok(_) | Err(FeatureError::ZeroLength) => {}
            Err(error) => return Err(EvaluateError::Feature { message: error.to_string() }),
        }
    }
    Ok(Quantised { dim: features.dim, rows })
}

fn prototype_scores(
    supports: &Quantised,
    labels: &[usize],
    num_classes: usize,
    queries: &Quantised,
) -> Result<Vec<f64>, HeadError> {
    let (mut counts, mut sums) = (vec![0; num_classes], vec![0; num_classes * supports.dim]);
    let mut class_sums = ClassSums::empty(supports.dim, &mut counts, &mut sums, &mut [])?;
    learn_all(&mut class_sums, supports, labels)?;
    let head = Prototype::new(&class_sums);
    predict_all(num_classes, queries, |feature, out| head.predict(feature, out).map(drop))
}

fn gaussian_scores(
    supports: &Quantised,
    labels: &[usize],
    num_classes: usize,
    queries: &Quantised,
) -> Result<Vec<f64>, HeadError> {
    let (mut counts, mut sums) = (vec![0; num_classes], vec![0; num_classes * supports.dim]);
    let mut products = vec![0; ClassSums::products_len(supports.dim)];
    let mut class_sums = ClassSums::empty(supports.dim, &mut counts, &mut sums, &mut products)?;
    learn_all(&mut class_sums, supports, labels)?;
    let mut scratch = vec![0.0; Gaussian::scratch_len(supports.dim, num_classes)];
    let head = Gaussian::fit(&class_sums, &mut scratch)?;
    predict_all(num_classes, queries, |feature, out| head.predict(feature, out).map(drop))
}

fn learn_all(sums: &mut ClassSums<'_>, supports: &Quantised, labels: &[usize]) -> Result<(), HeadError> {
    let class = |label: usize| u8::try_from(label).unwrap_or(u8::MAX);
    supports.rows.chunks(supports.dim).zip(labels).try_for_each(|(row, &label)| sums.learn(class(label), row))
}

fn predict_all(
    num_classes: usize,
    queries: &Quantised,
    predict: impl Fn(&[i16], &mut [f64]) -> Result<(), HeadError>,
) -> Result<Vec<f64>, HeadError> {
    let mut scores = vec![0.0; queries.rows.len() / queries.dim * num_classes];
    let rows = queries.rows.chunks(queries.dim).zip(scores.chunks_mut(num_classes));
    rows.into_iter().try_for_each(|(feature, out)| predict(feature, out))?;
    Ok(scores)
}

/// Unit-length supports and queries as coordinates in an orthonormal basis of the supports' span.
///
/// The Gaussian head's covariance is a multiple of the identity outside that span, and every class
/// mean lies in it: what a query has outside adds nothing to any score. Decisions are those in D
/// dimensions, up to quantisation, at the price of N: solving 3,072 raw pixels takes minutes, their
/// 100 supports' span a millisecond. The head's denominator counts dimensions, and so scales all
/// scores by one factor, which moves no decision.
fn in_span_of_supports(supports: &Features, queries: &Features) -> (Quantised, Quantised) {
    let dim = supports.dim;
    let (supports, queries) = (l2_normalize_rows(&supports.rows, dim), l2_normalize_rows(&queries.rows, dim));
    let basis = orthonormal_basis(&supports, dim);
    let size = basis.len() / dim;
    let coordinates = |rows: &[f32]| {
        let dots = rows.chunks(dim).flat_map(|row| {
            basis.chunks(dim).map(move |direction| {
                let dot: f64 = row.iter().zip(direction).map(|(&a, &b)| f64::from(a) * b).sum();
                // Halves to even, as the device quantises.
                (dot * f64::from(UNIT)).round_ties_even() as i16
            })
        });
        Quantised { dim: size, rows: dots.collect() }
    };
    (coordinates(&supports), coordinates(&queries))
}

/// Gram and Schmidt, each row twice against all before it, which keeps the basis orthogonal to
/// rounding (Giraud et al. 2005). Never empty.
fn orthonormal_basis(rows: &[f32], dim: usize) -> Vec<f64> {
    let mut basis: Vec<f64> = Vec::new();
    for row in rows.chunks(dim) {
        let mut rest: Vec<f64> = row.iter().copied().map(f64::from).collect();
        for _ in 0..2 {
            for direction in basis.chunks(dim) {
                let along: f64 = rest.iter().zip(direction).map(|(r, d)| r * d).sum();
                rest.iter_mut().zip(direction).for_each(|(r, d)| *r -= along * d);
            }
        }
        let length = rest.iter().map(|r| r * r).sum::<f64>().sqrt();
        // A row that depends on those before it leaves only rounding, which has no direction.
        if length > 1e-6 || (basis.is_empty() && rows.len() == dim) {
            basis.extend(rest.iter().map(|r| r / length.max(f64::MIN_POSITIVE)));
        }
    }
    if basis.is_empty() {
        basis = vec![0.0; dim];
    }
    basis
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::predictions;
    use crate::rng::Rng;

    fn task(seed: u64, per_class: usize, dim: usize) -> (Features, Vec<usize>) {
        let mut rng = Rng::for_purpose(seed, "test");
        let labels: Vec<usize> = (0..3 * per_class).map(|image| image / per_class).collect();
        let rows = labels
            .iter()
            .flat_map(|&label| {
                (0..dim).map(|d| rng.normal() + if d % 3 == label { 0.5 } else { 0.0 }).collect::<Vec<_>>()
            })
            .collect();
        (Features { dim, rows }, labels)
    }

    #[test]
    fn every_head_tells_three_shifted_clouds_apart() {
        let ((supports, labels), (queries, truth)) = (task(1, 20, 24), task(2, 100, 24));
        for head in HeadKind::ALL {
            let scores = head.scores(&supports, &labels, 3, &queries).unwrap();
            let right = predictions(&scores, 3).iter().zip(&truth).filter(|(found, truth)| found == truth).count();
            // Two clouds are √(16 · 0.5²) = 2 apart: knowing the means, 73 % would be right; chance is 33 %.
            assert!((165..=240).contains(&right), "{head}: {right} of 300");
            assert_eq!(head.to_string().parse::<HeadKind>().unwrap(), head);
        }
        assert!(
            "knn".parse::<HeadKind>().unwrap_err().to_string().contains("auto, prototype, gaussian, softmax, logistic")
        );
    }

    #[test]
    fn the_span_of_the_supports_decides_as_all_dimensions_do() {
        let ((supports, labels), (queries, _)) = (task(3, 5, 60), task(4, 100, 60));
        let whole = gaussian_scores(&quantised(&supports).unwrap(), &labels, 3, &quantised(&queries).unwrap()).unwrap();
        let span = HeadKind::Gaussian.scores(&supports, &labels, 3, &queries).unwrap();
        let (whole, span) = (predictions(&whole, 3), predictions(&span, 3));
        let apart = whole.iter().zip(&span).filter(|(a, b)| a != b).count();
        assert!(apart <= 1, "{apart} of 300 decisions differ by more than quantisation explains");
    }

    /// Prototypes of orthogonal directions: the score order is the cosine order.
    #[test]
    fn a_prototype_is_the_mean_direction() {
        let supports = Features { dim: 2, rows: vec![5.0, 0.0, 0.0, 0.1] };
        let queries = Features { dim: 2, rows: vec![0.3, 0.4, 9.0, 1.0, 0.0, 0.0] };
        let scores = HeadKind::Prototype.scores(&supports, &[0, 1], 2, &queries).unwrap();
        assert_eq!(predictions(&scores, 2), [1, 0, 0], "a feature of length 0 takes the first class");
    }
}
