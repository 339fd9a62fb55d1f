//! Figures of the decisions at an operating point on labelled images.

use super::row::Row;
use crate::cli::operating_point::{PointRow, Share};

/// Sensitivity and specificity on a labelled dataset. An image that is out of distribution is not called positive: it lowers the
/// sensitivity, and not the specificity.
#[derive(Default)]
pub struct Decided {
    positives: u64,
    detected: u64,
    negatives: u64,
    rejected: u64,
    unknown: u64,
}

/// The figures as `--json` prints them.
#[derive(serde::Serialize)]
pub struct Attained {
    /// Share of the images of the positive class that are called positive.
    sensitivity: Option<Share>,
    /// Share of the other images that are not called positive.
    specificity: Option<Share>,
    /// Images out of distribution, "I don't know".
    unknown: u64,
}

impl Decided {
    /// Counts the decision on an image of class `label`; nothing without a threshold.
    pub fn add(&mut self, label: &str, row: &Row, point: Option<&PointRow>) {
        let (Some(point), Some(_)) = (point, row.score) else { return };
        let is_called = row.positive == Some(true);
        self.unknown += u64::from(!row.known);
        if label == point.positive {
            self.positives += 1;
            self.detected += u64::from(is_called);
        } else {
            self.negatives += 1;
            self.rejected += u64::from(!is_called);
        }
    }

    /// The figures; none if no image was decided on.
    pub fn attained(&self) -> Option<Attained> {
        let &Self { positives, detected, negatives, rejected, unknown } = self;
        let (sensitivity, specificity) = (Share::of(detected, positives), Share::of(rejected, negatives));
        (positives + negatives > 0).then_some(Attained { sensitivity, specificity, unknown })
    }
}

impl Attained {
    /// Prints the figures.
    pub fn print(&self, point: &PointRow) {
        println!("on these images, {}", point.title());
        println!("  sensitivity      {}", Share::text(self.sensitivity, "image"));
        println!("  specificity      {}", Share::text(self.specificity, "image"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::classes::ClassNames;
    use crate::link::{Class, OperatingPoint, OperatingPointReport, Target};

    #[test]
    fn an_abstention_is_not_a_positive_call() {
        let names = ClassNames(vec![Class { slot: 0, name: "a".to_owned(), supports: 2 }]);
        let point = OperatingPoint { class: 0, target: Target::Sensitivity { permille: 900 } };
        let point = PointRow::of(&OperatingPointReport { point, threshold: None }, &names);
        let mut decided = Decided::default();
        for (label, positive, known) in
            [("a", true, true), ("a", false, true), ("a", true, false), ("b", false, true), ("b", true, false)]
        {
            let row = Row { positive: Some(positive).filter(|_| known), known, score: Some(0.5), ..Row::example() };
            decided.add(label, &row, Some(&point));
        }
        decided.add("a", &Row { score: None, ..Row::example() }, Some(&point));
        decided.add("a", &Row { score: Some(0.5), ..Row::example() }, None);
        let found = serde_json::to_value(decided.attained().unwrap()).unwrap();
        let share = |name: &str| (found[name]["count"].as_u64(), found[name]["of"].as_u64());
        assert_eq!((share("sensitivity"), share("specificity")), ((Some(1), Some(3)), (Some(2), Some(2))));
        assert_eq!(found["unknown"], 2);
        assert!(Decided::default().attained().is_none());
    }
}
