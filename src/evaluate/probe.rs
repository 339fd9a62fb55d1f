//! Supervised probes: a labelled reference set and a query set.

use super::few_shot::binary_area;
use super::lbfgs::Outcome;
use super::logistic::{LogisticRegression, LogisticSettings};
use super::predictions::Predictions;
use crate::measure::{
    ConfusionMatrix, Features, Interval, KnnSettings, argmax_rows, corpus_of, knn_scores, softmax_rows,
};

/// Result of a probe on the queries.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ProbeResult {
    /// With its 95 % interval over the queries.
    pub balanced_accuracy: Interval,
    /// Per class; `None` for a class without queries.
    pub recalls: Vec<Option<f64>>,
    /// Over all queries.
    pub accuracy: f64,
    /// For two classes only.
    pub area_under_roc: Option<f64>,
    /// `[truth][predicted]`.
    pub confusion: ConfusionMatrix,
    /// Outcome of the fit, if there was one.
    pub fit: Option<Outcome>,
    /// Whether each query was classified correctly, for paired comparison on the same queries.
    #[serde(skip)]
    pub is_correct: Vec<bool>,
    /// The probabilities of each query: the shares of the votes, or the softmax of the scores.
    #[serde(skip)]
    pub predictions: Predictions,
}

/// Features with their labels.
pub struct Labelled {
    /// `[N, D]`, as computed by the encoder.
    pub features: Features,
    /// `[N]`.
    pub labels: Vec<usize>,
}

/// Logistic regression on features standardised by mean and deviation of the references.
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
    let probabilities = softmax_rows(&scores, num_classes);
    ProbeResult { fit: Some(outcome), ..judge(&scores, probabilities, &queries.labels, num_classes) }
}

/// k-NN on features as computed by the encoder.
pub fn knn_probe(references: &Labelled, queries: &Labelled, num_classes: usize, settings: KnnSettings) -> ProbeResult {
    let scores = knn_scores(&references.features, &references.labels, num_classes, &queries.features, settings);
    judge(&scores, scores.clone(), &queries.labels, num_classes)
}

fn judge(scores: &[f64], probabilities: Vec<f64>, truth: &[usize], num_classes: usize) -> ProbeResult {
    let predicted = argmax_rows(scores, num_classes);
    let confusion = ConfusionMatrix::of(num_classes, truth, &predicted);
    ProbeResult {
        balanced_accuracy: Interval::of_balanced_accuracy(&confusion),
        recalls: confusion.recalls(),
        accuracy: confusion.accuracy(),
        area_under_roc: binary_area(scores, truth, num_classes),
        confusion,
        fit: None,
        is_correct: predicted.iter().zip(truth).map(|(predicted, truth)| predicted == truth).collect(),
        predictions: Predictions {
            num_classes,
            images: (0..truth.len()).collect(),
            truth: truth.to_vec(),
            probabilities,
        },
    }
}
