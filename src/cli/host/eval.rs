//! `macula eval`: evaluates the features of an encoder and of the baselines.

mod abstention;
mod probe_args;
mod comparison;
mod parts;
mod table;

use std::num::NonZeroUsize;

use anyhow::Context;
use indicatif::ProgressBar;

use crate::cli::images::EncoderRange;
use crate::cli::progress::bar;
use crate::cli::trust::open_encoder;
use crate::data::{self, Dataset, Split, TrainTestSplit};
use crate::encoder::HostEncoder;
use crate::encoders::{self, EncoderInput, OpenOptions, Stated};
use crate::evaluate::{self, EpisodePool, EpisodeSettings, Features, HeadKind, Labelled, PairedDifference};
use crate::report::text::{count, shown};
use comparison::{BASELINE, Candidate, Comparison};
use probe_args::ProbeArgs;
use table::{Report, Row};

/// Default side of the input.
const IMAGE_SIZE: usize = 32;

/// Arguments of `macula eval`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula eval few-shot --encoder random:nano --data phantoms --shots 1,5,20\n  \
                        macula eval knn --encoder raw-pixels --data cifar10/")]
pub struct Args {
    #[command(subcommand)]
    probe: Probe,
}

#[derive(clap::Subcommand)]
enum Probe {
    /// Evaluate by k-nearest neighbours: cosine similarity s, weighted by exp(s / temperature)
    #[command(after_help = "Example:\n  macula eval knn --encoder random:nano --data cifar10/")]
    Knn {
        #[command(flatten)]
        shared: ProbeArgs,
        /// Number of neighbours
        #[arg(long, default_value = "20")]
        neighbours: NonZeroUsize,
        /// Temperature of the weights, above 0; lower gives near neighbours more weight
        #[arg(long, default_value_t = 0.07, value_parser = positive)]
        temperature: f64,
    },
    /// Evaluate by a linear probe: multinomial logistic regression on frozen features
    #[command(after_help = "Example:\n  macula eval linear --encoder random:nano --data cifar10/")]
    Linear {
        #[command(flatten)]
        shared: ProbeArgs,
        /// Inverse L2 regularisation strength C as in scikit-learn, above 0
        #[arg(long, default_value_t = 1.0, value_parser = positive)]
        inverse_penalty: f64,
    },
    /// Evaluate by few-shot episodes: tasks with a few labelled images per class, drawn from the test split
    #[command(
        after_help = "Example:\n  macula eval few-shot --encoder random:nano --data phantoms --shots 1,5,20 --head all"
    )]
    FewShot(FewShot),
    /// Evaluate abstention: coverage of conformal prediction sets, and out-of-distribution detection
    #[command(
        after_help = "Example:\n  macula eval abstention --encoder random:nano --data phantoms --shots 20 --error-rate 5,10,20\n  \
                      macula eval abstention --encoder RUN --data kermany-3class.csv --unknown busi/ --episodes 200"
    )]
    Abstention(abstention::Args),
}

#[derive(clap::Args)]
struct FewShot {
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
    /// Head: auto, prototype, gaussian, softmax, logistic or all
    #[arg(long, default_value = "all")]
    head: String,
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err("must be greater than 0".to_owned()) }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.probe {
        Probe::Knn { shared, neighbours, temperature } => {
            let settings = evaluate::KnnSettings { neighbours: neighbours.get(), temperature };
            run_probe(&shared, "knn", |references, queries, classes| {
                evaluate::knn_probe(references, queries, classes, settings)
            })
        }
        Probe::Linear { shared, inverse_penalty } => {
            let settings = evaluate::LogisticSettings::with_c(inverse_penalty);
            run_probe(&shared, "linear", |references, queries, classes| {
                evaluate::linear_probe(references, queries, classes, settings)
            })
        }
        Probe::FewShot(few_shot) => run_few_shot(&few_shot),
        Probe::Abstention(args) => abstention::run(&args),
    }
}

/// The images of an evaluation.
struct Images {
    dataset: Dataset,
    train: Vec<usize>,
    test: Vec<usize>,
    /// Remarks for readers of the figures.
    remarks: Vec<String>,
}

