//! Guarantees of several commands: a failure changes nothing, files are not overwritten, runs are extended.

mod shell;

use std::fs;
use std::path::Path;

use macula::pretrain::Run;
use shell::{draw_pictures, expect, expect_usage, fails, json};

fn with<'a>(command: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&[command, "--device", "a.store"], arguments].concat()
}

fn state(folder: &Path, device: &str) -> String {
    let (out, _) = expect(0, folder, &["status", "--device", device, "--json"]);
    let status = json(&out);
    format!("{} {}", status["state_sha256"], status["classes"])
}

/// A folder with pictures and `a.store`, which has two samples of `dark` and room for four.
fn taught() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    draw_pictures(folder.path());
    let new = ["--encoder", "raw-pixels", "--max-samples", "4", "--class", "dark", "dark-0.png", "dark-1.png"];
    expect(0, folder.path(), &with("learn", &new));
    folder
}

#[test]
fn learn_is_atomic() {
    let folder = taught();
    let path = folder.path();
    let before = state(path, "a.store");
    fs::write(path.join("broken.png"), "no image").unwrap();
    // Learned as another class, unreadable, too many, or an invalid class name: nothing changes, classes included.
    let refused: [(i32, &[&str]); 5] = [
        (2, &["--class", "bright", "bright-0.png", "dark-1.png"]),
        (2, &["--class", "bright", "bright-0.png", "broken.png"]),
        (2, &["--class", "bright", "bright-0.png", "missing.png"]),
        (4, &["--class", "bright", "bright-0.png", "bright-1.png", "bright-2.png"]),
        (2, &["--class", "a\nb", "bright-0.png"]),
    ];
    for (code, arguments) in refused {
        expect(code, path, &with("learn", arguments));
        assert_eq!(state(path, "a.store"), before, "{arguments:?}");
    }
    expect(2, path, &["class", "add", "--device", "a.store", "new", "a\nb"]);
    assert_eq!(state(path, "a.store"), before);
    // Three samples, one of them known, fit if there is room for two.
    let fits = ["--class", "dark", "dark-1.png", "dark-2.png", "dark-3.png", "--json"];
    let report = json(&expect(0, path, &with("learn", &fits)).0);
    assert_eq!((&report["learned"], &report["known"]), (&2.into(), &1.into()));
}

#[test]
fn merge_is_atomic() {
    let folder = taught();
    let path = folder.path();
    let other = |class: &'static str, images: &[&'static str]| {
        let new = ["learn", "--device", "b.store", "--encoder", "raw-pixels", "--class", class];
        expect(0, path, &[&new, images].concat());
    };
    other("bright", &["bright-0.png", "dark-0.png"]);
    let before = state(path, "a.store");
    expect(2, path, &with("merge", &["--from", "b.store"]));
    assert_eq!(state(path, "a.store"), before, "dark-0 is known as another class");
    expect(0, path, &["forget", "--device", "b.store", "--sample", "dark-0.png"]);
    other("bright", &["bright-1.png", "bright-2.png"]);
    expect(4, path, &with("merge", &["--from", "b.store"]));
    assert_eq!(state(path, "a.store"), before, "room for two is left, and there are three samples");
    expect(0, path, &["forget", "--device", "b.store", "--sample", "bright-2.png"]);
    let report = json(&expect(0, path, &with("merge", &["--from", "b.store", "--json"])).0);
    assert_eq!((&report["learned"], &report["known"]), (&2.into(), &0.into()));
}

