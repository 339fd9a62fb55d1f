//! `macula forget`: takes samples or a class out of a head, exactly.

use std::path::PathBuf;

use anyhow::Context;

use super::{Common, print_json, teach};
use crate::device;

/// Arguments of `macula forget`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula forget --head tissue.head --sample b.png\n  \
    macula forget --head tissue.head --class vessel\n\n\
    Samples and their hashes are listed by `macula status --head tissue.head --samples`.")]
#[command(group = clap::ArgGroup::new("what").required(true).args(["class", "sample"]))]
pub struct Args {
    /// The head
    #[arg(long, value_name = "FILE")]
    head: PathBuf,
    /// Forget this class with all its samples
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Forget these samples: names as they were learned, or 8 or more digits of a hash
    #[arg(long, value_name = "NAME_OR_HASH", num_args = 1..)]
    sample: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    head: String,
    forgotten: usize,
    classes: Vec<teach::ClassCount>,
}

/// Runs it: everything named is forgotten, or an error leaves the head as it was.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut head = teach::load_head(&args.head)?;
    let forgotten = match &args.class {
        Some(class) => head.forget_class(class),
        None => args.sample.iter().try_for_each(|name| head.forget_sample(name).map(drop)).map(|()| args.sample.len()),
    };
    let forgotten = forgotten.with_context(|| args.head.display().to_string())?;
    device::save(&head, &args.head)?;
    let classes = teach::class_counts(&head);
    if args.common.json {
        return print_json(&Report { head: args.head.display().to_string(), forgotten, classes });
    }
    println!("forgot {forgotten} samples");
    teach::print_classes(&classes);
    Ok(())
}
