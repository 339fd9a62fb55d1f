//! Compares the Cortex-M image in QEMU with the same code on this machine.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use macula_edge::encoder::{Arithmetic, Blob, Encoder, encode_image};
use macula_edge::image::RawImage;
use macula_edge::protocol::message::{Input, VERSION, chunk_max, message_max};
use macula_edge::protocol::{Client, Reply, Request, packet_max};
use macula_firmware_sim::board::{ANY_BUNDLE, Board, Shape};
use macula_firmware_sim::chip::{self, Core, ImageSpec};
use macula_firmware_sim::counts::{Footprint, encoder_counts, stack_peak_bytes};
use macula_firmware_sim::qemu::{Machine, QemuBoard, erased_flash, run_image};
use macula_firmware_sim::script;

#[allow(dead_code, reason = "tests of the device crate use the rest")]
#[path = "../../edge/tests/common/blob.rs"]
mod random;
use random::Net;

const DIM: usize = 24;

/// A board: its image and the file of its flash.
struct Chip {
    machine: Machine,
    image: PathBuf,
    flash: PathBuf,
}

impl Chip {
    fn new(name: &str, core: Core) -> Self {
        let image = chip::build(&ImageSpec { core, ..ImageSpec::features_only(name, DIM) }).unwrap();
        Self::of(name, image.machine, image.board)
    }

    fn of(name: &str, machine: Machine, image: PathBuf) -> Self {
        let flash = env::temp_dir().join(format!("macula-{name}-{}.flash", std::process::id()));
        erased_flash(&flash).unwrap();
        Self { machine, image, flash }
    }

    /// The stack has no guard, so the linker must leave at least twice its peak: it leaves 24 KB.
    fn has_stack(&self, board: &mut QemuBoard) -> usize {
        let footprint = Footprint::of(&self.image).unwrap();
        let (ram_bytes, copy) = (footprint.ram_bytes(), self.flash.with_extension("ram"));
        let ram = board.ram(256, &copy).unwrap();
        fs::remove_file(&copy).unwrap();
        let peak = stack_peak_bytes(&ram, ram_bytes);
        assert!((1024..12 * 1024).contains(&peak), "{peak} bytes of stack");
        peak
    }

    fn start(&self) -> QemuBoard {
        QemuBoard::start(self.machine, &self.image, &self.flash).unwrap()
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.flash);
    }
}

