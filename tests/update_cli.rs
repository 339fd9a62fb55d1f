//! `macula update` with a Linux device: bundles are confirmed, refused and rolled back while it serves; and a device is
//! killed during updates.
#![cfg(all(feature = "cli", feature = "onnx", unix))]
#![allow(clippy::print_stdout, reason = "the number of kills is a result")]

mod served;
mod shell;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use base16ct::lower::encode_string;
use macula::bundle::{Bundle, KeyPair, PartKind};
use macula::link::{Address, Client, ClientMemory, LinkError, Tcp};
use macula::rng::Rng;
use macula_edge::bundle::write;
use macula_edge::protocol::Reason;
use served::Served;
use sha2::{Digest, Sha256};
use shell::{draw_pictures, expect, fails, json};
use tempfile::TempDir;

/// Bundles of two small encoders, and the keys of two makers.
struct Made {
    folder: TempDir,
}

impl Made {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = Made { folder: tempfile::tempdir().unwrap() };
        let path = made.folder.path();
        for seed in ["1", "2"] {
            let (run, shipped) = (format!("RUN{seed}"), format!("SHIPPED{seed}"));
            let data = ["pretrain", "--data", "phantoms:16:60", "--method", "rotation", "--encoder", "pico", "--quiet"];
            let small = ["--channels", "1", "--size", "16", "--epochs", "1", "--seed", seed, "--out", &run];
            expect(0, path, &[&data[..], &small].concat());
            expect(0, path, &["export", &run, "--data", "phantoms:16:60", "--out", &shipped, "--quiet"]);
        }
        for key in ["maker", "other"] {
            expect(0, path, &["keygen", "--out", key]);
        }
        let bundles = [
            ("first", "SHIPPED1", "maker", "1"),
            ("second", "SHIPPED1", "maker", "2"),
            ("other-encoder", "SHIPPED2", "maker", "2"),
            ("other-maker", "SHIPPED1", "other", "3"),
            ("fourth", "SHIPPED1", "maker", "4"),
        ];
        for (name, shipped, key, counter) in bundles {
            let (key, out) = (format!("{key}.key"), format!("{name}.macula"));
            let arguments = ["bundle", shipped, "--signing-key", &key, "--out", &out, "--counter", counter, "--quiet"];
            expect(0, path, &arguments);
        }
        write_changed(path, "failing", |golden| golden[golden.len() - 1] ^= 0x40);
        made
    })
}

/// The second bundle with changed golden features, signed by its maker.
fn write_changed(folder: &Path, name: &str, change: impl FnOnce(&mut [u8])) {
    let key = KeyPair::read(&folder.join("maker.key")).unwrap();
    let bundle = Bundle::open(&folder.join("second.macula"), &[key.public()]).unwrap();
    let mut golden = bundle.part(PartKind::Golden).unwrap().to_vec();
    change(&mut golden);
    let parts: Vec<(PartKind, &[u8])> = PartKind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, if kind == PartKind::Golden { &golden[..] } else { bundle.part(kind)? })))
        .collect();
    let mut bytes = Vec::new();
    write(&parts, 3, key.public(), |signed| key.sign(signed), &mut |piece| bytes.extend_from_slice(piece)).unwrap();
    std::fs::write(folder.join(format!("{name}.macula")), bytes).unwrap();
}

