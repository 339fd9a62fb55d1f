//! Pictures of a camera: the real program with the system calls of a virtual camera, `virtual_camera.c`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{ImageFormat, Rgb, RgbImage};

use super::shell::{expect, expect_usage, json};
use super::{taught, with};

const DEVICE: &str = "/dev/video-of-the-test";
const SIZE: &str = "40x30";

/// The virtual camera, compiled, and a store with two classes.
struct Stage {
    folder: tempfile::TempDir,
    shim: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let folder = taught();
        let shim = folder.path().join("virtual_camera.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/teach_cli/virtual_camera.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&shim).args([source, "-ldl"]);
        assert!(cc.status().expect("a C compiler is installed").success());
        Self { folder, shim }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the program with a camera that is set up by `variables` over an ordinary one.
    fn output(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
        command.current_dir(self.path()).env("LD_PRELOAD", &self.shim);
        let usual = [("PATH", DEVICE), ("FORMATS", "RGB3"), ("SIZE", SIZE), ("FRAMES", "frame.rgb")];
        for (name, value) in usual.iter().chain(variables) {
            command.env(format!("CAMERA_{name}"), value);
        }
        command.args(arguments).output().unwrap()
    }

    /// Predicts a picture of the camera, and returns the row of the report.
    fn predict(&self, variables: &[(&str, &str)], more: &[&str]) -> serde_json::Value {
        let found = self.output(variables, &with("predict", &[&["--camera", DEVICE, "--json"], more].concat()));
        let (out, err) = (String::from_utf8(found.stdout).unwrap(), String::from_utf8(found.stderr).unwrap());
        assert_eq!(found.status.code(), Some(0), "{variables:?} {more:?}: {err}");
        json(&out)["predictions"][0].clone()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).unwrap();
    }
}

/// `Y Cb Y Cr` of two pixels in limited range, in which each pair of pixels has one colour.
fn yuyv() -> Vec<[u8; 4]> {
    (0..600u32)
        .map(|pair| {
            [(16 + pair * 7 % 220) as u8, (90 + pair % 60) as u8, (16 + pair * 3 % 220) as u8, (100 + pair % 50) as u8]
        })
        .collect()
}

/// The colours of ITU-R BT.601 in limited range, by its matrix in floating point.
fn rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let [y, b, r] = [f64::from(y) - 16.0, f64::from(cb) - 128.0, f64::from(cr) - 128.0];
    let y = y * 255.0 / 219.0;
    [y + 1.596_026_8 * r, y - 0.391_762_3 * b - 0.812_967_6 * r, y + 2.017_232_1 * b]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}

/// `jpeg` without the segments of its Huffman tables.
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let (mut bare, mut at) = (jpeg[..2].to_vec(), 2);
    while jpeg[at + 1] != 0xDA {
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        if jpeg[at + 1] != 0xC4 {
            bare.extend_from_slice(&jpeg[at..end]);
        }
        at = end;
    }
    bare.extend_from_slice(&jpeg[at..]);
    bare
}

/// The command that teaches a picture of these tests.
fn learn<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    with("learn", &[&["--class", "test", "--json"], arguments].concat())
}

#[test]
fn a_picture_of_a_camera_is_predicted_as_its_file() {
    let stage = Stage::new();
    let file = |name: &str| {
        let report = json(&expect(0, stage.path(), &with("predict", &["--json", name])).0);
        report["predictions"][0].clone()
    };
    let same = |mut of_camera: serde_json::Value, name: &str| {
        assert_eq!(of_camera["image"], DEVICE);
        of_camera["image"] = name.into();
        assert_eq!(of_camera, file(name));
    };
    // Grey and colours byte for byte; rows of the second are padded.
    let grey = image::open(stage.path().join("bright-3.png")).unwrap().into_luma8();
    stage.write("frame.grey", &grey);
    same(stage.predict(&[("FORMATS", "H264,GREY"), ("FRAMES", "frame.grey")], &[]), "bright-3.png");
    let drawn = RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, (x * y % 251) as u8]));
    drawn.save(stage.path().join("drawn.png")).unwrap();
    let padded: Vec<u8> = drawn.chunks(120).flat_map(|row| [row, &[77; 8]].concat()).collect();
    stage.write("frame.rgb", &padded);
    same(stage.predict(&[("STRIDE", "128")], &["--camera-size", SIZE]), "drawn.png");
    // Frames are left out: the first is another picture.
    let frames = ("FRAMES", "frame.grey,frame.grey,frame.rgb");
    same(stage.predict(&[("STRIDE", "128"), frames], &["--camera-skip", "2"]), "drawn.png");
    // Y'CbCr, by an independent conversion.
    let pairs = yuyv();
    stage.write("frame.yuyv", pairs.as_flattened());
    let pixels = pairs.iter().flat_map(|&[y0, cb, y1, cr]| [rgb([y0, cb, cr]), rgb([y1, cb, cr])]).flatten().collect();
    RgbImage::from_raw(40, 30, pixels).unwrap().save(stage.path().join("yuyv.png")).unwrap();
    let yuyv = [("FORMATS", "MJPG,YUYV"), ("FRAMES", "frame.yuyv")];
    same(stage.predict(&yuyv, &[]), "yuyv.png");
    // A JPEG, and without its tables the same picture.
    drawn.save_with_format(stage.path().join("drawn.jpg"), ImageFormat::Jpeg).unwrap();
    let whole = fs::read(stage.path().join("drawn.jpg")).unwrap();
    stage.write("bare.mjpg", &without_tables(&whole));
    for frames in ["drawn.jpg", "bare.mjpg"] {
        same(stage.predict(&[("FORMATS", "MJPG"), ("FRAMES", frames)], &[]), "drawn.jpg");
    }
    // A sample of a camera has the source of its file: it is known when it is taught from there.
    let found = stage.output(&yuyv, &learn(&["--camera", DEVICE]));
    let report = json(&String::from_utf8(found.stdout).unwrap());
    assert_eq!((&report["learned"], &report["known"]), (&1.into(), &0.into()), "{report}");
    let report = json(&expect(0, stage.path(), &learn(&["yuyv.png"])).0);
    assert_eq!((&report["learned"], &report["known"]), (&0.into(), &1.into()), "{report}");
}

