//! The page's server, over HTTP: teaching, undo, the queue, state, events, load.

mod page;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use page::{Client, Served, Ward, phantoms};
use serde_json::{Value, json};

/// Teaches `images` of two classes; returns the sources.
fn teach(client: &Client, images: &[(Vec<u8>, usize)]) -> Vec<String> {
    let slots = [client.add_class("round"), client.add_class("square")];
    let learn = |(image, label): &(Vec<u8>, usize)| {
        let path = format!("/samples?class={}&operator=7", slots[label % 2]);
        client.post(&path, image).ok()["source"].as_str().unwrap().to_owned()
    };
    images.iter().map(learn).collect()
}

/// Half of the phantoms in each class.
fn two_classes(count: usize) -> Vec<(Vec<u8>, usize)> {
    phantoms(count).into_iter().enumerate().map(|(index, (image, _))| (image, index % 2)).collect()
}

#[test]
fn a_class_is_taught_predicted_explained_and_forgotten() {
    let ward = Ward::new();
    let served = ward.serve(&[]);
    let client = served.client();
    let image = &phantoms(30)[29].0;
    let untaught = client.post("/predictions", image).ok();
    assert_eq!((&untaught["decision"], &untaught["class"]), (&json!("untaught"), &Value::Null));
    let sources = teach(&client, &two_classes(20));
    assert_eq!(client.classes(), [("round".to_owned(), 10), ("square".to_owned(), 10)]);

    let prediction = client.post("/predictions?error_rate=0.1", image).ok();
    assert_ne!(prediction["decision"], "untaught");
    assert_eq!((&prediction["enough"], &prediction["shots_needed"]), (&json!(true), &json!(9)));
    let nearest = prediction["nearest"].as_array().unwrap();
    assert_eq!((nearest.len(), &nearest[0]["operator"], &nearest[0]["image"]), (5, &json!(7), &json!(true)));
    // A sample is recognised as one.
    let own = client.post("/predictions", &two_classes(20)[3].0).ok();
    assert_eq!((&own["learned"], &own["source"]), (&json!(1), &json!(sources[3])));
    assert_eq!(client.post("/predictions?error_rate=0.9", image).kind(), "input");

    let picture = client.get(&format!("/samples/{}/image?size=16", sources[0]));
    assert_eq!((picture.status, picture.headers["content-type"].to_str().unwrap()), (200, "image/png"));
    let picture = image::load_from_memory(&picture.body).unwrap();
    assert_eq!((picture.width(), picture.height()), (16, 16));
    let map = client.post("/predictions/heat-map?class=1", image);
    assert_eq!((map.status, map.headers["content-type"].to_str().unwrap()), (200, "image/png"));
    let (map, own) = (image::load_from_memory(&map.body).unwrap(), image::load_from_memory(image).unwrap());
    assert_eq!((map.width(), map.height()), (own.width(), own.height()));
    assert_ne!(map.to_luma8(), own.to_luma8());
    assert_eq!(client.post("/predictions/heat-map?class=9", image).kind(), "refused");
    let seen = client.post("/previews", image);
    assert_eq!(image::load_from_memory(&seen.body).unwrap().width(), 32);

    // The same image again, and as another class.
    let again = client.post("/samples?class=0", &two_classes(20)[0].0).ok();
    assert_eq!((&again["new"], &again["samples"]), (&json!(false), &json!(10)));
    let contradiction = client.post("/samples?class=1", &two_classes(20)[0].0);
    assert_eq!((contradiction.status, contradiction.kind().as_str()), (409, "exists"));
    assert_eq!(contradiction.json()["error"]["found"], 0);
    assert_eq!(client.post("/samples?class=9", image).kind(), "unknown-class");

    let quality = client.get("/quality").ok();
    assert_eq!((&quality["evaluated"], &quality["left_out"]), (&json!(20), &json!(1)));
    let of = |quality: &Value, class: usize| quality["classes"][class]["sensitivity"]["of"].clone();
    assert_eq!((of(&quality, 0), of(&quality, 1)), (json!(10), json!(10)));

    assert_eq!(client.delete(&format!("/samples/{}", sources[0])).ok()["class"], 0);
    assert_eq!(client.delete(&format!("/samples/{}", sources[0])).kind(), "unknown-sample");
    assert_eq!(client.get(&format!("/samples/{}/image", sources[0])).kind(), "not-found");
    assert_eq!(client.get("/quality").ok()["evaluated"], 19);
    let samples = client.get("/samples?class=1").ok();
    assert_eq!(samples["samples"].as_array().unwrap().len(), 10);
}