/// A bundle with another counter, signed again by its maker; returns its path in `folder`.
fn counted(folder: &Path, name: &str, counter: u64) -> String {
    let key = KeyPair::read(Path::new(&made().path("maker.key"))).unwrap();
    let bundle = Bundle::open(Path::new(&made().path(name)), &[key.public()]).unwrap();
    let parts: Vec<(PartKind, &[u8])> =
        PartKind::ALL.into_iter().filter_map(|kind| Some((kind, bundle.part(kind)?))).collect();
    let mut bytes = Vec::new();
    write(&parts, counter, key.public(), |signed| key.sign(signed), &mut |piece| bytes.extend_from_slice(piece))
        .unwrap();
    let path = folder.join(format!("{counter}-{name}"));
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn start(folder: &Path, more: &[&str]) -> Served {
    let arguments = ["device", "--store", "a.store", "--listen", "tcp:127.0.0.1:0", "--json", "--quiet"];
    Served::start(Command::new(env!("CARGO_BIN_EXE_macula")).current_dir(folder).args(arguments).args(more))
}

/// A first start, which needs a bundle and a key.
fn start_with(folder: &Path, bundle: &str, more: &[&str]) -> Served {
    let (bundle, key) = (made().path(bundle), made().path("maker.pub"));
    start(folder, &[&["--encoder", &bundle, "--trust", &key, "--max-samples", "64"], more].concat())
}

fn teach(folder: &Path, device: &str) {
    for class in ["bright", "dark"] {
        let pictures: Vec<String> = (0..3).map(|number| format!("{class}-{number}.png")).collect();
        let pictures: Vec<&str> = pictures.iter().map(String::as_str).collect();
        expect(0, folder, &[&["learn", "--device", device, "--class", class], &pictures[..]].concat());
    }
}

fn status(folder: &Path, device: &str) -> serde_json::Value {
    json(&expect(0, folder, &["status", "--device", device, "--json"]).0)
}

/// Checks that the device predicts new pictures correctly.
fn serves(folder: &Path, device: &str) {
    let report = json(&expect(0, folder, &["predict", "--device", device, "--json", "bright-3.png", "dark-3.png"]).0);
    for (row, class) in report["predictions"].as_array().unwrap().iter().zip(["bright", "dark"]) {
        assert_eq!(row["class"], class, "{report}");
    }
}

fn sha256(name: &str) -> String {
    encode_string(&Sha256::digest(made().read(name)))
}

fn update(code: i32, folder: &Path, device: &str, bundle: &str, more: &[&str]) -> (String, String) {
    let bundle = made().path(bundle);
    expect(code, folder, &[&["update", "--device", device, "--quiet", "--json", &bundle], more].concat())
}

#[test]
fn a_serving_device_is_updated_confirmed_and_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let running = start_with(path, "first.macula", &[]);
    let device = running.address.clone();
    teach(path, &device);
    let before = status(path, &device);
    assert_eq!((&before["bundle"]["slot"], &before["bundle"]["counter"]), (&0.into(), &1.into()), "{before}");
    assert_eq!(before["bundle"]["sha256"], sha256("first.macula"));

    let report = json(&update(0, path, &device, "second.macula", &[]).0);
    assert_eq!((&report["outcome"], &report["slot"]), (&"confirmed".into(), &1.into()), "{report}");
    let check = |device: &str, used: &str, slot: u8, counter: u8| {
        let now = status(path, device);
        let bundle = &now["bundle"];
        assert_eq!((&bundle["slot"], &bundle["counter"]), (&slot.into(), &counter.into()), "{now}");
        assert_eq!(bundle["sha256"], sha256(used), "{now}");
        assert_eq!(now["state_sha256"], before["state_sha256"], "what was taught");
        serves(path, device);
    };
    check(&device, "second.macula", 1, 2);
    assert_eq!(json(&update(0, path, &device, "second.macula", &[]).0)["outcome"], "confirmed", "sent again");

    // Refused or rolled back: each time the confirmed bundle stays in use.
    let (mut swapped, first) = (made().read("second.macula"), made().read("other-encoder.macula"));
    let onnx = Bundle::open(Path::new(&made().path("second.macula")), &[key()]).unwrap();
    let range = onnx.header().part(PartKind::Onnx).unwrap();
    let range = range.start as usize..range.end as usize;
    swapped[range.clone()].copy_from_slice(&first[range]);
    std::fs::write(path.join("swapped.macula"), &swapped).unwrap();
    let swapped = path.join("swapped.macula").display().to_string();
    let cut = path.join("cut.macula").display().to_string();
    std::fs::write(&cut, &made().read("second.macula")[..4000]).unwrap();
    // Reason of the refusal and the value it names: a counter, or the number of a `BundleError`.
    for (bundle, reason, found) in [
        ("first.macula", Reason::BundleOlder, 1),
        ("other-encoder.macula", Reason::BundleSameCounter, 2),
        ("other-maker.macula", Reason::BundleRefused, 6),
        (&swapped, Reason::BundleRefused, 10),
        (&cut, Reason::BundleRefused, 4),
    ] {
        let error = json(&update(3, path, &device, bundle, &[]).1)["error"].clone();
        assert_eq!((&error["reason"], &error["found"]), (&(reason as u16).into(), &found.into()), "{bundle}: {error}");
        check(&device, "second.macula", 1, 2);
    }
    let (out, err) = update(3, path, &device, "failing.macula", &[]);
    assert_eq!((&json(&out)["outcome"], &json(&err)["error"]["kind"]), (&"rolled back".into(), &"rolled-back".into()));
    check(&device, "second.macula", 1, 2);
    let bundle = status(path, &device)["bundle"].clone();
    assert_eq!((&bundle["other"], &bundle["other_slot"]), (&"rolled back".into(), &0.into()), "{bundle}");

    // It starts without key or file, and does not accept the older bundle of its first start.
    drop(running);
    check("a.store", "second.macula", 1, 2);
    let running = start_with(path, "first.macula", &[]);
    check(&running.address, "second.macula", 1, 2);
    drop(running);
    let older = ["status", "--device", "a.store", "--encoder", &made().path("first.macula")];
    fails(3, "bundle-refused", path, &older, &["counter 1", "counter 2"]);
    // A bundle that is damaged on the medium is refused before it is read.
    let slot = path.join("a.store.b.macula");
    let mut bytes = std::fs::read(&slot).unwrap();
    bytes[700] ^= 1;
    std::fs::write(&slot, bytes).unwrap();
    let (_, err) = expect(3, path, &["status", "--device", "a.store"]);
    assert!(err.contains("a.store.b.macula"), "{err}");
}

