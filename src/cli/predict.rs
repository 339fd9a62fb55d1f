//! `macula predict`: has a device classify images.

mod quality;

use std::path::PathBuf;

use anyhow::ensure;
use macula_edge::head::HeadKind;

use super::connect::{DeviceArgs, Missing, Names};
use super::why::Witness;
use super::{Common, print_json, samples};
use crate::data::{self, Dataset, Image, Split};
use crate::device::source_of;
use crate::link::{Client, Question, Sample};
use crate::report::text::{left, shown, widest};
use quality::{Quality, Tally};

/// Arguments of `macula predict`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula predict --device clinic.store new.png\n  \
    macula predict --device tcp:ward-3.local:7000 --error-rate 5 --data SLIDES --split test")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Which head decides: auto (the device's choice), prototype, gaussian or logistic
    #[arg(long, default_value = "auto", value_parser = parse_head)]
    head: HeadKind,
    /// How often the set of classes may miss the truth, in percent, 0.1 to 50
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = parse_error_rate)]
    error_rate: u16,
    /// Image files
    #[arg(value_name = "IMAGE", required_unless_present = "data", conflicts_with = "data")]
    images: Vec<PathBuf>,
    /// Classify a data set; where it is labelled, how good that is comes first
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Which part of the data set: train, val or test; all of it by default
    #[arg(long, requires = "data", value_parser = samples::parse_split)]
    split: Option<Split>,
    /// List every image of a labelled data set too
    #[arg(long, requires = "data")]
    each: bool,
    #[command(flatten)]
    common: Common,
}

/// What is said of one image.
#[derive(serde::Serialize)]
struct Row {
    image: String,
    class: String,
    probability: f32,
    /// Whether the image is like what the device was taught.
    known: bool,
    /// The classes that cannot be excluded at the asked error rate.
    set: Vec<String>,
    /// Whether there are samples enough for that; the set promises nothing otherwise.
    enough: bool,
    shots_needed: u16,
    nearest: Vec<Witness>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    head: &'static str,
    error_rate_percent: f64,
    #[serde(flatten)]
    quality: Option<Quality>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predictions: Option<Vec<Row>>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let images = samples::read_images(&args.images)?;
    args.device.with(Missing::Refuse, |client| {
        let names = Names::of(client)?;
        let (quality, rows) = match &args.data {
            None => {
                let rows = images.iter().map(|named| predict(&args, client, &names, &named.name, &named.image));
                (None, rows.collect::<Result<_, _>>()?)
            }
            Some(name) => predict_dataset(&args, client, &names, &data::open_named(name, args.common.seed)?)?,
        };
        let predictions = (quality.is_none() || args.each).then_some(rows);
        let error_rate_percent = f64::from(args.error_rate) / 10.0;
        if args.common.json {
            let (device, head) = (args.device.device.to_string(), args.head.name());
            return print_json(&Report { device, head, error_rate_percent, quality, predictions });
        }
        if let Some(quality) = &quality {
            quality.print(error_rate_percent);
        }
        if let Some(rows) = &predictions {
            print_rows(rows, error_rate_percent);
        }
        Ok(())
    })
}

/// Parses the name of a head.
pub fn parse_head(name: &str) -> Result<HeadKind, String> {
    let kinds = [HeadKind::Auto, HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Logistic];
    let found = kinds.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| format!("head '{name}' is none of auto, prototype, gaussian, logistic"))
}

/// Percent as thousandths.
fn parse_error_rate(text: &str) -> Result<u16, String> {
    let permille = text.trim_end_matches('%').trim().parse::<f64>().map(|percent| (percent * 10.0).round());
    match permille {
        Ok(permille) if (1.0..=500.0).contains(&permille) => Ok(permille as u16),
        _ => Err(format!("an error rate of '{text}' percent: 0.1 to 50 are allowed")),
    }
}

fn predict(args: &Args, client: &mut Client<'_>, names: &Names, name: &str, image: &Image) -> anyhow::Result<Row> {
    let question = Question { head: args.head as u8, error_rate_permille: args.error_rate };
    let verdict = client.predict(Sample::Image(image), question)?;
    Ok(Row {
        image: name.to_owned(),
        class: names.name(verdict.slot),
        probability: verdict.probability,
        known: verdict.known,
        set: verdict.set.iter().map(|&slot| names.name(slot)).collect(),
        enough: verdict.enough,
        shots_needed: verdict.shots_needed,
        nearest: verdict.nearest.iter().map(|neighbour| Witness::of(neighbour, names)).collect(),
        label: None,
    })
}

/// Classifies a data set image by image. Images that the device has learned say nothing about it: they are left out
/// of a labelled set.
fn predict_dataset(
    args: &Args,
    client: &mut Client<'_>,
    names: &Names,
    dataset: &Dataset,
) -> anyhow::Result<(Option<Quality>, Vec<Row>)> {
    let name = args.data.as_deref().unwrap_or_default();
    let indices = dataset.indices(args.split);
    ensure!(!indices.is_empty(), "{name} has no images in the part asked for");
    let labelled = indices.iter().all(|&index| dataset.records[index].label.is_some());
    if labelled {
        dataset.class_names.iter().try_for_each(|class| names.slot(class).map(drop))?;
    }
    let learned = match labelled {
        true => client.export()?.supports.iter().map(|support| support.from.source).collect(),
        false => Vec::new(),
    };
    let mut tally = Tally::new(names);
    let mut rows = Vec::new();
    samples::for_each_image(dataset, &indices, &args.common, |index, named| {
        let label = dataset.records[index].label.filter(|_| labelled).map(|label| &dataset.class_names[label]);
        // Supports come in the order of their sources.
        if label.is_some() && learned.binary_search(&source_of(&named.image)).is_ok() {
            tally.leave_out();
            return Ok(());
        }
        let mut row = predict(args, client, names, &named.name, &named.image)?;
        if let Some(label) = label {
            tally.add(label, &row)?;
            row.label = Some(label.clone());
        }
        rows.push(row);
        Ok(())
    })?;
    ensure!(!rows.is_empty(), "{name}: the device has learned all of these images, none is left to judge it by");
    Ok((labelled.then(|| tally.quality()), rows))
}

fn print_rows(rows: &[Row], error_rate_percent: f64) {
    let width = widest(rows.iter().map(|row| row.image.as_str()), "image".len());
    let set = format!("set at {error_rate_percent} %");
    println!("{:<width$} {:<24} {:>11}  {set:<24} nearest", "image", "class", "probability");
    for row in rows {
        let class = if row.known { row.class.clone() } else { "I don't know".to_owned() };
        let nearest: Vec<String> = row.nearest.iter().map(Witness::short).collect();
        let set = if row.set.is_empty() { "none".to_owned() } else { row.set.join(", ") };
        let (image, class, set) = (left(&row.image, width), left(&class, 24), left(&set, 24));
        println!("{image} {class} {:>11.3}  {set} {}", row.probability, shown(&nearest.join(", ")));
        if !row.known {
            println!(
                "{:<width$} it is unlike all that was taught; the nearest class would be {}",
                "",
                shown(&row.class)
            );
        }
    }
    if let Some(row) = rows.iter().find(|row| !row.enough) {
        println!(
            "too few samples for an error rate of {error_rate_percent} %: {} of each class are needed, and until then \
             the sets promise nothing",
            row.shots_needed
        );
    }
}
