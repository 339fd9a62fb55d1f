//! Every lesson in its short form on phantoms, up to table and chart.
#![cfg(feature = "host")]

use std::path::Path;
use std::process::{Command, Output};

use macula::report::chart::{Axis, Chart, Series};

fn reproduce(lesson: &str, out: &Path) -> Output {
    let arguments = ["reproduce", lesson, "--short", "--json", "--quiet", "--out"];
    Command::new(env!("CARGO_BIN_EXE_macula")).args(arguments).arg(out).output().unwrap()
}

fn csv(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Each lesson with the rows of its main table, header included, and its other files.
const LESSONS: [(&str, usize, &[&str]); 8] = [
    ("representations", 4, &["representations.png"]),
    ("figure-5", 4, &["figure-5.svg", "figure-5-ratio.csv"]),
    ("figure-8", 3, &["figure-8.svg"]),
    ("few-labels", 3, &["few-labels.svg"]),
    ("table-4.3", 8, &["table-4.3-cost.csv", "table-4.3-cost.svg", "table-4.3-zero-gradient.svg"]),
    ("moco-memory", 4, &[]),
    ("models", 3, &[]),
    ("few-shot", 13, &["few-shot-gain.csv", "few-shot-phantoms.svg"]),
];

#[test]
fn every_lesson_gives_a_table_and_reuses_finished_runs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    for (lesson, rows, files) in LESSONS {
        let output = reproduce(lesson, out);
        assert!(output.status.success(), "{lesson}: {}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["lesson"], lesson);
        let table = csv(&out.join(format!("{lesson}.csv")));
        assert_eq!(table.len(), rows, "{lesson}: {table:?}");
        assert!(table.iter().flatten().all(|cell| !cell.contains("NaN")), "{lesson}: {table:?}");
        for file in files {
            assert!(std::fs::metadata(out.join(file)).unwrap().len() > 100, "{file}");
        }
    }
    // A second call gives the same table without training.
    let before = std::fs::read(out.join("figure-8.csv")).unwrap();
    let trained =
        std::fs::metadata(out.join("runs/phantoms-rotation/checkpoint.safetensors")).unwrap().modified().unwrap();
    assert!(reproduce("figure-8", out).status.success());
    assert_eq!(std::fs::read(out.join("figure-8.csv")).unwrap(), before);
    let found =
        std::fs::metadata(out.join("runs/phantoms-rotation/checkpoint.safetensors")).unwrap().modified().unwrap();
    assert_eq!(found, trained, "the run was trained again");
}

#[test]
fn models_are_trained_to_the_same_bytes_for_any_number_of_threads() {
    let tables = ["1", "2"].map(|threads| {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["reproduce", "models", "--short", "--quiet", "--out"];
        let output = Command::new(env!("CARGO_BIN_EXE_macula"))
            .args(arguments)
            .arg(folder.path())
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        csv(&folder.path().join("models.csv"))
    });
    let digest = tables[0][0].iter().position(|name| name == "sha256").unwrap();
    assert_ne!(tables[0][1][digest], tables[0][2][digest], "models with different inputs differ");
    assert_eq!(tables[0], tables[1]);
}

#[test]
fn an_unknown_lesson_and_missing_data_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    let output = reproduce("figure-9", folder.path());
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("figure-9") && message.contains("few-labels"), "{message}");
    let full = Command::new(env!("CARGO_BIN_EXE_macula"))
        .args(["reproduce", "figure-8", "--out"])
        .arg(folder.path())
        .env_remove("MACULA_DATA")
        .output()
        .unwrap();
    assert_eq!(full.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&full.stderr).contains("--short"));
}

/// A chart of `docs/lessons/` that its table has all points of: name of the SVG, title, axes, and the table.
fn charts_of_tables() -> Vec<(String, Chart)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lessons");
    let columns = |name: &str, columns: &[usize]| -> Vec<Series> {
        let rows = csv(&folder.join(name));
        let points = |column: usize| {
            rows[1..].iter().map(|row| (row[0].parse().unwrap(), row[column].parse().unwrap())).collect()
        };
        columns.iter().map(|&column| Series::new(&*rows[0][column], points(column))).collect()
    };
    let chart = |title: &str, x: Axis, y: &str, series| Chart { title: title.into(), x, y: Axis::linear(y), series };
    let (labels, held_out) = (Axis::logarithmic("labels per class"), "balanced accuracy, held out");
    let mut charts = vec![
        (
            "few-labels".to_owned(),
            chart(
                "Accuracy by labels, with and without pretraining (cifar10)",
                labels.clone(),
                held_out,
                columns("few-labels.csv", &[1, 2, 3, 4]),
            ),
        ),
        (
            "figure-5".to_owned(),
            chart(
                "Training from SimCLR and from random weights (cifar10, 5000 labels)",
                Axis::linear("iteration"),
                held_out,
                columns("figure-5.csv", &[1, 2]),
            ),
        ),
        (
            "figure-8".to_owned(),
            chart(
                "Rotation and class accuracy by epoch (cifar10)",
                Axis::linear("epoch"),
                held_out,
                columns("figure-8.csv", &[1, 2, 3]),
            ),
        ),
    ];
    // Long tables: a row per point.
    let add = |lines: &mut Vec<Series>, name: &str, x: &str, y: &str| {
        let point = (x.parse().unwrap(), y.parse().unwrap());
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => lines.push(Series::new(name, vec![point])),
        }
    };
    let mut cost = Vec::new();
    csv(&folder.join("table-4.3-cost.csv"))[1..].iter().for_each(|row| add(&mut cost, &row[1], &row[0], &row[3]));
    let title = "Cost of the loss of n images in two views";
    let (x, y) = (Axis::logarithmic("images n"), Axis::logarithmic("ms"));
    charts.push(("table-4.3-cost".to_owned(), Chart { title: title.into(), x, y, series: cost }));
    let mut tasks: Vec<(String, Vec<Series>)> = Vec::new();
    for row in &csv(&folder.join("few-shot.csv"))[1..] {
        if row[1].ends_with(", photographs") {
            continue;
        }
        if tasks.last().is_none_or(|task| task.0 != row[0]) {
            tasks.push((row[0].clone(), Vec::new()));
        }
        add(&mut tasks.last_mut().unwrap().1, &row[1], &row[2], &row[3]);
    }
    for (task, lines) in tasks {
        let title = format!("{task}: few-shot accuracy");
        charts.push((format!("few-shot-{task}"), chart(&title, labels.clone(), "balanced accuracy", lines)));
    }
    charts
}

/// `MACULA_WRITE=1` draws them again.
#[test]
fn charts_of_the_lessons_show_their_tables() {
    let charts = charts_of_tables();
    assert_eq!(charts.len(), 4 + 5);
    for (name, chart) in charts {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/lessons/{name}.svg"));
        let drawn = chart.svg().unwrap();
        if std::env::var_os("MACULA_WRITE").is_some() {
            std::fs::write(&path, &drawn).unwrap();
        }
        assert!(std::fs::read_to_string(&path).unwrap() == drawn, "{name}: run this test with MACULA_WRITE=1");
    }
}
