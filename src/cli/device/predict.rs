//! `macula predict`: classifies images on a device.

mod decided;
mod probabilities;
mod quality;
mod row;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::ensure;
use macula_edge::head::HeadKind;

use super::why::NearestSample;
use crate::cli::camera::{CameraArgs, INSTEAD_OF_IMAGES};
use crate::cli::classes::ClassNames;
use crate::cli::connect::DeviceArgs;
use crate::cli::failure::Kind;
use crate::cli::images::ImageArgs;
use crate::cli::local_device::Missing;
use crate::cli::operating_point::{PointRow, parse_target, point, refused};
use crate::cli::{Common, print_json, samples};
use crate::data::{Dataset, Split};
use crate::device::{NamedImage, source_of};
use crate::link::{Client, PredictOptions, Sample, Target};
use crate::report::text::{left, shown, widest};
use decided::{Attained, Decided};
use quality::{Quality, Tally};
use row::{DONT_KNOW, Row};

/// Arguments of `macula predict`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula predict --device clinic.store new.png\n  \
    macula predict --device tcp:ward-3.local:7000 --error-rate 5 --data SLIDES --split test\n  \
    macula predict --device clinic.store --operating-point sensitivity=0.95 --positive nodule new.png\n  \
    macula predict --device clinic.store --camera /dev/video0\n\n\
    A labelled dataset is evaluated: balanced accuracy with its 95 % interval, sensitivity, specificity and ROC AUC per \
    class, and the confusion matrix with a column for \"I don't know\". Labels are matched to classes by name.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Head: auto (the device chooses), prototype, gaussian or logistic
    #[arg(long, default_value = "auto", value_parser = parse_head)]
    head: HeadKind,
    /// Error rate of the conformal prediction set in percent, 0.1 to 50
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = parse_error_rate)]
    error_rate: u16,
    /// Decide at this operating point instead of the device's: sensitivity=SHARE, specificity=SHARE or costs=MISSED:FALSE_ALARM
    #[arg(long, value_name = "TARGET", value_parser = parse_target, requires = "positive")]
    operating_point: Option<Target>,
    /// Class whose images are positive at --operating-point
    #[arg(long, value_name = "CLASS", requires = "operating_point")]
    positive: Option<String>,
    /// Image files
    #[arg(value_name = "IMAGE", required_unless_present_any = INSTEAD_OF_IMAGES, conflicts_with = "data")]
    images: Vec<PathBuf>,
    /// Classify a dataset, and evaluate the decisions if it has labels
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Split of the dataset: train, val or test [default: all]
    #[arg(long, requires = "data", value_parser = samples::parse_split)]
    split: Option<Split>,
    /// Also list every image of a labelled dataset
    #[arg(long, requires = "data")]
    each: bool,
    #[command(flatten)]
    reading: ImageArgs,
    #[command(flatten)]
    camera: CameraArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    head: &'static str,
    error_rate_percent: f64,
    /// Whether only one class has samples, so that every known image is of that class.
    only_one_class: bool,
    /// The operating point of the decisions, if the options or the device have one.
    operating_point: Option<PointRow>,
    /// What it attains on the labelled images.
    #[serde(skip_serializing_if = "Option::is_none")]
    attained: Option<Attained>,
    #[serde(flatten)]
    quality: Option<Quality>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predictions: Option<Vec<Row>>,
}

