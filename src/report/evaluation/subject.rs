//! One classifier in the report of an evaluation: an encoder with a head, and with a number of shots.

use crate::data::Image;
use crate::evaluate::Predictions;
use crate::measure::{Calibration, ConfusionMatrix, Interval, RiskCoverage, roc_auc, roc_curve, wilson};
use crate::report::chart::{Axis, Chart, Series};
use crate::report::html::{Html, details, figures, note, picture, png_uri, table, text};
use crate::report::sheet::{grid, png};
use crate::report::table::Table;
use crate::report::text::count;

/// Most mistakes that are shown.
pub const MISTAKES_MAX: usize = 24;

/// Bins of the reliability diagram, as many as in Guo et al. 2017.
const BINS: usize = 15;

/// Classes whose ROC curves are drawn at most. More lines cannot be told apart; the table has all areas.
const CURVES_MAX: usize = 10;

/// Classes of a confusion matrix that is shown whole.
const MATRIX_MAX: usize = 40;

/// Rows of the list of the most frequent confusions.
const CONFUSIONS: usize = 15;

/// Least coverage that is stated: a few lucky predictions say nothing.
const COVERAGE_MIN: f64 = 0.05;

/// Error rates for which the coverage is stated.
const ERROR_RATES: [f64; 4] = [0.01, 0.02, 0.05, 0.1];

/// Sensitivity or specificity of each class with its 95 % interval.
pub enum Rates {
    /// Each image once: intervals of Wilson.
    OfImages,
    /// Means over episodes, `[K]` each.
    OfEpisodes {
        /// Sensitivity of each class.
        sensitivity: Vec<Option<Interval>>,
        /// Specificity of each class.
        specificity: Vec<Option<Interval>>,
    },
}

/// An image that was classified wrongly.
pub struct Mistaken {
    /// The image.
    pub image: Image,
    /// Its name, class, predicted class and the mean probability of its class, as a sentence.
    pub caption: String,
}

/// A classifier with its results.
pub struct Subject {
    /// Name of head and shots.
    pub name: String,
    /// `[truth][predicted]`.
    pub confusion: ConfusionMatrix,
    /// Where the intervals come from.
    pub rates: Rates,
    /// Area under the ROC curve as the evaluation reports it, if it does.
    pub area: Option<String>,
    /// Predictions of single images; of the first episodes only if there are too many.
    pub predictions: Predictions,
    /// What to know about `predictions`.
    pub remark: String,
    /// The worst mistakes.
    pub mistakes: Vec<Mistaken>,
}

impl Subject {
    /// The sections of this classifier: title and content.
    pub(super) fn sections(&self, class_names: &[String]) -> Vec<(String, Html)> {
        let titled = |title: &str, content| (format!("{}: {title}", self.name), content);
        let mut sections = vec![
            titled("confusion matrix", self.matrix(class_names)),
            titled("sensitivity and specificity", self.rates(class_names)),
        ];
        if !self.predictions.is_empty() {
            sections.push(titled("probabilities", self.probabilities(class_names)));
        }
        if !self.mistakes.is_empty() {
            sections.push(titled("worst mistakes", self.pictures()));
        }
        sections
    }

    fn matrix(&self, class_names: &[String]) -> Html {
        let counts = self.confusion.counts();
        if class_names.len() > MATRIX_MAX {
            return text("The most frequent confusions.").then(self.confusions(class_names));
        }
        let columns: Vec<&str> =
            std::iter::once("is, predicted as").chain(class_names.iter().map(String::as_str)).collect();
        let mut rows = Table::new(&columns);
        for (name, row) in class_names.iter().zip(counts) {
            rows.push(std::iter::once(name.clone()).chain(row.iter().map(u64::to_string)).collect());
        }
        let shade = |row: usize, column: usize| {
            let of_class: u64 = counts[row].iter().sum();
            if column == 0 || of_class == 0 { 0.0 } else { counts[row][column - 1] as f64 / of_class as f64 }
        };
        text("A row per class, a column per prediction. The shade is the share of the row.").then(table(
            "Confusion matrix",
            &rows,
            shade,
        ))
    }

