//! `macula device` with faults: unwritable logs, clients that disconnect, signals, concurrent modification of its store,
//! paths that are not files.
#![cfg(all(feature = "cli", unix))]

mod served;
mod shell;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use macula::link::{Address, Client, ClientMemory, Tcp};
use macula::rng::Rng;
use served::Served;
use shell::{draw_pictures, expect, json, output};

/// The arguments of a device on `a.store`.
const DEVICE: [&str; 9] =
    ["device", "--encoder", "raw-pixels", "--store", "a.store", "--listen", "tcp:127.0.0.1:0", "--max-samples", "64"];

fn start(folder: &Path, more: &[&str]) -> Served {
    start_in_shell(folder, more, "")
}

/// * `redirect`: where its standard error goes, in shell syntax
fn start_in_shell(folder: &Path, more: &[&str], redirect: &str) -> Served {
    let line = format!("exec \"$0\" \"$@\" {redirect}");
    let mut shell = Command::new("sh");
    shell.current_dir(folder).args(["-c", &line, env!("CARGO_BIN_EXE_macula")]).args(DEVICE);
    Served::start(shell.args(more).arg("--json"))
}

/// Sends SIGTERM; returns the exit status and the time it took.
fn terminate(device: &mut Served) -> (ExitStatus, Duration) {
    let began = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &device.child.id().to_string()]).status().unwrap().success());
    (device.child.wait().unwrap(), began.elapsed())
}

/// The bytes of a hello request.
fn hello() -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = listener.local_addr().unwrap().to_string();
    let heard = std::thread::spawn(move || {
        let mut bytes = vec![0; 4096];
        let len = listener.accept().unwrap().0.read(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    });
    let (mut line, mut memory) = (Tcp::connect(&socket).unwrap(), ClientMemory::new());
    let address: Address = format!("tcp:{socket}").parse().unwrap();
    // Nothing replies; only the request is needed.
    assert!(Client::new(&address, &mut line, &mut memory, Rng::for_purpose(1, "test")).is_err());
    heard.join().unwrap()
}

/// Sends a request and disconnects without reading the reply, so that the device's next read fails with a reset.
fn reset(device: &Served, hello: &[u8]) {
    let mut client = device.connect();
    client.write_all(hello).unwrap();
    // Wait until the reply has arrived, unread.
    client.peek(&mut [0]).unwrap();
}

#[test]
fn a_failing_log_does_not_stop_a_device() {
    let hello = hello();
    for redirect in ["2>&-", "2>/dev/full", "2>log"] {
        let folder = tempfile::tempdir().unwrap();
        let device = start_in_shell(folder.path(), &[], redirect);
        let logged = || std::fs::read_to_string(folder.path().join("log")).map_or(0, |log| log.lines().count());
        let before = logged();
        for _ in 0..60 {
            reset(&device, &hello);
        }
        expect(0, folder.path(), &["status", "--device", &device.address]);
        assert!(redirect != "2>log" || logged() >= before + 2, "the resets are not in the log");
    }
}

#[test]
fn a_log_goes_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let device = start(folder.path(), &["--log", "device.log"]);
    (0..5).for_each(|_| reset(&device, &hello()));
    expect(0, folder.path(), &["status", "--device", &device.address]);
    let path = folder.path().join("device.log");
    assert!(std::fs::read_to_string(&path).unwrap().lines().count() > 0);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(device);
    let (_, err) = expect(2, folder.path(), &[&DEVICE[..], &["--log", "no/such/folder.log"]].concat());
    assert!(err.contains("no/such/folder.log"), "{err}");
}