/// Runs the command.
pub fn run(mut args: Args) -> anyhow::Result<()> {
    args.device.range = args.reading.stated();
    let picture = args.camera.take()?;
    args.device.connect(Missing::Refuse, |client| {
        let images = match &picture {
            Some(picture) => vec![picture.clone()],
            None => args.reading.read(&args.images, client.range(), args.common.quiet)?,
        };
        let names = ClassNames::of(client)?;
        let mut asked = Asked::new(&args, &names)?;
        let Found { quality, attained, rows } = match &args.data {
            None => {
                let decide = |named: &NamedImage| asked.predict(client, &named.name, Sample::Image(&named.image));
                Found { rows: images.iter().map(decide).collect::<Result<_, _>>()?, ..Found::default() }
            }
            Some(name) => {
                let dataset = args.reading.open(name, args.common.seed, client.range(), args.common.quiet)?;
                predict_dataset(&args, client, &mut asked, &dataset)?
            }
        };
        let operating_point = asked.point;
        let predictions = (quality.is_none() || args.each).then_some(rows);
        let error_rate_percent = f64::from(args.error_rate) / 10.0;
        let only_class = names.only_class();
        if args.common.json {
            let (device, head) = (args.device.device.to_string(), args.head.name());
            let only_one_class = only_class.is_some();
            return print_json(&Report {
                device,
                head,
                error_rate_percent,
                only_one_class,
                operating_point,
                attained,
                quality,
                predictions,
            });
        }
        if let Some(quality) = &quality {
            quality.print(error_rate_percent);
        }
        if let Some(rows) = &predictions {
            print_rows(rows, error_rate_percent, operating_point.as_ref());
        }
        if let Some(point) = &operating_point {
            point.print();
            if let Some(attained) = &attained {
                attained.print(point);
            }
        }
        if let Some(class) = only_class {
            println!("{}", super::why::only_class_remark(class));
        }
        Ok(())
    })
}

/// Parses the name of a head.
pub fn parse_head(name: &str) -> Result<HeadKind, String> {
    let kinds = [HeadKind::Auto, HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Logistic];
    let found = kinds.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| format!("'{name}' is not a head; use auto, prototype, gaussian or logistic"))
}

/// Percent as thousandths.
fn parse_error_rate(text: &str) -> Result<u16, String> {
    let permille = text.trim_end_matches('%').trim().parse::<f64>().map(|percent| (percent * 10.0).round());
    match permille {
        Ok(permille) if (1.0..=500.0).contains(&permille) => Ok(permille as u16),
        _ => Err(format!("'{text}' is not an error rate of 0.1 to 50 percent")),
    }
}

/// What is asked of the device, and the operating point that it answered with.
struct Asked<'a> {
    names: &'a ClassNames,
    options: PredictOptions,
    point: Option<PointRow>,
}

impl<'a> Asked<'a> {
    fn new(args: &Args, names: &'a ClassNames) -> anyhow::Result<Self> {
        let asked = args.operating_point.zip(args.positive.as_deref());
        let point = asked.map(|(target, positive)| point(target, positive, names)).transpose()?;
        let options = PredictOptions { head: args.head as u8, error_rate_permille: args.error_rate, point };
        Ok(Self { names, options, point: None })
    }

    fn predict(&mut self, client: &mut Client<'_>, name: &str, sample: Sample<'_>) -> anyhow::Result<Row> {
        let names = self.names;
        let prediction = client.predict(sample, self.options).map_err(|error| match self.options.point {
            Some(_) => refused(error),
            None => error.into(),
        })?;
        // Another host may have changed it meanwhile; the report names the last one.
        self.point = prediction.point.map(|report| PointRow::of(&report, names));
        Ok(Row {
            image: name.to_owned(),
            class: names.name(prediction.slot),
            probability: Some(prediction.probability).filter(|_| names.only_class().is_none()),
            known: prediction.known,
            set: prediction.set.iter().map(|&slot| names.name(slot)).collect(),
            enough: prediction.enough,
            shots_needed: prediction.shots_needed,
            positive: prediction.positive(),
            score: prediction.decision.map(|decision| decision.score),
            nearest: prediction.nearest.iter().map(|neighbour| NearestSample::of(neighbour, names)).collect(),
            label: None,
        })
    }
}

/// The decisions on all images, and their figures if they have labels.
#[derive(Default)]
struct Found {
    quality: Option<Quality>,
    attained: Option<Attained>,
    rows: Vec<Row>,
}

