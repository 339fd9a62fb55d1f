//! Images drawn from datasets.

use anyhow::{Context, anyhow, ensure};
use indicatif::ProgressBar;
use rayon::prelude::*;

use super::Common;
use super::images::print_remarks;
use super::progress::bar;
use crate::data::{Dataset, Split};
use crate::device::NamedImage;
use crate::report::text::{count, shown};
use crate::rng::Rng;

/// Images of a dataset held in memory at once.
const IMAGES_AT_ONCE: usize = 64;

/// Images of one class.
pub type ClassImages = (String, Vec<NamedImage>);

/// Parses `train`, `val` or `test`.
pub fn parse_split(name: &str) -> Result<Split, String> {
    Split::from_name(name).ok_or_else(|| format!("'{name}' is not a split; use train, val or test"))
}

/// Reads the images `indices` of `dataset`, in order. Unreadable ones are left out and, unless `quiet`, named on standard
/// error; with `strict` the first is an error.
pub fn load_readable(
    dataset: &Dataset,
    indices: &[usize],
    strict: bool,
    quiet: bool,
) -> anyhow::Result<Vec<(usize, NamedImage)>> {
    let loaded: Vec<_> = indices.par_iter().map(|&index| (index, dataset.load(index))).collect();
    let mut images = Vec::with_capacity(loaded.len());
    for (index, loaded) in loaded {
        let name = dataset.records[index].name.clone();
        match loaded {
            Ok(image) => images.push((index, NamedImage { name, image })),
            Err(error) if strict => return Err(error).context(name),
            Err(error) if quiet => drop(error),
            Err(error) => eprintln!("left out: {}: {}", shown(&name), shown(&error.to_string())),
        }
    }
    Ok(images)
}

/// Draws `shots` readable images among `of`. After an unreadable image all are drawn again without it.
fn draw(
    dataset: &Dataset,
    mut of: Vec<usize>,
    shots: usize,
    strict: bool,
    rng: impl Fn() -> Rng,
    too_few: impl Fn(usize) -> anyhow::Error,
) -> anyhow::Result<Vec<NamedImage>> {
    loop {
        if of.len() < shots {
            return Err(too_few(of.len()));
        }
        let drawn: Vec<usize> = rng().sample(of.len(), shots).into_iter().map(|at| of[at]).collect();
        let images = load_readable(dataset, &drawn, strict, false)?;
        if images.len() == drawn.len() {
            return Ok(images.into_iter().map(|(_, image)| image).collect());
        }
        let read: Vec<usize> = images.iter().map(|(index, _)| *index).collect();
        of.retain(|index| !drawn.contains(index) || read.contains(index));
    }
}

/// Draws `shots` images per class. Each class has its own random stream, so a new class does not change the others.
pub fn draw_shots(
    dataset: &Dataset,
    split: Option<Split>,
    shots: usize,
    seed: u64,
    strict: bool,
) -> anyhow::Result<Vec<ClassImages>> {
    let name = &dataset.name;
    let indices = dataset.indices(split);
    ensure!(
        !dataset.class_names.is_empty(),
        "{name} has no labels; pass --class NAME to learn all images as one class"
    );
    let mut lessons = Vec::new();
    for (label, class) in dataset.class_names.iter().enumerate() {
        let of_class: Vec<usize> =
            indices.iter().copied().filter(|&index| dataset.records[index].label == Some(label)).collect();
        let too_few = |found| {
            let (part, found) = (split.map_or("all", Split::name), count(found, "image"));
            anyhow!("{name} has {found} of class '{class}' (split: {part}), --shots is {shots}")
        };
        let rng = || Rng::for_item(seed, "learn shots", 0, label as u64);
        lessons.push((class.clone(), draw(dataset, of_class, shots, strict, rng, too_few)?));
    }
    Ok(lessons)
}

/// The images of a split of `dataset`, with any label or none, or `shots` of them drawn by seed.
pub fn draw_any(
    dataset: &Dataset,
    split: Option<Split>,
    shots: Option<usize>,
    seed: u64,
    strict: bool,
) -> anyhow::Result<Vec<NamedImage>> {
    let indices = dataset.indices(split);
    let wanted = shots.unwrap_or(indices.len());
    let too_few = |found| anyhow!("{} has {}, --shots is {wanted}", dataset.name, count(found, "image"));
    if wanted == 0 {
        return Err(too_few(0));
    }
    if shots.is_some() {
        return draw(dataset, indices, wanted, strict, || Rng::for_purpose(seed, "learn any shots"), too_few);
    }
    let images = load_readable(dataset, &indices, strict, false)?;
    ensure!(!images.is_empty(), "{}: no image can be read", dataset.name);
    Ok(images.into_iter().map(|(_, image)| image).collect())
}

/// Hands the images `indices` of `dataset` to `take`, one by one, with a progress bar. Unreadable ones are left out and
/// named; with `strict` the first is an error.
pub fn for_each_image(
    dataset: &Dataset,
    indices: &[usize],
    common: &Common,
    strict: bool,
    mut take: impl FnMut(usize, &NamedImage) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let progress = progress_bar(indices.len(), common);
    let mut any = false;
    for block in indices.chunks(IMAGES_AT_ONCE) {
        for (index, image) in load_readable(dataset, block, strict, common.quiet)? {
            take(index, &image)?;
            any = true;
        }
        progress.inc(block.len() as u64);
    }
    progress.finish_and_clear();
    if !common.quiet {
        print_remarks(&dataset.raw_remarks());
    }
    ensure!(any, "{}: no image can be read", dataset.name);
    Ok(())
}

fn progress_bar(images: usize, common: &Common) -> ProgressBar {
    bar(common.quiet, images as u64, "{bar:30} {pos}/{len} images, {rate}, {eta} left")
}
