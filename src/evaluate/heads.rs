//! Heads for few-shot episodes.
//!
//! N supports, D feature dimensions, K classes. All heads except logistic regression are those of the device, on features
//! quantised as the device does. Logistic regression is the host's baseline.

use std::fmt;
use std::str::FromStr;

use macula_edge::feature::{FeatureError, quantise};
use macula_edge::head::{self, Head, HeadError};
use macula_edge::support_set::{SupportRecord, Supports};

use super::EvaluateError;
use super::logistic::{LogisticRegression, LogisticSettings};
use crate::measure::{Features, softmax_rows};

/// A head by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// The default of a device: a weighted mean of discriminant analysis and softmax regression.
    Auto,
    /// The class whose mean direction is nearest by cosine.
    Prototype,
    /// Linear discriminant analysis with a fixed shrinkage.
    Gaussian,
    /// The device's softmax regression, on quantised features of length 1.
    Softmax,
    /// scikit-learn's softmax regression with an L2 penalty, C = 0.1, on features that are not quantised.
    Logistic,
}

/// C of [`HeadKind::Logistic`], as in the protocol of the floors.
const LOGISTIC_C: f64 = 0.1;

/// `κ` per dimension of [`HeadKind::Gaussian`].
///
/// Chosen on chest x-rays (2 and 3 classes; random, rotation-trained and pixel features; 60 episodes each) among 0.1,
/// 0.3, 1, 2, 3 and 6. From 0.3 to 1 the head is never below the prototype at 5 shots and 2 to 14 points above at 20 and
/// 50; lighter loses where N is near D, heavier approaches the prototype.
const SHRINKAGE: f64 = 0.5;

impl HeadKind {
    /// All heads.
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
        let fitted = |kind| {
            device_scores(supports, labels, num_classes, queries, |supports, scratch| {
                Head::fit(kind, supports, num_classes, scratch)
            })
        };
        match self {
            HeadKind::Logistic => {
                let settings = LogisticSettings::with_c(LOGISTIC_C);
                let (fitted, _) = LogisticRegression::fit(&supports.rows, supports.dim, labels, num_classes, settings);
                Ok(fitted.scores(&queries.rows))
            }
            HeadKind::Auto => fitted(head::HeadKind::Auto),
            HeadKind::Softmax => fitted(head::HeadKind::Logistic),
            HeadKind::Prototype => fitted(head::HeadKind::Prototype),
            HeadKind::Gaussian => device_scores(supports, labels, num_classes, queries, |supports, scratch| {
                Head::fit_with_shrinkage(supports, num_classes, SHRINKAGE * supports.dim as f64, scratch)
            }),
        }
    }

    /// The probabilities that [`Self::scores`] stand for, `[Q, K]`. Heads of the device score by probability.
    pub(super) fn probabilities(self, scores: &[f64], num_classes: usize) -> Vec<f64> {
        match self {
            Self::Logistic => softmax_rows(scores, num_classes),
            _ => scores.to_vec(),
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

/// Quantised features, `[N, D]`.
pub(super) struct Quantised {
    pub dim: usize,
    pub rows: Vec<i16>,
}

/// Supports as a device stores them. Sources follow the order of the features, so that classes are mixed.
pub(super) struct EpisodeSupports {
    dim: usize,
    records: Vec<SupportRecord>,
    features: Vec<i16>,
}

impl EpisodeSupports {
    /// Supports `[N, D]` with their labels.
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

    /// The supports, borrowed.
    pub fn supports(&self) -> Supports<'_> {
        Supports { dim: self.dim, records: &self.records, features: &self.features }
    }
}

/// Scores `[Q, K]` of the head that `fit` solves from quantised supports, as on a device.
fn device_scores(
    supports: &Features,
    labels: &[usize],
    num_classes: usize,
    queries: &Features,
    fit: impl for<'w> Fn(Supports<'_>, &'w mut [f64]) -> Result<Head<'w>, HeadError>,
) -> Result<Vec<f64>, EvaluateError> {
    let episode = EpisodeSupports::new(&quantised(supports)?, labels);
    let mut scratch = vec![0.0; Head::scratch_len(supports.dim, num_classes, labels.len())];
    let head = fit(episode.supports(), &mut scratch)?;
    let queries = quantised(queries)?;
    let mut scores = vec![0.0; queries.rows.len() / queries.dim * num_classes];
    for (feature, out) in queries.rows.chunks(queries.dim).zip(scores.chunks_mut(num_classes)) {
        head.predict(feature, out)?;
    }
    Ok(scores)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::argmax_rows;
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
    fn every_head_separates_three_shifted_clouds() {
        let ((supports, labels), (queries, truth)) = (task(1, 20, 24), task(2, 100, 24));
        for head in HeadKind::ALL {
            let scores = head.scores(&supports, &labels, 3, &queries).unwrap();
            let right = argmax_rows(&scores, 3).iter().zip(&truth).filter(|(found, truth)| found == truth).count();
            // Two clouds are √(16 · 0.5²) = 2 apart: knowing the means, 73 % would be right; chance is 33 %.
            assert!((165..=240).contains(&right), "{head}: {right} of 300");
            let probabilities = head.probabilities(&scores, 3);
            assert_eq!(argmax_rows(&probabilities, 3), argmax_rows(&scores, 3), "{head}");
            assert!(probabilities.chunks(3).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-6), "{head}");
            assert_eq!(head.to_string().parse::<HeadKind>().unwrap(), head);
        }
        assert!(
            "knn".parse::<HeadKind>().unwrap_err().to_string().contains("auto, prototype, gaussian, softmax, logistic")
        );
    }

    /// Prototypes of orthogonal directions: the score order is the cosine order.
    #[test]
    fn a_prototype_is_the_mean_direction() {
        let supports = Features { dim: 2, rows: vec![5.0, 0.0, 0.0, 0.1] };
        let queries = Features { dim: 2, rows: vec![0.3, 0.4, 9.0, 1.0, 0.0, 0.0] };
        let scores = HeadKind::Prototype.scores(&supports, &[0, 1], 2, &queries).unwrap();
        assert_eq!(argmax_rows(&scores, 2), [1, 0, 0], "a feature of length 0 takes the first class");
    }
}
