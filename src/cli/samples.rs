//! Images for a device: files, and what is drawn from data sets.

use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::Common;
use crate::data::{Dataset, Split};
use crate::device::NamedImage;
use crate::report::text::count;
use crate::rng::Rng;

/// Images of a data set held in memory at once.
const IMAGES_AT_ONCE: usize = 64;

/// Images of one class.
pub type Lesson = (String, Vec<NamedImage>);

/// Parses `train`, `val` or `test`.
pub fn parse_split(name: &str) -> Result<Split, String> {
    Split::from_name(name).ok_or_else(|| format!("split '{name}' is none of train, val, test"))
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
pub fn draw_shots(dataset: &Dataset, split: Option<Split>, shots: usize, seed: u64) -> anyhow::Result<Vec<Lesson>> {
    let name = &dataset.name;
    let indices = dataset.indices(split);
    ensure!(!dataset.class_names.is_empty(), "{name} has no labels to learn from");
    let mut lessons = Vec::new();
    for (label, class) in dataset.class_names.iter().enumerate() {
        let of_class: Vec<usize> =
            indices.iter().copied().filter(|&index| dataset.records[index].label == Some(label)).collect();
        if of_class.len() < shots {
            let part = split.map_or("all", Split::name);
            let found = count(of_class.len(), "image");
            bail!("{name} has {found} of class '{class}' (split: {part}), --shots asks for {shots}");
        }
        let mut rng = Rng::for_item(seed, "learn shots", 0, label as u64);
        let drawn: Vec<usize> = rng.sample(of_class.len(), shots).into_iter().map(|i| of_class[i]).collect();
        lessons.push((class.clone(), load_images(dataset, &drawn)?));
    }
    Ok(lessons)
}

/// The images of one part of `dataset` whatever their labels say, or `shots` of them, drawn by seed.
pub fn draw_any(
    dataset: &Dataset,
    split: Option<Split>,
    shots: Option<usize>,
    seed: u64,
) -> anyhow::Result<Vec<NamedImage>> {
    let indices = dataset.indices(split);
    let asked = shots.unwrap_or(indices.len());
    ensure!(
        asked > 0 && asked <= indices.len(),
        "{} has {} there, {asked} asked for",
        dataset.name,
        count(indices.len(), "image")
    );
    let drawn = match shots {
        None => indices,
        Some(shots) => {
            let mut rng = Rng::for_purpose(seed, "learn any shots");
            rng.sample(indices.len(), shots).into_iter().map(|i| indices[i]).collect()
        }
    };
    load_images(dataset, &drawn)
}

/// Hands the images `indices` of `dataset` to `take`, one after another, while a bar tells how far it is.
pub fn for_each_image(
    dataset: &Dataset,
    indices: &[usize],
    common: &Common,
    mut take: impl FnMut(usize, &NamedImage) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let progress = progress_bar(indices.len(), common);
    for block in indices.chunks(IMAGES_AT_ONCE) {
        for (&index, image) in block.iter().zip(&load_images(dataset, block)?) {
            take(index, image)?;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Ok(())
}

fn progress_bar(images: usize, common: &Common) -> ProgressBar {
    if common.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} images, {per_sec}, {eta} left");
    ProgressBar::new(images as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
