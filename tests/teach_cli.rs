//! `learn`, `predict`, `why`, `forget`, `merge` and `status` on the file of a store: exit codes, errors
//! and reports.
#![cfg(feature = "cli")]

#[cfg(all(feature = "camera", target_os = "linux", target_pointer_width = "64"))]
#[path = "teach_cli/camera.rs"]
mod camera;
#[path = "teach_cli/heat_map.rs"]
mod heat_map;
mod shell;

use macula_edge::protocol::Reason;
use shell::{draw_pictures, expect, expect_usage, fails, json};

const STORE: [&str; 2] = ["--device", "a.store"];

/// The command on the store of these tests.
fn with<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command], &STORE[..], more].concat()
}

/// A folder with a store that has three pictures of each class.
fn taught() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    draw_pictures(folder.path());
    for class in ["bright", "dark"] {
        let names = [0, 1, 2].map(|number| format!("{class}-{number}.png"));
        let images: Vec<&str> = names.iter().map(String::as_str).collect();
        let more = [&["--encoder", "raw-pixels", "--class", class], &images[..]].concat();
        expect(0, folder.path(), &with("learn", &more));
    }
    folder
}

/// The hash of the state of the store.
fn state(folder: &tempfile::TempDir) -> String {
    let status = json(&expect(0, folder.path(), &with("status", &["--json"])).0);
    status["state_sha256"].as_str().unwrap().to_owned()
}

