//! `macula sweep`: trains with several settings, and compares the encoders on tasks for development.

use std::path::PathBuf;

use serde::Serialize;

use super::pretrain::{Progress, stop_on_signal};
use crate::cli::failure::Kind;
use crate::cli::{Common, print_json};
use crate::report::table::Table;
use crate::report::text::count;
use crate::sweep::{Ended, Plan, Sweep, SweepError, summary};

/// Name of the table in the output folder.
const TABLE: &str = "sweep.csv";

/// Arguments of `macula sweep`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  macula sweep sweep.toml --out sweeps/batch

sweep.toml:
  tasks = \"tasks.toml\"             # tasks to measure on, as of `macula eval tasks`; those for reports are left out
  seeds = [1, 2]                   # of every setting [default: that of base]
  evaluation = { shots = [5, 20] } # also queries, episodes, images_per_split
  [base]                           # settings as in config.toml of a run; `init` and `policy` take names
  data = \"SCANS\"
  method = \"simclr\"
  [[vary]]                         # all combinations of the values are run
  setting = \"comparison.temperature\"
  values = [0.1, 0.5]
  [[run]]                          # and runs of their own
  name = \"large-batch\"
  settings = { batch_size = 512, epochs = 40 }

Runs are written to OUT/runs, results to OUT/results, the table to OUT/sweep.csv. The same command continues a sweep that was \
stopped; runs and results whose settings did not change are used again.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Sweep file
    file: PathBuf,
    /// Folder of the tasks' datasets [default: the variable MACULA_DATA, or the folder of the file of tasks]
    #[arg(long, env = "MACULA_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Folder for runs, results and the table
    #[arg(long)]
    out: PathBuf,
}

#[derive(Serialize)]
struct Report<'a> {
    runs: usize,
    failed: usize,
    file: String,
    table: &'a Table,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let plan = Plan::read(&args.file)?;
    let stop = stop_on_signal()?;
    let mut progress = Progress::new(args.common.quiet);
    let say = |line: &str| {
        if !args.common.quiet {
            eprintln!("{line}");
        }
    };
    let (data, out) = (args.data.as_deref(), args.out.as_path());
    let mut sweep = Sweep { plan: &plan, data, out, stop: &stop, observer: &mut progress, say: &say };
    let results = sweep.run().map_err(|error| match error {
        SweepError::Interrupted => Kind::Interrupted.error(error),
        error => error.into(),
    })?;
    progress.bar.finish_and_clear();
    let names: Vec<&str> = plan.variants.iter().map(|variant| variant.name.as_str()).collect();
    let table = summary(&names, &results);
    let path = args.out.join(TABLE);
    table.write_csv(&path)?;
    let all = || results.variants.iter().flatten();
    let failed = all().filter(|run| matches!(run, Ended::Failed(_))).count();
    if args.common.json {
        let file = path.display().to_string();
        return print_json(&Report { runs: all().count(), failed, file, table: &table });
    }
    print!("{}", table.text());
    println!("{}, {failed} failed; written: {}", count(all().count(), "run"), path.display());
    Ok(())
}
