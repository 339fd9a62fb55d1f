//! `macula device` on a socket and a serial line, and killed while it learns.
#![cfg(all(feature = "cli", unix))]
#![allow(clippy::print_stdout, reason = "the number of kills is a result")]

mod served;
mod shell;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use macula::link::{Address, Client, ClientMemory, Feature, LinkError, Provenance, Sample, Tcp};
use macula::rng::Rng;
use macula_firmware_sim::board::{ANY_BUNDLE, Board, Shape};
use macula_firmware_sim::line::{Line, Rates};
use served::Served;
use shell::{draw_pictures, expect, fails, json};

fn start(folder: &Path, listen: &str) -> Served {
    let arguments = ["device", "--encoder", "raw-pixels", "--store", "a.store", "--max-samples", "64", "--json"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
    Served::start(command.current_dir(folder).args(arguments).args(["--listen", listen]))
}

/// Teaches two classes, predicts another picture of each, and forgets one.
fn teach_and_ask(folder: &Path, device: &str) {
    let with = |command: &'static str, more: &[&'static str]| [&[command, "--device", device], more].concat();
    expect(0, folder, &with("learn", &["--class", "bright", "bright-0.png", "bright-1.png"]));
    expect(0, folder, &with("learn", &["--class", "dark", "dark-0.png", "dark-1.png"]));
    let report = json(&expect(0, folder, &with("predict", &["--json", "bright-3.png", "dark-3.png"])).0);
    for (row, class) in report["predictions"].as_array().unwrap().iter().zip(["bright", "dark"]) {
        assert_eq!(row["class"], class, "{report}");
    }
    let why = json(&expect(0, folder, &with("why", &["--json", "dark-1.png"])).0);
    assert_eq!(why["images"][0]["nearest"][0]["class"], "dark", "{why}");
    expect(0, folder, &with("forget", &["--sample", "dark-1.png"]));
    let status = json(&expect(0, folder, &with("status", &["--json"])).0);
    assert_eq!((&status["supports"], &status["requests_repeated"]), (&3.into(), &0.into()), "{status}");
    expect(0, folder, &with("self-test", &[]));
}

#[test]
fn a_device_serves_on_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let mut running = start(path, "tcp:127.0.0.1:0");
    let address = running.address.clone();
    teach_and_ask(path, &address);
    // Only one process can use the store.
    fails(4, "device-fault", path, &["status", "--device", "a.store"], &["a.store"]);
    // The device has an encoder and accepts no other.
    let arguments = ["predict", "--device", &address, "--encoder", "raw-pixels", "dark-0.png"];
    fails(2, "other-encoder", path, &arguments, &[&address, "--encoder"]);
    // A silent client does not block others.
    let silent = TcpStream::connect(running.socket()).unwrap();
    expect(0, path, &["status", "--device", &address]);
    // Bytes that are not a frame, and a client that leaves during one.
    (&silent).write_all(&[0xa5; 70_000]).ok();
    drop(silent);
    let over_the_line = json(&expect(0, path, &["status", "--device", &address, "--json"]).0);

    // Ctrl-C stops it cleanly, and the store has everything.
    let asked = Command::new("kill").args(["-INT", &running.child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    let in_process = json(&expect(0, path, &["status", "--device", "a.store", "--json"]).0);
    assert_eq!(in_process["state_sha256"], over_the_line["state_sha256"]);
    assert_eq!(in_process["supports"], 3);
}

/// Carries bytes between the masters of two pseudo-terminals until `stop` is set.
fn relay(masters: [std::os::fd::OwnedFd; 2], stop: &AtomicBool) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let tick = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    while !stop.load(Ordering::Relaxed) {
        let mut watched = [PollFd::new(&masters[0], PollFlags::IN), PollFd::new(&masters[1], PollFlags::IN)];
        poll(&mut watched, Some(&tick)).unwrap();
        let ready = [0, 1].map(|side| watched[side].revents().contains(PollFlags::IN));
        for from in (0..2).filter(|&side| ready[side]) {
            let mut bytes = [0; 512];
            let read = rustix::io::read(&masters[from], &mut bytes).unwrap();
            let mut rest = &bytes[..read];
            while !rest.is_empty() {
                let written = rustix::io::write(&masters[1 - from], rest).unwrap();
                rest = &rest[written..];
            }
        }
    }
}

