//! `macula reproduce`: reproduces published results, with charts and tables.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::pretrain::{Progress, stop_on_signal};
use crate::cli::failure::Kind;
use crate::cli::{Common, print_json};
use crate::reproduce::{Findings, Lab, Lesson, ReproduceError, Scale};

/// Arguments of `macula reproduce`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula reproduce figure-8 --short --out lessons\n  \
    macula reproduce few-shot --data DATA --out lessons\n\nDATA contains cifar10, kermany-cxr, pneumoniamnist, busi and \
    drive-patches. Runs are written to OUT/runs and shared between lessons; an interrupted lesson is resumed.")]
pub struct Args {
    /// Lesson: representations, figure-5, figure-8, few-labels, table-4.3, moco-memory, models, few-shot, or all
    #[arg(value_name = "LESSON")]
    lesson: String,
    /// Folder of datasets [default: the variable MACULA_DATA]
    #[arg(long, env = "MACULA_DATA")]
    data: Option<PathBuf>,
    /// Folder for runs, tables, charts and images
    #[arg(long)]
    out: PathBuf,
    /// Run in seconds on phantoms, as a test of the code without scientific value
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Report<'a> {
    lesson: &'static str,
    scale: Scale,
    seed: u64,
    seconds: f64,
    sentences: &'a [String],
    files: Vec<String>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let lessons = match args.lesson.as_str() {
        "all" => Lesson::ALL.to_vec(),
        name => vec![name.parse()?],
    };
    let stop = stop_on_signal()?;
    for lesson in lessons {
        let started = Instant::now();
        let mut progress = Progress::new(args.common.quiet);
        let mut lab = Lab {
            data: args.data.clone(),
            out: args.out.clone(),
            scale: if args.short { Scale::Short } else { Scale::Full },
            seed: args.common.seed,
            stop: &stop,
            observer: &mut progress,
            say: &|line| {
                if !args.common.quiet {
                    eprintln!("{line}");
                }
            },
        };
        let found = lesson.reproduce(&mut lab).map_err(|error| match error {
            ReproduceError::Interrupted => Kind::Interrupted.error(error),
            error => error.into(),
        })?;
        let files = found.write(lesson.name(), &args.out)?;
        let report = Report {
            lesson: lesson.name(),
            scale: lab.scale,
            seed: args.common.seed,
            seconds: started.elapsed().as_secs_f64(),
            sentences: &found.sentences,
            files: files.iter().map(|path| path.display().to_string()).collect(),
        };
        if args.common.json {
            print_json(&report)?;
        } else {
            print(&report, &found);
        }
    }
    Ok(())
}

fn print(report: &Report<'_>, found: &Findings) {
    println!("{}, seed {}, {:.0} s", report.lesson, report.seed, report.seconds);
    for (name, table) in &found.tables {
        println!("\n{name}{}{}", if name.is_empty() { "" } else { "\n" }, table.text());
    }
    found.sentences.iter().for_each(|sentence| println!("{sentence}"));
    println!("written: {}", report.files.join(", "));
}
