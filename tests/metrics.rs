//! Classification metrics against scikit-learn's.

use macula::evaluate::{ConfusionMatrix, argmax_rows, roc_auc_one_vs_rest};

#[derive(serde::Deserialize)]
struct Case {
    classes: usize,
    truth: Vec<usize>,
    /// `[images, classes]`, some with many ties.
    scores: Vec<f64>,
    confusion: Vec<Vec<u64>>,
    balanced_accuracy: f64,
    sensitivity: Vec<f64>,
    specificity: Vec<f64>,
    area_under_roc: Vec<f64>,
}

fn close(found: &[Option<f64>], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{what}: {found:?} is not {expected}");
    }
}

/// Vectors from `tests/vectors/classification.py`.
#[test]
fn sensitivity_specificity_and_roc_area_agree_with_scikit_learn() {
    #[derive(serde::Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/classification.json")).unwrap();
    assert_eq!(vectors.cases.len(), 5);
    for case in vectors.cases {
        let confusion = ConfusionMatrix::of(case.classes, &case.truth, &argmax_rows(&case.scores, case.classes));
        assert_eq!(confusion.counts(), case.confusion);
        close(&[Some(confusion.balanced_accuracy())], &[case.balanced_accuracy], "balanced accuracy");
        close(&confusion.recalls(), &case.sensitivity, "sensitivity");
        close(&confusion.specificities(), &case.specificity, "specificity");
        let areas = roc_auc_one_vs_rest(&case.scores, &case.truth, case.classes);
        close(&areas, &case.area_under_roc, "area under the ROC curve");
    }
}
