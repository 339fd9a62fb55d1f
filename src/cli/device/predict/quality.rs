//! Figures of a device's decisions on labelled images.
//!
//! "I don't know" has its own column in the confusion matrix and counts as not recognised: a sensitivity of 0.9 means that
//! nine of ten images of the class were assigned to it.

use super::row::{DONT_KNOW, Row};
use crate::cli::classes::ClassNames;
use crate::evaluate::{ConfusionMatrix, Interval, roc_auc_one_vs_rest};
use crate::report::text::{count, left, shown, widest, width};

/// Figures on a labelled dataset.
#[derive(serde::Serialize)]
pub struct Quality {
    /// Mean sensitivity of the classes that have images.
    balanced_accuracy: f64,
    /// Half width of its 95 % interval.
    balanced_accuracy_half_width_95: Option<f64>,
    /// Confusion matrix over the labels that the device knows.
    classes: Vec<ClassQuality>,
    accuracy: f64,
    /// ROC AUC of the second of two classes over all images. With more classes see `classes`.
    area_under_roc: Option<f64>,
    /// Evaluated images.
    images: u64,
    decided: Decided,
    confusion: Table,
    /// Fraction of images whose class is in the conformal prediction set; at least 1 - error rate is guaranteed.
    coverage: f64,
    /// Classes per set, on average.
    set_size: f64,
    /// Images out of distribution: "I don't know".
    unknown: u64,
    /// Images left out because they are samples of the device.
    learned_images_left_out: usize,
    /// Images left out because they have no label.
    unlabelled_images_left_out: usize,
    /// Labels that are no class of the device; their images are left out.
    unmatched_labels: Vec<Unmatched>,
    /// Classes of the device without an image.
    classes_without_images: Vec<String>,
}

/// One class against all others.
#[derive(serde::Serialize)]
struct ClassQuality {
    class: String,
    images: u64,
    /// Fraction of the images of the class that were assigned to it (recall).
    sensitivity: Option<f64>,
    /// Fraction of the other images that were not assigned to it.
    specificity: Option<f64>,
    /// ROC AUC by its probability, against all other classes.
    area_under_roc: Option<f64>,
    /// Its images with the decision "I don't know".
    unknown: u64,
}

/// Figures over the images with a decision.
#[derive(serde::Serialize)]
struct Decided {
    images: u64,
    /// Fraction of all images.
    share: f64,
    /// Over these images.
    balanced_accuracy: Option<f64>,
    /// Over these images.
    accuracy: Option<f64>,
}

/// A confusion matrix with names.
#[derive(serde::Serialize)]
struct Table {
    /// Classes of the device, by row and column.
    classes: Vec<String>,
    /// `[label][decision]`.
    counts: Vec<Vec<u64>>,
    /// `[label]`.
    unknown: Vec<u64>,
}

#[derive(serde::Serialize)]
struct Unmatched {
    label: String,
    images: usize,
}

/// Counts decisions.
pub struct Tally<'n> {
    names: &'n ClassNames,
    confusion: ConfusionMatrix,
    /// Probabilities `[N, classes]`, if known.
    probabilities: Option<Vec<f64>>,
    truth: Vec<usize>,
    covered: u64,
    in_sets: u64,
    left_out: usize,
    unlabelled: usize,
    unmatched: Vec<Unmatched>,
}

impl<'n> Tally<'n> {
    /// An empty count.
    ///
    /// * `with_probabilities`: whether the probabilities of every image are known
    pub fn new(names: &'n ClassNames, with_probabilities: bool) -> Self {
        Self {
            names,
            confusion: ConfusionMatrix::new(names.0.len()),
            probabilities: with_probabilities.then(Vec::new),
            truth: Vec::new(),
            covered: 0,
            in_sets: 0,
            left_out: 0,
            unlabelled: 0,
            unmatched: Vec::new(),
        }
    }

    /// Counts an image that is a sample of the device.
    pub fn leave_out_learned(&mut self) {
        self.left_out += 1;
    }

    /// Counts an image without a label.
    pub fn leave_out_unlabelled(&mut self) {
        self.unlabelled += 1;
    }

    /// Counts images whose label is no class of the device.
    pub fn leave_out_unmatched(&mut self, label: &str) {
        match self.unmatched.iter_mut().find(|known| known.label == label) {
            Some(known) => known.images += 1,
            None => self.unmatched.push(Unmatched { label: label.to_owned(), images: 1 }),
        }
    }

