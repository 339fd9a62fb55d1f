//! `macula encoders`: lists presets, their cost, and the memory that training them needs.

use serde::Serialize;

use crate::cli::byte_size::byte_size;
use crate::cli::{Common, print_json};
use crate::encoder::{Algorithm, Cost, EncoderSpec, InputShape, Precision, Preset, Schedule};
use crate::pretrain::{MemoryModel, Method, PretrainConfig, TrainingMemory};

/// Classes of a supervised method; the memory hardly depends on them.
const CLASSES: usize = 10;

/// Arguments of `macula encoders`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  macula encoders --channels 1 --size 28
  macula encoders --size 64 --method simclr --batch-size 64 --memory 400MiB

The memory of training is that of the process, without the images that it keeps decoded (--count N adds them). `least` is the smallest \
--memory, and `again` how much of a forward pass a step then computes again; with --memory also for that limit.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Input channels: 1 (grey) or 3 (colour)
    #[arg(long, default_value_t = 3)]
    channels: usize,
    /// Side of the square input in pixels
    #[arg(long, default_value_t = 32)]
    size: usize,
    /// Method of training
    #[arg(long, default_value = "simclr")]
    method: Method,
    /// Images per step
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,
    /// Most network inputs whose activations are in memory, as --chunk of `macula pretrain`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=65_536))]
    chunk: Option<u32>,
    /// Precision of the products in convolutions
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// How 3×3 convolutions are computed
    #[arg(long, value_name = "ALGORITHM", default_value = "winograd")]
    convolution: Algorithm,
    /// Training images that are kept in memory
    #[arg(long, value_name = "N", default_value_t = 0)]
    count: u32,
    /// A limit as --memory of `macula pretrain`, such as 64MiB
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    memory: Option<usize>,
}

#[derive(Serialize)]
struct Row {
    encoder: &'static str,
    #[serde(flatten)]
    cost: Cost,
    training: Need,
    /// With as much as possible computed again.
    least: Need,
    /// Within --memory; absent without it, null if it does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    limited: Option<Option<Need>>,
}

/// Memory of a training.
#[derive(Serialize)]
struct Need {
    bytes: usize,
    /// Share of the multiply-accumulates of a forward pass that a step computes again.
    recomputed: f64,
    #[serde(flatten)]
    memory: TrainingMemory,
}

#[derive(Serialize)]
struct Table {
    input: InputShape,
    method: Method,
    batch_size: u32,
    encoders: Vec<Row>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let input = InputShape { channels: args.channels, height: args.size, width: args.size };
    let encoders = Preset::ALL.into_iter().map(|preset| row(&args, preset, input)).collect::<anyhow::Result<_>>()?;
    let table = Table { input, method: args.method, batch_size: args.batch_size, encoders };
    if args.common.json {
        return print_json(&table);
    }
    print(&args, &table);
    Ok(())
}

fn row(args: &Args, preset: Preset, input: InputShape) -> anyhow::Result<Row> {
    let cost = EncoderSpec::preset(preset, input)?.cost()?;
    let mut config = PretrainConfig::new("", args.method);
    (config.encoder, config.channels, config.size) = (preset, args.channels, args.size);
    (config.precision, config.convolution) = (args.precision, args.convolution);
    config.chunk = args.chunk.map(|chunk| chunk as usize);
    let mut network = config.network()?;
    network.set_arithmetic(config.precision, config.convolution);
    let objective = config.objective(CLASSES);
    let images = args.count as usize * args.channels * args.size * args.size;
    let model = MemoryModel {
        config: &config,
        network: &network,
        objective: &*objective,
        images: args.batch_size as usize,
        prefetch: 2,
        process: MemoryModel::process_now(),
        images_kept: [args.memory.map_or(images, |limit| images.min(limit / 4)), images],
        limit: args.memory,
    };
    let fixed = model.fixed();
    let need = |schedule: &Schedule| {
        let memory = TrainingMemory { activations: model.activations(schedule), ..fixed };
        let recomputed = schedule.recomputed_macs() as f64 / cost.macs as f64;
        Need { bytes: memory.total(), recomputed, memory }
    };
    let limited = args.memory.map(|_| model.schedule(fixed).ok().map(|(schedule, _)| need(&schedule)));
    let (training, least) = (need(&network.whole_schedule()), need(&network.least_schedule()));
    Ok(Row { encoder: preset.name(), cost, training, least, limited })
}

fn print(args: &Args, Table { input, encoders, .. }: &Table) {
    let InputShape { channels, height, width } = *input;
    println!("Input {channels}×{height}×{width}, one image, f32");
    println!("{:<8} {:>8} {:>11} {:>15} {:>8}", "encoder", "MMAC", "parameters", "activations KiB", "feature");
    for Row { encoder, cost, .. } in encoders {
        println!(
            "{encoder:<8} {:>8.2} {:>11} {:>15.1} {:>8}",
            cost.macs as f64 / 1e6,
            cost.parameters,
            cost.activation_bytes as f64 / 1024.0,
            cost.feature_dim
        );
    }
    let limit = args.memory.map(|bytes| format!("within {} MiB", bytes >> 20)).unwrap_or_default();
    println!("\nTraining with {}, {} images per step", args.method.name(), args.batch_size);
    println!("{:<8} {:>8} {:>11} {:>15}  {limit}", "encoder", "MiB", "least MiB", "again %");
    for Row { encoder, training, least, limited, .. } in encoders {
        let [all, fewest] = [training, least].map(|need| need.bytes.div_ceil(1 << 20));
        let limited = match limited {
            None => String::new(),
            Some(None) => "does not fit".to_owned(),
            Some(Some(need)) => format!("{} MiB, {:.0} % again", need.bytes.div_ceil(1 << 20), 100.0 * need.recomputed),
        };
        println!("{encoder:<8} {all:>8} {fewest:>11} {:>15.0}  {limited}", 100.0 * least.recomputed);
    }
}
