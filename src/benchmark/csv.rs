//! The table as CSV.

use super::averages::Average;
use super::cost::EncoderCost;
use super::rows::{Difference, Row, Seen};
use crate::evaluate::{Interval, Standing};
use crate::report::table::Table;

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