#[test]
fn learns_and_predicts() {
    let folder = taught();
    for head in ["auto", "prototype", "gaussian", "logistic"] {
        let asked = ["--json", "--head", head, "--error-rate", "30", "bright-3.png", "dark-3.png"];
        let report = json(&expect(0, folder.path(), &with("predict", &asked)).0);
        for (row, class) in report["predictions"].as_array().unwrap().iter().zip(["bright", "dark"]) {
            assert_eq!(row["class"], class, "{head}: {report}");
            assert!(row["probability"].as_f64().unwrap() > 0.5, "{head}: {report}");
            assert!(row["set"].as_array().unwrap().iter().any(|name| name == class), "{head}: {report}");
            assert_eq!(row["nearest"][0]["class"], class, "{head}: {report}");
        }
    }
    let (out, _) = expect(0, folder.path(), &with("status", &["--samples"]));
    for part in ["raw-pixels", "1024 dimensions", "6 of 4096 in 2", "bright", "operator"] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

/// With one class, every image would have probability 1.
#[test]
fn one_class_has_no_probability() {
    let folder = tempfile::tempdir().unwrap();
    draw_pictures(folder.path());
    let learn = |class: &str, image: &str| {
        expect(0, folder.path(), &with("learn", &["--encoder", "raw-pixels", "--class", class, image]));
    };
    learn("dark", "dark-0.png");
    let asked = ["--json", "bright-3.png", "dark-3.png"];
    for head in ["auto", "prototype", "gaussian", "logistic"] {
        let report = json(&expect(0, folder.path(), &with("predict", &[&asked[..], &["--head", head]].concat())).0);
        assert_eq!(report["only_one_class"], true);
        for row in report["predictions"].as_array().unwrap() {
            assert_eq!((&row["class"], &row["probability"]), (&"dark".into(), &serde_json::Value::Null), "{row}");
        }
    }
    for command in ["predict", "why"] {
        let (out, _) = expect(0, folder.path(), &with(command, &["bright-3.png"]));
        assert!(out.contains("'dark'"), "{out}");
        assert!(command == "why" || !out.contains("1.000"), "{out}");
    }
    assert_eq!(json(&expect(0, folder.path(), &with("why", &asked)).0)["only_one_class"], true);
    // A class without samples changes nothing.
    expect(0, folder.path(), &["class", "add", "--device", "a.store", "bright"]);
    assert_eq!(json(&expect(0, folder.path(), &with("predict", &asked)).0)["only_one_class"], true);
    learn("bright", "bright-0.png");
    let report = json(&expect(0, folder.path(), &with("predict", &asked)).0);
    assert_eq!(report["only_one_class"], false);
    assert!(report["predictions"][0]["probability"].as_f64().unwrap() > 0.5, "{report}");
    // Without samples, a prediction is refused.
    for class in ["dark", "bright"] {
        expect(0, folder.path(), &with("forget", &["--class", class]));
    }
    let error = fails(2, "refused", folder.path(), &with("predict", &["dark-3.png"]), &["a.store"]);
    assert_eq!(error["reason"], Reason::NothingLearned as u16);
}

/// Labels without a class of that name are left out and reported.
#[test]
fn labels_are_matched_with_classes_by_name() {
    let folder = taught();
    let place = |class: &str, label: &str, number: u32| {
        let path = folder.path().join("ward").join(label);
        std::fs::create_dir_all(&path).unwrap();
        shell::picture(class, number).save(path.join(format!("{class}-{number}.png"))).unwrap();
    };
    (10..14).for_each(|number| place("bright", "bright", number));
    (10..13).for_each(|number| place("dark", "dark", number));
    // One of the learned images, a wrong label, and labels that are no class of the device.
    place("dark", "dark", 1);
    place("bright", "dark", 20);
    place("bright", "unheard", 21);
    place("dark", "unheard", 22);
    let report = json(&expect(0, folder.path(), &with("predict", &["--data", "ward", "--json"])).0);
    assert_eq!(report["confusion"]["classes"], serde_json::json!(["bright", "dark"]));
    let (counts, unknown) = (&report["confusion"]["counts"], &report["confusion"]["unknown"]);
    assert_eq!((counts, unknown), (&serde_json::json!([[4, 0], [1, 3]]), &serde_json::json!([0, 0])));
    assert_eq!(report["balanced_accuracy"], 0.875);
    assert_eq!(report["classes"][1]["sensitivity"], 0.75);
    assert_eq!(report["classes"][0]["specificity"], 0.75);
    assert_eq!(report["learned_images_left_out"], 1);
    assert_eq!(report["unmatched_labels"], serde_json::json!([{ "label": "unheard", "images": 2 }]));
    // The image with the wrong label has a higher probability of `bright` than most true ones.
    let area = report["area_under_roc"].as_f64().unwrap();
    assert!((0.7..1.0).contains(&area) && report["classes"][1]["area_under_roc"] == area, "{report}");
    let (out, _) = expect(0, folder.path(), &with("predict", &["--data", "ward"]));
    for part in ["sensitivity", "specificity", "ROC AUC", "confusion matrix", "I don't know", "'unheard'"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    for label in ["unheard", "unseen"] {
        std::fs::create_dir_all(folder.path().join("other").join(label)).unwrap();
        shell::picture("dark", 30).save(folder.path().join("other").join(label).join("0.png")).unwrap();
    }
    let labels = ["other", "unheard", "unseen", "bright", "dark"];
    fails(2, "unknown-class", folder.path(), &with("predict", &["--data", "other"]), &labels);
}

#[test]
fn predictions_abstain_on_unknown_images() {
    let folder = taught();
    // Three samples per class are too few for an error rate of 10 %: nine are needed.
    let (out, _) = expect(0, folder.path(), &with("predict", &["bright-3.png"]));
    assert!(out.contains("10 %") && out.contains(" 9 "), "{out}");
    // 24 samples are enough for OOD detection, whose false alarm rate is 1 in 20.
    for class in ["bright", "dark"] {
        let name = format!("more-{class}");
        let pictures = folder.path().join(&name);
        std::fs::create_dir(&pictures).unwrap();
        for number in 4..13 {
            shell::picture(class, number).save(pictures.join(format!("{number}.png"))).unwrap();
        }
        expect(0, folder.path(), &with("learn", &["--class", class, "--data", &name]));
    }
    // Stripes are out of distribution.
    let stripes = image::GrayImage::from_fn(40, 30, |x, y| image::Luma([if (x / 2 + y) % 2 == 0 { 255 } else { 0 }]));
    stripes.save(folder.path().join("stripes.png")).unwrap();
    let report = json(&expect(0, folder.path(), &with("predict", &["bright-1.png", "stripes.png", "--json"])).0);
    let [bright, stripes] = [0, 1].map(|row| &report["predictions"][row]);
    assert_eq!(
        (&bright["class"], &bright["known"], &stripes["known"]),
        (&"bright".into(), &true.into(), &false.into())
    );
    assert_eq!(bright["enough"], true, "12 of each are enough for 10 %: {report}");
    let (out, _) = expect(0, folder.path(), &with("predict", &["stripes.png"]));
    assert!(out.lines().nth(1).unwrap().contains("I don't know"), "{out}");
}

#[test]
fn why_shows_the_origin_of_samples() {
    let folder = taught();
    expect(0, folder.path(), &with("learn", &["--class", "dark", "--operator", "42", "dark-3.png"]));
    let report = json(&expect(0, folder.path(), &with("why", &["--json", "dark-3.png"])).0);
    let nearest = &report["images"][0]["nearest"][0];
    assert_eq!((&nearest["class"], &nearest["operator"]), (&"dark".into(), &42.into()), "{report}");
    assert!(nearest["similarity"].as_f64().unwrap() > 0.9999, "the sample itself: {report}");
    assert!(nearest["time_s"].as_u64().unwrap() > 1_700_000_000, "{report}");
    let source = nearest["source"].as_str().unwrap();
    let (out, _) = expect(0, folder.path(), &with("why", &["dark-3.png"]));
    assert!(out.contains(&source[..16]) && out.contains("42") && out.contains("UTC"), "{out}");
}

#[test]
fn a_forgotten_support_leaves_no_trace_in_the_state() {
    let folder = taught();
    let before = state(&folder);
    expect(0, folder.path(), &with("learn", &["--class", "dark", "dark-3.png"]));
    assert_ne!(state(&folder), before);
    expect(0, folder.path(), &with("forget", &["--sample", "dark-3.png"]));
    assert_eq!(state(&folder), before, "after forgetting a sample by its file");

    expect(0, folder.path(), &with("learn", &["--class", "alpha", "dark-3.png", "bright-3.png"]));
    expect(0, folder.path(), &with("forget", &["--class", "alpha"]));
    assert_eq!(state(&folder), before, "after forgetting a class");

    let status = json(&expect(0, folder.path(), &with("status", &["--samples", "--json"])).0);
    let source = status["samples"][0]["source"].as_str().unwrap();
    expect(0, folder.path(), &with("forget", &["--sample", &source[..8]]));
    let left = json(&expect(0, folder.path(), &with("status", &["--samples", "--json"])).0);
    assert_eq!(left["samples"].as_array().unwrap().len(), 5, "after forgetting a sample by its source");
    assert!(left["samples"].as_array().unwrap().iter().all(|sample| sample["source"] != source), "{left}");
}

#[test]
fn the_same_picture_is_learned_once() {
    let folder = taught();
    let before = state(&folder);
    // The same pixels in another file and format.
    image::open(folder.path().join("dark-1.png")).unwrap().save(folder.path().join("copy.bmp")).unwrap();
    let (out, err) = expect(0, folder.path(), &with("learn", &["--class", "dark", "copy.bmp", "--json"]));
    let report = json(&out);
    assert_eq!((&report["learned"], &report["known"]), (&0.into(), &1.into()));
    assert!(err.contains("copy.bmp"), "{err}");
    for class in ["bright", "new"] {
        let arguments = with("learn", &["--class", class, "copy.bmp"]);
        let error = fails(2, "refused", folder.path(), &arguments, &["'dark'", "copy.bmp"]);
        assert_eq!(error["reason"], Reason::SourceTaken as u16);
    }
    assert_eq!(state(&folder), before, "a class of which nothing was learned is not added");
}

#[test]
fn classes_are_added_renamed_and_removed() {
    let folder = taught();
    let before = state(&folder);
    let class = |action: &'static str, names: &[&'static str]| {
        [&["class", action, "--device", "a.store", "--json"], names].concat()
    };
    let names = |out: &str| {
        let report = json(out);
        let classes = report["classes"].as_array().unwrap().iter();
        classes.map(|class| class["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let run = |arguments: &[&str]| names(&expect(0, folder.path(), arguments).0);
    assert_eq!(run(&class("add", &["grey", "dark"])), ["bright", "dark", "grey"]);
    assert_eq!(run(&class("rename", &["grey", "mixed"])), ["bright", "dark", "mixed"]);
    assert_eq!(run(&class("remove", &["mixed"])), ["bright", "dark"]);
    assert_eq!(state(&folder), before);
    let refused = |arguments: &[&str]| fails(2, "refused", folder.path(), arguments, &[]);
    let reasons = [&class("rename", &["bright", "dark"]), &class("add", &[""])].map(|arguments| refused(arguments));
    assert_eq!(reasons[0]["reason"], Reason::NameTaken as u16);
    assert_eq!((&reasons[1]["reason"], &reasons[1]["limit"]), (&(Reason::Name as u16).into(), &32.into()));
    fails(2, "unknown-class", folder.path(), &class("rename", &["grey", "x"]), &["grey", "bright", "dark"]);
    assert_eq!(state(&folder), before);
}

#[test]
fn merging_adds_the_missing_samples_of_another_store() {
    let folder = taught();
    let path = folder.path();
    let taught_both = |store: &'static str, images: [&'static str; 2]| {
        for (class, image) in ["bright", "dark"].into_iter().zip(images) {
            let arguments = ["learn", "--device", store, "--encoder", "raw-pixels", "--class", class, image];
            expect(0, path, &arguments);
        }
    };
    taught_both("b.store", ["bright-3.png", "dark-3.png"]);
    let merge = ["merge", "--device", "a.store", "--from", "b.store", "--json"];
    let report = json(&expect(0, path, &merge).0);
    assert_eq!((&report["learned"], &report["known"]), (&2.into(), &0.into()), "{report}");
    let again = json(&expect(0, path, &merge).0);
    assert_eq!((&again["learned"], &again["known"]), (&0.into(), &2.into()), "{again}");
    let images = |store: &str| {
        let arguments = ["status", "--device", store, "--samples", "--json"];
        json(&expect(0, path, &arguments).0)["samples"].as_array().unwrap().len()
    };
    assert_eq!((images("a.store"), images("b.store")), (8, 2));

    // A sample with another class in each store is an error, and nothing is merged.
    expect(0, path, &["learn", "--device", "c.store", "--encoder", "raw-pixels", "--class", "bright", "dark-0.png"]);
    let error = fails(2, "refused", path, &["merge", "--device", "a.store", "--from", "c.store"], &["1 sample"]);
    assert_eq!(error["reason"], Reason::SourceTaken as u16);
    fails(2, "input", path, &["merge", "--device", "a.store", "--from", "a.store"], &["a.store"]);
}

/// The device keeps the operating point; options of a prediction take its place for that prediction.
#[test]
fn an_operating_point_is_set_applied_and_removed() {
    let folder = taught();
    let path = folder.path();
    let none = json(&expect(0, path, &with("operating-point", &["--json"])).0);
    assert_eq!(none["operating_point"], serde_json::Value::Null);
    let row = |more: &[&str]| {
        let report =
            json(&expect(0, path, &with("predict", &[&["--json", "bright-3.png", "dark-3.png"], more].concat())).0);
        let positive = |at: usize| report["predictions"][at]["positive"].clone();
        (report["operating_point"]["target"].clone(), positive(0), positive(1))
    };
    let null = serde_json::Value::Null;
    assert_eq!(row(&[]), (null.clone(), null.clone(), null));
    let once = ["--operating-point", "costs=10:1", "--positive", "dark"];
    assert_eq!(row(&once), ("costs=10:1".into(), false.into(), true.into()));

    let (out, _) = expect(0, path, &with("operating-point", &["--set", "sensitivity=0.95", "--positive", "bright"]));
    for part in ["bright at sensitivity=0.95", "threshold", "3 of 3", "0.750", "19 samples"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert_eq!(row(&[]), ("sensitivity=0.95".into(), true.into(), false.into()));
    assert_eq!(row(&once), ("costs=10:1".into(), false.into(), true.into()), "for this prediction only");
    let (out, _) = expect(0, path, &with("predict", &["bright-3.png"]));
    assert!(out.contains("positive") && out.contains("bright at sensitivity=0.95"), "{out}");
    let point = |command: &str| json(&expect(0, path, &with(command, &["--json"])).0)["operating_point"].clone();
    let status = point("status");
    assert_eq!(status, point("operating-point"));
    assert_eq!(
        (&status["promise"], &status["enough"], &status["samples_needed"]),
        (&0.75.into(), &false.into(), &19.into())
    );
    assert_eq!(status["sensitivity"]["of"], 3);

    // Labelled images: what the operating point attains on them.
    for class in ["bright", "dark"] {
        std::fs::create_dir_all(path.join("ward").join(class)).unwrap();
        for number in 10..14 {
            shell::picture(class, number).save(path.join("ward").join(class).join(format!("{number}.png"))).unwrap();
        }
    }
    let report = json(&expect(0, path, &with("predict", &["--data", "ward", "--json"])).0);
    let attained = |name: &str| (report["attained"][name]["count"].clone(), report["attained"][name]["of"].clone());
    assert_eq!(
        (attained("sensitivity"), attained("specificity")),
        ((4.into(), 4.into()), (4.into(), 4.into())),
        "{report}"
    );
    let (out, _) = expect(0, path, &with("predict", &["--data", "ward"]));
    assert!(out.contains("on these images, bright at sensitivity=0.95"), "{out}");

    // A rename keeps it, the removal of its class does not.
    expect(0, path, &["class", "rename", "--device", "a.store", "bright", "light"]);
    assert_eq!(point("status")["positive"], "light");
    expect(0, path, &["class", "remove", "--device", "a.store", "light"]);
    assert_eq!(point("status"), serde_json::Value::Null);
    expect(0, path, &with("operating-point", &["--set", "costs=1:1", "--positive", "dark"]));
    assert_eq!(point("status")["threshold"], serde_json::Value::Null, "nothing to tell dark from");
    expect(0, path, &with("operating-point", &["--clear"]));
    assert_eq!(point("status"), serde_json::Value::Null);

    fails(2, "unknown-class", path, &with("operating-point", &["--set", "costs=1:1", "--positive", "none"]), &["dark"]);
    for wrong in [
        &["--set", "sensitivity=1", "--positive", "dark"][..],
        &["--set", "recall=0.9", "--positive", "dark"],
        &["--set", "costs=1:1"],
        &["--positive", "dark"],
        &["--clear", "--set", "costs=1:1", "--positive", "dark"],
    ] {
        expect_usage(path, &with("operating-point", wrong));
    }
    expect_usage(path, &with("predict", &["--operating-point", "costs=1:1", "dark-0.png"]));
}

#[test]
fn reset_needs_confirmation() {
    let folder = taught();
    let before = state(&folder);
    fails(2, "confirmation-needed", folder.path(), &with("reset", &[]), &["6 samples", "--yes"]);
    assert_eq!(state(&folder), before);
    expect(0, folder.path(), &with("self-test", &[]));
    expect(0, folder.path(), &with("reset", &["--yes"]));
    let status = json(&expect(0, folder.path(), &with("status", &["--json"])).0);
    assert_eq!((&status["supports"], status["classes"].as_array().unwrap().len()), (&0.into(), 0), "{status}");
    let error = fails(2, "refused", folder.path(), &with("predict", &["dark-0.png"]), &[]);
    assert_eq!(error["reason"], Reason::NothingLearned as u16);
}

#[test]
fn bad_input_is_refused() {
    let folder = taught();
    let path = folder.path();
    let before = std::fs::read(path.join("a.store")).unwrap();
    std::fs::write(path.join("cut.png"), &std::fs::read(path.join("dark-3.png")).unwrap()[..60]).unwrap();
    let refused: [(&[&str], &str, &str); 16] = [
        (&with("learn", &["--class", "x", "none.png"]), "not-found", "none.png"),
        (&with("learn", &["--class", "x", "cut.png"]), "input", "cut.png"),
        (&with("learn", &["--class", "", "dark-3.png"]), "refused", "32"),
        (&with("learn", &["--encoder", "nothing", "--class", "x", "dark-3.png"]), "not-found", "nothing"),
        (&with("learn", &["--encoder", ".", "--class", "x", "dark-3.png"]), "input", "."),
        (&with("learn", &["--data", "phantoms:32:60"]), "input", "--shots"),
        (
            &["learn", "--device", "b.store", "--encoder", "random:pico", "--class", "x", "dark-3.png"],
            "input",
            "random:pico",
        ),
        (&["learn", "--device", "b.store", "--class", "x", "dark-3.png"], "not-found", "--encoder"),
        (&with("forget", &["--class", "x"]), "unknown-class", "bright, dark"),
        (&with("forget", &["--sample", "dark-0.png", "x.png"]), "input", "'x.png'"),
        (&with("forget", &["--sample", "dark-0.png", "dark-3.png"]), "unknown-sample", "dark-3.png"),
        (&with("forget", &["--sample", "00000000"]), "unknown-sample", "00000000"),
        (&["forget", "--device", "none.store", "--class", "dark"], "not-found", "none.store"),
        (&["status", "--device", "dark-0.png"], "input", "dark-0.png"),
        (&with("update", &["dark-0.png"]), "input", "a.store"),
        (&["device", "--store", "a.store", "--listen", "tcp:0.0.0.0:0"], "input", "--allow-remote"),
    ];
    for (arguments, kind, part) in refused {
        fails(2, kind, path, arguments, &[part]);
    }
    for arguments in [
        &with("predict", &["--error-rate", "60", "dark-0.png"])[..],
        &with("predict", &["--head", "best", "dark-0.png"]),
        &["status", "--device", "tcp:nowhere"],
        &["status"],
    ] {
        expect_usage(path, arguments);
    }
    assert_eq!(std::fs::read(path.join("a.store")).unwrap(), before);
    let left: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 8 + 2, "eight pictures, the cut one and the store, no partial file: {left:?}");
}

#[test]
fn an_unreachable_device_is_exit_code_4() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago and has no listener.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for address in [&format!("tcp:127.0.0.1:{port}"), "serial:no-such-line"] {
        fails(4, "unreachable", folder.path(), &["status", "--device", address], &[address]);
    }
}

#[test]
fn a_full_store_refuses_samples_and_does_not_change() {
    let folder = tempfile::tempdir().unwrap();
    draw_pictures(folder.path());
    let learn = |images: &[&'static str]| {
        with("learn", &[&["--encoder", "raw-pixels", "--max-samples", "2", "--class", "dark"], images].concat())
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let run = |code, arguments: Vec<String>| {
        expect(code, folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    run(0, learn(&["dark-0.png", "dark-1.png"]));
    let before = state(&folder);
    let arguments = learn(&["dark-2.png"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let error = fails(4, "refused", folder.path(), &arguments, &["a.store"]);
    assert_eq!((&error["reason"], &error["limit"]), (&(Reason::SupportsFull as u16).into(), &2.into()), "{error}");
    assert_eq!(state(&folder), before);
    expect(0, folder.path(), &with("forget", &["--sample", "dark-0.png"]));
    run(0, learn(&["dark-2.png"]));
}

#[test]
fn a_store_of_another_encoder_is_refused() {
    let folder = taught();
    let file = folder.path().join("a.store");
    let mut bytes = std::fs::read(&file).unwrap();
    // Another encoder's name and identity on the card, which begins at byte 12: the length of the name, the name, and
    // 32 bytes of identity.
    let card_len = usize::from(u16::from_le_bytes([bytes[10], bytes[11]]));
    bytes[13..23].copy_from_slice(b"raw-pixelz");
    bytes[23..55].fill(0xab);
    let checksum = crc32fast::hash(&bytes[..12 + card_len]).to_le_bytes();
    bytes[12 + card_len..][..4].copy_from_slice(&checksum);
    std::fs::write(&file, &bytes).unwrap();
    for arguments in [
        with("learn", &["--encoder", "raw-pixels", "--class", "dark", "dark-1.png"]),
        with("predict", &["--encoder", "raw-pixels", "dark-1.png"]),
    ] {
        let (_, err) = expect(2, folder.path(), &arguments);
        let parts = ["a.store", "'raw-pixelz' (abababab", "'raw-pixels'"];
        assert!(parts.iter().all(|part| err.contains(part)), "{err}");
    }
    let (_, err) = expect(2, folder.path(), &with("status", &[]));
    assert!(err.contains("raw-pixelz") && err.contains("--encoder"), "the recorded encoder does not exist: {err}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_damaged_store_is_exit_code_4_and_does_not_change() {
    let folder = taught();
    let file = folder.path().join("a.store");
    let good = std::fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cut = good[..good.len() - 1].to_vec();
    // A committed support is in the second half of the first block in use.
    let in_a_feature = 65_536 + 1024;
    for (what, damaged) in [("cut", cut), ("card", flipped(20)), ("feature", flipped(in_a_feature))] {
        std::fs::write(&file, &damaged).unwrap();
        for arguments in [with("status", &[]), with("learn", &["--class", "x", "dark-3.png"])] {
            let (_, err) = expect(4, folder.path(), &arguments);
            assert!(err.contains("a.store"), "{what}: {err}");
        }
        assert_eq!(std::fs::read(&file).unwrap(), damaged, "{what}: the damaged file is not changed");
    }
    std::fs::write(&file, &good).unwrap();
    expect(0, folder.path(), &with("status", &[]));
}

#[test]
fn learn_and_predict_read_datasets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let data = ["--encoder", "raw-pixels", "--data", "phantoms:32:60"];
    let learned = json(&expect(0, path, &with("learn", &[&data[..], &["--shots", "2", "--json"]].concat())).0);
    let classes = learned["classes"].as_array().unwrap();
    assert!(classes.len() >= 6 && classes.iter().all(|class| class["samples"] == 2), "{learned}");

    let report = json(&expect(0, path, &with("predict", &[&data[..], &["--json", "--each"]].concat())).0);
    let rows = report["predictions"].as_array().unwrap();
    assert_eq!(report["learned_images_left_out"], 2 * classes.len());
    assert_eq!(report["images"], rows.len());
    // The figures follow from the list of predictions.
    let recall = |name: &serde_json::Value| {
        let own: Vec<_> = rows.iter().filter(|row| &row["label"] == name).collect();
        own.iter().filter(|row| &row["class"] == name && row["known"] == true).count() as f64 / own.len() as f64
    };
    let recalls: Vec<f64> = classes.iter().map(|class| recall(&class["name"])).collect();
    let expected = recalls.iter().sum::<f64>() / recalls.len() as f64;
    assert!((report["balanced_accuracy"].as_f64().unwrap() - expected).abs() < 1e-12, "{report}");
    for (class, recall) in report["classes"].as_array().unwrap().iter().zip(&recalls) {
        assert!((class["sensitivity"].as_f64().unwrap() - recall).abs() < 1e-12, "{class}");
        let area = class["area_under_roc"].as_f64().unwrap();
        assert!((0.2..=1.0).contains(&area) && class["specificity"].as_f64().unwrap() > 0.5, "{class}");
    }
    let counts = report["confusion"]["counts"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let unknown = report["confusion"]["unknown"].as_array().unwrap();
    let all: u64 = counts.chain(unknown).map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(report["images"], all);
    assert!(report["balanced_accuracy_half_width_95"].as_f64().unwrap() > 0.0, "{report}");
    let covered = rows.iter().filter(|row| row["set"].as_array().unwrap().contains(&row["label"])).count();
    assert!((report["coverage"].as_f64().unwrap() - covered as f64 / rows.len() as f64).abs() < 1e-12, "{report}");

    let (out, _) = expect(0, path, &with("predict", &data));
    assert!(out.starts_with("balanced accuracy"), "{out}");
    let samples = || json(&expect(0, path, &with("status", &["--samples", "--json"])).0)["samples"].clone();
    let sources = |samples: serde_json::Value| {
        samples.as_array().unwrap().iter().map(|sample| sample["source"].to_string()).collect::<Vec<_>>()
    };
    let drawn = sources(samples());
    std::fs::remove_file(path.join("a.store")).unwrap();
    expect(0, path, &with("learn", &[&data[..], &["--shots", "2"]].concat()));
    assert_eq!(sources(samples()), drawn, "the same seed draws the same images");

    // Every image of a folder as one class.
    draw_pictures(path);
    std::fs::create_dir(path.join("pictures")).unwrap();
    for number in 0..4 {
        let name = format!("dark-{number}.png");
        std::fs::rename(path.join(&name), path.join("pictures").join(&name)).unwrap();
    }
    let out = expect(0, path, &with("learn", &["--class", "dark", "--data", "pictures", "--json"])).0;
    assert_eq!(json(&out)["learned"], 4, "{out}");

    fails(2, "input", path, &with("learn", &[&data[..], &["--shots", "5000"]].concat()), &["--shots", "5000"]);
}