#[test]
fn a_device_serves_on_a_serial_line() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let folder = tempfile::tempdir().unwrap();
    draw_pictures(folder.path());
    // Two joined pseudo-terminals: bytes written to one end are read from the other.
    let masters = [0, 1].map(|_| openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
    let ends = [0, 1].map(|side| {
        grantpt(&masters[side]).unwrap();
        unlockpt(&masters[side]).unwrap();
        ptsname(&masters[side], Vec::new()).unwrap().into_string().unwrap()
    });
    // Held open and raw, so that nothing echoes and no end hangs up.
    let held = [0, 1].map(|side| macula::link::Serial::open(Path::new(&ends[side]), 115_200).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let carrier = std::thread::spawn(move || relay(masters, &stopped));
    let running = start(folder.path(), &format!("serial:{}", ends[0]));
    teach_and_ask(folder.path(), &format!("serial:{}:9600", ends[1]));
    drop(running);
    stop.store(true, Ordering::Relaxed);
    carrier.join().unwrap();
    drop(held);
}

/// Runs the simulated board, without an encoder, behind a socket that loses, corrupts and duplicates bytes.
fn attend_board(listener: &TcpListener, dim: usize, stop: &AtomicBool) {
    let shape = Shape::features_only(dim);
    let mut board = Board::new(shape, ANY_BUNDLE);
    let mut running = board.start(shape.features()).unwrap();
    let rates = Rates::all(10_000);
    let (mut up, mut down) = (Line::new(rates, 1), Line::new(rates, 2));
    while let Ok((mut stream, _)) = listener.accept() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        stream.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let mut bytes = [0; 1024];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => break,
                Ok(len) => up.send(&bytes[..len]),
                Err(_) => {}
            }
            let sent = running.receive(&up.tick());
            if !sent.is_empty() {
                down.send(&sent);
            }
            if stream.write_all(&down.tick()).is_err() {
                break;
            }
        }
    }
}

#[test]
fn a_board_without_an_encoder_learns_features_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let pretrain = ["pretrain", "--data", "phantoms:16:60", "--method", "rotation", "--encoder", "pico", "--quiet"];
    let small = ["--channels", "1", "--size", "16", "--epochs", "1", "--out", "RUN"];
    expect(0, path, &[&pretrain[..], &small].concat());
    expect(0, path, &["class", "add", "--device", "a.store", "--encoder", "RUN", "bright"]);
    let status = json(&expect(0, path, &["status", "--device", "a.store", "--json"]).0);
    let dim = status["feature_dim"].as_u64().unwrap() as usize;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = listener.local_addr().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let board = std::thread::spawn(move || attend_board(&listener, dim, &stopped));
    let address = format!("tcp:{socket}");
    let with = |command: &'static str, more: &[&'static str]| {
        [&[command, "--device", &address, "--encoder", "RUN"], more].concat()
    };
    expect(0, path, &with("learn", &["--class", "bright", "bright-0.png", "bright-1.png"]));
    expect(0, path, &with("learn", &["--class", "dark", "dark-0.png", "dark-1.png"]));
    let why = json(&expect(0, path, &with("why", &["--json", "bright-0.png", "dark-1.png"])).0);
    for (row, class) in why["images"].as_array().unwrap().iter().zip(["bright", "dark"]) {
        assert_eq!(row["nearest"][0]["class"], class, "{why}");
        assert!(row["nearest"][0]["similarity"].as_f64().unwrap() > 0.9999, "{why}");
    }
    let error = fails(2, "refused", path, &["predict", "--device", &address, "dark-3.png"], &[&address]);
    assert_eq!(error["reason"], macula_edge::protocol::Reason::NoEncoder as u16);
    let other = ["predict", "--device", &address, "--encoder", "raw-pixels", "dark-3.png"];
    fails(2, "other-encoder", path, &other, &[&address, "raw-pixels", "1024"]);
    // The board does not record which encoder made its features, so a store with an encoder refuses them.
    fails(2, "other-encoder", path, &["merge", "--device", "a.store", "--from", &address], &["a.store", &address]);
    stop.store(true, Ordering::Relaxed);
    drop(TcpStream::connect(socket).unwrap());
    board.join().unwrap();
}

