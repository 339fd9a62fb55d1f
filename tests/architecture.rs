//! The shape of the code, held by text: what `ARCHITECTURE.md` states as invariants, and tidiness.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
fn texts() -> BTreeMap<String, String> {
    let ignored: Vec<String> = read(".gitignore").lines().map(|line| line.trim_start_matches('/').to_owned()).collect();
    let kept = |name: &str| name != ".git" && !ignored.iter().any(|pattern| pattern == name);
    let entries = WalkDir::new(root()).min_depth(1).into_iter();
    let mut texts = BTreeMap::new();
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

/// The sources of one module of the desk: `src/NAME.rs` and all below `src/NAME/`.
fn sources<'a>(texts: &'a BTreeMap<String, String>, module: &str) -> Vec<(&'a str, &'a str)> {
    let (file, folder) = (format!("src/{module}.rs"), format!("src/{module}/"));
    let own = texts.iter().filter(|(path, _)| **path == file || path.starts_with(&folder) && path.ends_with(".rs"));
    let own: Vec<_> = own.map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert!(!own.is_empty(), "module {module} has no source");
    own
}

/// A source without its comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// What follows `prefix` up to the end of a name, at every place it stands: `crate::` gives the modules that are named.
/// A group, `crate::{a, b::c}`, gives each name at its top level.
fn names_after(text: &str, prefix: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        let rest = &text[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(rest.chars().take_while(|&c| is_name(c)).collect());
            continue;
        };
        let (mut depth, mut item) = (0usize, String::new());
        for c in group.chars() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => names.push(std::mem::take(&mut item)),
                _ if depth == 0 => item.push(c),
                _ => {}
            }
        }
        names.push(item);
    }
    let first = |name: &String| name.trim().chars().take_while(|&c| is_name(c)).collect();
    names.iter().map(first).filter(|name: &String| !name.is_empty()).collect()
}

/// The modules of the desk that a source of `module` names, itself left out.
fn used_modules(module: &str, text: &str, modules: &[String], texts: &BTreeMap<String, String>) -> Vec<String> {
    let mut used = names_after(text, "crate::");
    // `super::NAME` may climb to the root; a file of that name beside it is what is meant otherwise.
    let beside = |name: &String| {
        [format!("src/{module}/{name}.rs"), format!("src/{module}/{name}/mod.rs")]
            .iter()
            .any(|path| texts.contains_key(path))
    };
    used.extend(names_after(text, "super::").into_iter().filter(|name| !beside(name)));
    used.retain(|name| name != module && modules.contains(name));
    used
}

#[test]
fn a_module_uses_only_those_before_it() {
    let (texts, modules) = (texts(), modules());
    for (layer, module) in modules.iter().enumerate() {
        for (path, text) in sources(&texts, module) {
            for used in used_modules(module, &code(text), &modules, &texts) {
                assert!(modules[..layer].contains(&used), "{path} uses {used}, which src/lib.rs lists after {module}");
            }
        }
    }
}

#[test]
fn a_use_is_seen_however_it_is_written() {
    assert_eq!(names_after("use crate::rng::Rng;\nlet x = crate::data_more::open();", "crate::"), ["rng", "data_more"]);
    assert_eq!(names_after("use crate::{\n    data::{self, Split},\n    cli,\n};", "crate::"), ["data", "cli"]);
    let modules = ["rng".to_owned(), "cli".to_owned()];
    assert_eq!(used_modules("rng", "use super::cli::Common;", &modules, &BTreeMap::new()), ["cli"]);
    let beside = BTreeMap::from([("src/rng/cli.rs".to_owned(), String::new())]);
    assert!(used_modules("rng", "use super::cli::Common;", &modules, &beside).is_empty());
    assert_eq!(code("let x = 1; // crate::cli\n/// crate::cli"), "let x = 1; \n");
}

#[test]
fn the_training_core_knows_numbers_only() {
    let (texts, modules) = (texts(), modules());
    for (path, text) in sources(&texts, "nn") {
        let code = code(text);
        for used in used_modules("nn", &code, &modules, &texts) {
            assert!(["rng", "kernel"].contains(&used.as_str()), "{path} uses {used}");
        }
        for foreign in ["std::fs", "std::path", "std::io", "onnx", "Onnx"] {
            assert!(!code.contains(foreign), "{path} names {foreign}");
        }
    }
}

#[test]
fn kernels_use_no_other_module() {
    let (texts, modules) = (texts(), modules());
    for (path, text) in sources(&texts, "kernel") {
        assert_eq!(used_modules("kernel", &code(text), &modules, &texts), [""; 0], "{path}");
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
