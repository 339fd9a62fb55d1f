//! `macula predict`: classifies images with a taught head.

use std::path::PathBuf;

use anyhow::{Context, ensure};

use super::{Common, print_json, teach};
use crate::data::{self, Dataset, Split};
use crate::device::{self, HeadKind, NamedImage, TaughtHead};
use crate::encoder::Embedder;

/// Arguments of `macula predict`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula predict --encoder encoder.onnx --head tissue.head new.png\n  \
    macula predict --encoder encoder.onnx --head tissue.head --data SLIDES --split test")]
pub struct Args {
    /// The encoder that the head was taught on
    #[arg(long)]
    encoder: String,
    /// The head
    #[arg(long, value_name = "FILE")]
    head: PathBuf,
    /// Which head decides: prototype or gaussian
    #[arg(long, default_value_t = HeadKind::default())]
    head_kind: HeadKind,
    /// Image files
    #[arg(value_name = "IMAGE", required_unless_present = "data", conflicts_with = "data")]
    images: Vec<PathBuf>,
    /// Classify a data set; where it is labelled, how good that is comes first
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Which part of the data set: train, val or test; all of it by default
    #[arg(long, requires = "data", value_parser = teach::parse_split)]
    split: Option<Split>,
    /// List every image of a labelled data set too
    #[arg(long, requires = "data")]
    each: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Row {
    image: String,
    class: String,
    probability: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

#[derive(serde::Serialize)]
struct Quality {
    balanced_accuracy: f64,
    recall: Vec<ClassRecall>,
    accuracy: f64,
    images: usize,
    /// Images left out because the head had learned them.
    learned_images_left_out: usize,
}

#[derive(serde::Serialize)]
struct ClassRecall {
    class: String,
    /// Null where the data set has no image of the class.
    recall: Option<f64>,
}

#[derive(serde::Serialize)]
struct Report {
    head: String,
    head_kind: HeadKind,
    #[serde(flatten)]
    quality: Option<Quality>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predictions: Option<Vec<Row>>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let encoder = teach::open_encoder(&args.encoder)?;
    let head = teach::load_head(&args.head)?;
    head.check_encoder(&*encoder).with_context(|| args.head.display().to_string())?;
    let (quality, rows) = match &args.data {
        None => {
            let images = teach::read_images(&args.images)?;
            let features = device::embed_images(&*encoder, &images)?;
            (None, predict(&args, &head, &images, &features)?)
        }
        Some(name) => predict_dataset(&args, &*encoder, &head, &data::open_named(name, args.common.seed)?)?,
    };
    let predictions = (quality.is_none() || args.each).then_some(rows);
    if args.common.json {
        let head = args.head.display().to_string();
        return print_json(&Report { head, head_kind: args.head_kind, quality, predictions });
    }
    if let Some(quality) = &quality {
        print_quality(quality);
    }
    if let Some(rows) = &predictions {
        print_rows(rows);
    }
    Ok(())
}

fn predict(args: &Args, head: &TaughtHead, images: &[NamedImage], features: &[f32]) -> anyhow::Result<Vec<Row>> {
    let names: Vec<&str> = images.iter().map(|named| named.name.as_str()).collect();
    let predictions = head.predict(args.head_kind, &names, features)?;
    let rows = names.iter().zip(predictions).map(|(name, prediction)| Row {
        image: (*name).to_owned(),
        class: head.classes()[usize::from(prediction.decision.class)].clone(),
        probability: prediction.decision.probability,
        label: None,
    });
    Ok(rows.collect())
}

/// Classifies a data set block by block. Images that the head has learned say nothing about it: they are
/// left out of a labelled set.
fn predict_dataset(
    args: &Args,
    encoder: &dyn Embedder,
    head: &TaughtHead,
    dataset: &Dataset,
) -> anyhow::Result<(Option<Quality>, Vec<Row>)> {
    let name = args.data.as_deref().unwrap_or_default();
    let indices = dataset.indices(args.split);
    ensure!(!indices.is_empty(), "{name} has no images in the part asked for");
    let labelled = indices.iter().all(|&index| dataset.records[index].label.is_some());
    // The classes of the data set, as the head numbers them.
    let classes: Vec<usize> = match labelled {
        true => dataset.class_names.iter().map(|class| head.class(class)).collect::<Result<_, _>>()?,
        false => Vec::new(),
    };
    let mut tally = Tally { classes: vec![(0, 0); head.classes().len()] };
    let (mut rows, mut left_out) = (Vec::new(), 0);
    teach::for_each_block(encoder, dataset, &indices, &args.common, |block, images, features| {
        let predicted = predict(args, head, images, features)?;
        for ((mut row, hash), &index) in predicted.into_iter().zip(teach::hashes(images)).zip(block) {
            if let Some(label) = dataset.records[index].label.filter(|_| labelled) {
                if head.knows(&hash) {
                    left_out += 1;
                    continue;
                }
                tally.add(classes[label], head.class(&row.class)?);
                row.label = Some(dataset.class_names[label].clone());
            }
            rows.push(row);
        }
        Ok(())
    })?;
    ensure!(!rows.is_empty(), "{name}: the head has learned all of these images, none is left to judge it by");
    Ok((labelled.then(|| tally.quality(head, left_out)), rows))
}

/// For each class of the head, its images and those of them that were recognised.
struct Tally {
    classes: Vec<(usize, usize)>,
}

impl Tally {
    fn add(&mut self, truth: usize, predicted: usize) {
        self.classes[truth].0 += 1;
        self.classes[truth].1 += usize::from(truth == predicted);
    }

    /// Balanced accuracy is the mean recall of the classes that have images.
    fn quality(&self, head: &TaughtHead, learned_images_left_out: usize) -> Quality {
        let share = |&(images, right): &(usize, usize)| (images > 0).then(|| right as f64 / images as f64);
        let recalls: Vec<Option<f64>> = self.classes.iter().map(share).collect();
        let known: Vec<f64> = recalls.iter().flatten().copied().collect();
        let images: usize = self.classes.iter().map(|class| class.0).sum();
        let right: usize = self.classes.iter().map(|class| class.1).sum();
        let recall = head.classes().iter().cloned().zip(recalls);
        Quality {
            balanced_accuracy: known.iter().sum::<f64>() / known.len() as f64,
            recall: recall.map(|(class, recall)| ClassRecall { class, recall }).collect(),
            accuracy: right as f64 / images as f64,
            images,
            learned_images_left_out,
        }
    }
}

fn print_quality(quality: &Quality) {
    println!("balanced accuracy  {:.3}  ({} images)", quality.balanced_accuracy, quality.images);
    for class in &quality.recall {
        let recall = class.recall.map_or("no images".to_owned(), |recall| format!("{recall:.3}"));
        println!("recall             {recall}  {}", class.class);
    }
    println!("accuracy           {:.3}", quality.accuracy);
    if quality.learned_images_left_out > 0 {
        println!("left out           {} images that the head has learned", quality.learned_images_left_out);
    }
}

fn print_rows(rows: &[Row]) {
    let width = rows.iter().map(|row| row.image.chars().count()).max().unwrap_or(0).max("image".len());
    println!("{:<width$} {:<24} {:>11}", "image", "class", "probability");
    for row in rows {
        println!("{:<width$} {:<24} {:>11.3}", row.image, row.class, row.probability);
    }
}
