//! The table of a sweep.

use super::measure::TaskResult;
use super::runs::{Ended, Results};
use crate::measure::{Interval, PairedDifference};
use crate::report::table::Table;

/// Columns of the table.
const COLUMNS: [&str; 9] =
    ["settings", "seeds", "task", "shots", "balanced accuracy", "±", "spread of seeds", "from first", "±"];

/// Name of the rows over all tasks.
const ALL_TASKS: &str = "all tasks";

/// One row per variant, task and number of shots, then one over all tasks.
///
/// Intervals are over episodes, which are the same for all variants, of the mean over seeds. The difference from the first
/// variant is paired by episode. `names` are those of the variants. The floors follow, which have no seeds.
pub fn summary(names: &[&str], results: &Results) -> Table {
    let mut table = Table::new(&COLUMNS);
    let first = results.variants.first().map(|runs| rows_of(runs)).unwrap_or_default();
    let variants = names.iter().copied().zip(results.variants.iter().map(Vec::as_slice));
    let floors = results.floors.iter().map(|(name, ended)| (name.as_str(), std::slice::from_ref(ended)));
    for (name, runs) in variants.chain(floors) {
        let rows = rows_of(runs);
        if rows.is_empty() {
            let reason = runs.iter().find_map(|run| match run {
                Ended::Failed(reason) => Some(reason.clone()),
                Ended::Measured(_) => None,
            });
            let mut cells = vec![String::new(); COLUMNS.len()];
            (cells[0], cells[1]) = (name.to_owned(), format!("0/{}", runs.len()));
            cells[2] = reason.unwrap_or_default();
            table.push(cells);
        }
        for (row, start) in rows.iter().zip(first.iter().map(Some).chain(std::iter::repeat(None))) {
            table.push(row.cells(name, runs.len(), start));
        }
    }
    table
}

/// The figures of one variant on one task at one number of shots.
struct Row {
    task: String,
    shots: usize,
    /// Mean of each seed.
    of_seeds: Vec<f64>,
    /// Mean over seeds of each episode.
    of_episodes: Vec<f64>,
}

/// The rows of a variant, without failed seeds.
fn rows_of(runs: &[Ended]) -> Vec<Row> {
    let measured: Vec<&Vec<TaskResult>> = runs
        .iter()
        .filter_map(|run| match run {
            Ended::Measured(tasks) => Some(tasks),
            Ended::Failed(_) => None,
        })
        .collect();
    let Some(one) = measured.first() else { return Vec::new() };
    let mut rows = Vec::new();
    for (task, result) in one.iter().enumerate() {
        for (at, figures) in result.shots.iter().enumerate() {
            let seeds: Vec<&[f64]> = measured.iter().map(|tasks| &tasks[task].shots[at].of_episodes[..]).collect();
            rows.push(Row::of(result.task.clone(), figures.shots, &seeds));
        }
    }
    let over_tasks = (one.len() > 1).then(|| over_tasks(&rows));
    rows.extend(over_tasks.into_iter().flatten());
    rows
}

/// For each number of shots, the mean over all tasks.
fn over_tasks(rows: &[Row]) -> Vec<Row> {
    let mut shots: Vec<usize> = rows.iter().map(|row| row.shots).collect();
    shots.sort_unstable();
    shots.dedup();
    let mean = |shots: usize| {
        let of: Vec<&Row> = rows.iter().filter(|row| row.shots == shots).collect();
        Row {
            task: ALL_TASKS.to_owned(),
            shots,
            of_seeds: means(&of.iter().map(|row| &row.of_seeds[..]).collect::<Vec<_>>()),
            // The episodes of different tasks are independent, so any of them may be averaged together.
            of_episodes: means(&of.iter().map(|row| &row.of_episodes[..]).collect::<Vec<_>>()),
        }
    };
    shots.into_iter().map(mean).collect()
}

