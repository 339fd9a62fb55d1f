//! `macula bench train`: measures training steps of an encoder with a linear classifier on random images.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::bail;
use indicatif::ProgressBar;
use serde::Serialize;

use super::compare::{Column, CompareArgs, Comparison, MIB, Ratio, compare, options, values};
use crate::cli::byte_size::byte_size;
use crate::cli::device::bench::measure::{Percentiles, count_to, mib, random_values, thread_pool, timed};
use crate::cli::progress::bar;
use crate::cli::{Common, print_json};
use crate::encoder::{Algorithm, EncoderSpec, InputShape, Network, Precision, Preset, Workspace};
use crate::kernel::{Bf16Kernel, Isa};
use crate::memory;
use crate::nn::cross_entropy::cross_entropy;
use crate::nn::linear::{linear_backward, linear_forward, linear_initialise};
use crate::nn::optimiser::{Optimiser, OptimiserKind};
use crate::rng::Rng;

/// Classes of the linear classifier: rotation prediction has four.
const CLASSES: usize = 4;

/// Low enough that the loss does not diverge on random images.
const LEARNING_RATE: f32 = 0.01;

/// Steps of the warm-up: the first allocates memory and fills caches.
const STEPS_WARM_UP: usize = 3;

/// Arguments of `macula bench train`.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  macula bench train --encoder all --threads 2\n\n--compare runs PyTorch on the same network."
)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Encoder preset: pico, nano, micro, mobile or all
    #[arg(long, default_value = "nano")]
    encoder: String,
    /// Channels: 1 or 3 [default: 1 for pico, 3 for the others]
    #[arg(long)]
    channels: Option<usize>,
    /// Side of the images in pixels [default: pico 28, nano and micro 32, mobile 64]
    #[arg(long)]
    size: Option<usize>,
    /// Images per step
    #[arg(long, alias = "batch", default_value_t = 128, value_parser = count_to(65_536))]
    batch_size: usize,
    /// Threads per step
    #[arg(long, default_value_t = 2, value_parser = count_to(256))]
    threads: usize,
    /// Precision of the products in convolutions
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// How 3×3 convolutions are computed
    #[arg(long, value_name = "ALGORITHM", default_value = "winograd")]
    convolution: Algorithm,
    /// Most memory of the process while it trains, such as 64MiB: activations that do not fit are computed again in each step [default: no
    /// limit]
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    memory: Option<usize>,
    /// Steps to measure, after a warm-up of 3
    #[arg(long, default_value_t = 20, value_parser = count_to(1_000_000))]
    steps: usize,
    #[command(flatten)]
    comparison: CompareArgs,
}

#[derive(Serialize)]
struct Report {
    isa: &'static str,
    precision: Precision,
    /// What multiplies bf16.
    #[serde(skip_serializing_if = "Option::is_none")]
    bf16: Option<&'static str>,
    threads: usize,
    batch: usize,
    steps: usize,
    results: Vec<Measured>,
}

#[derive(Serialize)]
struct Measured {
    encoder: &'static str,
    input: InputShape,
    step_ms: Percentiles,
    /// At the median step time.
    images_per_second: f64,
    peak_memory_bytes: Option<u64>,
    /// Share of the multiply-accumulates of a forward pass that a step computes again.
    recomputed: f64,
    /// Multiply-accumulates of the convolutions per image: forward and both gradients.
    multiply_accumulates: u64,
    /// Loss of the last step. It differs if the arithmetic differs.
    loss: f64,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let presets = match args.encoder.as_str() {
        "all" => Preset::ALL.to_vec(),
        name => vec![name.parse()?],
    };
    if args.comparison.compare {
        return presets.into_iter().try_for_each(|preset| compare_with_torch(args, preset));
    }
    let pool = thread_pool(args.threads)?;
    let results = presets.into_iter().map(|preset| pool.install(|| measure(args, preset))).collect::<Result<_, _>>()?;
    let Args { threads, batch_size: batch, steps, precision, .. } = *args;
    let isa = Isa::selected();
    let bf16 = (precision == Precision::Bf16).then(|| Bf16Kernel::for_isa(isa).map_or("rounded f32", Bf16Kernel::name));
    let report = Report { isa: isa.name(), precision, bf16, threads, batch, steps, results };
    if args.common.json {
        return print_json(&report);
    }
    print(&report);
    Ok(())
}

