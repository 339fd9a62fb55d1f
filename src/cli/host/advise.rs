//! `macula advise`: which shipped encoder to start from, and whether training on the images is worth it.

use std::time::Instant;

use super::pretrain::stop_on_signal;
use crate::advise::{Advice, AdviseError, Figures, ImagesFound, Session};
use crate::cli::failure::Kind;
use crate::cli::images::{EncoderRange, ImageArgs};
use crate::cli::{Common, print_json};
use crate::data::{DataError, DicomReading, open_named};
use crate::models::MODELS;
use crate::report::table::Table;
use crate::report::text::{count, shown};

/// Arguments of `macula advise`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  macula advise --data SCANS --seconds 5

Compares the shipped encoders with raw pixels and colour statistics on a sample of the images, times training on this machine, \
and tries a short training. With labels (folders named after classes, or a label column) encoders are compared by few-shot \
accuracy; without, only by how well they find an image again from an augmented view. Ends with the commands to run next.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Dataset, as for `macula data`
    #[arg(long)]
    data: String,
    /// Time to spend, in seconds
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    #[command(flatten)]
    images: ImageArgs,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let quiet = args.common.quiet || args.common.json;
    let stop = stop_on_signal()?;
    let mut prepared = open_named(&args.data, args.common.seed)?;
    args.images.prepare(&mut prepared, EncoderRange::Known(None), quiet)?;
    let range = prepared.decode.range;
    let open = || -> Result<_, DataError> {
        let mut dataset = open_named(&args.data, args.common.seed)?;
        args.images.read_dicom(&mut dataset, DicomReading::default())?;
        dataset.decode.range = range;
        Ok(dataset)
    };
    let started = Instant::now();
    let say = |line: &str| {
        if !quiet {
            eprintln!("{line}");
        }
    };
    let session = Session {
        data: &args.data,
        open: &open,
        models: MODELS,
        seconds: f64::from(args.seconds),
        seed: args.common.seed,
        clock: &|| started.elapsed(),
        stop: &stop,
        say: &say,
    };
    let advice = session.run().map_err(|error| match error {
        AdviseError::Interrupted => Kind::Interrupted.error(error),
        error => error.into(),
    })?;
    if args.common.json {
        return print_json(&advice);
    }
    if !quiet {
        advice.remarks.iter().for_each(|remark| eprintln!("note: {}", shown(remark)));
    }
    print(&advice);
    Ok(())
}

fn print(advice: &Advice) {
    println!("{}", of_images(&advice.images));
    let [train, test] = advice.sampled;
    println!("measured on a sample of {train} images for statistics and {test} for episodes\n");
    print!("{}", table(advice).text());
    println!();
    advice.sentences.iter().for_each(|sentence| println!("{sentence}"));
    if !advice.commands.is_empty() {
        println!("\nNext:");
        advice.commands.iter().for_each(|command| println!("  {}", shown(command)));
    }
}

fn of_images(images: &ImagesFound) -> String {
    let kind = if images.channels == 1 { "grey" } else { "colour" };
    let classes = match images.is_labelled() {
        true => format!(", {} with labels", count(images.classes.len(), "class")),
        false => ", without labels".to_owned(),
    };
    let [width, height] = images.size;
    format!("{}, {kind}, median size {width}×{height}{classes}", count(images.images, "image"))
}

/// One row per encoder, the floors first.
fn table(advice: &Advice) -> Table {
    let mut columns =
        vec!["encoder".to_owned(), "input".into(), "feature".into(), "ms".into(), "rank".into(), "found again".into()];
    columns.extend(advice.shots.iter().map(|shots| format!("{shots} shots")));
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&names);
    for Figures { encoder, input, feature_dim, encode_ms, effective_rank, retrieval, few_shot, .. } in &advice.encoders
    {
        let [channels, height, width] = input;
        let mut row = vec![
            encoder.clone(),
            format!("{channels}×{height}×{width}"),
            feature_dim.to_string(),
            format!("{encode_ms:.2}"),
            effective_rank.map_or("-".to_owned(), |rank| format!("{rank:.1}")),
            format!("{retrieval:.2}"),
        ];
        row.extend(few_shot.iter().map(|figures| figures.balanced_accuracy.to_string()));
        table.push(row);
    }
    table
}
