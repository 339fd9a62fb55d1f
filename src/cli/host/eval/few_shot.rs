//! `macula eval few-shot`: episodes with a few labelled images per class.

use std::num::NonZeroUsize;
use std::str::FromStr;

use super::comparison::{Comparison, is_floor};
use super::html_report::ReportArgs;
use super::images::Images;
use super::probe_args::ProbeArgs;
use super::table::Row;
use super::tile_pooling::{AttentionArgs, TilePooling, TiledImages};
use crate::encoder::HostEncoder;
use crate::encoders::Baseline;
use crate::evaluate::{self, EvaluateError, Features, HeadKind, PairedDifference};
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
    #[command(flatten)]
    attention: AttentionArgs,
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
    let ways = args.ways.unwrap_or(num_classes);
    let pools = images.pools(&args.shots, ways, args.queries, shared.common.seed)?;
    let (mut rows, mut of_episodes, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
    let episodes = args.episodes.get();
    let encoders = shared.encoders(&images)?;
    let mut own = 0;
    for (number, encoder) in encoders.iter().enumerate() {
        let poolings = args.poolings(&**encoder, &images)?;
        if number == 0 {
            own = poolings.len();
        }
        // The report has details of the encoder, not of the baselines.
        let keep = match number {
            0 => args.report.episodes_kept(episodes, ways * args.queries.get(), num_classes),
            _ => 0,
        };
        for (name, pooled) in &poolings {
            for &head in &args.head.0 {
                for (shots, pool) in &pools {
                    let bar = shared.bar(episodes, &format!("{name}: {head}, {shots} shots"));
                    let count = |count| bar.inc(count as u64);
                    let (mut result, predictions) = match pooled {
                        Pooled::Fixed(features) => {
                            evaluate::few_shot_predictions(features, num_classes, pool, episodes, head, (keep, &count))?
                        }
                        Pooled::Attention(tiled) => {
                            tiled.few_shot(&args.attention, (num_classes, pool), episodes, head, (keep, &count))?
                        }
                    };
                    bar.finish_and_clear();
                    if number == 0 {
                        let pooling = if own > 1 { format!("{name}, ") } else { String::new() };
                        let subject = format!("{pooling}{head}, {}", text::count(*shots, "shot"));
                        let kept = (keep, episodes);
                        subjects.extend(args.report.of_few_shot(&images, &subject, &result, predictions, kept)?);
                    }
                    of_episodes.push(std::mem::take(&mut result.of_episodes));
                    let mut row = Row::of_few_shot(&**encoder, head, *shots, episodes, result);
                    row.encoder.clone_from(name);
                    rows.push(row);
                }
            }
        }
    }
    // In tiles an encoder is also compared with itself on whole images.
    let whole = encoders.get(1).filter(|_| shared.tiles.is_some()).map(|encoder| encoder.name().to_owned());
    drop(encoders);
    let comparison = compare(&rows, &of_episodes, own, whole.as_deref());
    shared.report("few-shot", images, (rows, comparison), (&args.report, subjects))
}

/// The features of the test images.
enum Pooled {
    /// The same for every episode, standardised.
    Fixed(Features),
    /// Those of tiles, whose weights are fitted in each episode.
    Attention(TiledImages),
}

impl Args {
    /// The features of the test images by `encoder`, one way of pooling after the other, with names for the table.
    fn poolings(&self, encoder: &dyn HostEncoder, images: &Images) -> anyhow::Result<Vec<(String, Pooled)>> {
        let (shared, name, mut all) = (&self.shared, encoder.name(), Vec::new());
        if !encoder.is_tiled() || self.attention.has(TilePooling::Mean) {
            let corpus = shared.corpus(encoder, images)?;
            let mut features = shared.embed(encoder, images, &images.test)?;
            features.standardise(&corpus);
            all.push((name.to_owned(), Pooled::Fixed(features)));
        }
        if encoder.is_tiled() && self.attention.has(TilePooling::Attention) {
            let tiled = TiledImages::read(shared, encoder, images)?;
            all.push((format!("{name} by attention"), Pooled::Attention(tiled)));
        }
        Ok(all)
    }
}

/// Compares the encoder, which has `own` ways of pooling, with `whole` and each floor: the same head and shots, over the same
/// episodes. The first way is also what the others are compared with.
fn compare(rows: &[Row], of_episodes: &[Vec<f64>], own: usize, whole: Option<&str>) -> Vec<Comparison> {
    let mut names: Vec<&str> = Vec::new();
    rows.iter().for_each(|row| {
        if !names.contains(&row.encoder.as_str()) {
            names.push(&row.encoder)
        }
    });
    let mut comparisons = Vec::new();
    for (at, name) in names.iter().copied().take(own).enumerate().filter(|(_, name)| !is_floor(name)) {
        let mut others: Vec<&str> = names.iter().copied().take(at.min(1)).chain(whole).collect();
        others.extend(Baseline::FLOORS.into_iter().filter(|floor| whole != Some(*floor)));
        for (row, episodes) in rows.iter().zip(of_episodes).filter(|(row, _)| row.encoder == name) {
            for other in &others {
                let same =
                    |row_of: &&Row| row_of.encoder == *other && row_of.head == row.head && row_of.shots == row.shots;
                let Some(at) = rows.iter().position(|row_of| same(&row_of)) else { continue };
                let paired = PairedDifference::of_episodes(episodes, &of_episodes[at]);
                let comparison = Comparison::new("balanced accuracy", &row.candidate(), &rows[at].candidate(), paired);
                comparisons.push(comparison.with_shots(row.shots.unwrap_or_default()).with_head(&row.head));
            }
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
