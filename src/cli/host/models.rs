//! `macula models`: lists the shipped encoders and prints their model cards.

use anyhow::Context;
use serde::Serialize;

use crate::cli::{Common, print_json};
use crate::encoders::open_run;
use crate::models::{MODELS, find, names};

/// Arguments of `macula models`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula models\n  macula models grey-64\n  \
    macula eval few-shot --encoder grey-64 --data SCANS --shots 5,20\n  \
    macula pretrain --init grey-64 --data SCANS --method simclr --channels 1 --size 64 --epochs 40 --out RUN")]
pub struct Args {
    /// Print the card of this model
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    summary: &'static str,
    encoder: String,
    channels: usize,
    size: usize,
    feature_dim: usize,
    bytes: usize,
    data: String,
    identity: String,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(name) = &args.name {
        let model = find(name).with_context(|| format!("no model '{name}'; the models are {}", names()))?;
        if args.common.json {
            return print_json(&serde_json::json!({ "name": model.name, "card": model.card }));
        }
        print!("{}", model.card);
        return Ok(());
    }
    let lines = MODELS.iter().map(line).collect::<anyhow::Result<Vec<_>>>()?;
    if args.common.json {
        return print_json(&lines);
    }
    println!("{:<10} {:<8} {:<10} {:>8}  description", "name", "encoder", "input", "feature");
    for Line { name, summary, encoder, channels, size, feature_dim, .. } in &lines {
        println!("{name:<10} {encoder:<8} {:<10} {feature_dim:>8}  {summary}", format!("{channels}×{size}×{size}"));
    }
    println!("--encoder and --init accept these names; `macula models NAME` prints a card");
    Ok(())
}

fn line(model: &crate::models::Model) -> anyhow::Result<Line> {
    let run = open_run(model.name)?;
    Ok(Line {
        name: model.name,
        summary: model.summary,
        encoder: run.config.encoder.name().to_owned(),
        channels: run.network.spec().input.channels,
        size: run.network.spec().input.height,
        feature_dim: run.network.spec().feature_dim(),
        bytes: model.checkpoint.len(),
        data: run.config.data.clone(),
        identity: run.info.id.to_string(),
    })
}
