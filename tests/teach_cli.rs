//! `learn`, `predict`, `forget` and `status` as a person runs them: files, exit codes, messages.
#![cfg(feature = "cli")]

use std::path::Path;
use std::process::Command;

use image::{GrayImage, Luma};
use macula::data::{Preprocessing, ResizeFilter};
use macula::device::{self, TaughtHead};
use macula::encoder::{EmbedError, Embedder};

/// Eight pictures in a folder: four `bright` on the left and four `dark`, each a little different.
fn draw_pictures(folder: &Path) {
    for (class, number) in ["bright", "dark"].into_iter().flat_map(|class| (0..4).map(move |number| (class, number))) {
        let lit = |x: u32| (x < 20) == (class == "bright");
        let value = |x: u32, y: u32| if lit(x) { 200 + (x * y + number) % 40 } else { 20 + (x + y * number) % 40 };
        let picture = GrayImage::from_fn(40, 30, |x, y| Luma([value(x, y) as u8]));
        picture.save(folder.join(format!("{class}-{number}.png"))).unwrap();
    }
}

/// Runs it, demands exit code `code`, and returns standard output and error.
fn expect(code: i32, folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_macula")).current_dir(folder).args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
    if code != 0 {
        assert_eq!(err.trim_end().lines().count(), 1, "an error is one line: {err}");
    }
    (out, err)
}

fn with<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command, "--encoder", "raw-pixels", "--head", "a.head"], more].concat()
}

/// A folder with a head that knows three pictures of each class.
fn taught() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    draw_pictures(folder.path());
    for class in ["bright", "dark"] {
        let names = [0, 1, 2].map(|number| format!("{class}-{number}.png"));
        let images: Vec<&str> = names.iter().map(String::as_str).collect();
        expect(0, folder.path(), &with("learn", &[&["--class", class], &images[..]].concat()));
    }
    folder
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn learns_and_predicts() {
    let folder = taught();
    for kind in ["prototype", "gaussian"] {
        let asked = ["--json", "--head-kind", kind, "bright-3.png", "dark-3.png"];
        let report = json(&expect(0, folder.path(), &with("predict", &asked)).0);
        for (row, class) in report["predictions"].as_array().unwrap().iter().zip(["bright", "dark"]) {
            assert_eq!(row["class"], class, "{kind}: {report}");
            assert!(row["probability"].as_f64().unwrap() > 0.5, "{kind}: {report}");
        }
    }
    let (out, _) = expect(0, folder.path(), &["status", "--head", "a.head", "--samples"]);
    assert!(out.contains("raw-pixels") && out.contains("1024 dimensions") && out.contains("bright-2.png"), "{out}");
}

#[test]
fn what_is_forgotten_leaves_no_trace_in_the_file() {
    let folder = taught();
    let file = folder.path().join("a.head");
    let before = std::fs::read(&file).unwrap();
    expect(0, folder.path(), &with("learn", &["--class", "dark", "dark-3.png"]));
    assert_ne!(std::fs::read(&file).unwrap(), before);
    expect(0, folder.path(), &["forget", "--head", "a.head", "--sample", "dark-3.png"]);
    assert_eq!(std::fs::read(&file).unwrap(), before, "one sample, by name");

    // A class whose name sorts first moves the others to other numbers, and back.
    expect(0, folder.path(), &with("learn", &["--class", "alpha", "dark-3.png", "bright-3.png"]));
    expect(0, folder.path(), &["forget", "--head", "a.head", "--class", "alpha"]);
    assert_eq!(std::fs::read(&file).unwrap(), before, "a class");

    let status = json(&expect(0, folder.path(), &["status", "--head", "a.head", "--samples", "--json"]).0);
    let [hash, class, name] = ["hash", "class", "name"].map(|key| status["samples"][0][key].as_str().unwrap());
    expect(0, folder.path(), &["forget", "--head", "a.head", "--sample", &hash[..8]]);
    assert_ne!(std::fs::read(&file).unwrap(), before);
    expect(0, folder.path(), &with("learn", &["--class", class, name]));
    assert_eq!(std::fs::read(&file).unwrap(), before, "by hash, and learned again");
}

#[test]
fn the_same_picture_is_learned_once() {
    let folder = taught();
    let file = folder.path().join("a.head");
    let before = std::fs::read(&file).unwrap();
    // The same pixels in another file and format.
    image::open(folder.path().join("dark-1.png")).unwrap().save(folder.path().join("copy.bmp")).unwrap();
    let (out, err) = expect(0, folder.path(), &with("learn", &["--class", "dark", "copy.bmp"]));
    assert!(out.contains("learned 0 images, 1 were known") && err.contains("dark-1.png"), "{out}{err}");
    let (_, err) = expect(2, folder.path(), &with("learn", &["--class", "bright", "bright-3.png", "copy.bmp"]));
    assert!(err.contains("'dark'") && err.contains("dark-1.png"), "{err}");
    assert_eq!(std::fs::read(&file).unwrap(), before, "an error leaves the head alone, even after a good image");
}

