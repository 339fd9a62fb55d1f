//! Rows of the table: an encoder on a task with a number of shots, compared with the better floor.

use super::figures::Figures;
use super::task::{Role, Task};
use crate::encoders::Baseline;
use crate::evaluate::{Interval, PairedDifference};

/// How many images of a task an encoder was trained on, if that is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    /// Of the training split.
    pub train: usize,
    /// Of the test split, without labels.
    pub test: usize,
}

/// The difference to the better floor, over the same episodes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Difference {
    /// The floor: raw pixels or colour statistics, whichever has the higher mean here.
    pub floor: String,
    /// Its mean balanced accuracy.
    pub floor_mean: f64,
    /// Encoder minus floor.
    #[serde(flatten)]
    pub paired: PairedDifference,
}

/// An encoder on a task with a number of shots.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// The encoder's label.
    pub encoder: String,
    /// The name that it was opened by.
    pub opened: String,
    /// The task.
    pub task: String,
    /// What the figures of the task are for.
    pub role: Role,
    /// What its images show.
    pub domain: String,
    /// Labelled images per class.
    pub shots: usize,
    /// Number of episodes.
    pub episodes: usize,
    /// Images of the training and of the test split.
    pub images: [usize; 2],
    /// Images of the task that the encoder was trained on; `None` if that is not recorded.
    pub seen: Option<Seen>,
    /// Mean over the episodes, and its 95 % interval.
    pub balanced_accuracy: Interval,
    /// Name and sensitivity of each class, over the episodes.
    pub sensitivities: Vec<(String, Option<Interval>)>,
    /// Area under the ROC curve; for two classes only.
    pub area_under_roc: Option<Interval>,
    /// The difference to the better floor; `None` for a floor, or without floors.
    pub difference: Option<Difference>,
    /// The difference to the reference encoder, if there is one.
    pub reference: Option<PairedDifference>,
    /// Balanced accuracy of each episode.
    #[serde(skip)]
    pub of_episodes: Vec<f64>,
}

impl Row {
    /// The row of `figures`, not compared yet.
    pub(super) fn new(
        (encoder, opened): (&str, &str),
        task: &Task,
        shots: usize,
        class_names: &[String],
        figures: Figures,
    ) -> Self {
        Self {
            encoder: encoder.to_owned(),
            opened: opened.to_owned(),
            task: task.name.clone(),
            role: task.role,
            domain: task.domain.clone(),
            shots,
            episodes: figures.of_episodes.len(),
            images: [0; 2],
            seen: None,
            balanced_accuracy: figures.balanced_accuracy(),
            sensitivities: class_names.iter().cloned().zip(figures.sensitivities).collect(),
            area_under_roc: figures.area_under_roc,
            difference: None,
            reference: None,
            of_episodes: figures.of_episodes,
        }
    }

    pub(super) fn is_floor(&self) -> bool {
        Baseline::FLOORS.contains(&self.encoder.as_str())
    }

    /// The sensitivities as text: `CLASS 0.812 ± 0.010; …`.
    pub(super) fn sensitivities_text(&self) -> String {
        let text = |(class, value): &(String, Option<Interval>)| match value {
            Some(value) => format!("{class} {value}"),
            None => format!("{class} -"),
        };
        self.sensitivities.iter().map(text).collect::<Vec<_>>().join("; ")
    }
}

/// Compares every row with the floor of the higher mean on the same task and shots. The choice is in favour of the floor.
pub(super) fn compare(rows: &mut [Row]) {
    let floors: Vec<Row> = rows.iter().filter(|row| row.is_floor()).cloned().collect();
    for row in rows.iter_mut().filter(|row| !row.is_floor()) {
        let same = floors.iter().filter(|floor| floor.task == row.task && floor.shots == row.shots);
        let mean = |row: &Row| row.balanced_accuracy.mean;
        row.difference = same.max_by(|a, b| mean(a).total_cmp(&mean(b))).map(|floor| Difference {
            floor: floor.encoder.clone(),
            floor_mean: mean(floor),
            paired: PairedDifference::of_episodes(&row.of_episodes, &floor.of_episodes),
        });
    }
}

/// Compares every other row with the encoder `label` on the same task and shots. Returns whether there is one.
pub fn compare_with(rows: &mut [Row], label: &str) -> bool {
    let references: Vec<Row> = rows.iter().filter(|row| row.encoder == label).cloned().collect();
    for row in rows.iter_mut().filter(|row| row.encoder != label) {
        let same = references.iter().find(|other| other.task == row.task && other.shots == row.shots);
        row.reference = same.map(|other| PairedDifference::of_episodes(&row.of_episodes, &other.of_episodes));
    }
    !references.is_empty()
}
