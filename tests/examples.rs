//! Every example of `--help`, README.md and docs/ runs, with stand-ins for the files that it names. Outputs that a
//! document shows (blocks `console`) are those of the program: `MACULA_WRITE=1 cargo test --test examples` writes them.
#![cfg(unix)]

#[path = "examples/collect.rs"]
mod collect;
mod common;
#[path = "../examples/custom_objective.rs"]
mod custom_objective;
#[path = "../examples/embed_folder.rs"]
mod embed_folder;
#[path = "examples/reference.rs"]
mod reference;
#[path = "examples/session.rs"]
mod session;
mod shell;
#[path = "../examples/teach_and_predict.rs"]
mod teach_and_predict;
#[path = "examples/world.rs"]
mod world;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use collect::{Source, Step, documents, first_commands, helps};
use session::{Session, lines_of};
use world::{Place, World, is_parsed_only, run};

/// What the examples gave.
#[derive(Default)]
struct Results {
    failed: Vec<String>,
    outputs: Vec<(Session, Vec<String>)>,
}

impl Results {
    /// Runs the examples of one command's help or of one document in their order, in a folder of their own.
    fn run_all(&mut self, mut place: Place, source: &Source) {
        for step in &source.steps {
            let (what, result) = match step {
                Step::Example(example) => {
                    let result = match is_parsed_only(&example.words) {
                        true => world::parse(&example.words),
                        false => run(&mut place, &example.words),
                    };
                    (example.words.join(" "), result)
                }
                Step::Session(session) => (session.command.clone(), self.run_session(&mut place, session)),
            };
            if let Err(error) = result {
                self.failed.push(format!("{}: {what}\n    {error}", source.name));
            }
        }
    }

    fn run_session(&mut self, place: &mut Place, session: &Session) -> Result<(), String> {
        let (output, succeeded) = place.shell(&session.command)?;
        if succeeded == session.shows_an_error() {
            return Err(format!("succeeded: {succeeded}\n{output}"));
        }
        let found = lines_of(&output);
        self.outputs.push((session.clone(), found.clone()));
        if is_written() || !computes_like_the_documents() { Ok(()) } else { session.compare(&found) }
    }

    /// Fails if an example did. Writes the outputs if that was asked for.
    fn check(&self) {
        if is_written() && computes_like_the_documents() {
            session::write(&self.outputs);
        }
        assert!(self.failed.is_empty(), "{} examples fail:\n{}", self.failed.len(), self.failed.join("\n"));
    }
}

fn is_written() -> bool {
    std::env::var_os("MACULA_WRITE").is_some()
}

/// Whether this processor rounds as the one whose figures the documents show: with fused multiply-add in vectors.
fn computes_like_the_documents() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

fn is_tutorial(source: &Source) -> bool {
    source.name == "docs/tutorial"
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_command_has_an_example_and_every_example_runs() {
    let world = World::make();
    let mut sources = helps(Path::new(env!("CARGO_BIN_EXE_macula")));
    for source in &sources {
        let has_one = !source.steps.is_empty() || source.name.is_empty();
        assert!(has_one, "macula {} --help has no example", source.name);
    }
    let first = first_commands(Path::new(env!("CARGO_BIN_EXE_macula")));
    assert_eq!(first.steps.len(), 5);
    sources.push(first);
    sources.extend(documents(root()).into_iter().filter(|source| !is_tutorial(source)));
    let count: usize = sources.iter().map(|source| source.steps.len()).sum();
    assert!(count > 90, "{count} examples were found");
    // Commands start, read a little and end: most of them use one core.
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Results::default()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut own = Results::default();
                    own.run_all(world.place(source), source);
                    let mut all = results.lock().unwrap();
                    all.failed.extend(own.failed);
                    all.outputs.extend(own.outputs);
                }
            });
        }
    });
    results.into_inner().unwrap().check();
}

/// From x-rays to a taught board, as docs/tutorial has it.
#[test]
fn the_tutorial_prints_what_it_shows() {
    let Some(data) = common::data_or_skip("the_tutorial_prints_what_it_shows") else { return };
    let sources = documents(root());
    let tutorial = sources.iter().find(|source| is_tutorial(source)).expect("docs/tutorial has pages");
    let place = Place::empty();
    // As the archive of the dataset unpacks.
    std::os::unix::fs::symlink(data.join("kermany-cxr").canonicalize().unwrap(), place.path().join("chest_xray"))
        .unwrap();
    let mut results = Results::default();
    results.run_all(place, tutorial);
    results.check();
}

#[test]
fn the_reference_is_that_of_the_program() {
    reference::check(&root().join("docs/reference"));
}

#[test]
fn the_examples_of_the_library_run() {
    custom_objective::main().unwrap();
    embed_folder::main().unwrap();
    teach_and_predict::main().unwrap();
}