#[test]
fn bad_input_is_refused() {
    let folder = taught();
    let path = folder.path();
    let before = std::fs::read(path.join("a.head")).unwrap();
    std::fs::write(path.join("cut.png"), &std::fs::read(path.join("dark-3.png")).unwrap()[..60]).unwrap();
    let refused: [(&[&str], &str); 10] = [
        (&with("learn", &["--class", "x", "none.png"]), "none.png"),
        (&with("learn", &["--class", "x", "cut.png"]), "cut.png"),
        (&with("learn", &["--class", "", "dark-3.png"]), "1 to 255"),
        (&["learn", "--encoder", "nothing", "--head", "a.head", "--class", "x", "dark-3.png"], "nothing"),
        (&["learn", "--encoder", "raw-pixels", "--head", "no/b.head", "--class", "x", "dark-3.png"], "no/b.head"),
        (&["forget", "--head", "a.head", "--class", "x"], "bright, dark"),
        (&["forget", "--head", "a.head", "--sample", "dark-0.png", "x.png"], "'x.png'"),
        (&["forget", "--head", "none.head", "--class", "dark"], "none.head"),
        (&["status", "--head", "dark-0.png"], "not a head"),
        (&["predict", "--encoder", "raw-pixels", "--head", "none.head", "dark-0.png"], "none.head"),
    ];
    for (arguments, part) in refused {
        let (_, err) = expect(2, path, arguments);
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
    assert_eq!(std::fs::read(path.join("a.head")).unwrap(), before);
    let left: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 8 + 2, "eight pictures, the cut one and the head, no partial file: {left:?}");
}

/// An encoder of the same dimension that is not `raw-pixels`.
struct Stranger(Preprocessing);

impl Embedder for Stranger {
    fn name(&self) -> String {
        "stranger.onnx".to_owned()
    }

    fn identity(&self) -> [u8; 32] {
        [0xAB; 32]
    }

    fn feature_dim(&self) -> usize {
        1024
    }

    fn preprocessing(&self) -> &Preprocessing {
        &self.0
    }

    fn embed_input(&self, input: &[f32]) -> Result<Vec<f32>, EmbedError> {
        Ok(input.to_vec())
    }
}

#[test]
fn a_head_of_another_encoder_is_refused() {
    let folder = taught();
    let (mean, std) = (vec![0.5], vec![0.25]);
    let filter = ResizeFilter::Triangle;
    let stranger = Stranger(Preprocessing { channels: 1, height: 32, width: 32, filter, mean, std });
    let mut head = TaughtHead::new(&stranger);
    head.learn("dark", "dark-0.png", [1; 32], &[1.0; 1024]).unwrap();
    let file = folder.path().join("a.head");
    device::save(&head, &file).unwrap();
    let before = std::fs::read(&file).unwrap();
    for arguments in [with("learn", &["--class", "dark", "dark-1.png"]), with("predict", &["dark-1.png"])] {
        let (_, err) = expect(2, folder.path(), &arguments);
        assert!(["a.head", "'stranger.onnx' (abababab", "'raw-pixels'"].iter().all(|part| err.contains(part)), "{err}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn damage_is_a_store_fault() {
    let folder = taught();
    let file = folder.path().join("a.head");
    let good = std::fs::read(&file).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for (damaged, part) in [(&good[..good.len() - 1], "bytes"), (&flipped[..], "checksum")] {
        std::fs::write(&file, damaged).unwrap();
        for arguments in [vec!["status", "--head", "a.head"], with("learn", &["--class", "x", "dark-3.png"])] {
            let (_, err) = expect(4, folder.path(), &arguments);
            assert!(err.contains("a.head is damaged") && err.contains(part), "{err}");
        }
        assert_eq!(std::fs::read(&file).unwrap(), damaged, "the damaged file is kept for whoever can mend it");
    }
    std::fs::write(&file, &good).unwrap();
    expect(0, folder.path(), &["status", "--head", "a.head"]);
}

#[test]
fn a_data_set_teaches_and_judges() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let data = ["--data", "phantoms:32:60"];
    let learned = json(&expect(0, path, &with("learn", &[&data[..], &["--shots", "2", "--json"]].concat())).0);
    let classes = learned["classes"].as_array().unwrap();
    assert!(classes.len() >= 6 && classes.iter().all(|class| class["samples"] == 2), "{learned}");

    let judged = json(&expect(0, path, &with("predict", &[&data[..], &["--json", "--each"]].concat())).0);
    let rows = judged["predictions"].as_array().unwrap();
    assert_eq!(judged["learned_images_left_out"], 2 * classes.len());
    assert_eq!(judged["images"], rows.len());
    // The figure follows from the list of predictions.
    let recall = |name: &serde_json::Value| {
        let own: Vec<_> = rows.iter().filter(|row| &row["label"] == name).collect();
        own.iter().filter(|row| &row["class"] == name).count() as f64 / own.len() as f64
    };
    let recalls: Vec<f64> = classes.iter().map(|class| recall(&class["name"])).collect();
    let expected = recalls.iter().sum::<f64>() / recalls.len() as f64;
    assert!((judged["balanced_accuracy"].as_f64().unwrap() - expected).abs() < 1e-12, "{judged}");

    let (out, _) = expect(0, path, &with("predict", &data));
    assert!(out.starts_with("balanced accuracy"), "{out}");
    let again = std::fs::read(path.join("a.head")).unwrap();
    std::fs::remove_file(path.join("a.head")).unwrap();
    expect(0, path, &with("learn", &[&data[..], &["--shots", "2"]].concat()));
    assert_eq!(std::fs::read(path.join("a.head")).unwrap(), again, "the same seed draws the same images");

    let (_, err) = expect(2, path, &with("learn", &[&data[..], &["--shots", "5000"]].concat()));
    assert!(err.contains("--shots asks for 5000"), "{err}");
}
