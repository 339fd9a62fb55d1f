//! Evaluation against scikit-learn, against published floors on real images, and from the command line.

use macula::data::{self, Split};
use macula::encoders::{EncoderInput, OpenOptions, open};
use macula::evaluate::{
    EpisodePool, EpisodeSettings, HeadKind, LogisticRegression, LogisticSettings, corpus_statistics, embed_dataset,
    few_shot,
};

mod common;

#[derive(serde::Deserialize)]
struct Case {
    classes: usize,
    dim: usize,
    c: f64,
    features: Vec<f32>,
    labels: Vec<usize>,
    queries: Vec<f32>,
    /// `[queries, classes]`, of scikit-learn's fit to a gradient of 1e-10.
    probabilities: Vec<f64>,
}

/// `tests/vectors/logistic.py` made the vectors.
#[test]
fn logistic_regression_agrees_with_scikit_learn() {
    #[derive(serde::Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/logistic.json")).unwrap();
    assert_eq!(vectors.cases.len(), 4);
    // A gradient of 1e-6 leaves the weights within 1e-6 over the weakest penalty, 1 / 80: within 8e-5 each.
    for case in vectors.cases {
        let settings = LogisticSettings { gradient_max: 1e-6, ..LogisticSettings::with_c(case.c) };
        let (fitted, outcome) = LogisticRegression::fit(&case.features, case.dim, &case.labels, case.classes, settings);
        assert!(outcome.converged, "{outcome:?}");
        let scores = fitted.scores(&case.queries);
        for (scores, expected) in scores.chunks(case.classes).zip(case.probabilities.chunks(case.classes)) {
            let sum: f64 = scores.iter().map(|score| score.exp()).sum();
            for (score, expected) in scores.iter().zip(expected) {
                let found = score.exp() / sum;
                assert!(
                    (found - expected).abs() < 2e-4,
                    "{} classes, C = {}: {found} {expected}",
                    case.classes,
                    case.c
                );
            }
        }
    }
}

/// The draws differ, so both figures have an error of about a hundredth.
const TOLERANCE: f64 = 0.025;

/// Compares raw pixels at 32×32 with `floors`, `(shots, balanced accuracy)`: the better of prototype and logistic, measured
/// with NumPy and scikit-learn on other draws of 100 episodes.
#[expect(clippy::print_stdout, reason = "measured figures, shown with --nocapture")]
fn reproduces_floors(path: &str, channels: usize, floors: &[(usize, f64)]) {
    let Some(root) = common::data_or_skip(&format!("raw pixels on {path}")) else {
        return;
    };
    for &(shots, floor) in floors {
        let found = raw_pixel_episodes(&root.join(path), channels, shots);
        println!("{path}, {shots} shots: {found:.3}, floor {floor:.3}");
        assert!((found - floor).abs() < TOLERANCE, "{path}, {shots} shots: {found:.3} is not {floor:.3}");
    }
}

#[test]
fn raw_pixels_reproduce_the_floors_on_pneumoniamnist() {
    reproduces_floors("pneumoniamnist/pneumoniamnist.npz", 1, &[(5, 0.762), (20, 0.837), (50, 0.873)]);
}

#[test]
fn raw_pixels_reproduce_the_floors_on_kermany() {
    reproduces_floors("kermany-cxr/kermany-3class.csv", 1, &[(5, 0.617), (20, 0.718), (50, 0.764)]);
}

#[test]
fn raw_pixels_reproduce_the_floors_on_drive_patches() {
    reproduces_floors("drive-patches/drive_patches.npz", 3, &[(5, 0.516), (20, 0.648), (50, 0.725)]);
}

#[test]
fn raw_pixels_reproduce_the_floors_on_cifar10() {
    // Ten classes of 3,072 values each: more shots take minutes.
    reproduces_floors("cifar10", 3, &[(5, 0.215)]);
}

/// The default head is at most a point behind the better of prototype and logistic regression, up to the standard error of
/// the paired difference.
#[test]
#[expect(clippy::print_stdout, reason = "measured figures, shown with --nocapture")]
fn the_default_head_is_near_the_best() {
    let Some(root) = common::data_or_skip("the default head on real images") else {
        return;
    };
    for (path, channels) in [
        ("pneumoniamnist/pneumoniamnist.npz", 1),
        ("kermany-cxr/kermany-3class.csv", 1),
        ("busi/busi-malignant.csv", 1),
        ("drive-patches/drive_patches.npz", 3),
    ] {
        for shots in [2, 20] {
            let [auto, prototype, logistic] = [HeadKind::Auto, HeadKind::Prototype, HeadKind::Logistic]
                .map(|head| raw_pixel_head(&root.join(path), channels, shots, head));
            println!("{path}, {shots} shots: auto {auto:.3}, prototype {prototype:.3}, logistic {logistic:.3}");
            assert!(auto > prototype.max(logistic) - 0.015, "{path}, {shots} shots");
        }
    }
}

