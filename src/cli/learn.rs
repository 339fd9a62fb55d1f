//! `macula learn`: teaches a head from a few images.

use std::path::PathBuf;

use anyhow::Context;

use super::{Common, print_json, teach};
use crate::data::{self, Split};
use crate::device::{self, TaughtHead};

/// Arguments of `macula learn`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula learn --encoder encoder.onnx --head tissue.head --class vessel a.png b.png c.png\n  \
    macula learn --encoder encoder.onnx --head tissue.head --data SLIDES --split train --shots 5")]
pub struct Args {
    /// A run's folder, an ONNX file, or raw-pixels
    #[arg(long)]
    encoder: String,
    /// The head to teach; made where there is none yet
    #[arg(long, value_name = "FILE")]
    head: PathBuf,
    /// Name of the class that the images show
    #[arg(long, value_name = "NAME", required_unless_present = "data", conflicts_with = "data")]
    class: Option<String>,
    /// Image files
    #[arg(value_name = "IMAGE", required_unless_present = "data", conflicts_with = "data")]
    images: Vec<PathBuf>,
    /// Learn from a labelled data set instead
    #[arg(long, value_name = "PATH", requires = "shots")]
    data: Option<String>,
    /// Which part of the data set: train, val or test; all of it by default
    #[arg(long, requires = "data", value_parser = teach::parse_split)]
    split: Option<Split>,
    /// Images of each class to draw from the data set, by seed
    #[arg(long, requires = "data", value_parser = clap::value_parser!(u32).range(1..))]
    shots: Option<u32>,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    head: String,
    encoder: String,
    learned: usize,
    known: usize,
    classes: Vec<teach::ClassCount>,
}

/// Runs it: all images are learned and the head is replaced, or an error leaves it as it was.
pub fn run(args: Args) -> anyhow::Result<()> {
    let encoder = teach::open_encoder(&args.encoder)?;
    let mut head = match args.head.exists() {
        true => teach::load_head(&args.head)?,
        false => TaughtHead::new(&*encoder),
    };
    head.check_encoder(&*encoder).with_context(|| args.head.display().to_string())?;
    let lessons = match &args.data {
        Some(name) => teach::draw_shots(
            &data::open_named(name, args.common.seed)?,
            args.split,
            args.shots.unwrap_or_default() as usize,
            args.common.seed,
        )?,
        None => vec![(args.class.clone().unwrap_or_default(), teach::read_images(&args.images)?)],
    };
    let (mut learned, mut known) = (0, 0);
    for (class, images) in &lessons {
        let already = teach::learn(&mut head, &*encoder, class, images)?;
        learned += images.len() - already.len();
        known += already.len();
        for (image, name) in already.iter().filter(|_| !args.common.quiet) {
            eprintln!("{image}: class '{class}' has these pixels already, from {name}");
        }
    }
    if learned > 0 {
        device::save(&head, &args.head)?;
    }
    report(&args, &head, learned, known)
}

fn report(args: &Args, head: &TaughtHead, learned: usize, known: usize) -> anyhow::Result<()> {
    let classes = teach::class_counts(head);
    if args.common.json {
        let (head, encoder) = (args.head.display().to_string(), args.encoder.clone());
        return print_json(&Report { head, encoder, learned, known, classes });
    }
    println!("learned {learned} images, {known} were known");
    teach::print_classes(&classes);
    Ok(())
}
