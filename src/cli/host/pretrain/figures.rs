//! Figures of training as text. An arrow shows which direction is better; redundant figures are left out.

use crate::pretrain::{Health, Score};
use crate::report::text::{count, shown};

/// Figures of an objective besides its loss: name in a score, and name to print.
const MEASURES: [(&str, &str); 5] = [
    // How close two views of an image are, and how uniformly embeddings cover the sphere.
    ("alignment", "alignment ↓"),
    ("uniformity", "uniformity ↓"),
    // Between embeddings of different images; 0 if they collapsed.
    ("distance", "distance ↑"),
    // Triplets without gradient. Some are normal in the course of training.
    ("zero_gradient", "zero gradient"),
    // The loss of predicting the mean for every pixel.
    ("mean_image_error", "error of the mean image"),
];

/// A score as text. Balanced accuracy is left out if it equals accuracy: with equally frequent classes, or one class.
pub fn of_score(score: &Score) -> String {
    let Score { loss, balanced_accuracy, accuracy, measures, .. } = score;
    let mut parts = vec![format!("loss ↓ {loss:.4}")];
    if (balanced_accuracy - accuracy).abs() > 5e-5 {
        parts.push(format!("balanced accuracy ↑ {balanced_accuracy:.4}"));
    }
    parts.push(format!("accuracy ↑ {accuracy:.4}"));
    let known = |name: &str| MEASURES.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned());
    parts.extend(measures.iter().map(|(name, value)| {
        let text = known(name).unwrap_or_else(|| name.replace('_', " "));
        format!("{text} {value:.4}")
    }));
    parts.join(", ")
}

/// The health of the features as text.
pub fn of_health(health: &Health) -> String {
    let some = |name: &str, value: Option<f64>| value.map_or(String::new(), |value| format!("{name} {value:.4}, "));
    let Health { images, uniformity, effective_rank, deviation, .. } = health;
    format!(
        "{}{}uniformity ↓ {uniformity:.3}, effective rank ↑ {effective_rank:.1}, deviation ↑ {deviation:.3} ({})",
        some("k-NN ↑", health.knn),
        some("alignment ↓", health.alignment),
        count(*images, "image"),
    )
}

/// Recall per class; `-` for a class without images.
pub fn of_recall(recall: &[Option<f64>], class_names: &[String]) -> String {
    let one = |(name, recall): (&String, &Option<f64>)| {
        format!("{} {}", shown(name), recall.map_or("-".to_owned(), |recall| format!("{recall:.4}")))
    };
    class_names.iter().zip(recall).map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn redundant_figures_are_left_out() {
        let measures = BTreeMap::from([("distance".to_owned(), 1.5), ("zero_gradient".to_owned(), 0.25)]);
        let score =
            Score { inputs: 8, loss: 1.25, balanced_accuracy: 0.5, recall: vec![Some(0.5)], accuracy: 0.5, measures };
        assert_eq!(of_score(&score), "loss ↓ 1.2500, accuracy ↑ 0.5000, distance ↑ 1.5000, zero gradient 0.2500");
        let uneven = Score { accuracy: 0.75, measures: BTreeMap::new(), ..score };
        assert_eq!(of_score(&uneven), "loss ↓ 1.2500, balanced accuracy ↑ 0.5000, accuracy ↑ 0.7500");
        assert_eq!(of_recall(&[Some(0.5), None], &["a".into(), "b".into()]), "a 0.5000, b -");
    }
}
