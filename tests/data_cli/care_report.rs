//! `macula data --report` on faults that are planted here.

use std::fs;
use std::path::Path;
use std::process::Command;

use image::{GrayImage, ImageFormat};
use macula::data::{self, Dataset, Image, Preprocessing};
use serde_json::Value;

use super::{macula, picture, refused, write};

/// 240 phantoms of 64 pixels in folders `SPLIT/CLASS`.
fn write_phantoms(root: &Path) -> Dataset {
    let dataset = data::open_named("phantoms:64:240", 1).unwrap();
    for (index, record) in dataset.records.iter().enumerate() {
        let class = &dataset.class_names[record.label.unwrap()];
        let path = root.join(record.split.unwrap().name()).join(class).join(format!("{index:03}.png"));
        save(&path, &dataset.load(index).unwrap());
    }
    dataset
}

fn save(path: &Path, image: &Image) {
    let grey = GrayImage::from_raw(image.width as u32, image.height as u32, image.pixels.clone()).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    grey.save(path).unwrap();
}

#[test]
fn a_report_finds_planted_faults_and_is_the_same_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let dataset = write_phantoms(&root);
    let path = |split: &str, class: usize, name: &str| root.join(split).join(&dataset.class_names[class]).join(name);
    let training: Vec<usize> =
        (0..dataset.len()).filter(|&index| dataset.records[index].split.unwrap().name() == "train").collect();
    // A darker, smaller copy of a training image is a test image of another class.
    let image = dataset.load(training[3]).unwrap();
    let class = dataset.records[training[3]].label.unwrap();
    let darker = image.pixels.iter().map(|&value| value - value / 5).collect();
    let darker = Image { pixels: darker, ..image.clone() };
    let smaller = Preprocessing::unit(1, 50, 50).to_pixels(&darker);
    save(&path("test", (class + 1) % 6, "copy.png"), &smaller);
    // A mirrored copy in the same split.
    let mirrored = dataset.load(training[8]).unwrap();
    let rows = mirrored.pixels.chunks(64).flat_map(|row| row.iter().rev().copied()).collect();
    save(&path("train", 0, "mirrored.png"), &Image { pixels: rows, ..mirrored });
    // Stripes are no phantom.
    let stripes = (0..64 * 64).map(|at| if at / 4 % 2 == 0 { 255 } else { 0 }).collect();
    save(&path("train", 0, "stripes.png"), &Image { pixels: stripes, ..image });

    let at = |name: &str| folder.path().join(name);
    let run = |file: &str, threads: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
        command.args(["data", root.to_str().unwrap(), "--json", "--report"]).arg(at(file));
        let run = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        serde_json::from_slice::<Value>(&run.stdout).unwrap()["report"].clone()
    };
    let found = run("one.json", "1");
    assert_eq!(found, run("three.json", "3"));
    assert_eq!(fs::read(at("one.json")).unwrap(), fs::read(at("three.json")).unwrap());
    assert_eq!(serde_json::from_slice::<Value>(&fs::read(at("one.json")).unwrap()).unwrap(), found);
    let groups = found["near_duplicates"].as_array().unwrap();
    assert_eq!(groups.len(), 2, "{groups:#?}");
    let names = |group: &Value| group["images"].to_string();
    assert!(names(&groups[0]).contains("copy.png") && names(&groups[0]).contains(&format!("{:03}.png", training[3])));
    assert_eq!((&groups[0]["across_splits"], &groups[0]["different_labels"]), (&true.into(), &true.into()));
    assert!(names(&groups[1]).contains("mirrored.png") && groups[1]["links"][0]["orientation"] == "mirrored");
    assert!(found["unlike"]["images"][0]["image"]["name"].as_str().unwrap().contains("stripes"), "{}", found["unlike"]);
    let suspicious = found["labels"]["suspicious"].as_array().unwrap();
    let names: Vec<&str> = suspicious.iter().map(|label| label["image"]["name"].as_str().unwrap()).collect();
    assert!(names.iter().any(|name| name.contains("copy.png")), "{names:?}");
    // The same as a page and as a contact sheet; a page refers to nothing outside.
    run("page.html", "2");
    let page = fs::read_to_string(at("page.html")).unwrap();
    assert!(page.contains("copy.png") && page.contains("data:image/png;base64,"), "{page}");
    for forbidden in ["<script", "http://", "https://", "url("] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    run("sheet.png", "2");
    #[cfg(unix)]
    for file in ["page.html", "sheet.png"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(at(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file} contains images");
    }
    assert_eq!(image::open(at("sheet.png")).unwrap().width(), 8 * 98 + 2);
}

#[test]
fn a_report_names_what_it_cannot_use() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("1.png"), &picture(1, ImageFormat::Png));
    refused(folder.path(), &["--report"], &["at least 3 readable images", "found 1"]);
    let run = macula(&["--report", "phantoms"]);
    assert!(run.code == 2 && run.error.contains(".html, .json or .png"), "{}", run.error);
    let run = macula(&["phantoms:16:8", "--encoder", "grey-64"]);
    assert!(run.code == 2 && run.error.contains("--report"), "{}", run.error);
    let file = folder.path().join("report.html");
    fs::write(&file, "kept").unwrap();
    let run = macula(&["phantoms:16:8", "--report", file.to_str().unwrap()]);
    assert!(run.code == 2 && run.error.contains("--force"), "{}", run.error);
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
}