#[test]
fn features_are_written_with_names_labels_and_splits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (part, class) in [("train", "dark"), ("test", "bright")] {
        fs::create_dir_all(path.join("set").join(part).join(class)).unwrap();
        for number in 0..2 {
            let file = path.join("set").join(part).join(class).join(format!("{number}, ö.png"));
            shell::picture(class, number).save(file).unwrap();
        }
    }
    let embed = |out: &'static str| ["embed", "--encoder", "raw-pixels", "--data", "set", "--out", out];
    expect(0, path, &embed("a.npy"));
    let mut rows = csv::Reader::from_path(path.join("a.csv")).unwrap();
    assert_eq!(rows.headers().unwrap(), vec!["path", "label", "split"]);
    let rows: Vec<(String, String, String)> = rows.deserialize().map(Result::unwrap).collect();
    let known: Vec<(&str, &str)> = rows.iter().map(|(_, label, split)| (label.as_str(), split.as_str())).collect();
    assert!(
        known.iter().all(|row| [("dark", "train"), ("bright", "test")].contains(row)) && rows.len() == 4,
        "{rows:?}"
    );
    assert!(rows.iter().all(|(name, ..)| name.contains(", ö.png")));
    // The archive has the same content.
    expect(0, path, &embed("a.npz"));
    assert_eq!(member(path, "features"), fs::read(path.join("a.npy")).unwrap());
    for (name, column) in [("path", 0), ("label", 1), ("split", 2)] {
        let expected: Vec<&String> = rows.iter().map(|row| [&row.0, &row.1, &row.2][column]).collect();
        assert_eq!(text_of(path, name).iter().collect::<Vec<_>>(), expected, "{name}");
    }
    // Named files have no label.
    expect(0, path, &["embed", "--encoder", "raw-pixels", "set/test/bright/0, ö.png", "--out", "b.npy"]);
    assert_eq!(fs::read_to_string(path.join("b.csv")).unwrap(), "path,label,split\n\"set/test/bright/0, ö.png\",,\n");
}

/// An array of `a.npz`.
fn member(folder: &Path, name: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(fs::File::open(folder.join("a.npz")).unwrap()).unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut archive.by_name(&format!("{name}.npy")).unwrap(), &mut bytes).unwrap();
    bytes
}

/// An array of strings in `a.npz` by NumPy's format: UTF-32, padded with zeros.
fn text_of(folder: &Path, name: &str) -> Vec<String> {
    let bytes = member(folder, name);
    let header_len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (header, values) = (String::from_utf8(bytes[10..10 + header_len].to_vec()).unwrap(), &bytes[10 + header_len..]);
    assert!((10 + header_len).is_multiple_of(64) && header.ends_with('\n'), "{header:?}");
    let len: usize = header.split("<U").nth(1).unwrap().split('\'').next().unwrap().parse().unwrap();
    let character = |bytes: &[u8]| char::from_u32(u32::from_le_bytes(bytes.try_into().unwrap())).unwrap();
    let text = |bytes: &[u8]| bytes.chunks(4).map(character).collect::<String>().trim_end_matches('\0').to_owned();
    values.chunks(4 * len).map(text).collect()
}

#[test]
fn output_files_are_not_overwritten() {
    let folder = taught();
    let path = folder.path();
    let commands: [&[&str]; 4] = [
        &["embed", "--encoder", "raw-pixels", "dark-0.png", "--out", "a.npy"],
        &["embed", "--encoder", "raw-pixels", "dark-0.png", "--out", "a.npz"],
        &["augment", "dark-0.png", "--policy", "light", "--views", "3", "--out", "sheet.png"],
        &["data", "phantoms:16:60", "--sheet", "classes.png"],
    ];
    for command in commands {
        let file = path.join(command.last().unwrap());
        expect(0, path, command);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, "mine").unwrap();
        let (_, err) = expect(2, path, command);
        assert!(err.contains("--force") && fs::read(&file).unwrap() == b"mine", "{command:?}: {err}");
        expect(0, path, &[command, &["--force"]].concat());
        assert_eq!(fs::read(&file).unwrap(), bytes, "{command:?}");
    }
    fs::remove_file(path.join("a.npy")).unwrap();
    expect(2, path, commands[0]);
    assert!(!path.join("a.npy").exists(), "its list of rows still exists");
    expect(0, path, &["keygen", "--out", "maker"]);
    expect(2, path, &["keygen", "--out", "maker"]);
}

#[test]
fn why_names_the_files_of_samples() {
    let folder = taught();
    let path = folder.path();
    let report = json(&expect(0, path, &with("why", &["dark-2.png", "--data", ".", "--json"])).0);
    let nearest = report["images"][0]["nearest"].as_array().unwrap();
    let files: Vec<&str> = nearest.iter().map(|witness| witness["file"].as_str().unwrap()).collect();
    assert!(files.contains(&"dark-0.png") && files.contains(&"dark-1.png"), "{report}");
    assert!(expect(0, path, &with("why", &["dark-2.png", "--data", "."])).0.contains("dark-0.png"));
    let without = json(&expect(0, path, &with("why", &["dark-2.png", "--json"])).0);
    assert!(without["images"][0]["nearest"][0].get("file").is_none());
}

