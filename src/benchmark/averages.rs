//! Means over tasks: all of them, those of a domain, those of a role.

use super::rows::Row;
use super::task::Role;
use crate::evaluate::{Interval, PairedDifference};

/// The mean of an encoder over several tasks.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Average {
    /// The encoder's label.
    pub encoder: String,
    /// `all`, a domain, `development` or `report`.
    pub over: String,
    /// Number of tasks.
    pub tasks: usize,
    /// Labelled images per class.
    pub shots: usize,
    /// Mean over the tasks, each with the same weight; the interval is over episodes, for these tasks.
    pub balanced_accuracy: Interval,
    /// Mean of the better floor of each task.
    pub floor_mean: Option<f64>,
    /// Mean difference to the better floor of each task; `None` for a floor.
    pub difference: Option<Interval>,
    /// Mean difference to the reference encoder; `None` for itself, or without one.
    pub reference: Option<Interval>,
    /// Tasks on which the encoder's mean is below the better floor.
    pub below_floor: usize,
}

impl Average {
    /// `OVER (N tasks)`.
    pub fn name(&self) -> String {
        format!("{} ({} tasks)", self.over, self.tasks)
    }
}

/// The means of every encoder and number of shots: over all tasks, over each domain and role of some but not all tasks.
pub fn averages(rows: &[Row]) -> Vec<Average> {
    let distinct = |of: &dyn Fn(&Row) -> String| {
        let mut values = Vec::new();
        for value in rows.iter().map(of) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values
    };
    let encoders = distinct(&|row| row.encoder.clone());
    let shots = distinct(&|row| row.shots.to_string());
    let tasks = distinct(&|row| row.task.clone()).len();
    let mut groups = vec!["all".to_owned()];
    groups.extend(distinct(&|row| row.domain.clone()));
    groups.extend([Role::Development, Role::Report].map(|role| role.name().to_owned()));
    let mut averages = Vec::new();
    for over in &groups {
        for shots in &shots {
            for encoder in &encoders {
                let is_in = |row: &&Row| over == "all" || row.domain == *over || row.role.name() == over;
                let same = |row: &&Row| row.encoder == *encoder && row.shots.to_string() == *shots;
                let members: Vec<&Row> = rows.iter().filter(same).filter(is_in).collect();
                if !members.is_empty() && (over == "all" || members.len() < tasks) {
                    averages.push(average(over, &members));
                }
            }
        }
    }
    averages
}

fn average(over: &str, rows: &[&Row]) -> Average {
    let differences: Option<Vec<_>> = rows.iter().map(|row| row.difference.as_ref()).collect();
    let of = |paired: PairedDifference| Interval {
        mean: paired.difference,
        half_width_95: paired.interval.map(|[low, high]| (high - low) / 2.0),
    };
    let difference = differences
        .as_ref()
        .map(|differences| mean(&differences.iter().map(|difference| of(difference.paired)).collect::<Vec<_>>()));
    let references: Option<Vec<Interval>> = rows.iter().map(|row| row.reference.map(of)).collect();
    let floors = differences.as_ref().map(|differences| differences.iter().map(|difference| difference.floor_mean));
    Average {
        encoder: rows[0].encoder.clone(),
        over: over.to_owned(),
        tasks: rows.len(),
        shots: rows[0].shots,
        balanced_accuracy: mean(&rows.iter().map(|row| row.balanced_accuracy).collect::<Vec<_>>()),
        floor_mean: floors.map(|floors| floors.sum::<f64>() / rows.len() as f64),
        difference,
        reference: references.as_deref().map(mean),
        below_floor: differences.iter().flatten().filter(|difference| difference.paired.difference < 0.0).count(),
    }
}

