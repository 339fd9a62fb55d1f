//! `macula encoders`: lists presets and their cost.

use serde::Serialize;

use crate::cli::{Common, print_json};
use crate::encoder::{Cost, EncoderSpec, InputShape, Preset};

/// Arguments of `macula encoders`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula encoders --channels 1 --size 28")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Input channels: 1 (grey) or 3 (colour)
    #[arg(long, default_value_t = 3)]
    channels: usize,
    /// Side of the square input in pixels
    #[arg(long, default_value_t = 32)]
    size: usize,
}

#[derive(Serialize)]
struct Row {
    encoder: &'static str,
    #[serde(flatten)]
    cost: Cost,
}

#[derive(Serialize)]
struct Table {
    input: InputShape,
    encoders: Vec<Row>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let input = InputShape { channels: args.channels, height: args.size, width: args.size };
    let row = |preset: Preset| -> anyhow::Result<Row> {
        Ok(Row { encoder: preset.name(), cost: EncoderSpec::preset(preset, input)?.cost()? })
    };
    let encoders = Preset::ALL.into_iter().map(row).collect::<anyhow::Result<Vec<Row>>>()?;
    let table = Table { input, encoders };
    if args.common.json {
        return print_json(&table);
    }
    println!("Input {}×{}×{}, one image, f32", input.channels, input.height, input.width);
    println!("{:<8} {:>8} {:>11} {:>15} {:>8}", "encoder", "MMAC", "parameters", "activations KiB", "feature");
    for Row { encoder, cost } in &table.encoders {
        println!(
            "{encoder:<8} {:>8.2} {:>11} {:>15.1} {:>8}",
            cost.macs as f64 / 1e6,
            cost.parameters,
            cost.activation_bytes as f64 / 1024.0,
            cost.feature_dim
        );
    }
    Ok(())
}