/// Runs `pretrain` with the arguments that all tests below share; returns standard error.
fn pretrain(folder: &Path, code: i32, arguments: &str) -> String {
    let fixed = "pretrain --validate never --health never --quiet";
    let line: Vec<&str> = fixed.split_whitespace().chain(arguments.split_whitespace()).collect();
    expect(code, folder, &line).1
}

const NEW: &str = "--data phantoms:16:60 --method rotation --encoder pico --channels 1 --size 16 --batch-size 20";

#[test]
fn a_written_configuration_reproduces_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    pretrain(path, 0, &format!("{NEW} --epochs 2 --seed 3 --learning-rate 0.05 --policy medical --out a"));
    pretrain(path, 0, "--config a/config.toml --out b");
    let identity = |run: &str| Run::load(&path.join(run)).unwrap().info.id;
    assert_eq!(fs::read(path.join("a/config.toml")).unwrap(), fs::read(path.join("b/config.toml")).unwrap());
    assert_eq!(identity("a"), identity("b"));
    // Options override the file, and a file may have only some settings.
    pretrain(path, 0, "--config a/config.toml --seed 4 --epochs 1 --out c");
    let config = Run::load(&path.join("c")).unwrap().config;
    assert_eq!((config.seed, config.epochs, config.learning_rate), (4, 1, 0.05));
    fs::write(path.join("some.toml"), "batch_size = 30\nepochs = 1\n").unwrap();
    pretrain(path, 0, &format!("{NEW} --config some.toml --out d"));
    let config = Run::load(&path.join("d")).unwrap().config;
    assert_eq!((config.batch_size, config.epochs), (20, 1));
    for (text, named) in
        [("batch_sise = 3\n", "batch_sise"), ("epochs = \"many\"\n", "epochs"), ("method = \"x\"\n", "method")]
    {
        fs::write(path.join("bad.toml"), text).unwrap();
        let err = pretrain(path, 2, "--data phantoms:16:60 --method rotation --config bad.toml --out e");
        assert!(err.contains("bad.toml") && err.contains(named), "{text}: {err}");
    }
    expect_usage(path, &["pretrain", "--resume", "--config", "a/config.toml", "--out", "a"]);
}

#[test]
fn a_finished_run_is_extended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    pretrain(path, 0, &format!("{NEW} --epochs 2 --out a"));
    pretrain(path, 0, "--resume --epochs 2 --out a");
    pretrain(path, 2, "--resume --epochs 1 --out a");
    pretrain(path, 2, "--resume --epochs 4 --batch-size 30 --out a");
    let copy = |to: &str| {
        fs::create_dir(path.join(to)).unwrap();
        for file in fs::read_dir(path.join("a")).unwrap() {
            let file = file.unwrap().path();
            fs::copy(&file, path.join(to).join(file.file_name().unwrap())).unwrap();
        }
    };
    copy("b");
    pretrain(path, 0, "--resume --epochs 4 --out a");
    let run = Run::load(&path.join("a")).unwrap();
    assert!(run.finished && macula::encoder::HostEncoder::corpus(&run).is_some());
    assert_eq!((run.config.epochs, &run.config.extended_at[..], run.step), (4, &[2][..], 8));
    // The extension is recorded before training: an interruption between the two and a resume give the same bytes.
    macula::pretrain::extend(&path.join("b"), 4).unwrap();
    assert_eq!(macula::pretrain::extend(&path.join("b"), 4).unwrap().extended_at, [2], "a second call changes nothing");
    pretrain(path, 2, "--resume --epochs 6 --out b");
    pretrain(path, 0, "--resume --out b");
    let files =
        |run: &str| ["config.toml", "checkpoint.safetensors"].map(|file| fs::read(path.join(run).join(file)).unwrap());
    assert_eq!(files("a"), files("b"));
    // The configuration is complete: a new run with it gives the same weights.
    pretrain(path, 0, "--config a/config.toml --out c");
    let whole = Run::load(&path.join("c")).unwrap();
    assert_eq!(whole.info.id, run.info.id);
    // Another extension.
    pretrain(path, 0, "--resume --epochs 5 --out a");
    assert_eq!(Run::load(&path.join("a")).unwrap().config.extended_at, [2, 4]);
}

