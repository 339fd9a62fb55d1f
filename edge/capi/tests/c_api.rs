//! The header, the static library and the examples, as a program in C uses them.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use macula_edge::encoder::{Blob, Encoder, encode_image};
use macula_edge::image::RawImage;
use macula_edge::protocol::message::{VERSION, message_max};
use macula_edge::protocol::{Client, Reply, Request, packet_max};
use macula_edge::store::FlashSizes;
use macula_edge_capi::{Sizes, memory_size};
use macula_firmware_sim::board::{ANY_BUNDLE, Board, Shape};
use macula_firmware_sim::script;

/// Feature dimensions of the device in the tests.
const DIM: usize = 24;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program to its end; returns what it printed.
fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (printed, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{printed}\n{errors}", done.status);
    printed.into_owned()
}

/// The folder of the built library and examples, which `make` builds once.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| package().join("../../target"));
        let out = package().join("../..").join(target).join("capi/test");
        // Without the variables that cargo sets for this test: they would name another package.
        let mut make = Command::new("make");
        make.arg("--directory").arg(package()).arg(format!("OUT={}", out.display())).arg("examples");
        make.arg(format!("CFLAGS=-O1 -g -DDIM={DIM}")).env_remove("CARGO_MANIFEST_DIR").env_remove("MAKEFLAGS");
        run(&mut make);
        out
    })
}

/// Compiles a program of the tests with the checks of the compiler for memory and arithmetic, and runs it.
fn run_checked(name: &str, arguments: &[&Path]) -> String {
    let (library, program) = (built().join("libmacula.a"), built().join(name));
    let mut compile = Command::new("cc");
    compile.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-fsanitize=address,undefined"]);
    compile.arg("-fno-sanitize-recover=all").arg("-I").arg(package().join("include"));
    compile.arg(package().join("tests/c").join(name).with_extension("c")).arg(library).arg("-o").arg(&program);
    run(&mut compile);
    run(Command::new(&program).args(arguments))
}

#[test]
fn the_header_is_written_from_these_sources() {
    let config = cbindgen::Config::from_file(package().join("cbindgen.toml")).unwrap();
    let sources = cbindgen::Builder::new().with_config(config).with_crate(package());
    let mut written = Vec::new();
    sources.generate().unwrap().write(&mut written);
    let header = package().join("include/macula.h");
    if std::env::var_os("MACULA_WRITE").is_some() {
        fs::write(&header, &written).unwrap();
    }
    let committed = fs::read_to_string(&header).unwrap_or_default();
    let written = String::from_utf8(written).unwrap();
    assert!(
        committed == written,
        "include/macula.h is out of date: MACULA_WRITE=1 cargo test --package macula-edge-capi"
    );
    assert!(written.matches("macula_status macula_").count() >= 19, "the header has all functions");
}

#[test]
fn the_header_is_c_plus_plus_too() {
    let header = package().join("include/macula.h");
    for standard in ["c++11", "c++20"] {
        let mut compile = Command::new("c++");
        compile.args([&format!("-std={standard}"), "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"]);
        // A header of the standard library behind ours must not contradict it.
        run(compile.args(["-x", "c++", "-include"]).arg(&header).args(["-include", "cstdlib", "/dev/null"]));
    }
}

/// The macros of the header compute what the library computes.
#[test]
fn memory_sizes_of_the_header_are_those_of_the_library() {
    let printed = run_checked("sizes", &[]);
    let mut cases = 0;
    for line in printed.lines() {
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let &[dim, classes, supports, image_size, work_words, unit, found, message] = &numbers[..] else {
            panic!("{line}")
        };
        let sizes = Sizes {
            dim: dim as usize,
            classes: classes as usize,
            supports: supports as usize,
            image_size: image_size as u32,
            work_words: work_words as u32,
            flash: FlashSizes { read: 1, write: unit as usize, erase: 4096 },
        };
        assert_eq!(found, memory_size(&sizes), "{sizes:?}");
        assert_eq!(message, message_max(dim as usize) as u64);
        cases += 1;
    }
    assert!(cases > 1000, "only {cases} sizes were compared");
}

/// Every function, right and wrong calls, in a program that the compiler checks for misuse of memory.
#[test]
fn every_function_refuses_wrong_calls_and_does_right_ones() {
    let blob = package().join("../../models/grey-64/chip/encoder.int8.blob");
    let printed = run_checked("calls", &[&blob]);
    assert!(printed.ends_with("all calls are as expected\n"), "{printed}");
    let feature: Vec<i16> = printed
        .lines()
        .find_map(|line| line.strip_prefix("feature "))
        .map_or(Vec::new(), |line| line.split(' ').map(|value| value.parse().unwrap()).collect());
    assert_eq!(feature, feature_here(&fs::read(&blob).unwrap()));
}