/// Beside PyTorch.
fn compare_with_torch(args: &Args, preset: Preset) -> anyhow::Result<()> {
    let InputShape { channels, height, .. } = input(args, preset);
    let Args { batch_size, threads, steps, precision, .. } = *args;
    let sizes = [("--channels", channels), ("--size", height), ("--batch-size", batch_size)];
    let sizes = [&sizes[..], &[("--threads", threads), ("--steps", steps)]].concat();
    let ours = ["train", "--encoder", preset.name(), "--precision", precision.name()].map(OsString::from).to_vec();
    compare(
        &args.comparison,
        args.common.json,
        &Comparison {
            title: format!(
                "training {} in {} at {channels}×{height}×{height}, batch {batch_size}, threads {threads}, {steps} steps",
                preset.name(),
                precision.name()
            ),
            ours: vec![("Macula".to_owned(), [ours, options(&sizes)].concat())],
            script: "train.py",
            peers: match precision {
                Precision::F32 => &["channels_last", "eager"],
                Precision::Bf16 => &["channels_last_bf16", "channels_last"],
            },
            args: &|_| [vec![preset.name().into()], values(&sizes)].concat(),
            columns: &[
                Column { title: "images/s", pointer: "/results/0/images_per_second", scale: 1.0 },
                Column { title: "p50 ms", pointer: "/results/0/step_ms/p50", scale: 1.0 },
                Column { title: "p99 ms", pointer: "/results/0/step_ms/p99", scale: 1.0 },
                Column { title: "peak MiB", pointer: "/results/0/peak_memory_bytes", scale: MIB },
            ],
            ratio: Ratio::Rate,
        },
    )
}

/// Input of `preset`, with the options.
fn input(args: &Args, preset: Preset) -> InputShape {
    let usual = preset.usual_input();
    let side = args.size.unwrap_or(usual.height);
    InputShape { channels: args.channels.unwrap_or(usual.channels), height: side, width: side }
}

fn print(report: &Report) {
    let kernels = [Some(report.isa), report.bf16].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    println!(
        "training, precision {}, batch {}, threads {}, kernels {kernels}\n",
        report.precision.name(),
        report.batch,
        report.threads
    );
    println!(
        "{:<8} {:<9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "encoder", "input", "p50 ms", "p95 ms", "p99 ms", "images/s", "peak MiB", "again %"
    );
    for Measured { encoder, input, step_ms, images_per_second, peak_memory_bytes, recomputed, .. } in &report.results {
        let input = format!("{}×{}×{}", input.channels, input.height, input.width);
        let Percentiles { p50, p95, p99 } = step_ms;
        let (peak, again) = (mib(*peak_memory_bytes), 100.0 * recomputed);
        println!(
            "{encoder:<8} {input:<9} {p50:>9.2} {p95:>9.2} {p99:>9.2} {images_per_second:>9.0} {peak:>9} {again:>9.0}"
        );
    }
}

fn measure(args: &Args, preset: Preset) -> anyhow::Result<Measured> {
    let input = input(args, preset);
    memory::reset_peak();
    let spec = EncoderSpec::preset(preset, input)?;
    let multiply_accumulates = spec.training_macs()?;
    let mut trainer = Trainer::new(spec, args)?;
    let recomputed = trainer.limit_memory(args)?;
    for _ in 0..STEPS_WARM_UP {
        trainer.step();
    }
    let progress = progress_bar(preset, args);
    let (mut durations, mut loss) = (Vec::<Duration>::with_capacity(args.steps), 0.0);
    for _ in 0..args.steps {
        let duration;
        (duration, loss) = timed(|| trainer.step());
        durations.push(duration);
        progress.inc(1);
    }
    mark();
    progress.finish_and_clear();
    if !loss.is_finite() {
        bail!("{}: the loss is {loss} after {} steps, so the rate is not valid", preset.name(), args.steps);
    }
    let step_ms = Percentiles::ms(&durations);
    Ok(Measured {
        encoder: preset.name(),
        input,
        step_ms,
        images_per_second: 1e3 * args.batch_size as f64 / step_ms.p50,
        peak_memory_bytes: memory::peak_bytes(),
        recomputed,
        multiply_accumulates,
        loss,
    })
}

