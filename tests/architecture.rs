//! The shape of the code, held by text: what `ARCHITECTURE.md` states as invariants, and tidiness.

#[path = "architecture/module_graph.rs"]
mod module_graph;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use module_graph::{Graph, Sources, Uses, circles};
use walkdir::WalkDir;

/// No source file is longer: one idea a file, told whole.
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The project's text files, path from the root and content, without what `.gitignore` names.
fn texts() -> Sources {
    let ignored: Vec<String> = read(".gitignore").lines().map(|line| line.trim_start_matches('/').to_owned()).collect();
    let kept = |name: &str| name != ".git" && !ignored.iter().any(|pattern| pattern == name);
    let entries = WalkDir::new(root()).min_depth(1).into_iter();
    let mut texts = Sources::new();
    for entry in entries.filter_entry(|entry| kept(&entry.file_name().to_string_lossy())) {
        let entry = entry.expect("the project can be read");
        let path = entry.path().strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        // A picture or a vector file is no text.
        if entry.file_type().is_file()
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            texts.insert(path, text);
        }
    }
    assert!(texts.contains_key("src/lib.rs") && texts.contains_key("check"), "the project is not where it was built");
    texts
}

/// The modules of `src/lib.rs` in the order they stand there.
fn modules() -> Vec<String> {
    let declared = |line: &str| Some(line.strip_prefix("pub mod ")?.split(';').next()?.to_owned());
    let modules: Vec<String> = read("src/lib.rs").lines().filter_map(declared).collect();
    assert!(modules.len() >= 5, "src/lib.rs declares {modules:?}");
    modules
}

/// The sources of one module of the host: `src/NAME.rs` and all below `src/NAME/`.
fn sources<'a>(texts: &'a Sources, module: &str) -> Vec<(&'a str, &'a str)> {
    let own = texts.iter().filter(|(path, _)| module_of(path) == Some(module));
    let own: Vec<_> = own.map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert!(!own.is_empty(), "module {module} has no source");
    own
}

/// The module of `src/lib.rs` that a file belongs to.
fn module_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("src/")?.strip_suffix(".rs")?.split('/').next()?;
    (!["lib", "main"].contains(&name)).then_some(name)
}

/// A source without its comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn graph(texts: &Sources) -> Graph {
    let crates = [
        ("macula_edge", "edge/src/lib.rs"),
        ("macula", "src/lib.rs"),
        ("main", "src/main.rs"),
        ("macula_firmware_sim", "firmware-sim/src/lib.rs"),
        ("macula_fuzz", "fuzz/src/lib.rs"),
    ];
    Graph::parse(texts, &crates)
}

/// Uses between modules of the host: `(file, its module, used file, its module)`.
fn uses_between_modules(uses: &Uses) -> impl Iterator<Item = (&str, &str, &str, &str)> {
    uses.keys().filter_map(|(user, used)| {
        let (from, to) = (module_of(user)?, module_of(used)?);
        (from != to).then_some((user.as_str(), from, used.as_str(), to))
    })
}

#[test]
fn a_module_uses_only_those_before_it() {
    let (texts, modules) = (texts(), modules());
    let position = |name: &str| modules.iter().position(|module| module == name).expect("src/lib.rs declares it");
    let uses = graph(&texts).uses();
    assert!(uses.len() > 500, "only {} uses were found", uses.len());
    for (user, from, used, to) in uses_between_modules(&uses) {
        assert!(position(to) < position(from), "{user} uses {used}, and src/lib.rs lists {to} after {from}");
    }
}

/// Circles that are still there. Take out what you dissolve; add nothing.
const KNOWN_CIRCLES: &[&str] = &[
    "edge/src/bundle/",
    "edge/src/encoder/",
    "edge/src/protocol/",
    "edge/src/session/",
    "fuzz/src/",
    "src/blob/",
    "src/bundle/",
    "src/cli/",
    "src/data/",
    "src/deploy/",
    "src/encoder/",
    "src/pretrain/",
    "src/reproduce/",
];

