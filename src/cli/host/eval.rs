//! `macula eval`: evaluates the features of an encoder and of the baselines.

mod abstention;
mod active;
mod cache_args;
mod comparison;
mod encoders;
mod few_shot;
mod html_report;
mod images;
mod operating_point;
mod positive;
mod probe_args;
mod table;
mod tasks;
mod tasks_table;
mod tile_pooling;

use std::num::NonZeroUsize;

use crate::encoders::Baseline;
use crate::evaluate::{self, Labelled, PairedDifference};
use crate::report::evaluation::Subject;
use comparison::{Comparison, is_floor};
use html_report::ReportArgs;
use images::Images;
use positive::positive;
use probe_args::ProbeArgs;
use table::{Report, Row};

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
    #[command(after_help = "Example:\n  macula eval knn --encoder random:nano --data cifar10/ --report knn.html")]
    Knn {
        #[command(flatten)]
        shared: ProbeArgs,
        /// Number of neighbours
        #[arg(long, default_value = "20")]
        neighbours: NonZeroUsize,
        /// Temperature of the weights, above 0; lower gives near neighbours more weight
        #[arg(long, default_value_t = 0.07, value_parser = positive)]
        temperature: f64,
        #[command(flatten)]
        report: ReportArgs,
    },
    /// Evaluate by a linear probe: multinomial logistic regression on frozen features
    #[command(after_help = "Example:\n  macula eval linear --encoder random:nano --data cifar10/")]
    Linear {
        #[command(flatten)]
        shared: ProbeArgs,
        /// Inverse L2 regularisation strength C as in scikit-learn, above 0
        #[arg(long, default_value_t = 1.0, value_parser = positive)]
        inverse_penalty: f64,
        #[command(flatten)]
        report: ReportArgs,
    },
    /// Evaluate by few-shot episodes: tasks with a few labelled images per class, drawn from the test split
    #[command(
        after_help = "Examples:\n  macula eval few-shot --encoder random:nano --data phantoms --shots 1,5,20 --head auto,logistic\n  \
                      macula eval few-shot --encoder random:nano --data phantoms --shots 5 --report report.html"
    )]
    FewShot(few_shot::Args),
    /// Evaluate abstention: coverage of conformal prediction sets, and out-of-distribution detection
    #[command(
        after_help = "Example:\n  macula eval abstention --encoder random:nano --data phantoms --shots 20 --error-rate 5,10,20\n  \
                      macula eval abstention --encoder RUN --data kermany-3class.csv --unknown busi/ --episodes 200"
    )]
    Abstention(abstention::Args),
    /// Evaluate operating points: sensitivity and specificity that a device's threshold attains on new images
    #[command(
        after_help = "Example:\n  macula eval operating-point --encoder random:nano --data phantoms --positive nodules --shots 20 \
                      --operating-point sensitivity=0.95,costs=10:1\n\n\
                      A device chooses the threshold from its samples, each left out. The promise is a mean over devices: one in ten \
                      attains less than `low tenth`."
    )]
    OperatingPoint(operating_point::Args),
    /// Evaluate active learning: labels that a device asks for, against labels in random order
    #[command(
        after_help = "Example:\n  macula eval active --encoder random:nano --data phantoms --pool 100 --labels 40 --episodes 100"
    )]
    Active(active::Args),
    /// Compare encoders over several few-shot tasks, beside baselines and cost
    #[command(
        after_help = "Example:\n  macula eval tasks --tasks tasks.toml --encoder RUN --encoder grey=grey-64 --shots 5,20 --episodes 200 --csv table.csv\n  \
                      macula eval tasks --tasks tasks.toml --encoder own=runs/own-{task} --encoder mobilenet_v2.onnx --preprocessing imagenet \
                      --card card.md"
    )]
    Tasks(tasks::Args),
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.probe {
        Probe::Knn { shared, neighbours, temperature, report } => {
            let settings = evaluate::KnnSettings { neighbours: neighbours.get(), temperature };
            run_probe(&shared, &report, "knn", |references, queries, classes| {
                evaluate::knn_probe(references, queries, classes, settings)
            })
        }
        Probe::Linear { shared, inverse_penalty, report } => {
            let settings = evaluate::LogisticSettings::with_c(inverse_penalty);
            run_probe(&shared, &report, "linear", |references, queries, classes| {
                evaluate::linear_probe(references, queries, classes, settings)
            })
        }
        Probe::FewShot(args) => few_shot::run(&args),
        Probe::Abstention(args) => abstention::run(&args),
        Probe::OperatingPoint(args) => operating_point::run(&args),
        Probe::Active(args) => active::run(&args),
        Probe::Tasks(args) => tasks::run(&args),
    }
}

fn run_probe(
    shared: &ProbeArgs,
    html: &ReportArgs,
    probe: &str,
    judge: impl Fn(&Labelled, &Labelled, usize) -> evaluate::ProbeResult,
) -> anyhow::Result<()> {
    html.check()?;
    let mut images = shared.images()?;
    let [train_labels, test_labels] = images.labels_to_learn_and_test(&shared.split)?;
    let num_classes = images.dataset.class_names.len();
    let (mut rows, mut right, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
    for encoder in shared.encoders(&images)? {
        let labelled = |indices: &[usize], labels: &[usize]| {
            let features = shared.embed(&*encoder, &images, indices)?;
            anyhow::Ok(Labelled { features, labels: labels.to_vec() })
        };
        let (references, queries) = (labelled(&images.train, &train_labels)?, labelled(&images.test, &test_labels)?);
        let mut result = judge(&references, &queries, num_classes);
        right.push(std::mem::take(&mut result.is_correct));
        // The report has details of the encoder, not of the baselines.
        if rows.is_empty() {
            subjects.extend(html.of_probe(&images, probe, &result)?);
        }
        rows.push(Row::of_probe(&*encoder, probe, result));
    }
    let own_is_floor = rows.first().is_some_and(|row| is_floor(&row.encoder));
    let floors = Baseline::FLOORS.into_iter().filter(|_| !own_is_floor);
    let comparison = floors.filter_map(|floor| {
        let at = rows.iter().position(|row| row.encoder == floor)?;
        let paired = PairedDifference::of_images(&test_labels, &right[0], &right[at], num_classes);
        Some(Comparison::new("balanced accuracy", &rows[0].candidate(), &rows[at].candidate(), paired))
    });
    let comparison = comparison.collect();
    shared.report(probe, images, (rows, comparison), (html, subjects))
}

impl ProbeArgs {
    fn report(
        &self,
        probe: &str,
        images: Images,
        (rows, comparison): (Vec<Row>, Vec<Comparison>),
        (html, subjects): (&ReportArgs, Vec<Subject>),
    ) -> anyhow::Result<()> {
        let report = Report {
            probe: probe.to_owned(),
            data: self.data.clone(),
            split: self.split.clone(),
            train_images: images.train.len(),
            test_images: images.test.len(),
            seed: self.common.seed,
            class_names: images.dataset.class_names,
            split_leaks: images.leaks,
            remarks: images.remarks,
            rows,
            comparison,
        };
        match self.common.json {
            true => crate::cli::print_json(&report)?,
            false => table::print(&report, self.common.quiet),
        }
        html.write(&report, subjects, self.common.quiet || self.common.json)
    }
}