#[test]
fn every_fault_of_a_camera_has_its_exit_code() {
    let stage = Stage::new();
    let drawn = RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, 9]));
    stage.write("frame.rgb", &drawn);
    drawn.save_with_format(stage.path().join("drawn.jpg"), ImageFormat::Jpeg).unwrap();
    let jpeg = fs::read(stage.path().join("drawn.jpg")).unwrap();
    stage.write("cut.mjpg", &jpeg[..jpeg.len() / 2]);
    stage.write("cut.rgb", &drawn.as_raw()[..3599]);
    let before = super::state(&stage.folder);
    let asks = |variables: &[(&str, &str)], arguments: &[&str]| {
        let taken = ["--class", "new", "--camera", DEVICE, "--camera-seconds", "0.3", "--camera-skip", "1", "--json"];
        let found = stage.output(variables, &with("learn", &[&taken, arguments].concat()));
        (found.status.code(), String::from_utf8(found.stderr).unwrap())
    };
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], i32, &'a str, &'a [&'a str]);
    let cases: [Case<'_>; 14] = [
        (&[("FORMATS", "H264,NV12")], &[], 2, "input", &["H264, NV12", "supported are RGB3, YUYV"]),
        (&[("FORMATS", "")], &[], 2, "input", &["its formats are none"]),
        (&[], &["--camera-size", "1280x720"], 2, "input", &["1280×720", "40×30 in RGB3"]),
        (&[("FAULT", "refuse-formats")], &[], 2, "input", &["640×480", "no such size in RGB3"]),
        (&[("FAULT", "denied")], &[], 2, "input", &["not allowed", "group"]),
        (&[("FAULT", "planes")], &[], 2, "input", &["several planes", "one plane"]),
        (&[("FAULT", "still")], &[], 2, "input", &["does not stream"]),
        (&[("PATH", "/elsewhere")], &[], 2, "not-found", &["no such camera"]),
        (&[("FAULT", "silent:0")], &[], 4, "unreachable", &["no frame within 0.3 s, after 0 frames"]),
        (&[("FAULT", "busy")], &[], 4, "device-fault", &["another program"]),
        (&[("FAULT", "no-bandwidth")], &[], 4, "device-fault", &["cannot start the camera", "No space"]),
        (&[("FAULT", "unplugged:1")], &[], 4, "device-fault", &["unplugged"]),
        (&[("FORMATS", "MJPG"), ("FRAMES", "cut.mjpg")], &[], 4, "device-fault", &["4 frames", "truncated"]),
        (&[("FRAMES", "cut.rgb")], &[], 4, "device-fault", &["4 frames", "3599 bytes", "3600"]),
    ];
    for (variables, arguments, code, kind, parts) in cases {
        let (found, err) = asks(variables, arguments);
        assert_eq!(found, Some(code), "{variables:?} {arguments:?}: {err}");
        let error = json(&err)["error"].clone();
        assert_eq!(error["kind"], kind, "{variables:?}: {err}");
        let message = error["message"].as_str().unwrap();
        parts.iter().chain(&[DEVICE]).for_each(|part| assert!(message.contains(part), "no {part:?} in {message}"));
    }
    assert_eq!(super::state(&stage.folder), before, "a fault changed the device");
    // A damaged frame among others is left out, and the same camera without a fault teaches.
    assert_eq!(asks(&[("FRAMES", "cut.rgb,cut.rgb,frame.rgb")], &[]).0, Some(0));
    assert_ne!(super::state(&stage.folder), before);
    // Files that are no cameras.
    for other in ["frame.rgb", "."] {
        let found = stage.output(&[], &with("predict", &["--camera", other, "--json"]));
        let error = json(&String::from_utf8(found.stderr).unwrap())["error"].clone();
        assert_eq!((&error["kind"], &error["exit_code"]), (&"input".into(), &2.into()), "{error}");
    }
    for wrong in [
        &["--camera", DEVICE, "a.png"][..],
        &["--camera-skip", "3", "a.png"],
        &["--camera", DEVICE, "--camera-size", "9"],
        &[],
    ] {
        expect_usage(stage.path(), &with("predict", wrong));
    }
}