    fn confusions(&self, class_names: &[String]) -> Html {
        let counts = self.confusion.counts();
        let cells = counts
            .iter()
            .enumerate()
            .flat_map(|(truth, row)| row.iter().enumerate().map(move |(predicted, &count)| (count, truth, predicted)));
        let mut wrong: Vec<(u64, usize, usize)> =
            cells.filter(|&(count, truth, predicted)| count > 0 && truth != predicted).collect();
        wrong.sort_by_key(|&(count, truth, predicted)| (std::cmp::Reverse(count), truth, predicted));
        let mut rows = Table::new(&["class", "predicted as", "times", "of"]);
        for (count, truth, predicted) in wrong.into_iter().take(CONFUSIONS) {
            let of = self.confusion.images(truth);
            rows.push(vec![
                class_names[truth].clone(),
                class_names[predicted].clone(),
                count.to_string(),
                of.to_string(),
            ]);
        }
        table("Most frequent confusions", &rows, |_, _| 0.0)
    }

    fn rates(&self, class_names: &[String]) -> Html {
        let counts = self.confusion.counts();
        let total = self.confusion.total();
        let shown = |share: Option<f64>, interval: Option<[f64; 2]>| match (share, interval) {
            (Some(share), Some([low, high])) => format!("{share:.3} ({low:.3} to {high:.3})"),
            (Some(share), None) => format!("{share:.3}"),
            (None, _) => "-".to_owned(),
        };
        let around = |interval: Option<Interval>| {
            let bounds = interval.and_then(|found| {
                let half = found.half_width_95?;
                Some([(found.mean - half).max(0.0), (found.mean + half).min(1.0)])
            });
            shown(interval.map(|found| found.mean), bounds)
        };
        let mut rows = Table::new(&["class", "images", "sensitivity", "specificity", "ROC area against the others"]);
        for (class, name) in class_names.iter().enumerate() {
            let images = self.confusion.images(class);
            let found = counts[class][class];
            let false_positives = counts.iter().map(|row| row[class]).sum::<u64>() - found;
            let others = total - images;
            let [sensitivity, specificity] = match &self.rates {
                Rates::OfImages => [
                    shown((images > 0).then(|| found as f64 / images as f64), wilson(found, images)),
                    shown(
                        (others > 0).then(|| (others - false_positives) as f64 / others as f64),
                        wilson(others - false_positives, others),
                    ),
                ],
                Rates::OfEpisodes { sensitivity, specificity } => {
                    [around(sensitivity[class]), around(specificity[class])]
                }
            };
            let area = match self.predictions.is_empty() {
                true => None,
                false => {
                    let (scores, positive) = self.predictions.of_class(class);
                    roc_auc(&scores, &positive)
                }
            };
            let area = area.map_or("-".to_owned(), |area| format!("{area:.3}"));
            rows.push(vec![name.clone(), images.to_string(), sensitivity, specificity, area]);
        }
        let about = match &self.rates {
            Rates::OfImages => "With 95 % intervals over the images (Wilson).",
            Rates::OfEpisodes { .. } => {
                "Means over episodes with 95 % intervals; images are counted in all episodes. The ROC area is over the predictions of several \
                 episodes together."
            }
        };
        let area =
            self.area.as_ref().map(|area| text(&format!("Area under the ROC curve: {area}."))).unwrap_or_default();
        text(about).then(table("Sensitivity and specificity of each class", &rows, |_, _| 0.0)).then(area)
    }

