//! The supervised probes on a whole data set: references with labels, queries to be named.

use super::few_shot::binary_area;
use super::lbfgs::Outcome;
use super::logistic::{LogisticRegression, LogisticSettings};
use crate::measure::{ConfusionMatrix, Features, Interval, KnnSettings, argmax_rows, corpus_of, knn_scores};

/// How a probe did on the queries.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ProbeResult {
    /// With the interval that the number of queries allows.
    pub balanced_accuracy: Interval,
    /// Of each class; none for a class without queries.
    pub recalls: Vec<Option<f64>>,
    /// Over all queries.
    pub accuracy: f64,
    /// Only for two classes.
    pub area_under_roc: Option<f64>,
    /// `[truth][predicted]`.
    pub confusion: ConfusionMatrix,
    /// How the fit went, where there was one.
    pub fit: Option<Outcome>,
    /// Whether each query was recognised, to be compared with others on the same queries.
    #[serde(skip)]
    pub right: Vec<bool>,
}

/// Features with their labels.
pub struct Labelled {
    /// `[N, D]`, as the encoder gave them.
    pub features: Features,
    /// `[N]`.
    pub labels: Vec<usize>,
}

/// Logistic regression on features standardised by the references' own mean and deviation.
pub fn linear_probe(
    references: &Labelled,
    queries: &Labelled,
    num_classes: usize,
    settings: LogisticSettings,
) -> ProbeResult {
    let corpus = corpus_of(&references.features);
    let standardised = |features: &Features| {
        let mut features = features.clone();
        features.standardise(&corpus);
        features
    };
    let (rows, dim) = (standardised(&references.features).rows, references.features.dim);
    let (fitted, outcome) = LogisticRegression::fit(&rows, dim, &references.labels, num_classes, settings);
    let scores = fitted.scores(&standardised(&queries.features).rows);
    ProbeResult { fit: Some(outcome), ..judge(&scores, &queries.labels, num_classes) }
}

/// The nearest references vote; features are taken as the encoder gave them.
pub fn knn_probe(references: &Labelled, queries: &Labelled, num_classes: usize, settings: KnnSettings) -> ProbeResult {
    let scores = knn_scores(&references.features, &references.labels, num_classes, &queries.features, settings);
    judge(&scores, &queries.labels, num_classes)
}

fn judge(scores: &[f64], truth: &[usize], num_classes: usize) -> ProbeResult {
    let predicted = argmax_rows(scores, num_classes);
    let confusion = ConfusionMatrix::of(num_classes, truth, &predicted);
    ProbeResult {
        balanced_accuracy: Interval::of_balanced_accuracy(&confusion),
        recalls: confusion.recalls(),
        accuracy: confusion.accuracy(),
        area_under_roc: binary_area(scores, truth, num_classes),
        confusion,
        fit: None,
        right: predicted.iter().zip(truth).map(|(predicted, truth)| predicted == truth).collect(),
    }
}
