//! Rows of the table: an encoder on a task with a number of shots, compared with the better floor.

use super::averages::Average;
use super::cost::EncoderCost;
use super::figures::Figures;
use super::task::{Role, Task};
use crate::encoders::Baseline;
use crate::evaluate::{Interval, PairedDifference, Standing};
use crate::report::table::Table;

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

const COLUMNS: [&str; 32] = [
    "kind",
    "encoder",
    "opened",
    "task",
    "role",
    "domain",
    "shots",
    "episodes",
    "balanced_accuracy",
    "half_width_95",
    "floor",
    "floor_balanced_accuracy",
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
    "reference_difference",
    "reference_low",
    "reference_high",
    "area_under_roc",
    "sensitivities",
    "train_images",
    "test_images",
    "seen_train_images",
    "seen_test_images",
    "input",
    "feature_dim",
    "support_bytes",
    "multiply_accumulates",
    "parameters",
    "activation_bytes",
    "milliseconds_per_image",
];

/// The table as CSV: a line per row (`kind` is `task`), then a line per mean (`kind` is `mean`). Fractions have 4 digits.
pub fn csv(rows: &[Row], averages: &[Average], costs: &[EncoderCost]) -> Table {
    let mut table = Table::new(&COLUMNS);
    for row in rows {
        let seen = |of: fn(Seen) -> usize| row.seen.map_or(String::new(), |seen| of(seen).to_string());
        let about = [
            "task".to_owned(),
            row.encoder.clone(),
            row.opened.clone(),
            row.task.clone(),
            row.role.name().to_owned(),
            row.domain.clone(),
            row.shots.to_string(),
            row.episodes.to_string(),
        ];
        let others = [
            row.area_under_roc.map_or(String::new(), |area| digits(area.mean)),
            row.sensitivities_text(),
            row.images[0].to_string(),
            row.images[1].to_string(),
            seen(|seen| seen.train),
            seen(|seen| seen.test),
        ];
        let difference = difference(row.difference.as_ref());
        let [low, high] = row.reference.and_then(|paired| paired.interval).map_or([None; 2], |ends| ends.map(Some));
        let reference = [row.reference.map(|paired| paired.difference), low, high].map(optional);
        let cost = cost(&row.encoder, costs);
        table.push([&about[..], &interval(row.balanced_accuracy), &difference, &reference, &others, &cost].concat());
    }
    averages.iter().for_each(|average| table.push(mean_line(average, costs)));
    table
}

/// The line of a mean over tasks.
fn mean_line(average: &Average, costs: &[EncoderCost]) -> Vec<String> {
    let about = ["mean", &average.encoder, "", &average.name(), "", "", &average.shots.to_string(), ""];
    let floor_mean = optional(average.floor_mean);
    let floor = [&[String::new(), floor_mean], &ends(average.difference)[..], &[String::new()]].concat();
    let others = vec![String::new(); 6];
    let (accuracy, cost) = (interval(average.balanced_accuracy), cost(&average.encoder, costs));
    [&about.map(str::to_owned)[..], &accuracy, &floor, &ends(average.reference), &others, &cost].concat()
}

/// A difference with the ends of its interval.
fn ends(difference: Option<Interval>) -> [String; 3] {
    let end = |side: f64| difference.and_then(|one| one.half_width_95.map(|half| one.mean + side * half));
    [difference.map(|one| one.mean), end(-1.0), end(1.0)].map(optional)
}

fn optional(value: Option<f64>) -> String {
    value.map_or(String::new(), digits)
}

fn digits(value: f64) -> String {
    format!("{value:.4}")
}

fn interval(value: Interval) -> [String; 2] {
    [digits(value.mean), value.half_width_95.map_or(String::new(), digits)]
}

fn difference(difference: Option<&Difference>) -> [String; 6] {
    let Some(Difference { floor, floor_mean, paired }) = difference else { return Default::default() };
    let [low, high] = paired.interval.map_or([const { String::new() }; 2], |ends| ends.map(digits));
    let verdict = match paired.verdict {
        Standing::Ahead => "ahead",
        Standing::Level => "level",
        Standing::Behind => "behind",
        Standing::Undecided => "undecided",
    };
    [floor.clone(), digits(*floor_mean), digits(paired.difference), low, high, verdict.to_owned()]
}

fn cost(encoder: &str, costs: &[EncoderCost]) -> [String; 7] {
    let Some(cost) = costs.iter().find(|cost| cost.encoder == encoder) else { return Default::default() };
    let whole = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
    [
        cost.input.map(|side| side.to_string()).join("x"),
        cost.feature_dim.to_string(),
        cost.support_bytes.to_string(),
        whole(cost.multiply_accumulates),
        whole(cost.parameters),
        whole(cost.activation_bytes),
        format!("{:.3}", cost.milliseconds),
    ]
}
