//! `macula pretrain`: trains an encoder into a run folder, or continues a run.

mod figures;
mod outputs;
mod progress;
mod ranks;
mod settings;
mod teachers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use serde::Serialize;

use crate::cli::byte_size::byte_size;
use crate::cli::failure::{Kind, check_failed};
use crate::cli::images::{EncoderRange, ImageArgs};
use crate::cli::{Common, print_json};
use crate::data::Dataset;
use crate::pretrain::{
    EpochLine, Event, Method, Observer, Options, Outcome, PretrainConfig, PretrainError, Teacher, Teachers,
    pretrain_taught,
};
use crate::ranks::Ranks;
use crate::report::text::{count, shown};
use outputs::OutputArgs;
pub use progress::Progress;
use ranks::as_rank;
use settings::{DerivedArgs, RunOptions, SettingArgs};
use teachers::TeacherArgs;

/// Arguments of `macula pretrain`. An option left out keeps its default, or on --resume the value of the run.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  macula pretrain --data cifar10 --method rotation --encoder nano --epochs 20 --seed 1 --out runs/cifar-rotation
  macula pretrain --resume --out runs/cifar-rotation
  macula pretrain --resume --epochs 40 --out runs/cifar-rotation
  macula pretrain --config runs/cifar-rotation/config.toml --seed 2 --out runs/cifar-rotation-2
  macula pretrain --data 'corpus/*+cifar10' --without hands --sampling sqrt --method simclr --epochs 40 --out runs/mixed
  macula pretrain --data cifar10 --method supervised --init runs/cifar-rotation --freeze --out runs/cifar-probe
  macula pretrain --data cifar10 --method distill --teacher mobilenet_v2.onnx --preprocessing imagenet --epochs 20 --out runs/cifar-taught
  macula pretrain --data cifar10 --method distill --teacher runs/cifar-rotation --teacher-view plain --epochs 20 --out runs/cifar-taught-2

Ctrl-C ends the current step, writes a checkpoint and exits with code 130. --resume then gives the same bytes as an \
uninterrupted run. RUN/report.html shows the course of the run in a browser (docs/reports.md). The epochs that extend a finished run have their own learning rate schedule, from warm-up to zero. \
Exit code 3: training diverged, or the encoder collapsed (see --health).

mpirun -n N macula pretrain … divides each batch among N processes, on one or several machines, if the program is built with \
the feature mpi (docs/several-machines.md).")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    derived: DerivedArgs,
    #[command(flatten)]
    images: ImageArgs,
    #[command(flatten)]
    teachers: TeacherArgs,
    /// Read settings from a file such as config.toml of a run folder; options override it
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Run folder: new or empty, or with --resume that of the run to continue
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Continue the run; with more --epochs than the run has, extend it once it is finished
    #[arg(long)]
    resume: bool,
    /// Threads; the result does not depend on their number [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Memory for decoded images in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    cache_mib: usize,
    /// Most memory of the process while it trains, such as 64MiB or 1.5GiB: activations that do not fit are computed again in each step; the
    /// result does not depend on it [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    memory: Option<usize>,
    /// Batches whose images are read and augmented ahead of the steps, on as many further threads of low priority; 0: none
    #[arg(long, value_name = "N", default_value_t = 2)]
    prefetch: usize,
    #[command(flatten)]
    outputs: OutputArgs,
}

/// Runs the command. On `--resume` the seed counts only if it was given.
pub fn run(args: Args, seed_given: bool) -> anyhow::Result<()> {
    as_rank(args.common.json, |ranks| train(&args, seed_given, ranks))
}

/// Trains as one of `ranks`.
fn train(args: &Args, seed_given: bool, ranks: Ranks) -> anyhow::Result<()> {
    let Args { settings, derived, images, .. } = args;
    let quiet = args.common.quiet || !ranks.is_first();
    let stop = stop_rank_on_signal(ranks)?;
    let teachers = ranks.agree(args.teachers.opener(&stop))?;
    let run_options = RunOptions { teachers, settings, derived, images, seed: args.common.seed, seed_given };
    // Rank 0 decides the configuration, and the others take it over.
    let decided = ranks.agree(ranks.is_first().then(|| configured(args, &run_options, quiet)).transpose())?;
    let toml = ranks.from_first(|| anyhow::Ok(decided.as_ref().map(|(config, _)| config.to_toml())))?;
    let take_over = || opened(settings, toml.as_deref().unwrap_or_default());
    let (config, dataset) = ranks.agree(decided.map_or_else(take_over, Ok))?;
    let options = Options {
        resume: args.resume,
        strict: images.strict,
        cache_bytes: args.cache_mib << 20,
        prefetch: args.prefetch,
        memory: args.memory,
        ranks,
        pictures: args.outputs.has_pictures(),
    };
    let mut observer = args.outputs.observer(&args.out, Progress::new(quiet), ranks.is_first());
    for (name, reason) in &dataset.skipped {
        observer.progress.event(Event::Skipped { name, reason });
    }
    for remark in &dataset.remarks {
        observer.progress.say(format!("remark: {remark}"));
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.unwrap_or(0))
        .build()
        .context("cannot start the threads of --threads")?;
    let open = |teacher: &Teacher| run_options.teachers.open(teacher);
    let teachers = Teachers { open: &open };
    let outcome =
        pool.install(|| pretrain_taught(&config, &dataset, &args.out, options, teachers, &mut observer, &stop));
    observer.finish();
    observer.progress.bar.finish_and_clear();
    match outcome {
        Ok(Outcome::Finished { .. }) if !ranks.is_first() => Ok(()),
        Ok(Outcome::Finished { last, skipped }) => {
            report(args, (config.method, &dataset.class_names), last.as_ref(), skipped)
        }
        Ok(Outcome::Interrupted { step }) => Err(interrupted(&args.out, step)),
        Err(error @ (PretrainError::NotFinite { .. } | PretrainError::Collapsed { .. })) => Err(check_failed(error)),
        Err(error) => Err(error.into()),
    }
}