fn raw_pixel_episodes(path: &std::path::Path, channels: usize, shots: usize) -> f64 {
    let score = |head| raw_pixel_head(path, channels, shots, head);
    score(HeadKind::Prototype).max(score(HeadKind::Logistic))
}

fn raw_pixel_head(path: &std::path::Path, channels: usize, shots: usize, head: HeadKind) -> f64 {
    let dataset = data::open(path).unwrap();
    let (train, test) = (dataset.indices(Some(Split::Train)), dataset.indices(Some(Split::Test)));
    let input = EncoderInput { dataset: &dataset, unlabelled: &train, channels, height: 32, width: 32 };
    let options = OpenOptions { fit: Some(input), ..OpenOptions::default() };
    let encoder = open("raw-pixels", &options).unwrap().encoder;
    let ways = dataset.class_names.len();
    let pool = EpisodePool::new(&dataset, &test, EpisodeSettings { ways, shots, queries: 30, seed: 1 }).unwrap();
    let corpus = corpus_statistics(&*encoder, &dataset, &train, &|_| ()).unwrap();
    let mut features = embed_dataset(&*encoder, &dataset, &test, &|_| ()).unwrap();
    features.standardise(&corpus);
    few_shot(&features, ways, &pool, 100, head, &|_| ()).unwrap().balanced_accuracy.mean
}

#[cfg(feature = "cli")]
mod command {
    use std::process::{Command, Output};

    fn eval(arguments: &str) -> Output {
        let arguments = arguments.split_whitespace();
        Command::new(env!("CARGO_BIN_EXE_macula")).arg("eval").args(arguments).output().unwrap()
    }