impl ProbeArgs {
    fn images(&self) -> anyhow::Result<Images> {
        let dataset = self.open(&self.data)?;
        let mut remarks: Vec<String> = dataset.remarks.iter().map(ToString::to_string).collect();
        let split = Split::from_name(&self.split).context("--split: use train, val or test")?;
        let used = |index: &usize| [None, Some(Split::Train), Some(split)].contains(&dataset.records[*index].split);
        let bar = self.bar(dataset.len(), "reading");
        let read =
            parts::read(&dataset, dataset.indices(None).into_iter().filter(used).collect(), &|n| bar.inc(n as u64));
        bar.finish_and_clear();
        remarks.extend(dataset.raw_remarks().iter().map(ToString::to_string));
        let of = |split: Split| -> Vec<usize> {
            read.images
                .iter()
                .map(|image| image.0)
                .filter(|&index| dataset.records[index].split == Some(split))
                .collect()
        };
        let TrainTestSplit { train, mut test } = if dataset.has_splits() {
            TrainTestSplit { train: of(Split::Train), test: of(split) }
        } else {
            remarks.push(format!(
                "{} has no splits: one image in five per class is a test image, chosen by the hash of its pixels; duplicates \
                 and groups stay together; pretrain leaves out the same images",
                self.data
            ));
            data::train_test_split(&dataset, &read.images)
        };
        let skipped: Vec<_> = dataset.skipped.iter().chain(&read.skipped).collect();
        if let Some((name, reason)) = skipped.first() {
            let left_out = count(skipped.len(), "unreadable image");
            remarks.push(format!("left out: {left_out}, the first {name}: {reason}"));
            anyhow::ensure!(!self.reading.strict, "{}: {left_out}, the first {name}: {reason}", self.data);
        }
        for (part, indices) in [("train", &train), (self.split.as_str(), &test)] {
            anyhow::ensure!(!indices.is_empty(), "{}: no readable image in the {part} split", self.data);
        }
        remarks.extend(parts::leave_out_seen(&self.encoder, &dataset, &read, &mut test)?);
        Ok(Images { dataset, train, test, remarks })
    }

    /// Opens a dataset with the range of `--range`, or of the encoder.
    fn open(&self, name: &str) -> anyhow::Result<Dataset> {
        let mut dataset = data::open_named(name, self.common.seed)?;
        let range = match self.reading.given() {
            // Encoders that are fitted to the images use the range of the images.
            None if !encoders::is_fitted(&self.encoder) => self.open_encoder(None)?.preprocessing().range,
            _ => None,
        };
        self.reading.prepare(&mut dataset, EncoderRange::Known(range), self.common.quiet || self.common.json)?;
        Ok(dataset)
    }

    /// The encoder of `--encoder`.
    fn open_encoder(&self, fit: Option<EncoderInput<'_>>) -> anyhow::Result<Box<dyn HostEncoder>> {
        let trusted = self.keys.read()?;
        let stated = self.preprocessing.stated(self.size.map(|side| (side, side)), self.channels)?;
        let stated = stated.map(|stated| Stated { range: self.reading.stated(), ..stated });
        let (host, seed) = (self.preprocessing.limits.host(None), self.common.seed);
        let options =
            OpenOptions { host, trusted: &trusted, stated: stated.as_ref(), fit, seed, ..OpenOptions::default() };
        Ok(open_encoder(&self.encoder, &options)?.encoder)
    }

    /// The encoder of `--encoder`, then the baselines with the same input.
    fn encoders(&self, images: &Images) -> anyhow::Result<Vec<Box<dyn HostEncoder>>> {
        let channels = match self.channels {
            Some(channels) => channels,
            None => encoders::channels_of(&images.dataset, &images.train),
        };
        let side = self.size.unwrap_or(IMAGE_SIZE);
        let own =
            EncoderInput { dataset: &images.dataset, unlabelled: &images.train, channels, height: side, width: side };
        let seed = self.common.seed;
        let encoder = self.open_encoder(Some(own))?;
        let recipe = encoder.preprocessing();
        let same = EncoderInput { channels: recipe.channels, height: recipe.height, width: recipe.width, ..own };
        let pixels = EncoderInput { channels: recipe.channels, ..own };
        let mut all = Vec::new();
        for name in encoders::baselines_for(&self.encoder, encoders::preset_of(&self.encoder)) {
            let input = if name == "raw-pixels" { pixels } else { same };
            let options = OpenOptions { fit: Some(input), seed, ..OpenOptions::default() };
            all.push(open_encoder(&name, &options)?.encoder);
        }
        all.insert(0, encoder);
        Ok(all)
    }