/// The configuration that the options ask for, and the dataset.
fn configured(args: &Args, run_options: &RunOptions<'_>, quiet: bool) -> anyhow::Result<(PretrainConfig, Dataset)> {
    let Args { settings, derived, images, .. } = args;
    let mut config = match args.resume {
        true => run_options.resumed(&args.out)?,
        false => run_options.new_run(args.config.as_deref())?,
    };
    config.check()?;
    let data_name = settings.data.as_deref().unwrap_or(&config.data);
    let mut dataset = config.open_data(data_name)?;
    if !args.resume {
        images.set_range(&mut dataset, EncoderRange::Known(config.range), quiet)?;
        config.range = dataset.decode.range;
    }
    dataset.decode.range = config.range;
    if !args.resume {
        let (channels, grey) = dataset.channels(&dataset.train_indices());
        if settings.channels.is_none() && derived.init.is_none() {
            config.channels = channels;
        }
        // With 1 channel there is nothing to suggest.
        dataset.remarks.extend(grey.filter(|_| config.channels == 3));
    }
    Ok((config, dataset))
}

/// The configuration `toml` that rank 0 decided, and the dataset.
fn opened(settings: &SettingArgs, toml: &str) -> anyhow::Result<(PretrainConfig, Dataset)> {
    let config: PretrainConfig = toml::from_str(toml).context("the configuration of rank 0")?;
    let mut dataset = config.open_data(settings.data.as_deref().unwrap_or(&config.data))?;
    dataset.decode.range = config.range;
    Ok((config, dataset))
}

fn interrupted(out: &Path, step: u64) -> anyhow::Error {
    let out = out.display();
    Kind::Interrupted.error(format!("stopped after step {step}; continue with: macula pretrain --resume --out {out}"))
}

/// A flag that Ctrl-C or SIGTERM raises. The second signal ends the program at once.
pub(super) fn stop_on_signal() -> anyhow::Result<Arc<AtomicBool>> {
    stop_rank_on_signal(Ranks::ONE)
}

/// As [`stop_on_signal`]. The second signal does nothing to one of several ranks: a terminal and `mpirun` may both send one
/// for the same Ctrl-C.
fn stop_rank_on_signal(ranks: Ranks) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) && ranks.is_one() {
            std::process::exit(130);
        }
    })
    .context("cannot handle Ctrl-C")?;
    Ok(stop)
}

#[derive(Serialize)]
struct Summary<'a> {
    run: String,
    skipped: usize,
    #[serde(flatten)]
    last: Option<&'a EpochLine>,
}

fn report(
    args: &Args,
    (method, class_names): (Method, &[String]),
    last: Option<&EpochLine>,
    skipped: usize,
) -> anyhow::Result<()> {
    let run = args.out.display().to_string();
    if args.common.json {
        return print_json(&Summary { run, skipped, last });
    }
    match last {
        None => println!("{}: already finished", shown(&run)),
        Some(line) => {
            println!("{}: {}, {}", shown(&run), count(line.epoch, "epoch"), count(line.step, "step"));
            println!("train     {}", figures::of_score(&line.train));
            if let Some(score) = &line.held_out {
                println!("held out  {}", figures::of_score(score));
                // The outputs of other objectives are not classes of the dataset.
                if method == Method::Supervised {
                    println!("          recall ↑ {}", figures::of_recall(&score.recall, class_names));
                }
            }
            if let Some(health) = &line.health {
                println!("features  {}", figures::of_health(health));
            }
        }
    }
    if skipped > 0 {
        println!("left out  {}", count(skipped, "unreadable image"));
    }
    Ok(())
}