    fn json(arguments: &str) -> serde_json::Value {
        let output = eval(arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[test]
    fn every_probe_reports_the_encoder_and_its_baselines() {
        for (probe, rows) in
            [("knn", 3), ("linear", 3), ("few-shot --shots 1,5 --queries 5 --episodes 20 --head all", 3 * 2 * 5)]
        {
            let arguments = format!("{probe} --encoder raw-pixels --data phantoms:16:360 --size 16 --json --quiet");
            let report = json(&arguments);
            assert_eq!(report, json(&arguments), "the same seed gives the same figures");
            let found = report["rows"].as_array().unwrap();
            assert_eq!(found.len(), rows, "{probe}");
            for encoder in ["raw-pixels", "colour-statistics", "random:nano"] {
                assert!(found.iter().any(|row| row["encoder"] == encoder), "{probe}: {encoder}");
            }
            let classes = report["class_names"].as_array().unwrap().len();
            for row in found {
                let accuracy = row["balanced_accuracy"]["mean"].as_f64().unwrap();
                assert!(accuracy > 1.0 / classes as f64 && accuracy <= 1.0, "{probe} is no better than chance: {row}");
                assert_eq!(row["recalls"].as_array().unwrap().len(), classes);
            }
        }
    }

    #[test]
    fn baselines_are_chosen_with_their_own_input_size() {
        let rows = |baselines: &str, head: &str| -> Vec<(String, String, String)> {
            let arguments =
                "few-shot --encoder random:pico --data phantoms:16:240 --size 16 --shots 1 --queries 5 --episodes 5";
            let report = json(&format!("{arguments} --json --quiet {baselines} {head}"));
            let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
            let rows = report["rows"].as_array().unwrap();
            rows.iter().map(|row| (text(row, "encoder"), text(row, "input"), text(row, "head"))).collect()
        };
        let row = |encoder: &str, input: &str| (encoder.to_owned(), input.to_owned(), "auto".to_owned());
        let (own, pixels) = (row("random:pico", "1×16×16"), row("raw-pixels", "1×32×32"));
        assert_eq!(rows("", ""), [own.clone(), pixels, row("colour-statistics", "1×32×32")]);
        assert_eq!(rows("--baselines none", ""), std::slice::from_ref(&own));
        let chosen = rows("--baselines colour-statistics@16,random:nano@28", "");
        assert_eq!(chosen, [own, row("colour-statistics", "1×16×16"), row("random:nano", "1×28×28")]);
        let heads: Vec<String> =
            rows("--baselines none", "--head softmax,prototype").into_iter().map(|(.., head)| head).collect();
        assert_eq!(heads, ["softmax", "prototype"]);
    }

    /// Supports and queries of phantoms have the same distribution, so sets must have their coverage.
    #[test]
    fn sets_have_the_requested_coverage() {
        let arguments = "abstention --encoder raw-pixels --data phantoms:16:600 --size 16 --shots 9 --queries 10 \
                         --error-rate 10,30 --episodes 60 --unknown phantoms:16:60 --json --quiet";
        let report = json(arguments);
        for row in report["rows"].as_array().unwrap() {
            for sets in row["sets"].as_array().unwrap() {
                let number = |name: &str| sets[name]["mean"].as_f64().unwrap();
                let (coverage, nominal) = (number("coverage"), sets["nominal"].as_f64().unwrap());
                let error = sets["coverage"]["half_width_95"].as_f64().unwrap();
                assert!((coverage - nominal).abs() < 2.0 * error + 0.01, "{sets}");
                assert!(number("size") > 0.5 && sets["enough"] == true, "{sets}");
            }
            let accepted = row["gate"]["true_accept"]["mean"].as_f64().unwrap();
            let unknown = row["gate"]["false_accept"]["mean"].as_f64().unwrap();
            assert!(accepted > 0.85 && unknown > 0.85, "images of one distribution must be accepted: {row}");
        }
        let refused = eval("abstention --encoder raw-pixels --data phantoms:16:120 --error-rate 0");
        assert_eq!(refused.status.code(), Some(2));
    }

    /// New images of the distribution of the supports reach the promised share on average.
    #[test]
    fn operating_points_attain_what_they_promise() {
        let arguments = "operating-point --encoder raw-pixels --data phantoms:16:600 --size 16 --positive cells --shots 9 --queries 10 \
                         --operating-point sensitivity=0.8,specificity=0.9 --episodes 60 --baselines none --json --quiet";
        let report = json(arguments);
        let points = &report["rows"][0]["points"];
        for (point, side, promised) in [(&points[0], "sensitivity", 0.8), (&points[1], "specificity", 0.9)] {
            let (mean, error) = (point[side]["mean"].as_f64().unwrap(), point[side]["half_width_95"].as_f64().unwrap());
            // The order statistic may lie one place above the share.
            assert!(mean > promised - 2.0 * error - 0.01 && mean < promised + 0.1 + 2.0 * error, "{point}");
            assert_eq!(
                (&point["promise_permille"], &point["enough"]),
                (&((promised * 1000.0) as u64).into(), &true.into())
            );
            assert!(point["low_tenth"].as_f64().unwrap() <= mean, "{point}");
        }
        let refused = eval("operating-point --encoder raw-pixels --data phantoms:16:120 --size 16 --positive none");
        assert_eq!(refused.status.code(), Some(2));
        let one = eval(
            "operating-point --encoder raw-pixels --data phantoms:16:300 --size 16 --positive cells --shots 1 --queries 1",
        );
        assert_eq!(one.status.code(), Some(2), "one support has no score when it is left out");
    }

    #[test]
    fn balanced_accuracy_is_printed_before_accuracy() {
        let output = eval("knn --encoder raw-pixels --data phantoms:16:120 --size 16 --quiet");
        let text = String::from_utf8(output.stdout).unwrap();
        let header = text.lines().find(|line| line.starts_with("encoder")).unwrap();
        assert!(header.find("balanced accuracy") < header.find("recall"), "{header}");
        assert!(header.find("recall") < header.rfind(" accuracy"), "{header}");
        assert!(output.stderr.is_empty(), "--quiet");
    }

    #[test]
    fn bad_input_is_one_line_and_exit_code_2() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().display();
        for (arguments, part) in [
            ("knn --encoder resnet --data phantoms:16:120".to_owned(), "resnet"),
            (format!("knn --encoder {empty} --data phantoms:16:120"), "run"),
            ("knn --encoder random:huge --data phantoms:16:120".to_owned(), "pico, nano, micro, mobile"),
            ("knn --encoder raw-pixels --data /no/such/place".to_owned(), "/no/such/place"),
            ("few-shot --encoder raw-pixels --data phantoms:16:120 --shots 500".to_owned(), "530"),
        ] {
            let output = eval(&format!("{arguments} --quiet"));
            let message = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments}: {message}");
            assert!(message.contains(part) && message.trim_end().lines().count() == 1, "{arguments}: {message}");
        }
        for option in ["few-shot --head auto,best", "few-shot --baselines raw-pixels@0", "knn --baselines pixels"] {
            let output = eval(&format!("{option} --encoder raw-pixels --data phantoms:16:120 --quiet"));
            assert_eq!(output.status.code(), Some(2), "{option}");
        }
    }
}