    fn bar(&self, length: usize, what: &str) -> ProgressBar {
        let template = "{msg:32} {bar:30} {pos}/{len}  {rate}  {eta} left";
        bar(self.common.quiet, length as u64, template).with_message(shown(what).into_owned())
    }

    fn embed(&self, encoder: &dyn HostEncoder, images: &Images, indices: &[usize]) -> anyhow::Result<Features> {
        let bar = self.bar(indices.len(), &format!("{}: features", encoder.name()));
        let features = evaluate::embed_dataset(encoder, &images.dataset, indices, &|count| bar.inc(count as u64))?;
        bar.finish_and_clear();
        Ok(features)
    }

    fn report(&self, probe: &str, images: Images, rows: Vec<Row>, comparison: Vec<Comparison>) -> anyhow::Result<()> {
        let report = Report {
            probe: probe.to_owned(),
            data: self.data.clone(),
            split: self.split.clone(),
            train_images: images.train.len(),
            test_images: images.test.len(),
            seed: self.common.seed,
            class_names: images.dataset.class_names,
            remarks: images.remarks,
            rows,
            comparison,
        };
        if self.common.json {
            return crate::cli::print_json(&report);
        }
        table::print(&report, self.common.quiet);
        Ok(())
    }
}

impl Images {
    /// Leaves out the classes without an image in `indices`, with a remark that names `part`.
    fn leave_out_empty_classes(&mut self, indices: &[usize], part: &str) {
        let gone = evaluate::leave_out_empty_classes(&mut self.dataset, indices);
        if !gone.is_empty() {
            self.remarks.push(format!("class {}: left out, because the {part} has no image of it", gone.join(", ")));
        }
    }

    /// Labels of the training and the test images. Refuses a test class without training images, and fewer than two classes.
    fn labels_to_learn_and_test(&mut self, split: &str) -> anyhow::Result<[Vec<usize>; 2]> {
        let both: Vec<usize> = self.train.iter().chain(&self.test).copied().collect();
        self.leave_out_empty_classes(&both, "data");
        let names = &self.dataset.class_names;
        let (train, test) =
            (evaluate::labels(&self.dataset, &self.train)?, evaluate::labels(&self.dataset, &self.test)?);
        evaluate::require_two_classes(names, &train, "training")?;
        evaluate::require_two_classes(names, &test, split)?;
        evaluate::require_every_class(names, &train, "training")?;
        let untested: Vec<&str> =
            (0..names.len()).filter(|class| !test.contains(class)).map(|class| names[class].as_str()).collect();
        if !untested.is_empty() {
            self.remarks.push(format!(
                "class {}: no image in the {split} split; balanced accuracy is the mean over the other classes",
                untested.join(", ")
            ));
        }
        Ok([train, test])
    }

    /// Leaves out classes without test images. Returns the number of classes.
    fn classes_to_draw(&mut self, split: &str) -> anyhow::Result<usize> {
        let test = self.test.clone();
        self.leave_out_empty_classes(&test, &format!("{split} part"));
        let labels = evaluate::labels(&self.dataset, &self.test)?;
        evaluate::require_two_classes(&self.dataset.class_names, &labels, split)?;
        Ok(self.dataset.class_names.len())
    }
}