fn key() -> macula::bundle::PublicKey {
    macula::bundle::read_public(&PathBuf::from(made().path("maker.pub"))).unwrap()
}

#[test]
fn a_newer_bundle_at_the_start_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    drop(start_with(path, "first.macula", &[]));
    teach(path, "a.store");
    let before = status(path, "a.store");
    let used = |device: &str| {
        let now = status(path, device);
        assert_eq!(now["state_sha256"], before["state_sha256"]);
        now["bundle"]["sha256"].as_str().unwrap().to_owned()
    };
    let running = start_with(path, "second.macula", &[]);
    assert_eq!(used(&running.address), sha256("second.macula"));
    drop(running);
    let running = start_with(path, "failing.macula", &[]);
    assert_eq!(used(&running.address), sha256("second.macula"));
    drop(running);
    // A store on this machine is updated without a serving device.
    drop(std::fs::remove_file(path.join("a.store")));
    expect(2, path, &["update", "--device", "a.store", &made().path("second.macula")]);
    let (first, key) = (made().path("first.macula"), made().path("maker.pub"));
    let other = ["learn", "--device", "b.store", "--encoder", &first, "--class", "bright", "bright-0.png"];
    fails(3, "bundle-refused", path, &other, &["--trust"]);
    expect(0, path, &[&other[..], &["--trust", &key]].concat());
    assert_eq!(json(&update(0, path, "b.store", "second.macula", &[]).0)["outcome"], "confirmed");
    assert_eq!(status(path, "b.store")["supports"], 1);
}

