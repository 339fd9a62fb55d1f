//! A device survives the crash of a foreign encoder, and rolls back from a bundle that is too slow.
#![cfg(all(feature = "host", feature = "onnx", target_os = "linux"))]

mod crafted;
mod shell;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crafted::{convolution, encoded, model, node, weights};
use shell::{draw_pictures, expect, json};

/// A device that runs until it is dropped.
struct Running {
    child: Child,
    address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

fn spawn(folder: &Path, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
    command.current_dir(folder).args(["device", "--listen", "tcp:127.0.0.1:0", "--json"]).args(more);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

fn start(folder: &Path, more: &[&str]) -> Running {
    let mut child = spawn(folder, more);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = json(&line)["listening"].as_str().unwrap().to_owned();
    Running { child, address }
}

/// The children of a process.
fn children(parent: u32) -> Vec<String> {
    let numbers = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_child = |number: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // After the name in parentheses: state, parent.
        let after = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1).map(str::to_owned);
        after == Some(parent.to_string())
    };
    numbers.filter(is_child).collect()
}

fn signal(name: &str, process: &str) {
    assert!(Command::new("kill").args([name, process]).status().unwrap().success());
}

fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/torch_net.onnx");
    std::fs::copy(vectors, path.join("net.onnx")).unwrap();
    // 22e9 multiply-accumulates per image.
    std::fs::write(path.join("slow.onnx"), encoded(&convolution(1024, 9, 256))).unwrap();
    folder
}

#[test]
fn a_device_survives_a_crash_of_its_encoder() {
    let folder = workshop();
    let path = folder.path();
    let net = ["--encoder", "net.onnx", "--preprocessing", "half", "--store", "a.store"];
    let running = start(path, &net);
    for image in ["bright-0.png", "bright-1.png", "bright-2.png"] {
        let learn = ["learn", "--device", &running.address, "--class", "bright", image];
        let [encoder] = &children(running.child.id())[..] else { panic!("one process runs the encoder") };
        signal("-KILL", encoder);
        let refused = Command::new(env!("CARGO_BIN_EXE_macula")).current_dir(path).args(learn).output().unwrap();
        assert!(!refused.status.success() && refused.status.code().is_some(), "{refused:?}");
        expect(0, path, &["status", "--device", &running.address]);
        expect(0, path, &learn);
    }
    // The encoder's process ends with the device.
    let encoder = format!("/proc/{}", children(running.child.id())[0]);
    drop(running);
    let begun = Instant::now();
    while Path::new(&encoder).exists() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the encoder's process has not ended");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_bundle_that_is_too_slow_is_rolled_back_and_its_test_can_be_stopped() {
    let folder = workshop();
    let path = folder.path();
    expect(0, path, &["keygen", "--out", "maker"]);
    for (encoder, out, counter) in [("net.onnx", "net.macula", "1"), ("slow.onnx", "slow.macula", "2")] {
        let what = ["bundle", encoder, "--preprocessing", "half", "--golden-count", "1", "--quiet"];
        expect(0, path, &[&what[..], &["--signing-key", "maker.key", "--out", out, "--counter", counter]].concat());
    }
    let trusting = ["--trust", "maker.pub", "--store"];
    let running =
        start(path, &[&trusting[..], &["a.store", "--encoder", "net.macula", "--image-seconds", "0.1"]].concat());
    expect(3, path, &["update", "--device", &running.address, "slow.macula", "--quiet"]);
    let status = json(&expect(0, path, &["status", "--device", &running.address, "--json"]).0);
    assert_eq!(status["bundle"]["counter"], 1, "{status}");
    expect(0, path, &["learn", "--device", &running.address, "--class", "bright", "bright-0.png"]);
    drop(running);

    // A first start takes seconds. A request to stop ends it at once, without an error.
    let mut starting = spawn(path, &[&trusting[..], &["b.store", "--encoder", "slow.macula"]].concat());
    while children(starting.id()).is_empty() {
        assert!(starting.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal("-TERM", &starting.id().to_string());
    let asked = Instant::now();
    assert_eq!(starting.wait().unwrap().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn a_crafted_graph_is_refused_without_a_crash() {
    let folder = workshop();
    let path = folder.path();
    let shape = [1, 1, 16, 16];
    let flatten = |from: &str| node("Flatten", &[from], "feature", &[]);
    let constant = |name: &str, values: &[i64]| macula::runtime::pb::TensorProto {
        name: name.to_owned(),
        dims: vec![values.len() as i64],
        data_type: macula::runtime::pb::tensor_proto::DataType::Int64 as i32,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Default::default()
    };
    let mut modulo = node("Mod", &["image", "image"], "rest", &[]);
    modulo.attribute.push(macula::runtime::pb::AttributeProto {
        name: "fmod".into(),
        r#type: macula::runtime::pb::attribute_proto::AttributeType::Int as i32,
        i: 1,
        ..Default::default()
    });
    let pad = node("Pad", &["image", "pads"], "padded", &[]);
    let huge = node("Expand", &["image", "sizes"], "large", &[]);
    let crafted = [
        ("modulo", model(&shape, 256, vec![modulo, flatten("rest")], Vec::new())),
        (
            "pad",
            model(&shape, 196, vec![pad, flatten("padded")], vec![constant("pads", &[0, 0, -1, -1, 0, 0, -1, -1])]),
        ),
        ("huge", model(&shape, 1, vec![huge, flatten("large")], vec![constant("sizes", &[1, 1 << 40, 16, 16])])),
        (
            "thin",
            model(
                &shape,
                1,
                vec![node("Conv", &["image", "w"], "c", &[]), flatten("c")],
                vec![weights("w", &[1, 9, 0, 3], 1.0)],
            ),
        ),
    ];
    for (name, model) in crafted {
        let file = format!("{name}.onnx");
        std::fs::write(path.join(&file), encoded(&model)).unwrap();
        let embed =
            ["embed", "--encoder", &file, "--preprocessing", "unit", "bright-0.png", "--force", "--out", "x.npy"];
        let ended = Command::new(env!("CARGO_BIN_EXE_macula")).current_dir(path).args(embed).output().unwrap();
        let err = String::from_utf8(ended.stderr).unwrap();
        assert!(matches!(ended.status.code(), Some(0 | 2)), "{name}: {:?} {err}", ended.status);
        assert!(err.lines().count() <= 1, "{name}: {err}");
    }
}