    /// Counts the decision on an image of class `label`.
    ///
    /// * `probabilities`: of each class by slot; empty if unknown
    pub fn add(&mut self, label: &str, row: &Row, probabilities: &[f64]) -> anyhow::Result<()> {
        let truth = self.place(label)?;
        match row.known {
            true => self.confusion.add(truth, self.place(&row.class)?),
            false => self.confusion.abstain(truth),
        }
        self.truth.push(truth);
        if let Some(all) = &mut self.probabilities {
            all.extend_from_slice(probabilities);
        }
        self.covered += u64::from(row.set.iter().any(|class| class == label));
        self.in_sets += row.set.len() as u64;
        Ok(())
    }

    /// Evaluated images.
    pub fn images(&self) -> usize {
        self.truth.len()
    }

    /// The figures.
    pub fn quality(self) -> Quality {
        let confusion = &self.confusion;
        let images = confusion.total();
        let part = |count: u64| count as f64 / images.max(1) as f64;
        let interval = Interval::of_balanced_accuracy(confusion);
        let (decided, unknown) = (confusion.decided(), confusion.abstained().iter().sum::<u64>());
        let figure = |value: f64| Some(value).filter(|value| value.is_finite());
        let classes = self.classes();
        Quality {
            balanced_accuracy: interval.mean,
            balanced_accuracy_half_width_95: interval.half_width_95,
            area_under_roc: match &classes[..] {
                [_, second] => second.area_under_roc,
                _ => None,
            },
            classes_without_images: classes.iter().filter(|class| class.images == 0).map(|c| c.class.clone()).collect(),
            accuracy: confusion.accuracy(),
            images,
            decided: Decided {
                images: decided.total(),
                share: part(decided.total()),
                balanced_accuracy: figure(decided.balanced_accuracy()),
                accuracy: figure(decided.accuracy()),
            },
            confusion: Table {
                classes: classes.iter().map(|class| class.class.clone()).collect(),
                counts: confusion.counts().to_vec(),
                unknown: confusion.abstained().to_vec(),
            },
            coverage: part(self.covered),
            set_size: part(self.in_sets),
            unknown,
            learned_images_left_out: self.left_out,
            unlabelled_images_left_out: self.unlabelled,
            classes,
            unmatched_labels: self.unmatched,
        }
    }

    fn classes(&self) -> Vec<ClassQuality> {
        let (names, confusion) = (&self.names.0, &self.confusion);
        let areas = match &self.probabilities {
            Some(probabilities) => roc_auc_one_vs_rest(probabilities, &self.truth, names.len()),
            None => vec![None; names.len()],
        };
        let (sensitivities, specificities) = (confusion.recalls(), confusion.specificities());
        let quality = |at: usize| ClassQuality {
            class: names[at].name.clone(),
            images: confusion.images(at),
            sensitivity: sensitivities[at],
            specificity: specificities[at],
            // A class without samples always has probability 0, and the only class with samples 1.
            area_under_roc: areas[at].filter(|_| names[at].supports > 0 && self.names.only_class().is_none()),
            unknown: confusion.abstained()[at],
        };
        (0..names.len()).map(quality).collect()
    }

    fn place(&self, class: &str) -> anyhow::Result<usize> {
        let slot = self.names.slot(class)?;
        Ok(self.names.0.iter().position(|known| known.slot == slot).unwrap_or_default())
    }
}

impl Quality {
    /// Prints the figures as text.
    pub fn print(&self, error_rate_percent: f64) {
        let interval = Interval { mean: self.balanced_accuracy, half_width_95: self.balanced_accuracy_half_width_95 };
        println!(
            "balanced accuracy  {interval}  ({}; \"{DONT_KNOW}\" counts as not recognised)",
            count(self.images, "image")
        );
        if self.unknown > 0 {
            let among = self.decided.balanced_accuracy.map_or("-".to_owned(), |accuracy| format!("{accuracy:.3}"));
            println!("if decided         {among}  ({} of {})", self.decided.images, count(self.images, "image"));
        }
        println!("accuracy           {:.3}", self.accuracy);
        if let (Some(area), [first, second]) = (self.area_under_roc, &self.classes[..]) {
            let [first, second] = [first, second].map(|class| shown(&class.class));
            println!("ROC AUC            {area:.3}  ({second} against {first})");
        }
        println!(
            "coverage           {:.3}  with sets of {:.2} classes on average, error rate {error_rate_percent} %",
            self.coverage, self.set_size
        );
        println!("\"{DONT_KNOW}\"     {}", count(self.unknown, "image"));
        self.print_classes();
        self.print_confusion();
        self.print_left_out();
    }

    fn print_classes(&self) {
        let text = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let mut rows = vec![["class", "images", "sensitivity", "specificity", "ROC AUC"].map(str::to_owned).to_vec()];
        rows.extend(self.classes.iter().map(|class| {
            vec![
                class.class.clone(),
                class.images.to_string(),
                text(class.sensitivity),
                text(class.specificity),
                text(class.area_under_roc),
            ]
        }));
        print_aligned("", &rows);
    }