#[test]
fn another_encoder_needs_permission_or_kept_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let running = start_with(path, "first.macula", &[]);
    let device = running.address.clone();
    teach(path, &device);
    let before = status(path, &device);
    let (_, err) = update(2, path, &device, "other-encoder.macula", &[]);
    let error = &json(&err)["error"];
    assert_eq!(error["kind"], "confirmation-needed");
    for part in ["6", "dark (3)", "--discard-taught"] {
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    }
    assert_eq!(status(path, &device)["state_sha256"], before["state_sha256"]);
    serves(path, &device);
    let report = json(&update(0, path, &device, "other-encoder.macula", &["--discard-taught"]).0);
    assert_eq!(report["outcome"], "confirmed");
    let after = status(path, &device);
    assert_eq!((&after["supports"], after["classes"].as_array().unwrap().len()), (&0.into(), 2), "{after}");
    assert_ne!(after["encoder_identity"], before["encoder_identity"]);
    // Now it keeps images.
    drop(running);
    let running = start(path, &["--keep-images"]);
    let device = running.address.clone();
    teach(path, &device);
    let images = || std::fs::read_dir(path.join("a.store.images")).unwrap().count();
    assert_eq!(images(), 6);
    let samples = |device: &str| -> BTreeSet<(String, String)> {
        let status = json(&expect(0, path, &["status", "--device", device, "--samples", "--json"]).0);
        let samples = status["samples"].as_array().unwrap().iter();
        samples.map(|row| (row["source"].to_string(), row["class"].to_string())).collect()
    };
    let taught = samples(&device);
    assert_eq!(json(&update(0, path, &device, "fourth.macula", &[]).0)["outcome"], "confirmed");
    let back = status(path, &device);
    assert_eq!(back["encoder_identity"], before["encoder_identity"]);
    assert_eq!(samples(&device), taught);
    serves(path, &device);
    // Features that were embedded again equal those of a new device.
    let apart = tempfile::tempdir().unwrap();
    draw_pictures(apart.path());
    let fresh = start_with(apart.path(), "second.macula", &[]);
    teach(apart.path(), &fresh.address);
    let nearest = |folder: &Path, device: &str| {
        let why = json(&expect(0, folder, &["why", "--device", device, "--json", "dark-3.png"]).0);
        let nearest = why["images"][0]["nearest"].as_array().unwrap().clone();
        nearest.iter().map(|row| row["similarity"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(nearest(path, &device), nearest(apart.path(), &fresh.address));
    // An image is removed with its sample, by any program.
    expect(0, path, &["forget", "--device", &device, "--sample", "dark-0.png"]);
    assert_eq!(images(), 5);
    drop(running);
    expect(0, path, &["forget", "--device", "a.store", "--class", "bright"]);
    assert_eq!(images(), 2);
    expect(0, path, &["reset", "--device", "a.store", "--yes"]);
    assert_eq!((images(), &status(path, "a.store")["bundle"]["counter"]), (0, &4.into()));
}

const KILLS: u64 = 30;

/// Bundles of two encoders alternate with rising counters on a device that keeps images and is killed meanwhile.
#[test]
fn a_device_killed_during_an_update_has_the_old_or_the_new_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    draw_pictures(path);
    let names = ["second.macula", "other-encoder.macula"];
    // Every bundle that was sent, and its encoder.
    let mut sent = vec![(made().read(names[0]), 0)];
    let next = |encoder: usize, sent: &mut Vec<(Vec<u8>, usize)>| {
        let bundle = counted(path, names[encoder], 2 + sent.len() as u64);
        sent.push((std::fs::read(&bundle).unwrap(), encoder));
        bundle
    };
    drop(start_with(path, names[0], &["--keep-images"]));
    teach(path, "a.store");
    // The state with each encoder, and the duration of an update.
    let state = |device: &str| status(path, device)["state_sha256"].as_str().unwrap().to_owned();
    let first = state("a.store");
    let running = start(path, &[]);
    let began = std::time::Instant::now();
    update(0, path, &running.address, &next(1, &mut sent), &[]);
    let (whole, states) = (began.elapsed(), [first, state(&running.address)]);
    drop(running);

    let mut rng = Rng::for_purpose(1, "instants of kills");
    let mut found = [0; 2];
    for kill in 0..KILLS {
        let mut running = start(path, &[]);
        let mut line = Tcp::connect(running.address.strip_prefix("tcp:").unwrap()).unwrap();
        let (address, mut memory) = (running.address.parse::<Address>().unwrap(), ClientMemory::new());
        let mut client = Client::new(&address, &mut line, &mut memory, Rng::for_item(1, "sessions", 0, kill)).unwrap();
        let report = client.bundles().unwrap().unwrap();
        let &(_, used) = sent.iter().find(|(bundle, _)| Sha256::digest(bundle)[..] == report.sha256).unwrap();
        next(1 - used, &mut sent);
        let (bundle, _) = sent.last().unwrap();
        let knows = encode_string(&client.state_sha256().unwrap());
        assert_eq!(knows, states[used], "kill {kill}: another state");
        found[used] += 1;
        let instant = Duration::from_micros(rng.below(whole.as_micros() as usize) as u64);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(instant);
            running.child.kill().unwrap();
            running
        });
        // The kill may come before the last byte, during the trial start, or after it.
        let done = client.send_bundle(bundle, false, &|_| ());
        let ended = done.and_then(|_| {
            loop {
                client.status()?;
            }
        });
        assert!(matches!(ended, Err::<(), _>(LinkError::Broken { .. } | LinkError::Silent { .. })), "{ended:?}");
        drop(killer.join().unwrap());
    }
    println!("{KILLS} kills in updates: found {found:?} with the first and the second bundle in use");
    assert!(found.iter().all(|&found| found > 2), "the kills hit nothing: {found:?}");
    let running = start(path, &[]);
    serves(path, &running.address);
    let used = status(path, &running.address)["bundle"]["sha256"].as_str().unwrap().to_owned();
    let &(_, used) = sent.iter().find(|(bundle, _)| encode_string(&Sha256::digest(bundle)) == used).unwrap();
    let last = next(1 - used, &mut sent);
    assert_eq!(json(&update(0, path, &running.address, &last, &[]).0)["outcome"], "confirmed");
    assert_eq!(store_files(path), ["a.store", "a.store.a.macula", "a.store.b.macula", "a.store.images"]);
}

/// The files of the store; no temporary file stays.
fn store_files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("a.store")).collect();
    names.sort();
    names
}