#[test]
fn an_operating_point_is_set_shown_and_removed() {
    let ward = Ward::new();
    let served = ward.serve(&[]);
    let client = served.client();
    teach(&client, &two_classes(20));
    let image = &phantoms(30)[29].0;
    let plain = client.post("/predictions", image).ok();
    assert_eq!(
        (&plain["operating_point"], &plain["positive"], &plain["score"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(client.get("/device").ok()["operating_point"], Value::Null);

    let put = |class: u64, target: Value| {
        client.json("PUT", "/operating-point?operator=4", &json!({ "class": class, "target": target }))
    };
    assert_eq!(put(1, json!({ "kind": "sensitivity", "share": 1.0 })).kind(), "input");
    assert_eq!(put(9, json!({ "kind": "sensitivity", "share": 0.9 })).kind(), "unknown-class");
    let report = put(1, json!({ "kind": "sensitivity", "share": 0.9 })).ok();
    assert_eq!(
        (&report["class"], &report["target"]["share"], &report["enough"]),
        (&json!(1), &json!(0.9), &json!(true))
    );
    assert_eq!((&report["sensitivity"]["of"], &report["promise"]), (&json!(10), &json!(0.9)));
    assert_eq!(client.get("/device").ok()["operating_point"], report);
    let log = client.get("/audit?limit=1").ok();
    let entry = |name: &str| log["entries"][0][name].clone();
    assert_eq!(
        (entry("action"), entry("class"), entry("operator")),
        (json!("operating-point"), json!("square"), json!(4))
    );

    let decided = client.post("/predictions", image).ok();
    assert_eq!(decided["operating_point"], report);
    let (score, threshold) = (decided["score"].as_f64().unwrap(), report["threshold"].as_f64().unwrap());
    match decided["decision"].as_str().unwrap() {
        "class" | "several" => assert_eq!(decided["positive"], json!(score >= threshold)),
        _ => assert_eq!(decided["positive"], Value::Null),
    }
    client.delete("/operating-point").ok();
    assert_eq!(client.get("/device").ok()["operating_point"], Value::Null);
    put(1, json!({ "kind": "costs", "missed": 20, "false_alarm": 1 })).ok();
    client.delete("/classes/1").ok();
    assert_eq!(client.get("/device").ok()["operating_point"], Value::Null, "it goes with its class");
}

#[test]
fn every_change_can_be_taken_back() {
    let ward = Ward::new();
    let served = ward.serve(&[]);
    let client = served.client();
    let sources = teach(&client, &two_classes(6));
    let device = client.get("/device").ok();
    assert_eq!(device["undo"], json!({ "action": "learn", "class": "square", "samples": 1 }));
    let picture = |source: &str| client.get(&format!("/samples/{source}/image")).body;
    let (before, first) = (client.state_sha256(), picture(&sources[0]));
    type Change<'c> = (&'c str, Box<dyn Fn() -> page::Reply + 'c>);
    let changes: [Change<'_>; 5] = [
        ("forget", Box::new(|| client.delete(&format!("/samples/{}", sources[0])))),
        ("move", Box::new(|| client.json("PATCH", &format!("/samples/{}", sources[0]), &json!({ "class": 1 })))),
        ("add-class", Box::new(|| client.json("POST", "/classes", &json!({ "name": "third" })))),
        ("rename-class", Box::new(|| client.json("PATCH", "/classes/0", &json!({ "name": "oval" })))),
        ("remove-class", Box::new(|| client.delete("/classes/0"))),
    ];
    for (action, change) in &changes {
        change().ok();
        assert_ne!(client.state_sha256(), before, "{action} changes the state");
        let revision = client.get("/device").ok()["revision"].as_u64().unwrap();
        assert_eq!(client.post(&format!("/undo?revision={}", revision - 1), &[]).kind(), "refused");
        let undone = client.post(&format!("/undo?revision={revision}"), &[]).ok();
        assert_eq!(undone["undone"]["action"], *action);
        assert_eq!(client.state_sha256(), before, "{action} is taken back");
        assert_eq!(picture(&sources[0]), first, "{action}: the picture is back");
    }
    // All of them, then back one after the other.
    for (_, change) in &changes[1..] {
        change().ok();
    }
    for _ in &changes[1..] {
        client.post("/undo", &[]).ok();
    }
    assert_eq!(client.state_sha256(), before);
    let who: BTreeSet<u64> = client.get("/samples").ok()["samples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["operator"].as_u64().unwrap())
        .collect();
    assert_eq!(who, BTreeSet::from([7]), "operators are kept");
    for _ in 0..8 {
        client.post("/undo", &[]).ok();
    }
    assert_eq!(client.classes(), []);
    assert_eq!(client.post("/undo", &[]).kind(), "not-found");
}

#[test]
fn a_queue_asks_and_labels() {
    let ward = Ward::new();
    let served = ward.serve(&[]);
    let client = served.client();
    let images = two_classes(20);
    teach(&client, &images[..10]);
    for (index, (image, _)) in images[8..].iter().enumerate() {
        let reply = client.post(&format!("/queue?name=scan%20{index}.png"), image);
        match index {
            0 | 1 => assert_eq!(reply.kind(), "exists", "samples need no label"),
            _ => assert_eq!(reply.ok()["new"], true),
        }
    }
    assert_eq!(client.post("/queue?name=again.png", &images[15].0).ok()["new"], false);
    let queue = || {
        for _ in 0..100 {
            let queue = client.get("/queue").ok();
            if queue["items"].as_array().unwrap().iter().all(|item| item["prediction"].is_object()) {
                return queue;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the queue was not embedded");
    };
    let first = queue();
    assert_eq!((&first["images"], first["items"].as_array().unwrap().len()), (&json!(10), 10));
    let uncertainty = |item: &Value| {
        let (set, probability) =
            (item["prediction"]["set"].as_array().unwrap().len(), item["prediction"]["probability"].as_f64().unwrap());
        macula::measure::uncertainty(set, probability)
    };
    let order: Vec<f64> = first["items"].as_array().unwrap().iter().map(uncertainty).collect();
    assert!(order.is_sorted_by(|a, b| a >= b), "{order:?}");
    let id = first["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(first["items"][0]["name"].as_str().unwrap().starts_with("scan "));
    assert_eq!(client.get(&format!("/queue/{id}/image?size=20")).status, 200);
    let learned = client.json("POST", &format!("/queue/{id}/label"), &json!({ "class": 1, "operator": 3 })).ok();
    assert_eq!((&learned["new"], &learned["samples"]), (&json!(true), &json!(6)));
    assert_eq!(client.json("POST", &format!("/queue/{id}/label"), &json!({ "class": 1 })).kind(), "not-found");
    assert_eq!(queue()["images"], 9);
    // Undo puts it back into the queue.
    client.post("/undo", &[]).ok();
    assert_eq!(queue()["images"], 10);
    client.delete(&format!("/queue/{id}")).ok();
    drop(served);
    let served = ward.serve(&[]);
    assert_eq!(served.client().get("/queue").ok()["images"], 9, "the queue outlives the server");
}

/// The files are those of a server that was killed between forgetting a sample and adding it to its new class.
#[test]
fn a_move_that_was_interrupted_is_finished_with_its_picture() {
    let ward = Ward::new();
    let mut served = ward.serve(&[]);
    let client = served.client();
    let source = teach(&client, &two_classes(4))[0].clone();
    let picture = client.get(&format!("/samples/{source}/image")).body;
    let archive = std::io::Cursor::new(client.get("/state").body);
    let mut archive = zip::ZipArchive::new(archive).unwrap();
    let state: Value = serde_json::from_reader(archive.by_name("state.json").unwrap()).unwrap();
    let sample = state["samples"].as_array().unwrap().iter().find(|sample| sample["source"] == json!(source)).unwrap();
    let mut pending = sample.clone();
    pending["class"] = json!("square");
    pending["encoder"] = state["encoder"].clone();
    client.delete(&format!("/samples/{source}")).ok();
    served.child.kill().unwrap();
    drop(served);
    let files = ward.folder.path().join("ward.store.page");
    std::fs::write(files.join("pending.json"), pending.to_string()).unwrap();
    std::fs::write(files.join(format!("undo/{source}.png")), &picture).unwrap();
    let served = ward.serve(&[]);
    let client = served.client();
    assert_eq!(client.classes(), [("round".to_owned(), 1), ("square".to_owned(), 3)]);
    assert!(client.get(&format!("/samples/{source}/image")).body == picture);
    assert!(!files.join("pending.json").exists());
    let samples = client.get("/samples?class=1").ok();
    let moved = samples["samples"].as_array().unwrap().iter().find(|sample| sample["source"] == json!(source)).unwrap();
    assert_eq!((&moved["operator"], &moved["time_s"]), (&json!(7), &sample["time_s"]));
}

#[test]
fn a_state_is_exported_and_imported_with_its_pictures() {
    let (ward, other) = (Ward::new(), Ward::new());
    let (served, receiving) = (ward.serve(&[]), other.serve(&[]));
    let (client, receiver) = (served.client(), receiving.client());
    let sources = teach(&client, &two_classes(6));
    let archive = client.get("/state");
    assert_eq!(archive.headers["content-type"].to_str().unwrap(), "application/zip");
    let imported = receiver.post("/state", &archive.body).ok();
    assert_eq!(imported, json!({ "learned": 6, "known": 0, "classes_added": 2 }));
    assert_eq!(receiver.state_sha256(), client.state_sha256());
    let picture = format!("/samples/{}/image", sources[2]);
    assert_eq!(receiver.get(&picture).body, client.get(&picture).body);
    assert_eq!(receiver.post("/state", &archive.body).ok(), json!({ "learned": 0, "known": 6, "classes_added": 0 }));
    receiver.post("/undo", &[]).ok();
    assert_eq!(receiver.classes(), []);
    // A contradiction changes nothing.
    let slot = receiver.add_class("round");
    receiver.post(&format!("/samples?class={slot}"), &two_classes(6)[1].0).ok();
    let before = receiver.state_sha256();
    assert_eq!(receiver.post("/state", &archive.body).kind(), "exists");
    assert_eq!(receiver.post("/state", &archive.body[..archive.body.len() / 2]).kind(), "input");
    assert_eq!(receiver.post("/state", b"PK no archive").kind(), "input");
    assert_eq!(receiver.state_sha256(), before);
}

#[test]
fn what_was_acknowledged_survives_a_kill_in_the_middle_of_learning() {
    let ward = Ward::new();
    let images = two_classes(120);
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    for round in 0..6u64 {
        let mut served = ward.serve(&[]);
        let client = served.client();
        let slots = [client.add_class("round"), client.add_class("square")];
        let known: BTreeSet<String> = client.get("/samples").ok()["samples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sample| {
                let source = sample["source"].as_str().unwrap().to_owned();
                assert_eq!(client.get(&format!("/samples/{source}/image")).status, 200, "its picture is there");
                source
            })
            .collect();
        assert!(acknowledged.is_subset(&known), "round {round}: {} of {}", known.len(), acknowledged.len());
        assert!(known.len() <= acknowledged.len() + 2, "at most the last request of each client was not acknowledged");
        acknowledged = known;
        let all = Mutex::new(&mut acknowledged);
        let images = &images[round as usize * 20..][..20];
        std::thread::scope(|scope| {
            for half in images.chunks(10) {
                let (client, all) = (client.clone(), &all);
                scope.spawn(move || {
                    for (image, label) in half {
                        let Ok(reply) = client.send("POST", &format!("/api/v1/samples?class={}", slots[*label]), image)
                        else {
                            return;
                        };
                        all.lock().unwrap().insert(reply.ok()["source"].as_str().unwrap().to_owned());
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(5 + 13 * round));
            served.child.kill().unwrap();
        });
    }
    let served = ward.serve(&[]);
    let client = served.client();
    let texts = |value: &Value, name: &str| -> BTreeSet<String> {
        value[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let samples = client.get("/samples").ok();
    let samples =
        samples["samples"].as_array().unwrap().iter().map(|sample| sample["source"].as_str().unwrap().to_owned());
    let samples: BTreeSet<String> = samples.collect();
    assert!(acknowledged.is_subset(&samples));
    // Also one that was stored and not acknowledged.
    let log = client.get("/audit?limit=1000").ok();
    let learned = log["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == "learn");
    let learned: BTreeSet<String> = learned.flat_map(|entry| texts(entry, "samples")).collect();
    assert!(samples.is_subset(&learned), "{:?} are not in the audit log", samples.difference(&learned));
}

#[test]
fn changes_are_told_and_written_down() {
    let ward = Ward::new();
    let served = ward.serve(&[]);
    let client = served.client();
    let socket = served.url.strip_prefix("http://").unwrap();
    let mut events = TcpStream::connect(socket).unwrap();
    events.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    events.write_all(format!("GET /api/v1/events HTTP/1.1\r\nhost: {socket}\r\n\r\n").as_bytes()).unwrap();
    let mut heard = String::new();
    let mut hear = |text: &str| {
        while !heard.contains(text) {
            let mut bytes = [0; 4096];
            let count = events.read(&mut bytes).unwrap();
            assert!(count > 0, "the stream ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    hear("event: change");
    hear(r#"{"revision":0,"queue":0}"#);
    client.add_class("round");
    hear(r#"{"revision":1,"queue":0}"#);
    client.post("/queue?name=a.png", &phantoms(2)[1].0).ok();
    hear(r#"{"revision":1,"queue":1}"#);
    client.json("POST", "/classes?operator=4", &json!({ "name": "square" })).ok();
    client.delete("/classes/7?operator=4");
    let log = client.get("/audit?limit=2").ok();
    let entry = |index: usize, name: &str| log["entries"][index][name].clone();
    assert_eq!(
        (entry(0, "action"), entry(0, "class"), entry(0, "operator")),
        (json!("add-class"), json!("square"), json!(4))
    );
    assert_eq!(
        (entry(0, "result"), entry(0, "client"), entry(1, "action")),
        (json!("done"), json!("127.0.0.1"), json!("queue"))
    );
}

/// `docs/openapi.json` is generated: `MACULA_WRITE=1 cargo test --test serve openapi` writes it.
#[test]
fn openapi_json_is_generated() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let generated = macula::serve::openapi();
    if std::env::var_os("MACULA_WRITE").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == generated, "docs/openapi.json is out of date: MACULA_WRITE=1 cargo test --test serve openapi");
    let served = Ward::new();
    let served = served.serve(&[]);
    assert!(served.client().get("/openapi.json").body == kept.as_bytes());
}

#[test]
fn every_file_of_the_page_is_served() {
    let ward = Ward::new();
    let served = ward.serve(&[]);
    let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist");
    let mut files = 0;
    for entry in std::fs::read_dir(dist).unwrap() {
        let entry = entry.unwrap();
        let path = match entry.file_name().to_str().unwrap() {
            "index.html" => "/".to_owned(),
            name => format!("/{name}"),
        };
        let reply = served.client().send("GET", &path, &[]).unwrap();
        assert_eq!(reply.status, 200, "{path} is in src/serve/assets.rs");
        assert!(reply.body == std::fs::read(entry.path()).unwrap(), "{path}: build the program again");
        files += 1;
    }
    assert!(files > 5);
}

#[test]
fn a_device_serves_the_page_as_well() {
    let ward = Ward::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
    command.args([
        "device",
        "--json",
        "--encoder",
        "raw-pixels",
        "--keep-images",
        "--listen",
        "http:localhost:0",
        "--store",
    ]);
    let served = Served::run(command.arg(ward.store()));
    let client = served.client();
    let sources = teach(&client, &two_classes(4));
    assert_eq!(client.get(&format!("/samples/{}/image", sources[1])).status, 200);
}

/// A device on a line: the page keeps the pictures.
#[test]
fn a_device_on_a_line_is_taught_through_the_page() {
    let ward = Ward::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
    command.args(["device", "--json", "--encoder", "raw-pixels", "--listen", "tcp:localhost:0", "--store"]);
    let device = Served::run(command.arg(ward.store()));
    let files = ward.folder.path().join("page");
    let serve = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_macula"));
        Served::run(
            command
                .args(["serve", "--json", "--listen", "localhost:0", "--device", &device.url, "--files"])
                .arg(&files)
                .args(options),
        )
    };
    let served = serve(&[]);
    let client = served.client();
    let sources = teach(&client, &two_classes(6));
    let picture = |client: &Client, source: &str| client.get(&format!("/samples/{source}/image")).status;
    assert_eq!(picture(&client, &sources[0]), 200);
    client.delete(&format!("/samples/{}", sources[0])).ok();
    assert_eq!(picture(&client, &sources[0]), 404);
    client.post("/undo", &[]).ok();
    assert_eq!(picture(&client, &sources[0]), 200);
    assert_eq!(
        client.post("/previews", &two_classes(1)[0].0).kind(),
        "refused",
        "a line does not tell the input's size"
    );
    drop(served);
    let served = serve(&[]);
    assert_eq!((served.client().classes().len(), picture(&served.client(), &sources[3])), (2, 200));
}

/// Many clients at once: all are answered, and the program's memory does not grow with their number of requests.
#[cfg(target_os = "linux")]
#[test]
fn many_clients_are_answered_within_bounded_memory() {
    let ward = Ward::new();
    let served = ward.serve(&[]);
    let client = served.client();
    let images = two_classes(40);
    teach(&client, &images[..20]);
    let round = || {
        std::thread::scope(|scope| {
            for _ in 0..16 {
                let (client, images) = (served.client(), &images);
                scope.spawn(move || {
                    for (image, _) in &images[20..] {
                        // A client that sends too much is told to wait.
                        while client.post("/predictions", image).status == 429 {
                            std::thread::sleep(Duration::from_millis(200));
                        }
                    }
                });
            }
        });
        memory(served.child.id())
    };
    let first = round();
    let second = round();
    assert!(second < first + (8 << 20), "{first} bytes after 320 requests, {second} after 640");
}

/// Resident bytes of a process.
#[cfg(target_os = "linux")]
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