/// The mean of independent means; its half width is the root of the sum of their squares, over their number.
fn mean(values: &[Interval]) -> Interval {
    let count = values.len() as f64;
    let squares: Option<f64> = values.iter().map(|value| value.half_width_95.map(|half| half * half)).sum();
    Interval {
        mean: values.iter().map(|value| value.mean).sum::<f64>() / count,
        half_width_95: squares.map(|squares| squares.sqrt() / count),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Figures;
    use super::super::rows::{compare, compare_with};
    use super::super::task::Task;
    use super::*;

    fn row(encoder: &str, task: &str, role: Role, domain: &str, of_episodes: [f64; 6]) -> Row {
        let task = Task { name: task.into(), data: String::new(), role, domain: domain.into(), classes: Vec::new() };
        let figures = Figures { of_episodes: of_episodes.to_vec(), sensitivities: Vec::new(), area_under_roc: None };
        Row::new((encoder, encoder), &task, 5, &[], figures)
    }

    fn table() -> Vec<Row> {
        let around = |mean: f64| [-0.03, 0.01, 0.02, 0.03, -0.01, -0.02].map(|apart| mean + apart);
        let mut rows = Vec::new();
        for (task, role, domain, means) in [
            ("a", Role::Development, "medical", [0.5, 0.6, 0.7]),
            ("b", Role::Report, "medical", [0.7, 0.6, 0.6]),
            ("c", Role::Development, "photographs", [0.2, 0.1, 0.6]),
        ] {
            for (encoder, mean) in ["raw-pixels", "colour-statistics", "own"].into_iter().zip(means) {
                rows.push(row(encoder, task, role, domain, around(mean)));
            }
        }
        compare(&mut rows);
        rows
    }

    #[test]
    fn every_row_is_compared_with_the_better_floor() {
        let rows = table();
        let own: Vec<_> = rows.iter().filter(|row| row.encoder == "own").map(|row| row.difference.as_ref()).collect();
        let found: Vec<(&str, i64)> = (own.iter().flatten())
            .map(|one| (one.floor.as_str(), (100.0 * one.paired.difference).round() as i64))
            .collect();
        assert_eq!(found, [("colour-statistics", 10), ("raw-pixels", -10), ("raw-pixels", 40)]);
        assert!(rows.iter().filter(|row| row.encoder != "own").all(|row| row.difference.is_none()));
    }

    #[test]
    fn every_encoder_is_compared_with_the_reference() {
        let mut rows = table();
        assert!(!compare_with(&mut rows, "nothing"));
        assert!(rows.iter().all(|row| row.reference.is_none()));
        assert!(compare_with(&mut rows, "own"));
        let pixels = averages(&rows).into_iter().find(|one| one.encoder == "raw-pixels" && one.over == "all").unwrap();
        assert!((pixels.reference.unwrap().mean + 0.5 / 3.0).abs() < 1e-9, "-0.2, 0.1 and -0.4: {pixels:?}");
        assert!(averages(&rows).iter().all(|one| one.reference.is_none() == (one.encoder == "own")));
    }

    #[test]
    fn means_are_over_all_tasks_domains_and_roles() {
        let averages = averages(&table());
        let of = |over: &str| averages.iter().find(|one| one.encoder == "own" && one.over == over).unwrap();
        for (over, tasks, mean, difference, below) in [
            ("all", 3, 1.9 / 3.0, 0.4 / 3.0, 1),
            ("medical", 2, 0.65, 0.0, 1),
            ("photographs", 1, 0.6, 0.4, 0),
            ("development", 2, 0.65, 0.25, 0),
            ("report", 1, 0.6, -0.1, 1),
        ] {
            let found = of(over);
            assert_eq!((found.tasks, found.below_floor), (tasks, below), "{over}");
            assert!((found.balanced_accuracy.mean - mean).abs() < 1e-9, "{over}: {found:?}");
            assert!((found.difference.unwrap().mean - difference).abs() < 1e-9, "{over}: {found:?}");
        }
        // Three tasks of the same spread: √3 h / 3.
        let single = of("report").balanced_accuracy.half_width_95.unwrap();
        let all = of("all").balanced_accuracy.half_width_95.unwrap();
        assert!((all - single / 3.0f64.sqrt()).abs() < 1e-9);
        let floor = averages.iter().find(|one| one.encoder == "raw-pixels" && one.over == "all").unwrap();
        assert_eq!((floor.difference, floor.below_floor), (None, 0));
    }
}
