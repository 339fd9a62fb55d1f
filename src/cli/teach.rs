//! What `learn`, `forget`, `predict` and `status` share: heads and images in, errors with their exit code.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::{Common, DeviceFault};
use crate::data::{Dataset, Preprocessing, ResizeFilter, Split, decode};
use crate::device::{self, Learned, NamedImage, TaughtHead, pixels_sha256};
use crate::encoder::Embedder;
use crate::evaluate::{self, RawPixels};
use crate::rng::Rng;

/// Images of a data set held in memory at once.
const IMAGES_AT_ONCE: usize = 256;

/// A class and its number of samples, as `--json` gives them.
#[derive(serde::Serialize)]
pub struct ClassCount {
    name: String,
    samples: usize,
}

/// Opens `raw-pixels`, a run's folder or an ONNX file.
///
/// The recipe of `raw-pixels` is fixed here, 32×32 grey, and not fitted to the images at hand: a head taught today
/// meets the same encoder tomorrow. For the same reason there is no random encoder: its batch norm statistics are
/// those of the images it was made for.
pub fn open_encoder(name: &str) -> anyhow::Result<Box<dyn Embedder>> {
    if name == "raw-pixels" {
        let (mean, std) = (vec![0.5], vec![0.25]);
        let recipe = Preprocessing { channels: 1, height: 32, width: 32, filter: ResizeFilter::Triangle, mean, std };
        return Ok(Box::new(RawPixels::new(recipe)));
    }
    ensure!(
        !name.starts_with("random:"),
        "encoder '{name}' is made anew for each data set and only eval knows it; a head is taught on RUN (a folder \
         made by pretrain), FILE.onnx or raw-pixels"
    );
    Ok(evaluate::open_path(name)?)
}

/// Reads a head; one whose stored bytes are at fault ends in exit code 4.
pub fn load_head(path: &Path) -> anyhow::Result<TaughtHead> {
    device::load(path).map_err(|error| match error.is_damage() {
        true => DeviceFault(error.to_string()).into(),
        false => error.into(),
    })
}

/// Parses `train`, `val` or `test`.
pub fn parse_split(name: &str) -> Result<Split, String> {
    Split::from_name(name).ok_or_else(|| format!("split '{name}' is none of train, val, test"))
}

/// Decodes image files, in order.
pub fn read_images(paths: &[PathBuf]) -> anyhow::Result<Vec<NamedImage>> {
    let read = |path: &PathBuf| {
        let image = decode::read_image(path)?;
        Ok(NamedImage { name: path.display().to_string(), image })
    };
    paths.par_iter().map(read).collect()
}

/// Reads the images `indices` of `dataset`, in order.
pub fn load_images(dataset: &Dataset, indices: &[usize]) -> anyhow::Result<Vec<NamedImage>> {
    let load = |&index: &usize| {
        let name = dataset.records[index].name.clone();
        let image = dataset.load(index).with_context(|| name.clone())?;
        Ok(NamedImage { name, image })
    };
    indices.par_iter().map(load).collect()
}

/// Draws `shots` images of every class; each class has its own stream, so a new class changes no other's draw.
pub fn draw_shots(
    dataset: &Dataset,
    split: Option<Split>,
    shots: usize,
    seed: u64,
) -> anyhow::Result<Vec<(String, Vec<NamedImage>)>> {
    let name = &dataset.name;
    let indices = dataset.indices(split);
    ensure!(!dataset.class_names.is_empty(), "{name} has no labels to learn from");
    let mut lessons = Vec::new();
    for (label, class) in dataset.class_names.iter().enumerate() {
        let of_class: Vec<usize> =
            indices.iter().copied().filter(|&index| dataset.records[index].label == Some(label)).collect();
        if of_class.len() < shots {
            let part = split.map_or("all", Split::name);
            bail!("{name} has {} images of class '{class}' (split: {part}), --shots asks for {shots}", of_class.len());
        }
        let mut rng = Rng::for_item(seed, "learn shots", 0, label as u64);
        let drawn: Vec<usize> = rng.sample(of_class.len(), shots).into_iter().map(|i| of_class[i]).collect();
        lessons.push((class.clone(), load_images(dataset, &drawn)?));
    }
    Ok(lessons)
}

/// Teaches `head` the images as `class`; returns those it had learned before, each with the name it then had.
pub fn learn(
    head: &mut TaughtHead,
    encoder: &dyn Embedder,
    class: &str,
    images: &[NamedImage],
) -> anyhow::Result<Vec<(String, String)>> {
    let features = device::embed_images(encoder, images)?;
    let mut already = Vec::new();
    let rows = features.chunks_exact(encoder.feature_dim());
    for ((named, hash), feature) in images.iter().zip(hashes(images)).zip(rows) {
        if let Learned::Known { name } = head.learn(class, &named.name, hash, feature)? {
            already.push((named.name.clone(), name));
        }
    }
    Ok(already)
}

/// Hands the images `indices` of `dataset` to `take` in blocks, each with its hashes and features `[N, D]`.
pub fn for_each_block(
    encoder: &dyn Embedder,
    dataset: &Dataset,
    indices: &[usize],
    common: &Common,
    mut take: impl FnMut(&[usize], &[NamedImage], &[f32]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let progress = progress_bar(indices.len(), common);
    for block in indices.chunks(IMAGES_AT_ONCE) {
        let images = load_images(dataset, block)?;
        take(block, &images, &device::embed_images(encoder, &images)?)?;
        progress.inc(block.len() as u64);
    }
    progress.finish_and_clear();
    Ok(())
}

/// The hash of each image's pixels.
pub fn hashes(images: &[NamedImage]) -> Vec<[u8; 32]> {
    images.par_iter().map(|named| pixels_sha256(&named.image)).collect()
}

/// The classes of a head with their samples.
pub fn class_counts(head: &TaughtHead) -> Vec<ClassCount> {
    let samples = |class: usize| head.samples().iter().filter(|sample| usize::from(sample.class) == class).count();
    let classes = head.classes().iter().enumerate();
    classes.map(|(class, name)| ClassCount { name: name.clone(), samples: samples(class) }).collect()
}

/// Prints the classes of a head with their samples.
pub fn print_classes(counts: &[ClassCount]) {
    println!("{:<24} {:>8}", "class", "samples");
    counts.iter().for_each(|class| println!("{:<24} {:>8}", class.name, class.samples));
}

fn progress_bar(images: usize, common: &Common) -> ProgressBar {
    if common.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} images, {per_sec}, {eta} left");
    ProgressBar::new(images as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