    fn probabilities(&self, class_names: &[String]) -> Html {
        let (confidence, is_correct) = (self.predictions.confidence(), self.predictions.is_correct());
        let mut charts = Vec::new();
        if let Ok(svg) = self.roc(class_names).part() {
            let first = match class_names.len() > CURVES_MAX {
                true => format!(" The first {CURVES_MAX} classes."),
                false => String::new(),
            };
            let remark = format!(
                "Sensitivity at each specificity, by the probability of the class. Above the line of chance is better.{first}"
            );
            charts.push(("ROC curve".to_owned(), remark, svg));
        }
        let mut facts = Vec::new();
        if let Some(found) = Calibration::of(&confidence, &is_correct, BINS) {
            let error = found.expected_error;
            facts.push(format!("Expected calibration error {error:.3}: the mean gap between confidence and accuracy."));
            if let Ok(svg) = reliability(&found).part() {
                let remark = format!(
                    "Accuracy by confidence. Below the line is overconfident. Expected calibration error {error:.3}."
                );
                charts.push(("Reliability diagram".to_owned(), remark, svg));
            }
        }
        if let Some(found) = RiskCoverage::of(&confidence, &is_correct) {
            facts.extend(ERROR_RATES.iter().filter_map(|&wanted| {
                let (coverage, rate) = found.coverage_at(wanted).filter(|point| point.0 >= COVERAGE_MIN)?;
                Some(format!(
                    "The most confident {:.0} % of the predictions have an error rate of {:.1} %.",
                    100.0 * coverage,
                    100.0 * rate
                ))
            }));
            facts.dedup();
            if let Ok(svg) = risk_coverage(&found).part() {
                let remark = format!(
                    "Error rate if only the most confident predictions are made. Area {:.3}; lower is better.",
                    found.area
                );
                charts.push(("Error rate by coverage".to_owned(), remark, svg));
            }
        }
        let facts: Html = facts.iter().fold(Html::default(), |html, fact| html.then(text(fact)));
        let remark = if self.remark.is_empty() { Html::default() } else { text(&self.remark) };
        let warning = "These error rates are those of the test images. A threshold that is chosen by them must be tested on other images.";
        remark.then(figures(&charts)).then(facts).then(note(warning))
    }

    /// The curve of each class; for two classes that of the second.
    fn roc(&self, class_names: &[String]) -> Chart {
        let classes = class_names.len();
        let first = if classes == 2 { 1 } else { 0 };
        let curves = (first..classes).filter_map(|class| {
            let (scores, positive) = self.predictions.of_class(class);
            let area = roc_auc(&scores, &positive)?;
            Some(Series::new(format!("{}, area {area:.3}", class_names[class]), roc_curve(&scores, &positive)?))
        });
        let mut series: Vec<Series> = curves.take(CURVES_MAX).collect();
        series.push(Series::guide("chance", (0.0, 0.0), (1.0, 1.0)));
        Chart {
            title: "ROC curve".to_owned(),
            x: Axis::linear("1 - specificity").within(0.0, 1.0),
            y: Axis::linear("sensitivity").within(0.0, 1.0),
            series,
        }
    }

    fn pictures(&self) -> Html {
        let about = format!(
            "{} that were classified wrongly, those first whose own class was given the least probability.",
            count(self.mistakes.len(), "image")
        );
        let drawn = |mistake: &Mistaken| {
            let png = png(&grid(std::slice::from_ref(&mistake.image), 1)).ok()?;
            Some(picture(&mistake.caption, &mistake.caption, &png_uri(&png), mistake.image.width.max(48)))
        };
        let pictures = self.mistakes.iter().filter_map(drawn).fold(Html::default(), Html::then);
        text(&about).then(details("Pictures", pictures.in_row()))
    }
}

fn reliability(found: &Calibration) -> Chart {
    let points = found.bins.iter().map(|bin| (bin.confidence, bin.accuracy)).collect();
    Chart {
        title: "Reliability diagram".to_owned(),
        x: Axis::linear("confidence").within(0.0, 1.0),
        y: Axis::linear("accuracy").within(0.0, 1.0),
        series: vec![Series::new("predictions", points), Series::guide("calibrated", (0.0, 0.0), (1.0, 1.0))],
    }
}

fn risk_coverage(found: &RiskCoverage) -> Chart {
    let last = found.points.last().map_or(0.0, |point| point.1);
    let highest = found.points.iter().map(|point| point.1).fold(0.02, f64::max);
    Chart {
        title: "Error rate by coverage".to_owned(),
        x: Axis::linear("coverage: share of predictions made").within(0.0, 1.0),
        y: Axis::linear("error rate").within(0.0, (1.05 * highest).min(1.0)),
        series: vec![
            Series::new("most confident first", found.points.clone()),
            Series::guide("confidence says nothing", (0.0, last), (1.0, last)),
        ],
    }
}
