//! What `learn`, `forget`, `predict` and `status` share: heads and images in, errors with their exit code.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{Common, DeviceFault};
use crate::data::{Dataset, Preprocessing, ResizeFilter, Split, decode};
use crate::device::{self, NamedImage, TaughtHead, pixels_sha256};
use crate::encoder::{EmbedError, Embedder};

/// Images of a data set held in memory at once.
const IMAGES_AT_ONCE: usize = 256;

/// A class and its number of samples, as `--json` gives them.
#[derive(serde::Serialize)]
pub struct ClassCount {
    name: String,
    samples: usize,
}

/// Opens the encoder `name`.
pub fn open_encoder(name: &str) -> anyhow::Result<Box<dyn Embedder>> {
    match name {
        "raw-pixels" => Ok(Box::new(RawPixels::new())),
        _ => bail!("no encoder '{name}': there is raw-pixels"),
    }
}

/// The baseline: 32×32 grey pixels are the feature. Its recipe is fixed, not fitted to the images at hand,
/// so that a head taught today meets the same encoder tomorrow.
struct RawPixels(Preprocessing);

impl RawPixels {
    fn new() -> Self {
        let (mean, std) = (vec![0.5], vec![0.25]);
        Self(Preprocessing { channels: 1, height: 32, width: 32, filter: ResizeFilter::Triangle, mean, std })
    }
}

impl Embedder for RawPixels {
    fn name(&self) -> String {
        "raw-pixels".to_owned()
    }

    fn identity(&self) -> [u8; 32] {
        Sha256::digest(format!("raw-pixels {:?}", self.0)).into()
    }

    fn feature_dim(&self) -> usize {
        self.0.channels * self.0.height * self.0.width
    }

    fn preprocessing(&self) -> &Preprocessing {
        &self.0
    }

    fn embed_input(&self, input: &[f32]) -> Result<Vec<f32>, EmbedError> {
        Ok(input.to_vec())
    }
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