const KILLS: usize = 200;

/// Supports kept, so that the store compacts often.
const KEPT: usize = 40;

/// A change that was in flight at the kill.
#[derive(Clone, Copy, Debug)]
enum Change {
    Learn(u32),
    Forget(u32),
}

fn source(number: u32) -> [u8; 16] {
    let mut source = [0; 16];
    source[..4].copy_from_slice(&number.to_le_bytes());
    source
}

/// A feature of length 1: one dimension only.
fn feature(number: u32) -> Feature {
    let mut values = vec![0; 2 * 1024];
    values[2 * (number as usize % 1024)..][..2].copy_from_slice(&i16::MAX.to_le_bytes());
    Feature { values, length: None }
}

/// The acknowledged supports and the change in flight.
struct Script {
    acknowledged: BTreeSet<u32>,
    next: u32,
    in_flight: Option<Change>,
    answers: usize,
    kept_in_flight: usize,
}

impl Script {
    /// Learns, and forgets the oldest when there are many, until the line breaks.
    fn play(&mut self, client: &mut Client<'_>, slot: u8) -> LinkError {
        loop {
            let oldest = self.acknowledged.first().copied().filter(|_| self.acknowledged.len() >= KEPT);
            let change = oldest.map_or(Change::Learn(self.next), Change::Forget);
            self.in_flight = Some(change);
            let result = match change {
                Change::Learn(number) => {
                    let from = Provenance { source: source(number), operator: 1, time_s: 1 };
                    client.learn(slot, &from, Sample::Feature(&feature(number))).map(drop)
                }
                Change::Forget(number) => client.forget(source(number)).map(drop),
            };
            match result {
                Ok(()) => {
                    self.apply(change);
                    self.answers += 1;
                    self.in_flight = None;
                }
                Err(error) => return error,
            }
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Learn(number) => {
                self.acknowledged.insert(number);
                self.next = number + 1;
            }
            Change::Forget(number) => _ = self.acknowledged.remove(&number),
        }
    }

    /// Checks that the device has every acknowledged change, with or without the one in flight.
    fn check(&mut self, client: &mut Client<'_>) {
        let knowledge = client.export().unwrap();
        let found: BTreeSet<u32> = knowledge
            .supports
            .iter()
            .map(|support| u32::from_le_bytes(support.from.source[..4].try_into().unwrap()))
            .collect();
        assert!(knowledge.supports.iter().all(|support| {
            support.feature == feature(u32::from_le_bytes(support.from.source[..4].try_into().unwrap())).values
        }));
        if found != self.acknowledged {
            let change = self.in_flight.unwrap_or_else(|| panic!("{found:?} is not {:?}", self.acknowledged));
            self.apply(change);
            self.kept_in_flight += 1;
            assert_eq!(found, self.acknowledged, "{change:?} was in flight");
        }
        self.in_flight = None;
    }
}

#[test]
fn a_killed_device_has_every_acknowledged_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::for_purpose(1, "instants of kills");
    let (acknowledged, in_flight) = (BTreeSet::new(), None);
    let mut script = Script { acknowledged, next: 0, in_flight, answers: 0, kept_in_flight: 0 };
    for kill in 0..KILLS {
        let mut running = start(folder.path(), "tcp:127.0.0.1:0");
        let mut line = Tcp::connect(running.socket()).unwrap();
        let (address, mut memory) = (running.address.parse::<Address>().unwrap(), ClientMemory::new());
        let sessions = Rng::for_item(1, "sessions", 0, kill as u64);
        let mut client = Client::new(&address, &mut line, &mut memory, sessions).unwrap();
        script.check(&mut client);
        let (slot, _) = client.add_class("taught").unwrap();
        let instant = Duration::from_micros(rng.below(120_000) as u64);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(instant);
            running.child.kill().unwrap();
            running
        });
        let error = script.play(&mut client, slot);
        assert!(matches!(error, LinkError::Broken { .. }), "{error}");
        drop(killer.join().unwrap());
    }
    let Script { answers, kept_in_flight, .. } = script;
    println!("{KILLS} kills: {answers} acknowledged changes are all there; of those in flight {kept_in_flight} are");
    assert!(answers >= KILLS / 2, "the kills came before the first change: {answers}");
}
