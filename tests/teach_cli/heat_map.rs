//! Heat maps, and stores of encoders that read tiles.

use std::fs;
use std::path::Path;

use super::shell::{draw_pictures, expect, expect_usage, fails, json};
use super::{taught, with};

/// The values of a heat map: rows, columns and numbers.
fn values(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let file = npyz::NpyFile::new(std::io::BufReader::new(fs::File::open(path).unwrap())).unwrap();
    (file.shape().to_vec(), file.into_vec().unwrap())
}

#[test]
fn why_draws_what_decided() {
    let folder = taught();
    let draw = |arguments: &[&str]| {
        let files = ["--heatmap", "h.png", "--heatmap-values", "h.npy", "--force", "--json"];
        let report = json(&expect(0, folder.path(), &with("why", &[&files[..], arguments].concat())).0);
        report["heat_map"].clone()
    };
    let map = draw(&["bright-3.png"]);
    assert_eq!((&map["method"], &map["class"], &map["parts"]), (&"occlusion".into(), &"bright".into(), &225.into()));
    assert!(map["margin"].as_f64().unwrap() > 0.0 && map["range"][1].as_f64().unwrap() > 0.0, "{map}");
    let drawn = image::open(folder.path().join("h.png")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join("h.png")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "the map shows the image");
    }
    let (shape, numbers) = values(&folder.path().join("h.npy"));
    assert_eq!(((drawn.width(), drawn.height()), &shape[..]), ((40, 30), &[30, 40][..]));
    assert!(numbers.iter().all(|value| value.is_finite()), "the patch covers the image");
    // For the other class, what speaks for the first speaks against it.
    let other = draw(&["bright-3.png", "--heatmap-class", "dark", "--heatmap-patch", "0.5"]);
    assert_eq!((&other["class"], &other["parts"]), (&"dark".into(), &9.into()));
    assert!((other["margin"].as_f64().unwrap() + map["margin"].as_f64().unwrap()).abs() < 1e-6, "{other}");
    let (out, _) = expect(0, folder.path(), &with("why", &["bright-3.png", "--heatmap", "h.png", "--force"]));
    assert!(out.contains("heat map of class 'bright'"), "{out}");

    fails(2, "exists", folder.path(), &with("why", &["bright-3.png", "--heatmap", "h.png"]), &["h.png"]);
    let wrong: [(&str, &[&str]); 4] = [
        ("input", &["bright-3.png", "dark-3.png", "--heatmap", "n.png"]),
        ("input", &["bright-3.png", "--heatmap", "n.png", "--heatmap-patch", "0.01"]),
        ("input", &["bright-3.png", "--heatmap-class", "dark"]),
        ("unknown-class", &["bright-3.png", "--heatmap", "n.png", "--heatmap-class", "none"]),
    ];
    for (kind, arguments) in wrong {
        fails(2, kind, folder.path(), &with("why", arguments), &[]);
    }
    assert!(!folder.path().join("n.png").exists());
}

#[test]
fn a_store_remembers_the_tiles_of_its_encoder() {
    let folder = tempfile::tempdir().unwrap();
    draw_pictures(folder.path());
    let tiled = ["--encoder", "raw-pixels", "--tiles", "0.5,overlap=0.5,empty=0"];
    for (class, images) in [("bright", ["bright-0.png", "bright-1.png"]), ("dark", ["dark-0.png", "dark-1.png"])] {
        expect(0, folder.path(), &with("learn", &[&tiled[..], &["--class", class], &images].concat()));
    }
    // 80×60 pixels in tiles of 32, 16 apart: columns 0, 16, 32, 48 and rows 0, 16, 28.
    let why = ["bright-2.png", "--heatmap-values", "t.npy", "--json"];
    let map = json(&expect(0, folder.path(), &with("why", &why)).0)["heat_map"].clone();
    assert_eq!((&map["method"], &map["parts"]), (&"tiles".into(), &12.into()));
    let (shape, numbers) = values(&folder.path().join("t.npy"));
    assert!(shape == [30, 40] && numbers.iter().all(|value| value.is_finite()), "{shape:?}");
    let predicted = json(&expect(0, folder.path(), &with("predict", &["bright-3.png", "--json"])).0);
    assert_eq!(predicted["predictions"][0]["class"], "bright");
    // `embed` writes one feature, whatever the number of tiles.
    let embed =
        ["embed", "--encoder", "raw-pixels", "--tiles", "0.5,overlap=0.5,empty=0", "bright-0.png", "--out", "f.npy"];
    expect(0, folder.path(), &embed);
    assert_eq!(values(&folder.path().join("f.npy")).0, [1, 1024]);
    fails(2, "other-encoder", folder.path(), &with("predict", &["--encoder", "raw-pixels", "bright-3.png"]), &[]);
    let whole = ["--encoder", "raw-pixels", "--tiles", "0.01", "bright-3.png"];
    expect_usage(folder.path(), &with("predict", &whole));
    expect_usage(folder.path(), &with("predict", &["--tiles", "1", "bright-3.png"]));
}