/// Titles of the charts of a rotation run on labelled images.
const CHARTS: [&str; 11] = [
    "Loss",
    "Learning rate",
    "Balanced accuracy",
    "k-NN of the features",
    "Effective rank of the features",
    "Uniformity of the features",
    "Alignment of the features",
    "Deviation of the features",
    "Speed",
    "Waiting for images",
    "Memory",
];

/// A report asks no server for anything and runs no script.
fn check_document(html: &str, parts: &[&str]) {
    // The letters of an encoded picture mean nothing.
    let mut pieces = html.split("base64,");
    let mut markup = pieces.next().unwrap_or_default().to_owned();
    pieces.for_each(|piece| markup += piece.split_once('"').map_or("", |(_, rest)| rest));
    for forbidden in ["<script", "http://", "https://", "url(", "NaN"] {
        assert!(!markup.contains(forbidden), "{forbidden}");
    }
    parts.iter().for_each(|part| assert!(html.contains(part), "{part}"));
}

#[test]
fn a_run_writes_its_report_which_changes_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let train = |arguments: &str| {
        let line = format!("pretrain --quiet {NEW} --policy natural --validate epoch --epochs 2 --seed 5 {arguments}");
        expect(0, path, &line.split_whitespace().collect::<Vec<_>>())
    };
    train("--out a --tensorboard a/events");
    train("--out b --report never");
    for name in ["config.toml", "metrics.jsonl", "checkpoint.safetensors", "training-images.json"] {
        let read = |run: &str| fs::read(path.join(run).join(name)).unwrap();
        assert!(read("a") == read("b"), "{name} differs");
    }
    let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
    let html = read("a/report.html");
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
    let sections = ["Augmented views", "Nearest neighbours", "Map of the features", "t-SNE", "finished after 2 epochs"];
    check_document(&html, &[&CHARTS[..], &sections, &["contains training images", "data:image/png;base64,"]].concat());
    assert!(!path.join("b/report.html").exists() && !path.join("b/report.json").exists());
    let mut events = fs::read_dir(path.join("a/events")).unwrap().map(|entry| entry.unwrap().path());
    let bytes = fs::read(events.next().expect("a file of events")).unwrap();
    assert!(bytes.windows(13).any(|part| part == b"brain.Event:2") && events.next().is_none());

    // The same report from the files, and after two more epochs with the same pictures.
    fs::remove_file(path.join("a/report.html")).unwrap();
    expect(0, path, &["report", "a"]);
    assert_eq!(read("a/report.html"), html);
    expect(0, path, &["pretrain", "--quiet", "--resume", "--epochs", "4", "--out", "a"]);
    let picture = |html: &str| html.split("base64,").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let extended = read("a/report.html");
    check_document(&extended, &[&CHARTS[..], &sections[..4], &["finished after 4 epochs"]].concat());
    assert_eq!(picture(&extended), picture(&html));

    // Parity, once the files are in the folder; and a file that is not ours is left out.
    fs::write(
        path.join("a/parity.json"),
        "{\"images\":4,\"steps\":[{\"file\":\"f16\",\"max_error\":1e-3,\"min_cosine\":0.9999,\"flips\":0,\"tolerance\":0.02,\"passed\":true}]}",
    )
    .unwrap();
    fs::write(path.join("a/report.json"), "{\"version\":7}").unwrap();
    let (_, err) = expect(0, path, &["report", "a"]);
    assert!(err.contains("report.json"), "{err}");
    check_document(&read("a/report.html"), &["Parity of the exported files", "Pictures are left out"]);
}

#[test]
fn runs_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (seed, run) in [("3", "a"), ("4", "b")] {
        pretrain(path, 0, &format!("{NEW} --epochs 1 --seed {seed} --report never --out {run}"));
    }
    let printed = json(&expect(0, path, &["report", "a", "b", "--out", "c.html", "--json"]).0);
    assert_eq!(printed["runs"], 2);
    let html = fs::read_to_string(path.join("c.html")).unwrap();
    check_document(&html, &["Settings that differ", "<td>seed</td>", "Loss", "Speed", "Comparison of runs"]);
    assert!(!html.contains("<td>batch_size</td>"), "an equal setting");
    fails(2, "exists", path, &["report", "a", "b", "--out", "c.html"], &["c.html", "--force"]);
    fails(2, "input", path, &["report", "a", "absent", "--out", "d.html"], &["absent"]);
}
