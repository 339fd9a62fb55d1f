//! Checks the structure of the code: the invariants of `ARCHITECTURE.md`, and tidiness.

#[path = "architecture/book.rs"]
mod book;
#[path = "architecture/module_graph.rs"]
mod module_graph;

use std::path::{Path, PathBuf};

use module_graph::{Graph, Sources, Uses, cycles};
use walkdir::WalkDir;

/// The longest source file that is allowed.
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text files of the repository, except those that `.gitignore` names.
fn texts() -> Sources {
    let ignored: Vec<String> = read(".gitignore").lines().map(|line| line.trim_start_matches('/').to_owned()).collect();
    // A pattern is a name anywhere, or a path from the root.
    let kept = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        let path = entry.path().strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        name != ".git" && !ignored.iter().any(|pattern| *pattern == name || *pattern == path)
    };
    let entries = WalkDir::new(root()).min_depth(1).into_iter();
    let mut texts = Sources::new();
    for entry in entries.filter_entry(kept) {
        let entry = entry.expect("the project can be read");
        let path = entry.path().strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        // Pictures and vector files are not UTF-8.
        if entry.file_type().is_file()
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            texts.insert(path, text);
        }
    }
    assert!(
        texts.contains_key("src/lib.rs") && texts.contains_key("check"),
        "the repository has moved since the build"
    );
    texts
}

/// The modules of `src/lib.rs` in their order there.
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
        ("macula_edge_capi", "edge/capi/src/lib.rs"),
        ("macula_engine", "engine/src/lib.rs"),
        ("macula", "src/lib.rs"),
        ("main", "src/main.rs"),
        ("macula_firmware_sim", "firmware-sim/src/lib.rs"),
        ("macula_fuzz", "fuzz/src/lib.rs"),
        ("_macula", "python/src/lib.rs"),
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
fn modules_use_only_earlier_modules() {
    let (texts, modules) = (texts(), modules());
    let position = |name: &str| modules.iter().position(|module| module == name).expect("src/lib.rs declares it");
    let uses = graph(&texts).uses();
    assert!(uses.len() > 500, "only {} uses were found", uses.len());
    for (user, from, used, to) in uses_between_modules(&uses) {
        assert!(position(to) < position(from), "{user} uses {used}, and src/lib.rs lists {to} after {from}");
    }
}

#[test]
fn files_have_no_dependency_cycles() {
    let cycles = cycles(&graph(&texts()).uses());
    assert!(cycles.is_empty(), "files depend on each other: {cycles:#?}");
}

#[test]
fn only_encoders_opens_encoders() {
    let (texts, modules) = (texts(), modules());
    let position = |name: &str| modules.iter().position(|module| module == name).expect("src/lib.rs declares it");
    let graph = graph(&texts);
    let kinds = graph.implementations("HostEncoder");
    let is_kind = |file: &str, name: &String| kinds.iter().any(|(at, kind)| at == file && kind == name);
    assert!(kinds.len() >= 6, "only {kinds:?} implement HostEncoder");
    for ((user, used), names) in graph.uses() {
        let (Some(from), Some(to)) = (module_of(&user), module_of(&used)) else { continue };
        let kind = names.iter().find(|name| is_kind(&used, name));
        // A run is opened to train it further or to export it, not as an encoder.
        if let Some(kind) = kind.filter(|kind| *kind != "Run")
            && position(to) < position("encoders")
            && position("encoders") < position(from)
        {
            panic!("{user} names {kind} of {used}; src/encoders opens encoders");
        }
    }
}

#[test]
fn paths_resolve_to_the_file_that_defines_the_item() {
    let crafted = [
        ("lib.rs", "pub mod base; pub mod shapes; mod user; mod odd;"),
        ("base.rs", "pub struct Unit; pub const SIZE: usize = 1; pub fn run() {}"),
        // A re-export, by name or by glob, does not count as a use.
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
        // A cycle of two files, one use of it inside a macro.
        ("odd.rs", "#[path = \"even.rs\"] mod even_numbers; pub struct Odd; fn f() { assert!(even_numbers::even(1)) }"),
        ("even.rs", "use super::Odd; pub fn even(_: u8) -> bool { let _ = Odd; false }"),
    ];
    let texts: Sources = crafted.map(|(path, text)| (format!("a/{path}"), text.to_owned())).into();
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
    let cycle: Vec<_> = cycles(&uses).into_keys().map(|(user, used)| format!("{user} {used}")).collect();
    assert_eq!(cycle, ["a/even.rs a/odd.rs", "a/odd.rs a/even.rs"]);
}