/// The feature of the image in `calls.c`.
fn feature_here(blob: &[u8]) -> Vec<i16> {
    let words: Vec<u32> = blob.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
    let blob = Blob::parse(bytemuck::cast_slice(&words)).unwrap();
    let pixels: Vec<u8> = (0..64 * 64).map(|index| (index * 31 % 251) as u8).collect();
    let image = RawImage::new(64, 64, 1, &pixels).unwrap();
    let (mut work, mut feature) = (vec![0; blob.info().work_words()], vec![0; blob.dim()]);
    encode_image(&blob, &image, &mut work, &mut feature).unwrap();
    feature
}

/// The example as a device on two pipes.
struct Device {
    child: Child,
}

impl Device {
    fn start(flash: &Path) -> Self {
        let mut command = Command::new(built().join("linux"));
        command.arg(flash).arg("stdio").stdin(Stdio::piped()).stdout(Stdio::piped());
        Self { child: command.spawn().unwrap() }
    }

    /// Sends a request and waits for its reply.
    fn exchange(&mut self, client: &mut Client<'_>, request: &Request<'_>) -> Vec<u8> {
        let mut frame = Vec::new();
        client.request(request, &mut |piece| frame.extend_from_slice(piece)).unwrap();
        self.child.stdin.as_mut().unwrap().write_all(&frame).unwrap();
        let line = self.child.stdout.as_mut().unwrap();
        let mut bytes = [0; 1024];
        loop {
            let count = line.read(&mut bytes).unwrap();
            assert!(count > 0, "the device has ended");
            if let Some(reply) = bytes[..count].iter().find_map(|&byte| client.receive(byte).map(<[u8]>::to_vec)) {
                return reply;
            }
        }
    }

    /// Begins session `number`, then lets `ask` exchange messages.
    fn talk<T>(&mut self, number: u32, ask: impl FnOnce(&mut dyn FnMut(&[u8]) -> Vec<u8>) -> T) -> T {
        let mut memory = [[0; packet_max(message_max(DIM))]; 2];
        let [received, packet] = &mut memory;
        let mut client = Client::new(number, received, packet);
        let hello = self.exchange(&mut client, &Request::Hello { version: VERSION });
        assert!(matches!(Reply::parse(&hello), Ok(Reply::Hello(_))), "{hello:?}");
        ask(&mut |message| self.exchange(&mut client, &Request::parse(message).unwrap()))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // A power cut.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A thousand requests get the bytes that the simulated board replies, and what was acknowledged survives the end of the
/// process.
#[test]
fn the_example_replies_as_the_simulated_board() {
    let shape = Shape::features_only(DIM);
    let mut board = Board::new(shape, ANY_BUNDLE);
    let mut board = board.start(shape.features()).unwrap();
    let run_all = |answer: &mut dyn FnMut(&[u8]) -> Vec<u8>| {
        let mut requests = 0;
        let mut count = |message: &[u8]| {
            requests += 1;
            answer(message)
        };
        let hashes = [script::run(1, DIM, &mut count), script::run_operating_points(1, DIM, &mut count)];
        (hashes, script::run(2, DIM, &mut count), requests)
    };
    let export = |answer: &mut dyn FnMut(&[u8]) -> Vec<u8>| {
        let mut state = Vec::new();
        script::export(|message| {
            state.push(answer(message));
            state[state.len() - 1].clone()
        });
        state
    };
    let expected = run_all(&mut |message| board.answer(message));
    assert!(expected.2 >= 1000, "only {} requests", expected.2);

    let folder = tempfile::tempdir().unwrap();
    let flash = folder.path().join("c.flash");
    let mut device = Device::start(&flash);
    assert_eq!(device.talk(1, |answer| run_all(answer)), expected);
    let before = device.talk(2, |answer| export(answer));
    drop(device);
    let after = Device::start(&flash).talk(3, |answer| export(answer));
    assert!(before.len() > 10, "the script leaves a state");
    // The revision counts from the start.
    let parts = |state: &[Vec<u8>]| -> Vec<String> {
        let part = |reply: &Vec<u8>| match Reply::parse(reply) {
            Ok(Reply::State { part, .. }) => format!("{part:?}"),
            other => panic!("{other:?}"),
        };
        state.iter().map(part).collect()
    };
    assert_eq!(parts(&after), parts(&before));
}

#[test]
fn the_example_teaches_and_predicts() {
    let blob = package().join("../../models/grey-64/chip/encoder.int8.blob");
    let folder = tempfile::tempdir().unwrap();
    let flash = folder.path().join("c.flash");
    let printed = run(Command::new(built().join("linux")).arg(&flash).arg("--blob").arg(&blob).arg("teach"));
    assert!(printed.contains("\n20 asked: 20 right, 19 in their set; 19 supports, "), "{printed}");
}