/// Runs `requests` in a new session.
fn talk<T>(
    board: &mut QemuBoard,
    session: u32,
    requests: impl FnOnce(&mut dyn FnMut(&Request<'_>) -> Vec<u8>) -> T,
) -> T {
    let mut memory = [[0; packet_max(message_max(DIM))]; 2];
    let [received, packet] = &mut memory;
    let mut client = Client::new(session, received, packet);
    let hello = board.exchange(&mut client, &Request::Hello { version: VERSION }).unwrap();
    assert!(matches!(Reply::parse(&hello), Ok(Reply::Hello(_))), "{hello:?}");
    requests(&mut |request| board.exchange(&mut client, request).unwrap())
}

/// The exported state, part by part.
fn state(ask: &mut dyn FnMut(&Request<'_>) -> Vec<u8>) -> Vec<Vec<u8>> {
    use macula_edge::protocol::message::StatePart;
    let (mut parts, mut cursor) = (Vec::new(), 0);
    loop {
        let reply = ask(&Request::ExportState { cursor });
        let Ok(Reply::State { next, part, .. }) = Reply::parse(&reply) else { panic!("{reply:?}") };
        if matches!(part, StatePart::End { .. }) {
            return parts;
        }
        parts.push(format!("{part:?}").into_bytes());
        cursor = next;
    }
}

#[test]
fn the_chip_gives_the_same_replies_as_this_machine() {
    let shape = Shape::features_only(DIM);
    let mut host = Board::new(shape, ANY_BUNDLE);
    let mut host = host.start(shape.features()).unwrap();
    let expected = script::run(1, DIM, |message| host.answer(message));
    let expected_points = script::run_operating_points(1, DIM, |message| host.answer(message));
    assert_ne!(script::run(2, DIM, |message| host.answer(message)), expected, "the hash tells scripts apart");

    for (name, core) in
        [("script-m4f", Core::CortexM4F), ("script-m7", Core::CortexM7), ("script-m55", Core::CortexM55)]
    {
        let chip = Chip::new(name, core);
        let mut board = chip.start();
        let (found, before) = talk(&mut board, 1, |ask| {
            let found = script::run(1, DIM, |message| ask(&Request::parse(message).unwrap()));
            let points = script::run_operating_points(1, DIM, |message| ask(&Request::parse(message).unwrap()));
            ([found, points], state(ask))
        });
        assert_eq!(found, [expected, expected_points], "{name}");
        chip.has_stack(&mut board);
        board.cut_power();
        assert!(!before.is_empty());
        assert_eq!(talk(&mut chip.start(), 2, state), before, "{name}: after a power cut");
    }
}

/// Builds the example in C for this chip: `blob` is its encoder, `name` its folder.
fn build_in_c(name: &str, blob: Option<&Path>) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |named| root.join(named));
    let out = fs::canonicalize(&target).unwrap().join("cortex-m").join(name);
    let mut make = Command::new("make");
    make.arg("--directory").arg(root.join("edge/capi")).arg("chip").arg(format!("OUT={}", out.display()));
    make.env_remove("MAKEFLAGS").arg(match blob {
        Some(blob) => format!("BLOB={}", blob.display()),
        None => format!("CHIP_SIZES=-DDIM={DIM}"),
    });
    let done = make.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out.join("chip/firmware.elf")
}

/// A program in C with the static library: a thousand requests get the bytes of this machine, and survive a power cut.
#[test]
#[expect(clippy::print_stdout, reason = "measured figures, shown with --nocapture")]
fn a_program_in_c_gives_the_same_replies_as_this_machine() {
    let run_all = |answer: &mut dyn FnMut(&[u8]) -> Vec<u8>| {
        let mut requests = 0;
        let mut count = |message: &[u8]| {
            requests += 1;
            answer(message)
        };
        let hashes = [script::run(1, DIM, &mut count), script::run_operating_points(1, DIM, &mut count)];
        (hashes, script::run(2, DIM, &mut count), requests)
    };
    let shape = Shape::features_only(DIM);
    let mut host = Board::new(shape, ANY_BUNDLE);
    let mut host = host.start(shape.features()).unwrap();
    let expected = run_all(&mut |message| host.answer(message));
    assert!(expected.2 >= 1000, "only {} requests", expected.2);

    let chip = Chip::of("in-c", Machine::An500, build_in_c("in-c", None));
    let mut board = chip.start();
    let (found, before) = talk(&mut board, 1, |ask| {
        let found = run_all(&mut |message| ask(&Request::parse(message).unwrap()));
        (found, state(ask))
    });
    assert_eq!(found, expected);
    let stack = chip.has_stack(&mut board);
    board.cut_power();
    assert!(!before.is_empty());
    assert_eq!(talk(&mut chip.start(), 2, state), before, "after a power cut");

    let rust = chip::build(&ImageSpec::features_only("beside-c", DIM)).unwrap();
    for (language, image) in [("C", &chip.image), ("Rust", &rust.board)] {
        let footprint = Footprint::of(image).unwrap();
        let (flash, ram) = (footprint.flash_bytes(), footprint.ram_bytes());
        println!("device of {DIM} dimensions in {language}: {flash} bytes of flash, {ram} bytes of RAM and the stack");
        for section in &footprint.sections {
            println!("    {:14} flash {:8} RAM {:8}", section.name, section.flash_bytes, section.ram_bytes);
        }
    }
    println!("stack of the device in C: {stack} bytes at most; {} requests", found.2);
}

/// A program in C with an encoder gives the feature of this machine.
#[test]
fn a_program_in_c_embeds_as_this_machine() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/grey-64/chip/encoder.int8.blob");
    let path = fs::canonicalize(path).unwrap();
    let chip = Chip::of("in-c-grey-64", Machine::An500, build_in_c("in-c-grey-64", Some(&path)));
    let words = random::aligned(&fs::read(&path).unwrap());
    let blob = Blob::parse(bytemuck::cast_slice(&words)).unwrap();
    let pixels: Vec<u8> = (0..blob.input().values()).map(|index| (index * 31 % 251) as u8).collect();
    let image = RawImage::new(64, 64, 1, &pixels).unwrap();
    let (mut work, mut here) = (vec![0; blob.info().work_words()], vec![0; blob.dim()]);
    encode_image(&blob, &image, &mut work, &mut here).unwrap();

    let message_max = message_max(blob.dim());
    let mut memory = [vec![0; packet_max(message_max)], vec![0; packet_max(message_max)]];
    let [received, packet] = &mut memory;
    let mut client = Client::new(1, received, packet);
    let mut board = chip.start();
    let mut ask = |request: &Request<'_>| board.exchange(&mut client, request).unwrap();
    ask(&Request::Hello { version: VERSION });
    ask(&Request::ImageBegin { width: 64, height: 64, channels: 1 });
    let chunk = chunk_max(message_max);
    for (index, bytes) in pixels.chunks(chunk).enumerate() {
        ask(&Request::ImageChunk { offset: (index * chunk) as u32, bytes });
    }
    let reply = ask(&Request::Embed { input: Input::Image });
    let Ok(Reply::Feature { feature, .. }) = Reply::parse(&reply) else { panic!("{:?}", Reply::parse(&reply)) };
    let feature: Vec<i16> = feature.as_chunks::<2>().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect();
    assert_eq!(feature, here);
}