#[test]
fn kernels_and_layers_use_no_files_or_formats() {
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
fn unsafe_code_is_in_kernels_board_registers_and_the_c_api_only() {
    // On the board, registers and flash are addresses.
    let is_board = |path: &str| path.starts_with("firmware-sim/cortex-m/src/");
    let is_kernel = |path: &str| {
        // The C API dereferences pointers of its caller.
        let rooms =
            ["src/kernel/", "edge/src/encoder/kernel/", "edge/capi/src/", "engine/src/float/", "engine/src/int8/"];
        rooms.iter().any(|room| path.starts_with(room)) || is_board(path)
    };
    for (path, text) in texts().iter().filter(|(path, _)| path.ends_with(".rs") && !is_kernel(path)) {
        for permission in [concat!("allow(un", "safe_code"), concat!("expect(un", "safe_code")] {
            assert!(!text.contains(permission), "{path} permits unsafe code");
        }
    }
}

#[test]
fn only_runtime_uses_tract() {
    let (texts, modules) = (texts(), modules());
    for module in modules.iter().filter(|module| *module != "runtime") {
        for (path, text) in sources(&texts, module) {
            assert!(!code(text).contains("tract_"), "{path} names tract");
        }
    }
    let runtime: String = sources(&texts, "runtime").iter().map(|(_, text)| *text).collect();
    assert!(runtime.contains("tract_onnx"), "runtime no longer names tract; remove this test");
}

#[test]
fn the_device_crates_use_core_only() {
    let texts = texts();
    let is_device = |path: &str| path.starts_with("edge/src/") || path.starts_with("edge/capi/src/");
    for root in ["edge/src/lib.rs", "edge/capi/src/lib.rs"] {
        assert!(texts[root].contains("#![no_std]"), "{root}");
    }
    for (path, text) in texts.iter().filter(|(path, _)| is_device(path) && path.ends_with(".rs")) {
        // Unit tests, at the end of a file, may use the standard library.
        let device = code(text.split("#[cfg(test)]").next().unwrap_or_default());
        for foreign in ["std::", "alloc::", "extern crate", "macula::"] {
            assert!(!has_name(&device, foreign), "{path} names {foreign}");
        }
    }
    let manifest: toml::Table = texts["edge/Cargo.toml"].parse().unwrap();
    for (name, needs) in manifest["dependencies"].as_table().unwrap() {
        assert!(needs.get("path").is_none() && name != "macula", "macula-edge depends on {name}, a part of the host");
        let features = needs.get("features").map(ToString::to_string).unwrap_or_default();
        assert!(!features.contains("std") && !features.contains("alloc"), "macula-edge takes {name} with {features}");
    }
}

/// Whether `name` occurs, other than as the end of a longer name such as `no_std::`.
fn has_name(code: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| !code[..at].ends_with(is_name))
}

#[test]
fn the_map_names_existing_files_and_every_module() {
    let (texts, map) = (texts(), read("ARCHITECTURE.md"));
    for module in modules() {
        assert!(map.contains(&format!("`src/{module}")), "ARCHITECTURE.md does not name src/{module}");
    }
    let rooms = ["src/", "edge/", "engine/", "oracle/", "tests/", "benches/", "tools/"];
    for place in map.split('`').skip(1).step_by(2).filter(|text| rooms.iter().any(|room| text.starts_with(room))) {
        let found = root().join(place).exists() || texts.contains_key(place);
        assert!(found, "ARCHITECTURE.md names {place}, which does not exist");
    }
}

#[test]
fn links_of_documents_lead_somewhere_and_the_book_lists_its_pages() {
    let faults = book::faults(&root(), &texts());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn sources_are_short_and_tidy() {
    for (path, text) in texts().iter().filter(|(path, _)| path.ends_with(".rs") || path.ends_with(".py")) {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines; {LINES_MAX} are allowed");
        assert!(text.is_empty() || text.ends_with('\n'), "{path} does not end with a newline");
        for (index, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", index + 1);
            assert_eq!(line, line.trim_end(), "{place} ends with spaces");
            assert!(!line.contains('\t'), "{place} contains a tab");
            // In two parts: otherwise this file would fail.
            for left_over in [concat!("FIX", "ME"), concat!("XX", "X"), concat!("#[ign", "ore")] {
                assert!(!line.contains(left_over), "{place} contains {left_over}");
            }
        }
    }
}

#[test]
fn no_file_names_an_absolute_path_of_a_machine() {
    let folders = ["home", "root", "work", "tmp", "Users", "mnt", "srv", "opt"];
    for (path, text) in texts() {
        for folder in folders {
            let absolute = format!("/{folder}/");
            for (at, _) in text.match_indices(&absolute) {
                // Part of a relative path or of an address such as `x.org/home/`.
                let before = text[..at].chars().next_back();
                let longer = before.is_some_and(|c| c.is_alphanumeric() || "._-/~*}".contains(c));
                let line = text[..at].lines().count();
                assert!(longer, "{path}, near line {line}: {absolute}… is an absolute path");
            }
        }
    }
}

#[test]
fn every_package_takes_the_shared_lints() {
    for (path, text) in texts().iter().filter(|(path, _)| Path::new(path).ends_with("Cargo.toml")) {
        let manifest: toml::Table = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        if path.as_str() != "Cargo.toml" && manifest.contains_key("workspace") {
            // A separate workspace cannot inherit lints and repeats the most important one.
            assert!(text.contains("unsafe_code = \"deny\""), "{path} does not deny unsafe code");
            continue;
        }
        let shared = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(shared, Some(true), "{path} does not take the workspace's lints");
    }
}
