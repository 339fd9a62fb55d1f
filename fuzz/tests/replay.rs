//! Runs every corpus input and every former finding through its target.

use std::path::{Path, PathBuf};

use macula_fuzz::{Outcome, TARGETS, Target, samples};

/// Peak memory of the process at most, in bytes: a small file must not make it allocate much more.
const MEMORY_MAX: u64 = 1 << 30;

fn files(kind: &str, target: &Target) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target.name);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("the corpus can be read").path()).collect();
    files.sort();
    files
}

fn run(target: &Target, file: &Path) -> Outcome {
    let bytes = std::fs::read(file).expect("the corpus can be read");
    let outcome = std::panic::catch_unwind(|| (target.run)(&bytes));
    outcome.unwrap_or_else(|_| panic!("{} fails; see above", file.display()))
}

#[test]
fn every_input_of_the_corpora_is_refused_or_holds() {
    for target in &TARGETS {
        let files = files("corpus", target);
        let accepted = files.iter().filter(|file| run(target, file) == Outcome::Accepted).count();
        // A corpus whose inputs fail the first check tests nothing.
        assert!(accepted >= 2, "{}: {accepted} of {} inputs are accepted", target.name, files.len());
    }
    let peak = macula::memory::peak_bytes();
    assert!(peak.is_none_or(|peak| peak < MEMORY_MAX), "{peak:?} bytes were held");
}

#[test]
fn the_checked_in_seeds_are_up_to_date() {
    for target in &TARGETS {
        let seeds = samples::seeds(target.name);
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for (name, seed) in seeds {
            // Another version of a compressor writes other bytes, so only the outcomes are compared.
            let file =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name).join(format!("seed-{name}"));
            assert_eq!((target.run)(&seed), run(target, &file), "{}: {name}", target.name);
        }
    }
}

#[test]
fn former_findings_are_fixed() {
    for target in &TARGETS {
        for file in files("regressions", target) {
            run(target, &file);
        }
    }
}

#[test]
fn every_folder_belongs_to_a_target() {
    for kind in ["corpus", "regressions"] {
        let Ok(folders) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(kind)) else { continue };
        for folder in folders {
            let name = folder.expect("the corpora can be read").file_name();
            assert!(TARGETS.iter().any(|target| name == target.name), "{kind}/{name:?} belongs to no target");
        }
    }
}