/// Means by position, up to the shortest list.
fn means(lists: &[&[f64]]) -> Vec<f64> {
    let len = lists.iter().map(|list| list.len()).min().unwrap_or(0);
    (0..len).map(|at| lists.iter().map(|list| list[at]).sum::<f64>() / lists.len() as f64).collect()
}

impl Row {
    /// From the episodes of each seed.
    fn of(task: String, shots: usize, seeds: &[&[f64]]) -> Self {
        let of_seeds = seeds.iter().map(|episodes| Interval::of(episodes).mean).collect();
        Self { task, shots, of_seeds, of_episodes: means(seeds) }
    }

    /// `first` is the same row of the first variant, which is compared with nothing.
    fn cells(&self, name: &str, runs: usize, first: Option<&Row>) -> Vec<String> {
        let accuracy = Interval::of(&self.of_episodes);
        let [low, high] =
            [f64::min, f64::max].map(|pick| self.of_seeds.iter().copied().reduce(pick).unwrap_or(f64::NAN));
        let spread = if self.of_seeds.len() > 1 { format!("{:.3}", high - low) } else { "-".to_owned() };
        let (difference, width) = match first.filter(|first| first.of_episodes != self.of_episodes) {
            None => ("-".to_owned(), "-".to_owned()),
            Some(first) => {
                let paired = PairedDifference::of_episodes(&self.of_episodes, &first.of_episodes);
                let width = paired.interval.map_or("-".to_owned(), |[low, high]| format!("{:.3}", (high - low) / 2.0));
                (format!("{:+.3}", paired.difference), width)
            }
        };
        vec![
            name.to_owned(),
            format!("{}/{runs}", self.of_seeds.len()),
            self.task.clone(),
            self.shots.to_string(),
            format!("{:.3}", accuracy.mean),
            accuracy.width_text(),
            spread,
            difference,
            width,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::measure::ShotFigures;

    fn measured(tasks: &[(&str, [f64; 6])]) -> Ended {
        let result = |(task, episodes): &(&str, [f64; 6])| TaskResult {
            task: (*task).to_owned(),
            shots: vec![ShotFigures { shots: 5, of_episodes: episodes.to_vec() }],
        };
        Ended::Measured(tasks.iter().map(result).collect())
    }

    #[test]
    fn figures_are_means_over_seeds_and_tasks_with_paired_differences() {
        let episodes = [0.5, 0.6, 0.7, 0.5, 0.6, 0.7];
        let better = episodes.map(|value| value + 0.1);
        let best = episodes.map(|value| value + 0.2);
        let first = vec![measured(&[("a", episodes), ("b", episodes)]), measured(&[("a", better), ("b", better)])];
        let second = vec![measured(&[("a", best), ("b", episodes)]), Ended::Failed("diverged".into())];
        let third = vec![Ended::Failed("diverged".into()), Ended::Failed("collapsed".into())];
        let floors = vec![("floor".to_owned(), measured(&[("a", episodes), ("b", episodes)]))];
        let table = summary(&["x", "y", "z"], &Results { variants: vec![first, second, third], floors });
        let row = |at: usize| table.rows[at].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(row(0)[..5], ["x", "2/2", "a", "5", "0.650"]);
        assert_eq!(row(0)[6..], ["0.100", "-", "-"]);
        assert_eq!(row(2)[..5], ["x", "2/2", "all tasks", "5", "0.650"]);
        // Better by 0.15 in every episode: an interval of no width.
        assert_eq!((row(3)[1], row(3)[4], &row(3)[6..]), ("1/2", "0.800", &["-", "+0.150", "0.000"][..]));
        assert_eq!((row(4)[2], row(4)[7]), ("b", "-0.050"));
        assert_eq!((row(5)[2], row(5)[4], row(5)[7]), ("all tasks", "0.700", "+0.050"));
        assert_eq!(row(6)[..3], ["z", "0/2", "diverged"]);
        assert_eq!((row(7)[..4].to_vec(), row(7)[7]), (vec!["floor", "1/1", "a", "5"], "-0.050"));
        assert_eq!(table.rows.len(), 10);
    }
}
