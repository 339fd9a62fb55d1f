//! `macula eval few-shot`: episodes with a few labelled images per class.

use std::num::NonZeroUsize;
use std::str::FromStr;

use super::comparison::{Comparison, is_floor};
use super::html_report::ReportArgs;
use super::probe_args::ProbeArgs;
use super::table::Row;
use crate::encoders::Baseline;
use crate::evaluate::{self, EpisodePool, EpisodeSettings, EvaluateError, HeadKind, PairedDifference};
use crate::report::text;

/// Arguments of `macula eval few-shot`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    shared: ProbeArgs,
    /// Shots: labelled images per class
    #[arg(long, value_delimiter = ',', default_value = "5,20,50")]
    shots: Vec<NonZeroUsize>,
    /// Query images per class
    #[arg(long, default_value = "30")]
    queries: NonZeroUsize,
    /// Number of episodes; use at least 100 for a figure to quote
    #[arg(long, default_value = "100")]
    episodes: NonZeroUsize,
    /// Classes per episode [default: all]
    #[arg(long)]
    ways: Option<usize>,
    /// Heads: auto (the default of a device), prototype, gaussian, softmax, logistic, or all
    #[arg(long, default_value = "auto", value_name = "HEAD,…")]
    head: Heads,
    #[command(flatten)]
    report: ReportArgs,
}

/// The heads of `--head`.
#[derive(Clone, Debug, PartialEq)]
pub struct Heads(pub Vec<HeadKind>);

impl FromStr for Heads {
    type Err = EvaluateError;

    fn from_str(text: &str) -> Result<Self, EvaluateError> {
        match text {
            "all" => Ok(Self(HeadKind::ALL.to_vec())),
            names => names.split(',').map(str::parse).collect::<Result<_, _>>().map(Self),
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let shared = &args.shared;
    args.report.check()?;
    let mut images = shared.images()?;
    let num_classes = images.classes_to_draw(&shared.split)?;
    let pools: Vec<(usize, EpisodePool)> = (args.shots.iter())
        .map(|shots| {
            let settings = EpisodeSettings {
                ways: args.ways.unwrap_or(num_classes),
                shots: shots.get(),
                queries: args.queries.get(),
                seed: shared.common.seed,
            };
            Ok((shots.get(), EpisodePool::new(&images.dataset, &images.test, settings)?))
        })
        .collect::<anyhow::Result<_>>()?;
    let (mut rows, mut of_episodes, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
    let ways = args.ways.unwrap_or(num_classes);
    let mut is_own = true;
    for encoder in shared.encoders(&images)? {
        let corpus = shared.corpus(&*encoder, &images)?;
        let mut features = shared.embed(&*encoder, &images, &images.test)?;
        features.standardise(&corpus);
        for &head in &args.head.0 {
            for (shots, pool) in &pools {
                let episodes = args.episodes.get();
                let bar = shared.bar(episodes, &format!("{}: {head}, {shots} shots", encoder.name()));
                let count = |count| bar.inc(count as u64);
                // The report has details of the encoder, not of the baselines.
                let keep = args.report.episodes_kept(episodes, ways * args.queries.get(), num_classes);
                let keep = if is_own { keep } else { 0 };
                let (mut result, predictions) =
                    evaluate::few_shot_predictions(&features, num_classes, pool, episodes, head, (keep, &count))?;
                bar.finish_and_clear();
                if is_own {
                    let name = format!("{head}, {}", text::count(*shots, "shot"));
                    let kept = (keep, episodes);
                    subjects.extend(args.report.of_few_shot(&images, &name, &result, predictions, kept)?);
                }
                of_episodes.push(std::mem::take(&mut result.of_episodes));
                rows.push(Row::of_few_shot(&*encoder, head, *shots, episodes, result));
            }
        }
        is_own = false;
    }
    let comparison = compare(&rows, &of_episodes);
    shared.report("few-shot", images, (rows, comparison), (&args.report, subjects))
}

/// Compares the encoder with each floor: the same head and shots, over the same episodes.
fn compare(rows: &[Row], of_episodes: &[Vec<f64>]) -> Vec<Comparison> {
    let Some(own) = rows.first().map(|row| &row.encoder).filter(|name| !is_floor(name)) else { return Vec::new() };
    let mut comparisons = Vec::new();
    for (row, episodes) in rows.iter().zip(of_episodes).filter(|(row, _)| row.encoder == *own) {
        for floor in Baseline::FLOORS {
            let same = |other: &&Row| other.encoder == floor && other.head == row.head && other.shots == row.shots;
            let Some(at) = rows.iter().position(|other| same(&other)) else { continue };
            let paired = PairedDifference::of_episodes(episodes, &of_episodes[at]);
            let comparison = Comparison::new("balanced accuracy", &row.candidate(), &rows[at].candidate(), paired);
            comparisons.push(comparison.with_shots(row.shots.unwrap_or_default()).with_head(&row.head));
        }
    }
    comparisons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_a_list_or_all() {
        assert_eq!("all".parse::<Heads>().unwrap().0, HeadKind::ALL);
        assert_eq!("auto,logistic".parse::<Heads>().unwrap().0, [HeadKind::Auto, HeadKind::Logistic]);
        let refused = "auto,best".parse::<Heads>();
        assert!(matches!(refused, Err(EvaluateError::UnknownHead { name }) if name == "best"));
    }
}
