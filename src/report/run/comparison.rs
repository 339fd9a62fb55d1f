//! The comparison of several runs.

use std::collections::BTreeMap;

use super::page::{folder_name, last_figures};
use super::plots::{Plot, plots};
use super::record::RunRecord;
use crate::report::html::{Document, figures, listed, table, text};
use crate::report::table::Table;
use crate::report::text::count;

/// Most runs of a comparison: more lines cannot be told apart.
pub const RUNS_MAX: usize = 12;

/// The comparison of `runs` as the bytes of an HTML file.
pub fn compare(runs: &[RunRecord]) -> String {
    let names = names(runs);
    let lead = format!("{}: their last figures, the settings that differ, and their curves.", count(runs.len(), "run"));
    let mut document = Document::new("Comparison of runs", text(&lead));
    let remarks =
        runs.iter().zip(&names).flat_map(|(run, name)| run.remarks.iter().map(move |text| format!("{name}: {text}")));
    document.section("Remarks", listed(&remarks.collect::<Vec<_>>()));
    document.section("Last figures", table("Last figures of each run", &figures_of(runs, &names), |_, _| 0.0));
    let settings = differing(runs, &names);
    let differing = match settings.rows.is_empty() {
        true => text("All settings are equal."),
        false => table("Settings that differ between the runs", &settings, |_, _| 0.0),
    };
    document.section("Settings that differ", differing);
    let charts = merged(runs, &names);
    let charts = charts.iter().filter_map(|plot| Some((plot.title.clone(), plot.remark.clone(), plot.part()?)));
    document.section("Course of training", figures(&charts.collect::<Vec<_>>()));
    document.html()
}

/// The last components of the runs' names, or the whole names if two are equal.
fn names(runs: &[RunRecord]) -> Vec<String> {
    let short: Vec<String> = runs.iter().map(|run| folder_name(&run.name)).collect();
    let is_unique = short.iter().enumerate().all(|(at, name)| !short[..at].contains(name));
    if is_unique { short } else { runs.iter().map(|run| run.name.clone()).collect() }
}

/// A row per run. Columns are the figures that any run has.
fn figures_of(runs: &[RunRecord], names: &[String]) -> Table {
    let found: Vec<Vec<(String, String, String)>> = runs.iter().map(last_figures).collect();
    let mut columns: Vec<&str> = Vec::new();
    for (name, ..) in found.iter().flatten() {
        if !columns.contains(&&**name) {
            columns.push(name);
        }
    }
    let mut rows = Table::new(&[&["run"][..], &columns].concat());
    for (name, figures) in names.iter().zip(&found) {
        let value =
            |column: &&str| figures.iter().find(|figure| figure.0 == *column).map_or("", |figure| &figure.1).to_owned();
        rows.push(std::iter::once(name.clone()).chain(columns.iter().map(value)).collect());
    }
    rows
}

/// A row per setting that is not the same in all runs.
fn differing(runs: &[RunRecord], names: &[String]) -> Table {
    let settings: Vec<BTreeMap<String, String>> = runs
        .iter()
        .map(|run| {
            let mut found = BTreeMap::new();
            // The configuration came from TOML.
            if let Ok(value) = run.config.to_toml().parse::<toml::Table>() {
                flatten("", &toml::Value::Table(value), &mut found);
            }
            found
        })
        .collect();
    let keys: std::collections::BTreeSet<&String> = settings.iter().flat_map(BTreeMap::keys).collect();
    let columns: Vec<&str> = std::iter::once("setting").chain(names.iter().map(String::as_str)).collect();
    let mut rows = Table::new(&columns);
    for key in keys {
        let values: Vec<String> = settings.iter().map(|found| found.get(key).cloned().unwrap_or_default()).collect();
        if values.iter().any(|value| *value != values[0]) {
            rows.push(std::iter::once(key.clone()).chain(values).collect());
        }
    }
    rows
}

/// The values of nested tables by their dotted keys.
fn flatten(prefix: &str, value: &toml::Value, found: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(entries) => {
            for (key, value) in entries {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&path, value, found);
            }
        }
        toml::Value::String(text) => _ = found.insert(prefix.to_owned(), text.clone()),
        value => _ = found.insert(prefix.to_owned(), value.to_string()),
    }
}

/// The charts that any run has, each with the curves of all runs.
fn merged(runs: &[RunRecord], names: &[String]) -> Vec<Plot> {
    let mut all: Vec<Plot> = Vec::new();
    for (run, name) in runs.iter().zip(names) {
        for plot in plots(run) {
            let named = plot.curves.iter().map(|(curve, points)| {
                let curve = if curve.is_empty() { name.clone() } else { format!("{name}, {curve}") };
                (curve, points.clone())
            });
            let named: Vec<(String, Vec<(f64, f64)>)> = named.collect();
            match all.iter_mut().find(|other| other.title == plot.title) {
                Some(other) => other.curves.extend(named),
                None => all.push(Plot { curves: named, ..plot }),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Method;
    use crate::pretrain::PretrainConfig;
    use crate::report::run::pictures::Pictures;

    fn run(name: &str, change: impl Fn(&mut PretrainConfig)) -> RunRecord {
        let mut config = PretrainConfig::new("phantoms", Method::Rotation);
        change(&mut config);
        let (epochs, timings, remarks) = (Vec::new(), Vec::new(), Vec::new());
        RunRecord { name: name.into(), config, epochs, timings, pictures: Pictures::default(), parity: None, remarks }
    }

    #[test]
    fn only_settings_that_differ_are_shown() {
        let runs = [
            run("runs/a", |_| ()),
            run("runs/b", |config| config.seed += 1),
            run("runs/c", |config| config.augmentation.flip ^= true),
        ];
        let found = differing(&runs, &names(&runs));
        assert_eq!(found.columns, ["setting", "a", "b", "c"]);
        assert_eq!(found.rows.iter().map(|row| &*row[0]).collect::<Vec<_>>(), ["augmentation.flip", "seed"]);
        assert_eq!(
            found.rows[1][1..],
            ["0", "1", "0"].map(|seed| (seed.parse::<u64>().unwrap() + runs[0].config.seed).to_string())
        );
    }

    #[test]
    fn runs_of_one_name_keep_their_folders() {
        assert_eq!(names(&[run("x/run", |_| ()), run("y/run", |_| ())]), ["x/run", "y/run"]);
        assert_eq!(names(&[run("x/one", |_| ()), run("y/two", |_| ())]), ["one", "two"]);
    }
}