fn progress_bar(preset: Preset, args: &Args) -> ProgressBar {
    let template = "{msg:8} {bar:30} {pos}/{len} steps, {rate}, {eta} left";
    bar(args.common.quiet, args.steps as u64, template).with_message(preset.name())
}

/// Asks for the parent's process id, which the counter of instructions of `benches/arm/` takes for the start of a step.
fn mark() {
    #[cfg(unix)]
    let _mark = std::os::unix::process::parent_id();
}

/// The state of the training steps.
struct Trainer {
    network: Network,
    workspace: Workspace,
    gradient: Vec<f32>,
    optimiser: Optimiser,
    /// Weight `[C, D]`, then bias `[C]`.
    classifier: Vec<f32>,
    dclassifier: Vec<f32>,
    classifier_optimiser: Optimiser,
    images: Vec<f32>,
    targets: Vec<usize>,
}

impl Trainer {
    fn new(spec: EncoderSpec, args: &Args) -> anyhow::Result<Self> {
        let (batch, seed) = (args.batch_size, args.common.seed);
        let InputShape { channels, height, width } = spec.input;
        let classifier = linear_initialise(spec.feature_dim(), CLASSES, &mut Rng::for_purpose(seed, "initialise head"));
        let mut network = Network::new(spec, seed)?;
        network.set_arithmetic(args.precision, args.convolution);
        let parameters = network.parameters.len();
        let sgd = |len| Optimiser::new(OptimiserKind::SGD, len, 0.0, Vec::new());
        Ok(Self {
            workspace: Workspace::default(),
            gradient: vec![0.0; parameters],
            optimiser: sgd(parameters),
            dclassifier: vec![0.0; classifier.len()],
            classifier_optimiser: sgd(classifier.len()),
            images: random_values(batch * height * width * channels, seed),
            targets: (0..batch).map(|image| image % CLASSES).collect(),
            network,
            classifier,
        })
    }

    /// Keeps only the values that fit into `--memory`; returns the share of a forward pass that a step computes again.
    fn limit_memory(&mut self, args: &Args) -> anyhow::Result<f64> {
        let Some(limit) = args.memory else { return Ok(0.0) };
        let (network, images) = (&self.network, self.targets.len());
        let now = memory::resident_bytes().map_or(0, |bytes| bytes as usize);
        // Gradient and momentum are allocated, but not yet in memory.
        let others = now + network.scratch_bytes(images, true) + 2 * network.parameter_bytes();
        let Some(schedule) = network.schedule_within(limit.saturating_sub(others), images) else {
            let least = others + network.least_schedule().bytes(images);
            let [limit, least] = [limit, least].map(|bytes| bytes as f64 * MIB);
            bail!(
                "{} at batch {images} needs at least {least:.1} MiB, more than --memory {limit:.1} MiB; lower --batch-size or --size",
                network.spec().name
            );
        };
        let macs = network.spec().cost()?.macs;
        let recomputed = schedule.recomputed_macs() as f64 / macs as f64;
        self.workspace = Workspace::with_schedule(schedule);
        Ok(recomputed)
    }

    /// One step: forward, backward, optimiser. Returns the loss before the step.
    fn step(&mut self) -> f64 {
        mark();
        let (batch, dim) = (self.targets.len(), self.network.spec().feature_dim());
        let features = self.network.forward(&mut self.workspace, &self.images).to_vec();
        let (weight, bias) = self.classifier.split_at(CLASSES * dim);
        let mut logits = vec![0.0; batch * CLASSES];
        linear_forward(&mut logits, &features, weight, bias);

        let mut dlogits = vec![0.0; logits.len()];
        let loss = cross_entropy(&mut dlogits, &logits, &self.targets, 0.0);

        let mut dfeatures = vec![0.0; features.len()];
        let (dweight, dbias) = self.dclassifier.split_at_mut(CLASSES * dim);
        linear_backward(dweight, dbias, &mut dfeatures, &features, weight, &dlogits);
        self.network.backward(&mut self.workspace, &self.images, &dfeatures, &mut self.gradient);

        self.optimiser.step(&mut self.network.parameters, &self.gradient, LEARNING_RATE);
        self.classifier_optimiser.step(&mut self.classifier, &self.dclassifier, LEARNING_RATE);
        loss
    }
}
