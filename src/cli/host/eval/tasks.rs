//! `macula eval tasks`: several encoders over several few-shot tasks, in one table.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::ensure;

use super::cache_args::CacheArgs;
use super::probe_args::Baselines;
use super::tasks_table::{self, Report};
use crate::benchmark::{Benchmark, BenchmarkError, Contender, Settings, averages, card, compare_with, csv, read_tasks};
use crate::cli::overwrite::ForceArgs;
use crate::cli::preprocessing::PreprocessingArgs;
use crate::cli::trust::{KeyArgs, refused};
use crate::cli::{Common, print_json};
use crate::encoder::HostEncoder;
use crate::encoders::{self, EncoderInput, OpenError, OpenOptions};
use crate::evaluate::HeadKind;
use crate::files::write_atomic;
use crate::report::text::shown;

/// Side of the input of an encoder without an own size.
const SIDE: usize = 32;

/// Arguments of `macula eval tasks`.
#[derive(clap::Args)]
pub struct Args {
    /// File of tasks (TOML): name, data, role, domain and, optionally, classes of each
    #[arg(long, value_name = "FILE.toml")]
    tasks: PathBuf,
    /// Encoder, as ENCODER or LABEL=ENCODER; repeatable. {task} in it stands for the name of each task
    #[arg(long, value_name = "[LABEL=]ENCODER")]
    encoder: Vec<Contender>,
    /// Label of an encoder or baseline with which the others are compared as well, over the same episodes
    #[arg(long, value_name = "LABEL")]
    against: Option<String>,
    /// Folder of the datasets [default: the variable MACULA_DATA, or the folder of the file of tasks]
    #[arg(long, env = "MACULA_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Measure only these tasks
    #[arg(long, value_delimiter = ',', value_name = "TASK,…")]
    only: Vec<String>,
    /// Shots: labelled images per class
    #[arg(long, value_delimiter = ',', default_value = "1,5,20,50")]
    shots: Vec<NonZeroUsize>,
    /// Query images per class
    #[arg(long, default_value = "30")]
    queries: NonZeroUsize,
    /// Number of episodes per task and number of shots
    #[arg(long, default_value = "200")]
    episodes: NonZeroUsize,
    /// Head of all encoders: auto (the default of a device), prototype, gaussian, softmax or logistic
    #[arg(long, default_value = "auto")]
    head: HeadKind,
    /// Baselines, each with the side of its input after @; or none
    #[arg(long, value_name = "NAME[@SIDE],…|none", default_value = "raw-pixels,colour-statistics,random")]
    baselines: Baselines,
    /// Images per split at most, spread evenly over it; or all
    #[arg(long, value_name = "N|all", default_value = "2500")]
    images_per_split: Limit,
    #[command(flatten)]
    cache: CacheArgs,
    /// Write the table to this file: a line per encoder, task and number of shots, then the means
    #[arg(long, value_name = "OUT.csv")]
    csv: Option<PathBuf>,
    /// Write the figures of each encoder to this file, for its model card
    #[arg(long, value_name = "OUT.md")]
    card: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgs,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    #[command(flatten)]
    common: Common,
}

/// A number of images, or all.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limit(Option<usize>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "all" => Ok(Self(None)),
            Ok(count) if count > 0 => Ok(Self(Some(count))),
            _ => Err("must be a number of images above 0, or all".to_owned()),
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    for path in [&args.csv, &args.card].into_iter().flatten() {
        args.force.check(path)?;
    }
    let mut tasks = read_tasks(&args.tasks, args.data.as_deref())?;
    for name in &args.only {
        ensure!(tasks.iter().any(|task| task.name == *name), "--only {name}: no such task in {}", args.tasks.display());
    }
    tasks.retain(|task| args.only.is_empty() || args.only.contains(&task.name));
    let (trusted, cache) = (args.keys.read()?, args.cache.open_or_usual()?);
    let stated = args.preprocessing.stated()?;
    let host = args.preprocessing.values.limits.host(None);
    let open = |name: &str, fit: EncoderInput<'_>| -> Result<Box<dyn HostEncoder>, OpenError> {
        let (host, seed) = (host.clone(), args.common.seed);
        let own = OpenOptions { host, trusted: &trusted, fit: Some(fit), seed, ..OpenOptions::default() };
        let opened = match (encoders::open(name, &own), &stated) {
            // The stated preprocessing is for the ONNX files without an own one.
            (Err(OpenError::Unstated { .. }), Some(stated)) => {
                encoders::open(name, &OpenOptions { stated: Some(stated), ..own })
            }
            (opened, _) => opened,
        };
        Ok(opened?.encoder)
    };
    let settings = Settings {
        shots: args.shots.iter().map(|shots| shots.get()).collect(),
        queries: args.queries.get(),
        episodes: args.episodes.get(),
        seed: args.common.seed,
        head: args.head,
        images_per_split: args.images_per_split.0,
        side: SIDE,
    };
    let quiet = args.common.quiet;
    let mut benchmark = Benchmark {
        settings,
        contenders: &args.encoder,
        baselines: &args.baselines.0,
        cache: cache.as_ref(),
        open: &open,
        say: &|line| {
            if !quiet {
                eprintln!("{}", shown(line));
            }
        },
        rows: Vec::new(),
        costs: Vec::new(),
        remarks: Vec::new(),
    };
    benchmark.check_labels()?;
    for task in &tasks {
        benchmark.measure(task).map_err(explained)?;
    }
    let Benchmark { settings, mut rows, costs, remarks, .. } = benchmark;
    if let Some(label) = &args.against {
        ensure!(compare_with(&mut rows, label), "--against {label}: no encoder of this label is in the table");
    }
    let means = averages(&rows);
    if let Some(path) = &args.csv {
        csv(&rows, &means, &costs).write_csv(path)?;
    }
    if let Some(path) = &args.card {
        write_atomic(path, card(&rows, &costs).as_bytes())?;
    }
    let report = Report::new(&settings, args.against.clone(), rows, means, costs, remarks);
    if args.common.json {
        return print_json(&report);
    }
    tasks_table::print(&report, quiet);
    Ok(())
}

/// An encoder that cannot be opened is the same kind of error as in other commands.
fn explained(error: BenchmarkError) -> anyhow::Error {
    match error {
        BenchmarkError::Open { task, source } => match *source {
            OpenError::Bundle(error) => refused(error),
            source => anyhow::Error::from(source).context(format!("task {task}")),
        },
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_of_images_or_all() {
        assert_eq!("all".parse(), Ok(Limit(None)));
        assert_eq!("12".parse(), Ok(Limit(Some(12))));
        assert!(["0", "-1", "many"].iter().all(|text| text.parse::<Limit>().is_err()));
    }
}