/// Classifies a dataset image by image. If it has labels, the images are evaluated that the device has not learned and whose
/// label is a class of the device.
fn predict_dataset(
    args: &Args,
    client: &mut Client<'_>,
    asked: &mut Asked<'_>,
    dataset: &Dataset,
) -> anyhow::Result<Found> {
    let names = asked.names;
    let name = args.data.as_deref().unwrap_or_default();
    let indices = dataset.indices(args.split);
    ensure!(!indices.is_empty(), "{name} has no images in this split");
    let label = |index: usize| dataset.records[index].label.map(|label| dataset.class_names[label].as_str());
    if indices.iter().all(|&index| label(index).is_none()) {
        let mut rows = Vec::new();
        samples::for_each_image(dataset, &indices, &args.common, args.reading.strict, |_, named| {
            rows.push(asked.predict(client, &named.name, Sample::Image(&named.image))?);
            Ok(())
        })?;
        return Ok(Found { rows, ..Found::default() });
    }
    check_labels(name, indices.iter().filter_map(|&index| label(index)), names)?;
    let state = client.export()?;
    let mut scratch = Vec::new();
    let head = state.head(args.head, client.device(), &mut scratch).ok();
    let (mut tally, mut decided) = (Tally::new(names, head.is_some()), Decided::default());
    let mut rows = Vec::new();
    samples::for_each_image(dataset, &indices, &args.common, args.reading.strict, |index, named| {
        let label = label(index);
        match label {
            // Supports are sorted by source.
            _ if state.supports.binary_search_by_key(&source_of(&named.image), |s| s.from.source).is_ok() => {
                tally.leave_out_learned();
                return Ok(());
            }
            None => tally.leave_out_unlabelled(),
            Some(label) if !names.has(label) => tally.leave_out_unmatched(label),
            Some(_) => {}
        }
        let feature = client.embed(Sample::Image(&named.image))?;
        let mut row = asked.predict(client, &named.name, Sample::Feature(&feature))?;
        row.label = label.map(str::to_owned);
        if let Some(label) = label.filter(|label| names.has(label)) {
            let found = head.as_ref().map(|head| probabilities::of(head, names, &feature)).transpose()?;
            tally.add(label, &row, &found.unwrap_or_default())?;
            decided.add(label, &row, asked.point.as_ref());
        }
        rows.push(row);
        Ok(())
    })?;
    ensure!(
        tally.images() > 0,
        "{name}: the device has learned all images whose label it knows; none is left to evaluate"
    );
    Ok(Found { quality: Some(tally.quality()), attained: decided.attained(), rows })
}

/// Refuses a dataset none of whose labels is a class of the device.
fn check_labels<'l>(name: &str, labels: impl Iterator<Item = &'l str>, names: &ClassNames) -> anyhow::Result<()> {
    let labels: BTreeSet<&str> = labels.collect();
    let listed = |names: &[&str]| names.join(", ");
    ensure!(
        labels.iter().any(|label| names.has(label)),
        Kind::UnknownClass.error(format!(
            "{name}: none of its labels ({}) is a class of the device ({}); labels are matched by name",
            listed(&labels.into_iter().collect::<Vec<_>>()),
            listed(&names.0.iter().map(|class| class.name.as_str()).collect::<Vec<_>>())
        ))
    );
    Ok(())
}

fn print_rows(rows: &[Row], error_rate_percent: f64, point: Option<&PointRow>) {
    let width = widest(rows.iter().map(|row| row.image.as_str()), "image".len());
    let set = format!("set at {error_rate_percent} %");
    // A column for the decision only where there is one.
    let decision = |text: &str| point.map_or(String::new(), |_| format!(" {text:<16}"));
    println!("{:<width$} {:<24} {:>11} {} {set:<24} nearest", "image", "class", "probability", decision("decision"));
    for row in rows {
        let class = if row.known { row.class.clone() } else { DONT_KNOW.to_owned() };
        let probability = row.probability.map_or("-".to_owned(), |probability| format!("{probability:.3}"));
        let nearest: Vec<String> = row.nearest.iter().map(NearestSample::short).collect();
        let set = if row.set.is_empty() { "none".to_owned() } else { row.set.join(", ") };
        let decided = match (row.positive, row.score) {
            (Some(true), Some(score)) => format!("positive {score:.2}"),
            (Some(false), Some(score)) => format!("negative {score:.2}"),
            _ => "-".to_owned(),
        };
        let (image, class, set) = (left(&row.image, width), left(&class, 24), left(&set, 24));
        let (decided, nearest) = (decision(&decided), nearest.join(", "));
        println!("{image} {class} {probability:>11} {decided} {set} {}", shown(&nearest));
        if !row.known {
            println!("{:<width$} unlike all samples; the nearest class is {}", "", shown(&row.class));
        }
    }
    if let Some(row) = rows.iter().find(|row| !row.enough) {
        println!(
            "too few samples for an error rate of {error_rate_percent} %: the sets guarantee it from {} per class",
            row.shots_needed
        );
    }
}
