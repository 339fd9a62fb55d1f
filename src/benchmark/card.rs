//! The figures of the encoders as Markdown, for model cards.

use std::fmt::Write;

use super::cost::EncoderCost;
use super::rows::Row;

/// A section per encoder: its cost, then a line per task and number of shots with interval, difference to the better floor and
/// the sensitivity of every class.
pub fn card(rows: &[Row], costs: &[EncoderCost]) -> String {
    let mut text = String::new();
    let mut done: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| !row.is_floor()) {
        if done.contains(&row.encoder.as_str()) {
            continue;
        }
        done.push(&row.encoder);
        let of_encoder = || rows.iter().filter(|other| other.encoder == row.encoder);
        // Writing to a text does not fail.
        let _ = writeln!(text, "## {}\n", cell(&row.encoder));
        if let Some(cost) = costs.iter().find(|cost| cost.encoder == row.encoder) {
            let _ = writeln!(text, "{}\n", cost_line(cost));
        }
        let _ = writeln!(
            text,
            "| task | role | shots | balanced accuracy | better floor | difference | sensitivity of each class | images seen in training |\n\
             |---|---|---|---|---|---|---|---|"
        );
        for row in of_encoder() {
            let _ = writeln!(text, "{}", line(row));
        }
        let _ =
            writeln!(text, "\n{} episodes per line, device head, 95 % intervals over the episodes.\n", row.episodes);
    }
    text
}

fn cost_line(cost: &EncoderCost) -> String {
    let number = |value: Option<u64>| value.map_or("unknown".to_owned(), |value| value.to_string());
    let [channels, height, width] = cost.input;
    format!(
        "Input {channels}×{height}×{width}, {} multiply-accumulates, {} parameters, feature of {} values, {} bytes per support, \
         {:.2} ms per image on one thread of the machine that made this table.",
        number(cost.multiply_accumulates),
        number(cost.parameters),
        cost.feature_dim,
        cost.support_bytes,
        cost.milliseconds,
    )
}

fn line(row: &Row) -> String {
    let (floor, difference) = match &row.difference {
        None => ("-".to_owned(), "-".to_owned()),
        Some(one) => {
            let interval = one
                .paired
                .interval
                .map_or(String::new(), |[low, high]| format!(" ({:+.1} to {:+.1})", 100.0 * low, 100.0 * high));
            let points = format!("{:+.1}{interval}", 100.0 * one.paired.difference);
            (format!("{:.3} ({})", one.floor_mean, one.floor), points)
        }
    };
    let seen = match row.seen {
        None => "not recorded".to_owned(),
        Some(seen) => format!("{} of train, {} of test", seen.train, seen.test),
    };
    let sensitivities = cell(&row.sensitivities_text());
    format!(
        "| {} | {} | {} | {} | {floor} | {difference} | {sensitivities} | {seen} |",
        cell(&row.task),
        row.role.name(),
        row.shots,
        row.balanced_accuracy,
    )
}

/// Text in a cell: names come from files.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
