//! Every example of `--help`, README.md and docs/ runs, with stand-ins for the files that it names.
#![cfg(unix)]

#[path = "examples/collect.rs"]
mod collect;
#[path = "../examples/custom_objective.rs"]
mod custom_objective;
#[path = "../examples/embed_folder.rs"]
mod embed_folder;
mod shell;
#[path = "../examples/teach_and_predict.rs"]
mod teach_and_predict;
#[path = "examples/world.rs"]
mod world;

use std::path::Path;

use rayon::prelude::*;

use collect::{Example, documents, first_commands, helps};
use world::{World, is_parsed_only, run};

/// Runs the examples of one command's help or of one document in their order, in a folder of their own.
fn run_all(world: &World, source: &str, examples: &[Example]) -> Vec<String> {
    let mut place = world.place(examples);
    let mut failed = Vec::new();
    for example in examples {
        let result = match is_parsed_only(&example.words) {
            true => world::parse(&example.words),
            false => run(&mut place, &example.words),
        };
        if let Err(error) = result {
            failed.push(format!("{source}: {}\n    {error}", example.words.join(" ")));
        }
    }
    failed
}

#[test]
fn every_command_has_an_example_and_every_example_runs() {
    let world = World::make();
    let mut failed = Vec::new();
    let mut sources = helps(Path::new(env!("CARGO_BIN_EXE_macula")));
    for (command, examples) in &sources {
        if examples.is_empty() && !command.is_empty() {
            failed.push(format!("macula {command} --help has no example"));
        }
    }
    let first = first_commands(Path::new(env!("CARGO_BIN_EXE_macula")));
    assert_eq!(first.len(), 5, "{first:?}");
    sources.push(("without arguments".to_owned(), first));
    sources.extend(documents(Path::new(env!("CARGO_MANIFEST_DIR"))));
    let count: usize = sources.iter().map(|(_, examples)| examples.len()).sum();
    assert!(count > 90, "{count} examples were found");
    // Most examples keep one core busy.
    let failures = |(source, examples): &(String, Vec<Example>)| run_all(&world, source, examples);
    failed.extend(sources.par_iter().flat_map_iter(failures).collect::<Vec<_>>());
    assert!(failed.is_empty(), "{} of {count} examples fail:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn the_examples_of_the_library_run() {
    custom_objective::main().unwrap();
    embed_folder::main().unwrap();
    teach_and_predict::main().unwrap();
}
