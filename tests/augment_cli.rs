//! `macula augment` and `macula bench augment` on the command line.
#![cfg(feature = "cli")]

mod shell;

use std::fs;
use std::path::Path;

use shell::{expect, fails, json, picture};

/// The sheet drawn with `arguments` added to the usual ones.
fn sheet(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let usual =
        ["augment", "scan.png", "--force", "--out", "sheet.png", "--size", "24", "--views", "10", "--columns", "4"];
    expect(0, folder, &[&usual, arguments].concat());
    fs::read(folder.join("sheet.png")).unwrap()
}

#[test]
fn a_sheet_shows_the_image_and_its_views() {
    let folder = tempfile::tempdir().unwrap();
    picture("bright", 1).save(folder.path().join("scan.png")).unwrap();
    let drawn = sheet(folder.path(), &["--policy", "medical"]);
    assert_eq!(sheet(folder.path(), &["--policy", "medical"]), drawn, "the same seed, the same bytes");
    assert_ne!(sheet(folder.path(), &["--policy", "medical", "--seed", "2"]), drawn);
    assert_ne!(sheet(folder.path(), &["--policy", "natural"]), drawn);

    // No augmentation: the image eleven times, in rows of four with two white pixels between.
    let plain = image::load_from_memory(&sheet(folder.path(), &["--policy", "none"])).unwrap().into_luma8();
    assert_eq!(plain.dimensions(), (4 * 26 + 2, 3 * 26 + 2));
    let tile = |at: u32| -> Vec<u8> {
        let places = (2..26).flat_map(|y| (2..26).map(move |x| (x, y)));
        places.map(|(x, y)| plain.get_pixel(at % 4 * 26 + x, at / 4 * 26 + y)[0]).collect()
    };
    assert!((1..11).all(|at| tile(at) == tile(0)));
    assert!(tile(0).iter().any(|&value| value != 255) && tile(11).iter().all(|&value| value == 255));
}

#[test]
fn invalid_sheets_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    picture("bright", 1).save(folder.path().join("scan.png")).unwrap();
    fs::write(folder.path().join("broken.png"), b"no image").unwrap();
    for (arguments, part) in [
        (["scan.png", "--columns", "0"], "--columns"),
        (["scan.png", "--size", "513"], "513"),
        (["scan.png", "--channels", "2"], "--channels"),
        (["broken.png", "--channels", "3"], "broken.png"),
    ] {
        let command = ["augment", "--policy", "natural", "--force", "--out", "sheet.png"];
        fails(2, "input", folder.path(), &[&command[..], &arguments[..]].concat(), &[part]);
        assert!(!folder.path().join("sheet.png").exists());
    }
}

#[test]
fn bench_augment_measures_images_per_second() {
    let folder = tempfile::tempdir().unwrap();
    let small = ["bench", "augment", "--size", "8", "--batch-size", "4", "--batches", "5"];
    let (text, _) = expect(0, folder.path(), &[&small[..], &["--policy", "medical", "--json"]].concat());
    let report = json(&text);
    assert_eq!((report["policy"].as_str(), report["batch"].as_u64()), (Some("medical"), Some(4)));
    let (rate, batch_ms) = (report["images_per_second"].as_f64().unwrap(), report["batch_ms"]["p50"].as_f64().unwrap());
    assert!(rate > 0.0 && (rate * batch_ms / 4e3 - 1.0).abs() < 1e-6, "{report}");
    let (table, _) = expect(0, folder.path(), &small);
    assert!(table.contains("natural") && table.contains("3×8×8"), "{table}");
    fails(2, "input", folder.path(), &[&small[..], &["--channels", "2"]].concat(), &["--channels", "2"]);
}