#[test]
fn a_signal_stops_a_device_within_two_seconds() {
    let hello = hello();
    let byte_by_byte = |device: &Served| {
        let (mut client, hello) = (device.connect(), hello.clone());
        std::thread::spawn(move || {
            for &byte in hello.iter().cycle().take(400) {
                if client.write_all(&[byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
    };
    let reads_nothing = |device: &Served| {
        let (mut client, requests) = (device.connect(), hello.repeat(1000));
        client.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        std::thread::spawn(move || {
            while client.write_all(&requests).is_ok() {}
            std::thread::sleep(Duration::from_secs(10));
        });
    };
    let silent = |device: &Served| std::mem::forget(device.connect());
    type Client<'c> = &'c dyn Fn(&Served);
    let clients: [(&str, Client<'_>); 4] =
        [("idle", &|_| ()), ("silent", &silent), ("byte by byte", &byte_by_byte), ("reads nothing", &reads_nothing)];
    for (name, client) in clients {
        let folder = tempfile::tempdir().unwrap();
        let mut device = start(folder.path(), &[]);
        client(&device);
        std::thread::sleep(Duration::from_millis(500));
        let (status, took) = terminate(&mut device);
        assert_eq!(status.code(), Some(0), "{name}");
        assert!(took < Duration::from_secs(2), "{name}: {took:?}");
    }
}

#[test]
fn concurrent_modification_of_a_store_is_detected() {
    type Change = fn(&Path);
    let lose: [(&str, Change); 4] = [
        ("removed", |path| std::fs::remove_file(path).unwrap()),
        ("cut off", |path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(70_000).unwrap()),
        ("overwritten", |path| {
            let len = std::fs::metadata(path).unwrap().len() as usize;
            std::fs::write(path, vec![0xff; len]).unwrap();
        }),
        ("replaced", |path| {
            std::fs::copy(path, path.with_extension("copy")).unwrap();
            std::fs::rename(path.with_extension("copy"), path).unwrap();
        }),
    ];
    for (what, lose) in lose {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        draw_pictures(path);
        let device = start(path, &[]);
        let learn = |code, class, picture| {
            expect(code, path, &["learn", "--device", &device.address, "--class", class, picture]);
        };
        learn(0, "bright", "bright-0.png");
        learn(0, "dark", "dark-0.png");
        expect(0, path, &["self-test", "--device", &device.address]);
        std::thread::sleep(Duration::from_millis(20));
        lose(&path.join("a.store"));
        learn(4, "bright", "bright-1.png");
        let test = output(path, &["self-test", "--device", &device.address]);
        assert!([3, 4].contains(&test.status.code().unwrap()), "{what}: {test:?}");
        // Its memory still holds the acknowledged supports.
        let report = expect(0, path, &["predict", "--device", &device.address, "--json", "dark-1.png"]).0;
        assert_eq!(json(&report)["predictions"][0]["class"], "dark", "{what}");
        let status = json(&expect(0, path, &["status", "--device", &device.address, "--json"]).0);
        assert_eq!(status["supports"], 2, "{what}: the refused sample is not known");
    }
}

#[test]
fn a_blank_file_becomes_a_store_only_with_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let learn = ["learn", "--device", "notes", "--encoder", "raw-pixels", "--class", "bright", "bright-0.png"];
    for content in [vec![], vec![0; 5], vec![0; 100_000], vec![0xff; 1 << 20]] {
        std::fs::write(path.join("notes"), &content).unwrap();
        expect(2, path, &learn);
        expect(2, path, &["status", "--device", "notes"]);
        assert_eq!(std::fs::read(path.join("notes")).unwrap(), content, "the file stays");
        expect(0, path, &[&learn[..], &["--new"]].concat());
        // It is a store now; --new changes nothing.
        expect(0, path, &[&learn[..], &["--new"]].concat());
        let status = json(&expect(0, path, &["status", "--device", "notes", "--json"]).0);
        assert_eq!(status["supports"], 1, "{status}");
    }
    for content in [b"notes".to_vec(), [vec![0xff; 70_000], vec![7]].concat()] {
        std::fs::write(path.join("notes"), &content).unwrap();
        expect(2, path, &[&learn[..], &["--new"]].concat());
        assert_eq!(std::fs::read(path.join("notes")).unwrap(), content, "also with --new");
    }
}

#[test]
fn a_path_that_is_not_a_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    expect(0, path, &["learn", "--device", "a.store", "--encoder", "raw-pixels", "--class", "bright", "bright-0.png"]);
    assert!(Command::new("mkfifo").arg(path.join("pipe")).status().unwrap().success());
    for no_file in ["/dev/zero", "pipe", "."] {
        let learn = ["learn", "--device", no_file, "--encoder", "raw-pixels", "--class", "bright", "bright-0.png"];
        let device = ["device", "--encoder", "raw-pixels", "--store", no_file, "--listen", "tcp:127.0.0.1:0"];
        let commands: [&[&str]; 7] = [
            &learn,
            &[&learn[..], &["--new"]].concat(),
            &device,
            &["status", "--device", no_file],
            &["status", "--device", "a.store", "--trust", no_file],
            &["update", "--device", "a.store", no_file],
            &["verify", no_file, "--trust", no_file],
        ];
        for command in commands {
            let began = Instant::now();
            let code = output(path, command).status.code();
            assert!([Some(2), Some(3), Some(4)].contains(&code), "{command:?}: {code:?}");
            assert!(began.elapsed() < Duration::from_secs(10), "{command:?}");
        }
    }
}

#[test]
fn a_store_is_private_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let run = |arguments: &str| {
        let line = format!("umask 000; exec \"$0\" {arguments}");
        let run = Command::new("sh").current_dir(path).args(["-c", &line, env!("CARGO_BIN_EXE_macula")]).output();
        let run = run.unwrap();
        assert!(run.status.success(), "{run:?}");
    };
    let mode = |name: &str| std::fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
    run("learn --device a.store --encoder raw-pixels --class bright bright-0.png --quiet");
    assert_eq!(mode("a.store"), 0o600);
    // Access that an earlier program left open is removed.
    std::fs::set_permissions(path.join("a.store"), std::fs::Permissions::from_mode(0o644)).unwrap();
    run("status --device a.store --quiet");
    assert_eq!(mode("a.store"), 0o600);
}

#[test]
fn a_port_in_use_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let listen = format!("tcp:127.0.0.1:{port}");
    let arguments = ["device", "--encoder", "raw-pixels", "--store", "b.store", "--listen", &listen];
    expect(4, folder.path(), &arguments);
}

#[test]
fn a_named_start_writes_its_name_process_and_address() {
    let folder = tempfile::tempdir().unwrap();
    let started = folder.path().join("a.store.started");
    drop(start(folder.path(), &[]));
    assert!(!started.exists(), "the start has no name");
    let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
    let command = command.current_dir(folder.path()).args(DEVICE).arg("--json").env("MACULA_START", "5eed");
    let device = Served::start(command);
    let expected = format!("start 5eed\npid {}\nlistening {}\n", device.child.id(), device.address);
    assert_eq!(std::fs::read_to_string(started).unwrap(), expected);
}
