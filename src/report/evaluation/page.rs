//! The document of an evaluation.

use super::subject::Subject;
use crate::report::chart::{Axis, Chart, Series};
use crate::report::html::{Document, figures, listed, note, table, text};
use crate::report::table::Table;

/// An evaluation with its results.
pub struct Evaluation {
    /// Title.
    pub title: String,
    /// What was evaluated on which images, as a sentence.
    pub lead: String,
    /// Remarks for readers of the figures.
    pub remarks: Vec<String>,
    /// Figures of all encoders.
    pub table: Table,
    /// Comparisons with the baselines, a sentence each.
    pub comparisons: Vec<String>,
    /// Balanced accuracy by shots, a line per encoder and head; none for evaluations without shots.
    pub by_shots: Vec<Series>,
    /// Names of the classes in label order.
    pub class_names: Vec<String>,
    /// The classifiers of the evaluated encoder.
    pub subjects: Vec<Subject>,
}

impl Evaluation {
    /// The bytes of the HTML file.
    pub fn html(&self) -> String {
        let mut lead = text(&self.lead);
        if self.subjects.iter().any(|subject| !subject.mistakes.is_empty()) {
            lead = lead.then(note("This file contains test images. Treat it as you treat the images themselves."));
        }
        let mut document = Document::new(&self.title, lead);
        document.section("Remarks", listed(&self.remarks));
        let figures_of_all = table("Figures of all encoders", &self.table, |_, _| 0.0);
        document.section("Figures", figures_of_all.then(listed(&self.comparisons)));
        let chart = Chart {
            title: "Balanced accuracy by labelled images per class".to_owned(),
            x: Axis::logarithmic("labelled images per class"),
            y: Axis::linear("balanced accuracy"),
            series: self.by_shots.clone(),
        };
        let has_several = self.by_shots.iter().any(|series| series.points.len() > 1);
        if let (true, Ok(svg)) = (has_several, chart.part()) {
            let remark = "Mean over episodes. Higher is better.".to_owned();
            document.section("Labels needed", figures(&[(chart.title, remark, svg)]));
        }
        for subject in &self.subjects {
            for (title, content) in subject.sections(&self.class_names) {
                document.section(&title, content);
            }
        }
        document.html()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Image;
    use crate::evaluate::Predictions;
    use crate::measure::ConfusionMatrix;
    use crate::report::evaluation::{Mistaken, Rates};

    fn evaluation(classes: usize) -> Evaluation {
        let truth: Vec<usize> = (0..3 * classes).map(|at| at % classes).collect();
        // The first image of each class is taken for the next class.
        let predicted: Vec<usize> =
            truth.iter().enumerate().map(|(at, &class)| (class + usize::from(at < classes)) % classes).collect();
        let mut probabilities = vec![0.1 / (classes - 1) as f64; truth.len() * classes];
        predicted.iter().enumerate().for_each(|(at, &class)| probabilities[at * classes + class] = 0.9);
        let images = (0..truth.len()).collect();
        let subject = Subject {
            name: "k-NN".to_owned(),
            confusion: ConfusionMatrix::of(classes, &truth, &predicted),
            rates: Rates::OfImages,
            area: None,
            predictions: Predictions { num_classes: classes, images, truth, probabilities },
            remark: String::new(),
            mistakes: vec![Mistaken {
                image: Image { width: 2, height: 2, channels: 1, pixels: vec![0, 255, 0, 255] },
                caption: "<a>.png is disc, predicted as ring".to_owned(),
            }],
        };
        Evaluation {
            title: "k-NN".to_owned(),
            lead: "An encoder on <images>.".to_owned(),
            remarks: vec!["one & two".to_owned()],
            table: Table::new(&["encoder"]),
            comparisons: Vec::new(),
            by_shots: Series::named(&["a"], [vec![(5.0, 0.5), (10.0, 0.6), (20.0, 0.7), (50.0, 0.8)]]),
            class_names: (0..classes).map(|class| format!("class {class}")).collect(),
            subjects: vec![subject],
        }
    }

    #[test]
    fn every_part_is_in_the_report() {
        let html = evaluation(3).html();
        for part in [
            "Confusion matrix",
            "Sensitivity and specificity of each class",
            "ROC curve",
            "Reliability diagram",
            "Error rate by coverage",
            "worst mistakes",
            "data:image/png;base64,",
            "one &amp; two",
            "&lt;a&gt;.png is disc",
            ">5<",
            ">10<",
            ">20<",
            ">50<",
            "contains test images",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert!(!html.contains("5.01") && !html.contains("<a>") && !html.contains("http://"));
    }

    /// Of each class's 3 images 2 are right: Wilson's interval of 2 of 3 is 0.208 to 0.939. Accuracy 2/3 at a confidence of 0.9.
    #[test]
    fn figures_match_those_by_hand() {
        let html = evaluation(3).html();
        assert!(html.contains("0.667 (0.208 to 0.939)"), "sensitivity");
        assert!(html.contains("Expected calibration error 0.233"), "calibration");
        assert!(!html.contains("NaN"));
    }

    #[test]
    fn many_classes_have_a_list_of_confusions() {
        let html = evaluation(60).html();
        assert!(html.contains("Most frequent confusions") && !html.contains("\"Confusion matrix\""));
        let curves = (0..60).filter(|class| html.contains(&format!(">class {class}, area "))).count();
        assert_eq!(curves, 10, "of the first ten classes");
    }
}