/// One line for the hash of each value, and one for the feature, as `measure-encoder` prints them.
fn hashes(blob: &[u8]) -> String {
    let words = random::aligned(blob);
    let blob = Blob::parse(bytemuck::cast_slice(&words)).unwrap();
    let pixels: Vec<u8> = (0..blob.input().values()).map(|index| (index * 31 % 251) as u8).collect();
    let (mut arena, mut feature) = (vec![0; blob.arena_words()], vec![0.0_f32; blob.dim()]);
    let hash =
        |words: &[u32]| words.iter().fold(0, |hash: u32, word| (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9));
    let mut lines = String::new();
    blob.encode_observed(&pixels, &mut arena, &mut feature, &mut |value, words| {
        writeln!(lines, "value {value} {}", hash(words)).unwrap();
    })
    .unwrap();
    writeln!(lines, "feature 0 {}", hash(bytemuck::cast_slice(&feature))).unwrap();
    lines
}

/// Helium: every value of the encoder has the bytes of this machine, and int8 takes a fraction of the instructions.
#[test]
fn a_cortex_m55_computes_the_same_values() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let shipped = |name: &str| fs::read(models.join(name).join("chip/encoder.int8.blob")).unwrap();
    let random = |arithmetic, input| Net::random(arithmetic, input, 1).with_readout(16, 2).blob();
    for (name, blob, limit) in [
        ("grey-64", shipped("grey-64"), 0.3),
        ("random-int8-colour", random(Arithmetic::Int8, [9, 7, 3]), f64::MAX),
        ("random-int8-grey", random(Arithmetic::Int8, [12, 16, 1]), f64::MAX),
        ("random-f16", random(Arithmetic::F16, [9, 7, 3]), f64::MAX),
    ] {
        let image = chip::build(&ImageSpec {
            blob: Some(&blob),
            core: Core::CortexM55,
            ..ImageSpec::features_only(&format!("{name}-m55"), 0)
        })
        .unwrap();
        let output = run_image(image.machine, &image.measure_encoder, Duration::from_secs(60)).unwrap();
        let found: String =
            output.lines().filter(|line| line.starts_with(['v', 'f'])).map(|line| format!("{line}\n")).collect();
        assert_eq!(found, hashes(&blob), "{name}");
        let per_mac = encoder_counts(&output).unwrap().1.per_mac();
        assert!(per_mac <= limit, "{name}: {per_mac} instructions a multiply-accumulate");
    }
}
