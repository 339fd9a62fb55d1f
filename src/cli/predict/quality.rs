//! How good a device's decisions are on images whose classes are known.

use super::Row;
use crate::cli::connect::Names;
use crate::evaluate::Confusion;

/// Figures of a labelled data set.
#[derive(serde::Serialize)]
pub struct Quality {
    balanced_accuracy: f64,
    recall: Vec<ClassRecall>,
    accuracy: f64,
    images: u64,
    /// Part of the images whose class is in the set of classes; at least 1 less the asked error rate is promised.
    coverage: f64,
    /// Classes in a set, on average.
    set_size: f64,
    /// Images that the device finds unlike all that it was taught.
    unknown: u64,
    /// Images left out because the device had learned them.
    learned_images_left_out: usize,
}

#[derive(serde::Serialize)]
struct ClassRecall {
    class: String,
    /// Null where the data set has no image of the class.
    recall: Option<f64>,
}

/// Counts decisions.
pub struct Tally<'n> {
    names: &'n Names,
    confusion: Confusion,
    covered: u64,
    in_sets: u64,
    unknown: u64,
    left_out: usize,
}

impl<'n> Tally<'n> {
    /// Nothing counted yet.
    pub fn new(names: &'n Names) -> Self {
        let confusion = Confusion::new(names.0.len());
        Self { names, confusion, covered: 0, in_sets: 0, unknown: 0, left_out: 0 }
    }

    /// Counts an image that was learned.
    pub fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// Counts the decision on an image of class `label`.
    pub fn add(&mut self, label: &str, row: &Row) -> anyhow::Result<()> {
        self.confusion.add(self.place(label)?, self.place(&row.class)?);
        self.covered += u64::from(row.set.iter().any(|class| class == label));
        self.in_sets += row.set.len() as u64;
        self.unknown += u64::from(!row.known);
        Ok(())
    }

    /// What it comes to.
    pub fn quality(&self) -> Quality {
        let classes = self.names.0.iter().map(|class| class.name.clone());
        let images = self.confusion.total();
        let part = |count: u64| count as f64 / images.max(1) as f64;
        Quality {
            balanced_accuracy: self.confusion.balanced_accuracy(),
            recall: classes
                .zip(self.confusion.recalls())
                .map(|(class, recall)| ClassRecall { class, recall })
                .collect(),
            accuracy: self.confusion.accuracy(),
            images,
            coverage: part(self.covered),
            set_size: part(self.in_sets),
            unknown: self.unknown,
            learned_images_left_out: self.left_out,
        }
    }

    fn place(&self, class: &str) -> anyhow::Result<usize> {
        let slot = self.names.slot(class)?;
        Ok(self.names.0.iter().position(|known| known.slot == slot).unwrap_or_default())
    }
}

impl Quality {
    /// For people.
    pub fn print(&self, error_rate_percent: f64) {
        println!("balanced accuracy  {:.3}  ({} images)", self.balanced_accuracy, self.images);
        for class in &self.recall {
            let recall = class.recall.map_or("no images".to_owned(), |recall| format!("{recall:.3}"));
            println!("recall             {recall}  {}", class.class);
        }
        println!("accuracy           {:.3}", self.accuracy);
        println!(
            "coverage           {:.3}  by sets of {:.2} classes at {error_rate_percent} %",
            self.coverage, self.set_size
        );
        println!("unknown            {} images", self.unknown);
        if self.learned_images_left_out > 0 {
            println!("left out           {} images that the device has learned", self.learned_images_left_out);
        }
    }
}