#[test]
fn no_file_uses_itself_through_others() {
    let uses = graph(&texts()).uses();
    let mut found = String::new();
    for circle in circles(&uses) {
        if KNOWN_CIRCLES.iter().any(|folder| circle.iter().all(|file| file.starts_with(folder))) {
            continue;
        }
        found += "circle:\n";
        for ((user, used), names) in uses.iter().filter(|((a, b), _)| circle.contains(a) && circle.contains(b)) {
            found += &format!("  {user} -> {used}: {names:?}\n");
        }
    }
    assert!(found.is_empty(), "files use each other:\n{found}");
}

#[test]
fn a_path_is_followed_to_the_file_that_defines_the_item() {
    let made_up = [
        ("lib.rs", "pub mod base; pub mod shapes; mod user; mod odd;"),
        ("base.rs", "pub struct Unit; pub const SIZE: usize = 1; pub fn run() {}"),
        // Handing names on, here and through a glob, is no use.
        ("shapes/mod.rs", "mod round; mod flat; pub use round::{Circle as Round, self}; pub use flat::*;"),
        ("shapes/round.rs", "use crate::base::{self, Unit}; pub enum Circle { Full } fn f(_: Unit) { base::run() }"),
        ("shapes/flat.rs", "pub struct Square; impl Square { pub const SIDES: u8 = 4; }"),
        (
            "user.rs",
            "use super::shapes; use std::fmt::Debug; use round::left; // use crate::odd::Odd;
             fn f() -> shapes::Round { let _ = shapes::Square::SIDES; shapes::Round::Full }
             mod inner { fn g() { println!(\"{}\", super::super::base::SIZE) } }
             #[cfg(test)] mod tests { use crate::odd::Odd; }",
        ),
        // A circle of two, one half of it inside a macro.
        ("odd.rs", "#[path = \"even.rs\"] mod even_numbers; pub struct Odd; fn f() { assert!(even_numbers::even(1)) }"),
        ("even.rs", "use super::Odd; pub fn even(_: u8) -> bool { let _ = Odd; false }"),
    ];
    let texts: Sources = made_up.map(|(path, text)| (format!("a/{path}"), text.to_owned())).into();
    let uses = Graph::parse(&texts, &[("a", "a/lib.rs")]).uses();
    let lines: Vec<String> =
        uses.iter().map(|((user, used), names)| format!("{} {} {names:?}", &user[2..], &used[2..])).collect();
    let expected = [
        r#"even.rs odd.rs {"Odd"}"#,
        r#"odd.rs even.rs {"even"}"#,
        r#"shapes/round.rs base.rs {"Unit", "run"}"#,
        r#"user.rs base.rs {"SIZE"}"#,
        r#"user.rs shapes/flat.rs {"Square"}"#,
        r#"user.rs shapes/round.rs {"Circle"}"#,
    ];
    assert_eq!(lines, expected);
    assert_eq!(circles(&uses), [BTreeSet::from(["a/even.rs".to_owned(), "a/odd.rs".to_owned()])]);
}

#[test]
fn kernels_and_layers_know_numbers_only() {
    let (texts, modules) = (texts(), modules());
    let uses = graph(&texts).uses();
    for (room, allowed) in [("kernel", &[][..]), ("nn", &["rng", "kernel"])] {
        assert!(modules.iter().any(|module| module == room), "src/lib.rs declares no {room}");
        for (user, _, used, to) in uses_between_modules(&uses).filter(|(_, from, ..)| *from == room) {
            assert!(allowed.contains(&to), "{user} uses {used}");
        }
        for (path, text) in sources(&texts, room) {
            for foreign in ["std::fs", "std::path", "std::io", "onnx", "Onnx"] {
                assert!(!code(text).contains(foreign), "{path} names {foreign}");
            }
        }
    }
}

#[test]
fn unsafe_code_stands_in_the_kernels_alone() {
    // On the board, registers and flash are addresses.
    let is_board = |path: &str| path.starts_with("firmware-sim/cortex-m/src/");
    let is_kernel =
        |path: &str| path.starts_with("src/kernel/") || path == "edge/src/encoder/kernel.rs" || is_board(path);
    for (path, text) in texts().iter().filter(|(path, _)| path.ends_with(".rs") && !is_kernel(path)) {
        for permission in [concat!("allow(un", "safe_code"), concat!("expect(un", "safe_code")] {
            assert!(!text.contains(permission), "{path} permits unsafe code");
        }
    }
}

#[test]
fn only_the_runtime_names_tract() {
    let (texts, modules) = (texts(), modules());
    for module in modules.iter().filter(|module| *module != "runtime") {
        for (path, text) in sources(&texts, module) {
            assert!(!code(text).contains("tract_"), "{path} names tract");
        }
    }
    let runtime: String = sources(&texts, "runtime").iter().map(|(_, text)| *text).collect();
    assert!(runtime.contains("tract_onnx"), "runtime no longer names tract: is this test still of use?");
}

#[test]
fn the_device_needs_nothing_but_core() {
    let texts = texts();
    assert!(texts["edge/src/lib.rs"].contains("#![no_std]"));
    for (path, text) in texts.iter().filter(|(path, _)| path.starts_with("edge/src/") && path.ends_with(".rs")) {
        // A unit test may use the host's library; it stands at the end of its file.
        let device = code(text.split("#[cfg(test)]").next().unwrap_or_default());
        for foreign in ["std::", "alloc::", "extern crate", "macula::"] {
            assert!(names_nothing(&device, foreign), "{path} names {foreign}");
        }
    }
    let manifest: toml::Table = texts["edge/Cargo.toml"].parse().unwrap();
    for (name, needs) in manifest["dependencies"].as_table().unwrap() {
        assert!(needs.get("path").is_none() && name != "macula", "macula-edge depends on {name}, a part of the desk");
        let features = needs.get("features").map(ToString::to_string).unwrap_or_default();
        assert!(!features.contains("std") && !features.contains("alloc"), "macula-edge takes {name} with {features}");
    }
}

/// Whether `name` stands nowhere as a name of its own (`no_std::` is another).
fn names_nothing(code: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).all(|(at, _)| code[..at].chars().next_back().is_some_and(is_name))
}

#[test]
fn the_map_shows_what_is_there() {
    let (texts, map) = (texts(), read("ARCHITECTURE.md"));
    for module in modules() {
        assert!(map.contains(&format!("`src/{module}")), "ARCHITECTURE.md does not show src/{module}");
    }
    let rooms = ["src/", "edge/", "oracle/", "tests/", "benches/", "tools/"];
    for place in map.split('`').skip(1).step_by(2).filter(|text| rooms.iter().any(|room| text.starts_with(room))) {
        let found = root().join(place).exists() || texts.contains_key(place);
        assert!(found, "ARCHITECTURE.md shows {place}, which is not there");
    }
}

#[test]
fn sources_are_short_and_tidy() {
    for (path, text) in texts().iter().filter(|(path, _)| path.ends_with(".rs") || path.ends_with(".py")) {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines; {LINES_MAX} are allowed");
        assert!(text.is_empty() || text.ends_with('\n'), "{path} does not end with a line end");
        for (index, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", index + 1);
            assert_eq!(line, line.trim_end(), "{place} ends in blanks");
            assert!(!line.contains('\t'), "{place} holds a tab");
            // In two parts, or this file would be the first to fail.
            for left_over in [concat!("FIX", "ME"), concat!("XX", "X"), concat!("#[ign", "ore")] {
                assert!(!line.contains(left_over), "{place} holds {left_over}");
            }
        }
    }
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let folders = ["home", "root", "work", "tmp", "Users", "mnt", "srv", "opt"];
    for (path, text) in texts() {
        for folder in folders {
            let absolute = format!("/{folder}/");
            for (at, _) in text.match_indices(&absolute) {
                // Part of a longer path or an address (`x.org/home/`) is nobody's machine.
                let before = text[..at].chars().next_back();
                let longer = before.is_some_and(|c| c.is_alphanumeric() || "._-/~*}".contains(c));
                let line = text[..at].lines().count();
                assert!(longer, "{path}, about line {line}: {absolute}… is a place on somebody's machine");
            }
        }
    }
}

#[test]
fn the_shared_lints_hold_everywhere() {
    for (path, text) in texts().iter().filter(|(path, _)| Path::new(path).ends_with("Cargo.toml")) {
        let manifest: toml::Table = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        if path.as_str() != "Cargo.toml" && manifest.contains_key("workspace") {
            // A workspace of its own cannot take ours, and repeats what matters most.
            assert!(text.contains("unsafe_code = \"deny\""), "{path} does not deny unsafe code");
            continue;
        }
        let shared = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(shared, Some(true), "{path} does not take the workspace's lints");
    }
}