fn run_probe(
    shared: &ProbeArgs,
    probe: &str,
    judge: impl Fn(&Labelled, &Labelled, usize) -> evaluate::ProbeResult,
) -> anyhow::Result<()> {
    let mut images = shared.images()?;
    let [train_labels, test_labels] = images.labels_to_learn_and_test(&shared.split)?;
    let num_classes = images.dataset.class_names.len();
    let (mut rows, mut right) = (Vec::new(), Vec::new());
    for encoder in shared.encoders(&images)? {
        let labelled = |indices: &[usize], labels: &[usize]| {
            let features = shared.embed(&*encoder, &images, indices)?;
            anyhow::Ok(Labelled { features, labels: labels.to_vec() })
        };
        let (references, queries) = (labelled(&images.train, &train_labels)?, labelled(&images.test, &test_labels)?);
        let mut result = judge(&references, &queries, num_classes);
        right.push(std::mem::take(&mut result.is_correct));
        rows.push(Row::of_probe(&*encoder, probe, result));
    }
    let baseline = rows.iter().position(|row| row.encoder == BASELINE).filter(|&at| at > 0);
    let comparison = baseline.map(|at| {
        let paired = PairedDifference::of_images(&test_labels, &right[0], &right[at], num_classes);
        Comparison::new("balanced accuracy", &rows[0].candidate(), &rows[at].candidate(), paired)
    });
    shared.report(probe, images, rows, comparison.into_iter().collect())
}

fn run_few_shot(few_shot: &FewShot) -> anyhow::Result<()> {
    let heads = match few_shot.head.as_str() {
        "all" => HeadKind::ALL.to_vec(),
        name => vec![name.parse()?],
    };
    let shared = &few_shot.shared;
    let mut images = shared.images()?;
    let num_classes = images.classes_to_draw(&shared.split)?;
    let pools: Vec<(usize, EpisodePool)> = (few_shot.shots.iter())
        .map(|shots| {
            let settings = EpisodeSettings {
                ways: few_shot.ways.unwrap_or(num_classes),
                shots: shots.get(),
                queries: few_shot.queries.get(),
                seed: shared.common.seed,
            };
            Ok((shots.get(), EpisodePool::new(&images.dataset, &images.test, settings)?))
        })
        .collect::<anyhow::Result<_>>()?;
    let (mut rows, mut of_episodes) = (Vec::new(), Vec::new());
    for encoder in shared.encoders(&images)? {
        let bar = shared.bar(images.train.len(), &format!("{}: unlabelled part", encoder.name()));
        let count = |count| bar.inc(count as u64);
        let corpus = evaluate::corpus_statistics(&*encoder, &images.dataset, &images.train, &count)?;
        bar.finish_and_clear();
        let mut features = shared.embed(&*encoder, &images, &images.test)?;
        features.standardise(&corpus);
        for &head in &heads {
            for (shots, pool) in &pools {
                let episodes = few_shot.episodes.get();
                let bar = shared.bar(episodes, &format!("{}: {head}, {shots} shots", encoder.name()));
                let count = |count| bar.inc(count as u64);
                let mut result = evaluate::few_shot(&features, num_classes, pool, episodes, head, &count)?;
                bar.finish_and_clear();
                of_episodes.push(std::mem::take(&mut result.of_episodes));
                rows.push(Row::of_few_shot(&*encoder, head, *shots, episodes, result));
            }
        }
    }
    let comparison = pools.iter().filter_map(|&(shots, _)| compare_best_heads(&rows, &of_episodes, shots)).collect();
    shared.report("few-shot", images, rows, comparison)
}

/// Compares the encoder with the baseline, each with its best head, over the same episodes of `shots` shots.
fn compare_best_heads(rows: &[Row], of_episodes: &[Vec<f64>], shots: usize) -> Option<Comparison> {
    let own = &rows.first()?.encoder;
    if own == BASELINE {
        return None;
    }
    let best = |encoder: &str| {
        let candidates = (0..rows.len()).filter(|&at| rows[at].encoder == encoder && rows[at].shots == Some(shots));
        // On a tie the first.
        candidates.rev().max_by(|&a, &b| rows[a].mean().total_cmp(&rows[b].mean()))
    };
    let (own, baseline) = (best(own)?, best(BASELINE)?);
    let paired = PairedDifference::of_episodes(&of_episodes[own], &of_episodes[baseline]);
    let (own, baseline): (Candidate<'_>, Candidate<'_>) = (rows[own].candidate(), rows[baseline].candidate());
    let comparison = Comparison::new("balanced accuracy", &own, &baseline, paired);
    Some(comparison.with_shots(shots).with_heads(own.head, baseline.head))
}