    fn print_confusion(&self) {
        let Table { classes, counts, unknown } = &self.confusion;
        let mut rows = vec![std::iter::once("label").chain(classes.iter().map(String::as_str)).collect::<Vec<_>>()];
        rows[0].push(DONT_KNOW);
        let mut rows: Vec<Vec<String>> =
            rows.into_iter().map(|row| row.into_iter().map(str::to_owned).collect()).collect();
        for ((class, counts), unknown) in classes.iter().zip(counts).zip(unknown) {
            let cells = counts.iter().chain([unknown]).map(u64::to_string);
            rows.push(std::iter::once(class.clone()).chain(cells).collect());
        }
        print_aligned("confusion matrix: a row per label, a column per decision", &rows);
    }

    fn print_left_out(&self) {
        let counts = [
            (self.learned_images_left_out, "that are samples of the device"),
            (self.unlabelled_images_left_out, "without a label"),
        ];
        for (number, why) in counts.into_iter().filter(|(number, _)| *number > 0) {
            println!("left out           {} {why}", count(number, "image"));
        }
        for Unmatched { label, images } in &self.unmatched_labels {
            let (images, label) = (count(*images, "image"), shown(label));
            println!("left out           {images} labelled '{label}', not a class of the device");
        }
        if !self.classes_without_images.is_empty() {
            println!("no image of class  {}", shown(&self.classes_without_images.join(", ")));
        }
    }
}

/// Prints rows; the first column is left-aligned, the others right-aligned.
fn print_aligned(title: &str, rows: &[Vec<String>]) {
    println!("{title}");
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> =
        (0..columns).map(|column| widest(rows.iter().map(|row| row[column].as_str()), 0)).collect();
    let right = |(cell, &columns): (&String, &usize)| {
        let cell = shown(cell);
        format!("{}{cell}", " ".repeat(columns.saturating_sub(width(&cell))))
    };
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).skip(1).map(right).collect();
        println!("{}  {}", left(&row[0], widths[0]), cells.join("  "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Class;

    fn row(class: &str, known: bool) -> Row {
        Row { class: class.to_owned(), known, set: vec![class.to_owned()], ..Row::example() }
    }

    /// Four images of `a`: two correct, one assigned to `b`, one undecided. Two of `b`, both correct.
    #[test]
    fn a_table_worked_by_hand() {
        let class = |slot, name: &str| Class { slot, name: name.to_owned(), supports: 3 };
        let names = ClassNames(vec![class(0, "a"), class(4, "b"), class(7, "empty")]);
        let mut tally = Tally::new(&names, true);
        for (label, answer, known, b) in [
            ("a", "a", true, 0.1),
            ("a", "a", true, 0.4),
            ("a", "b", true, 0.7),
            ("a", "b", false, 0.6),
            ("b", "b", true, 0.8),
            ("b", "b", true, 0.65),
        ] {
            tally.add(label, &row(answer, known), &[1.0 - b, b, 0.0]).unwrap();
        }
        tally.leave_out_unmatched("c");
        tally.leave_out_unmatched("c");
        tally.leave_out_learned();
        assert!(tally.add("c", &row("a", true), &[1.0, 0.0, 0.0]).is_err());
        let found = serde_json::to_value(tally.quality()).unwrap();
        let class = |at: usize| &found["classes"][at];
        assert_eq!((&class(0)["sensitivity"], &class(0)["specificity"]), (&0.5.into(), &1.0.into()));
        assert_eq!((&class(1)["sensitivity"], &class(1)["specificity"]), (&1.0.into(), &0.75.into()));
        // Of the eight pairs of a `b` and an `a`, only (0.65, 0.7) is in the wrong order.
        assert_eq!((&class(0)["area_under_roc"], &class(1)["area_under_roc"]), (&0.875.into(), &0.875.into()));
        assert_eq!((&class(0)["unknown"], &class(2)["sensitivity"]), (&1.into(), &serde_json::Value::Null));
        assert_eq!(found["balanced_accuracy"], 0.75);
        assert_eq!(found["decided"]["images"], 5);
        assert_eq!(found["decided"]["balanced_accuracy"], (2.0 / 3.0 + 1.0) / 2.0);
        assert_eq!(found["confusion"]["counts"], serde_json::json!([[2, 1, 0], [0, 2, 0], [0, 0, 0]]));
        assert_eq!(found["confusion"]["unknown"], serde_json::json!([1, 0, 0]));
        assert_eq!(found["unmatched_labels"], serde_json::json!([{ "label": "c", "images": 2 }]));
        assert_eq!(found["classes_without_images"], serde_json::json!(["empty"]));
        assert_eq!((&found["learned_images_left_out"], &found["images"]), (&1.into(), &6.into()));
    }
}
