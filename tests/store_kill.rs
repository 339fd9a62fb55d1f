//! A learning process is killed at random instants: its store has every acknowledged change, and at most one more.
#![expect(clippy::print_stdout, reason = "measured figures, shown with --nocapture")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use macula::device::FlashFile;
use macula_edge::store::{Store, StoreError, buffer_len};
use macula_edge::support_set::{ClassName, SourceId, SupportRecord, SupportSet};

const DIM: usize = 64;
const CLASSES: usize = 3;
const SUPPORTS: usize = 16;
const SIZE_BYTES: u64 = 4 * 4096;
const IDENTITY: [u8; 16] = *b"encoder of tests";
const KILLS: u64 = 200;

/// The environment variable that gives the child process, this same program, its task.
const CHILD: &str = "MACULA_TEST_STORE_KILL";

/// A pseudo-random function of `number` (the finaliser of SplitMix64).
fn scramble(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn source(number: u64) -> SourceId {
    let half = |part| scramble(2 * number + part).to_le_bytes();
    [half(0), half(1)].concat().try_into().expect("two halves of 8 bytes")
}

enum Request {
    PutClass(u8, ClassName),
    Learn(SupportRecord, Vec<i16>),
    Forget(SourceId),
}

/// Request `number` of an endless script: a class each, then learning and, twelve samples later, forgetting, and from time
/// to time another name for a class.
fn request(number: u64) -> Request {
    let name = |text: String| ClassName::new(&text).expect("a short name");
    match (number, number % 3) {
        (0..3, _) => Request::PutClass(number as u8, name(format!("class {number}"))),
        (_, 0) => {
            let class = (number / 3 % 3) as u8;
            let record = SupportRecord { source: source(number), class, operator: 1, time_s: number };
            Request::Learn(record, (0..DIM as u64).map(|index| scramble(number ^ index << 32) as i16).collect())
        }
        (40.., 1) => Request::Forget(source(number - 37)),
        _ => Request::PutClass(1, name(format!("class 1, name {number}"))),
    }
}

struct Memory {
    names: [ClassName; CLASSES],
    records: Vec<SupportRecord>,
    features: Vec<i16>,
    buffer: Vec<u8>,
}

impl Memory {
    fn new() -> Self {
        Self {
            names: [ClassName::FREE; CLASSES],
            records: vec![SupportRecord::EMPTY; SUPPORTS],
            features: vec![0; SUPPORTS * DIM],
            buffer: vec![0; buffer_len::<FlashFile>(DIM)],
        }
    }

    fn lend(&mut self) -> (SupportSet<'_>, &mut [u8]) {
        let support_set = SupportSet::new(DIM, &mut self.names, &mut self.records, &mut self.features);
        (support_set.expect("the sizes agree"), &mut self.buffer)
    }
}

/// Executes request `number` in memory only.
fn apply(support_set: &mut SupportSet<'_>, number: u64) {
    match request(number) {
        Request::PutClass(class, name) => support_set.put_class(class, name),
        Request::Learn(record, feature) => support_set.learn(record, &feature).map(|_| ()),
        Request::Forget(source) => support_set.forget(&source).map(|_| ()),
    }
    .unwrap_or_else(|error| panic!("request {number}: {error}"));
}

fn state(support_set: &SupportSet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    support_set.state(|piece| bytes.extend_from_slice(piece));
    bytes
}

fn open<'m>(path: &Path, buffer: &'m mut [u8], support_set: &mut SupportSet<'_>) -> Store<'m, FlashFile> {
    let flash = FlashFile::open(path, SIZE_BYTES).expect("the file opens");
    Store::open(flash, 0..SIZE_BYTES as u32, IDENTITY, buffer, support_set).expect("the store opens")
}

/// The child, which does nothing unless the parent started it: carries out the script from a request on, and writes the number of each when it is acknowledged.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (from, path) = task.split_once(' ').expect("a number and a path");
    let mut memory = Memory::new();
    let (mut support_set, buffer) = memory.lend();
    let mut store = open(Path::new(path), buffer, &mut support_set);
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nready").expect("the parent reads");
    for number in from.parse::<u64>().expect("a number").. {
        let done: Result<(), StoreError> = match request(number) {
            Request::PutClass(class, name) => store.put_class(class, &name),
            Request::Learn(record, feature) => store.learn(&record, &feature),
            Request::Forget(source) => store.forget(&source),
        };
        done.unwrap_or_else(|error| panic!("request {number}: {error}"));
        writeln!(out, "done {number}").expect("the parent reads");
        out.flush().expect("the parent reads");
    }
}

fn start_child(path: &Path, from: u64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child", "--nocapture", "--quiet"])
        .env(CHILD, format!("{from} {}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the child starts")
}

/// Runs a child until it is killed; returns the number of acknowledged requests.
fn kill_one(path: &Path, from: u64, instant: u64) -> u64 {
    let mut child = start_child(path, from);
    let (send, receive) = mpsc::channel();
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let reader = std::thread::spawn(move || {
        let mut acknowledged = from;
        for line in lines.map_while(Result::ok) {
            match line.strip_prefix("done ").and_then(|number| number.parse::<u64>().ok()) {
                Some(number) => acknowledged = number + 1,
                None if line == "ready" => {}
                None => continue,
            }
            let _ = send.send(());
        }
        acknowledged
    });
    // Some are killed while they open the store, others once it is open or after some requests, however fast the disk is.
    // The instant within a request depends on the clock.
    for _ in 0..scramble(instant) % 4 {
        receive.recv_timeout(Duration::from_secs(20)).expect("the child goes on");
    }
    std::thread::sleep(Duration::from_micros(scramble(!instant) % 10_000));
    assert!(
        child.try_wait().expect("its status").is_none(),
        "the child ended by itself: {:?}",
        child.wait_with_output()
    );
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    reader.join().expect("its lines are read")
}

#[test]
fn killed_at_any_instant() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let (mut expected_memory, mut memory) = (Memory::new(), Memory::new());
    let mut expected = expected_memory.lend().0;
    let (mut done, mut unacknowledged, mut at_once) = (0, 0, 0);
    for instant in 0..KILLS {
        let acknowledged = kill_one(&path, done, instant);
        at_once += u64::from(acknowledged == done);
        (done..acknowledged).for_each(|number| apply(&mut expected, number));
        done = acknowledged;
        let (mut support_set, buffer) = memory.lend();
        drop(open(&path, buffer, &mut support_set));
        let found = state(&support_set);
        if found != state(&expected) {
            // The last request took effect without being acknowledged.
            apply(&mut expected, done);
            assert!(found == state(&expected), "kill {instant}: neither the state after request {done} nor before it");
            (done, unacknowledged) = (done + 1, unacknowledged + 1);
        }
    }
    println!(
        "{KILLS} kills, {done} requests, {unacknowledged} found without acknowledgement, {at_once} killed before the first"
    );
    assert!(done > KILLS / 2 && unacknowledged < KILLS, "{done} requests, {unacknowledged} unacknowledged");
}
