//! `macula report`: draws the report of a run again, or compares several runs.

use std::path::PathBuf;

use anyhow::ensure;
use serde::Serialize;

use crate::cli::overwrite::ForceArgs;
use crate::cli::{Common, print_json};
use crate::files::write_private;
use crate::report::run::{REPORT, RUNS_MAX, RunRecord, compare, report};
use crate::report::text::{count, shown, shown_path};

/// Name of a comparison, unless --out says another.
const COMPARISON: &str = "comparison.html";

/// Arguments of `macula report`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  macula report runs/cifar-rotation
  macula report runs/cifar-rotation runs/cifar-rotation-2 --out comparison.html

A comparison has the curves of all runs in the same charts, the settings that differ, and the last figures. It has no images; the report \
of one run contains some of its training images.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Run folders: one to draw its report again, or up to 12 to compare
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// HTML file to write [default: RUN/report.html, which is replaced; for several runs comparison.html]
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgs,
}

#[derive(Serialize)]
struct Written {
    out: String,
    runs: usize,
    remarks: Vec<String>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    ensure!(args.runs.len() <= RUNS_MAX, "{} runs; at most {RUNS_MAX} can be compared", args.runs.len());
    let out = match (&args.out, &args.runs[..]) {
        (Some(out), _) => out.clone(),
        // The report of a run is written anew all the time.
        (None, [run]) => run.join(REPORT),
        (None, _) => PathBuf::from(COMPARISON),
    };
    if args.out.is_some() || args.runs.len() > 1 {
        args.force.check(&out)?;
    }
    let runs: Vec<RunRecord> = args.runs.iter().map(|run| RunRecord::read(run)).collect::<Result<_, _>>()?;
    let html = match &runs[..] {
        [run] => report(run),
        runs => compare(runs),
    };
    write_private(&out, html.as_bytes())?;
    let remarks: Vec<String> = runs.iter().flat_map(|run| run.remarks.iter().cloned()).collect();
    if args.common.json {
        return print_json(&Written { out: out.display().to_string(), runs: runs.len(), remarks });
    }
    if !args.common.quiet {
        remarks.iter().for_each(|remark| eprintln!("note: {}", shown(remark)));
    }
    println!("{}: {}", shown_path(&out), count(runs.len(), "run"));
    Ok(())
}
