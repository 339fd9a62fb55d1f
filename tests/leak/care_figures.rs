//! Figures of data care on real images, as docs/datasets.md has them:
//! `cargo test --release --test leak care_figures -- --nocapture --test-threads 1`, with `MACULA_DATA`.
#![allow(clippy::print_stdout, reason = "docs/datasets.md has the figures that the tests print")]

use std::collections::HashSet;
use std::path::Path;

use macula::care::{NEIGHBOURS, distances, doubts, links, out_of_fold, threshold};
use macula::data::{self, Dataset, Fingerprint, Image, ImageDigest, Look, Orientation, Preprocessing, evenly_spread};
use macula::encoder::HostEncoder;
use macula::encoders::{OpenOptions, open};
use macula::evaluate::{HeadKind, roc_auc};
use macula::measure::{Features, closest_others, corpus_of, l2_normalize_rows};
use macula::rng::Rng;

use super::common::data_or_skip;

/// A set of real images: path below `MACULA_DATA`, images of it, and the shipped encoder that `macula data --report` takes.
struct Set {
    path: &'static str,
    images: usize,
    encoder: &'static str,
}

const BUSI: Set = Set { path: "busi", images: 400, encoder: "colour-128" };
const CHEST: Set = Set { path: "kermany-cxr/kermany-3class.csv", images: 600, encoder: "grey-128" };
const CIFAR: Set = Set { path: "cifar10", images: 1000, encoder: "colour-64" };

impl Set {
    fn open(&self, root: &Path) -> Dataset {
        data::open(&root.join(self.path)).unwrap()
    }

    fn images(&self, dataset: &Dataset) -> Vec<Image> {
        let chosen = evenly_spread(&dataset.indices(None), self.images);
        chosen.into_iter().map(|index| dataset.load(index).unwrap()).collect()
    }

    fn encoder(&self) -> Box<dyn HostEncoder> {
        open(self.encoder, &OpenOptions::default()).unwrap().encoder
    }
}

/// Features, centred and scaled.
fn features(encoder: &dyn HostEncoder, images: &[Image]) -> Features {
    let encode = |batch: &[Image]| {
        let pixels: Vec<u8> = batch.iter().flat_map(|image| encoder.preprocessing().to_pixels(image).pixels).collect();
        encoder.encode_batch(&pixels).unwrap()
    };
    let mut features = Features { dim: encoder.feature_dim(), rows: images.chunks(64).flat_map(encode).collect() };
    features.standardise(&corpus_of(&features));
    features
}

fn look(image: &Image) -> Look {
    Look { digest: ImageDigest::of(image), fingerprint: Fingerprint::of(image) }
}

/// Compressed as JPEG and decoded.
fn jpeg(image: &Image, quality: u8) -> Image {
    let mut bytes = Vec::new();
    let colour = if image.channels == 1 { image::ExtendedColorType::L8 } else { image::ExtendedColorType::Rgb8 };
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality);
    encoder.encode(&image.pixels, image.width as u32, image.height as u32, colour).unwrap();
    let decoded = image::load_from_memory(&bytes).unwrap();
    let pixels = if image.channels == 1 { decoded.into_luma8().into_raw() } else { decoded.into_rgb8().into_raw() };
    Image { pixels, ..image.clone() }
}

fn resized(image: &Image, factor: f64) -> Image {
    let side = |length: usize| ((length as f64 * factor).round() as usize).max(1);
    Preprocessing::unit(image.channels, side(image.height), side(image.width)).to_pixels(image)
}

/// Without a share of its width and height, at least one pixel of each.
fn cropped(image: &Image, share: f64) -> Image {
    let cut = |length: usize| ((length as f64 * share).round() as usize).max(1);
    let (width, height) = (image.width - cut(image.width), image.height - cut(image.height));
    let (left, top, channels) = (cut(image.width).div_ceil(2), cut(image.height) / 2, image.channels);
    let row = |y: usize| &image.pixels[((y + top) * image.width + left) * channels..][..width * channels];
    Image { width, height, channels, pixels: (0..height).flat_map(row).copied().collect() }
}

fn brightened(image: &Image, factor: f64, shift: f64) -> Image {
    let value = |&value: &u8| (f64::from(value) * factor + shift).clamp(0.0, 255.0) as u8;
    Image { pixels: image.pixels.iter().map(value).collect(), ..image.clone() }
}

fn mirrored(image: &Image) -> Image {
    let rows = image.pixels.chunks(image.width * image.channels);
    let pixels = rows.flat_map(|row| row.chunks(image.channels).rev().flatten().copied()).collect();
    Image { pixels, ..image.clone() }
}

type Change = (&'static str, fn(&Image) -> Image);

const CHANGES: [Change; 8] = [
    ("JPEG, quality 75", |image| jpeg(image, 75)),
    ("JPEG, quality 30", |image| jpeg(image, 30)),
    ("half the size", |image| resized(image, 0.5)),
    ("1.5 times the size", |image| resized(image, 1.5)),
    ("cropped by 2 %", |image| cropped(image, 0.02)),
    ("25 % brighter", |image| brightened(image, 1.25, 0.0)),
    ("all of these", |image| jpeg(&resized(&brightened(&cropped(image, 0.02), 1.1, 5.0), 0.6), 60)),
    ("mirrored", mirrored),
];

#[test]
fn care_figures_of_near_duplicates() {
    let Some(root) = data_or_skip("near-duplicates of real images") else { return };
    for (set, recall_min) in [(BUSI, 0.95), (CHEST, 0.95), (CIFAR, 0.2)] {
        let (originals, encoder) = (set.images(&set.open(&root)), set.encoder());
        let count = originals.len();
        let mut seen: HashSet<[usize; 2]> = HashSet::new();
        for (name, change) in CHANGES {
            let all: Vec<Image> = originals.iter().cloned().chain(originals.iter().map(change)).collect();
            let looks: Vec<Look> = all.iter().map(look).collect();
            let dim = encoder.feature_dim();
            let rows = l2_normalize_rows(&features(&*encoder, &all).rows, dim);
            let found = links(&looks, &rows, dim);
            let wanted = if name == "mirrored" { Orientation::Mirrored } else { Orientation::Upright };
            let of_pair =
                |at: usize| found.iter().any(|link| link.images == [at, at + count] && link.orientation == wanted);
            // An image that did not change is an equal one and has no link.
            let changed: Vec<usize> = (0..count).filter(|&at| looks[at].digest != looks[at + count].digest).collect();
            let recall = changed.iter().filter(|&&at| of_pair(at)).count() as f64 / changed.len() as f64;
            println!("{}: {name}: {:.1} % of {} found", set.path, 100.0 * recall, changed.len());
            assert!(recall >= recall_min || name == "mirrored", "{}: {name}: {recall}", set.path);
            let others = found.iter().map(|link| link.images.map(|image| image % count)).filter(|[a, b]| a != b);
            seen.extend(others.map(|[a, b]| [a.min(b), a.max(b)]));
        }
        println!("{}: {} other pairs of {} images, {}", set.path, seen.len(), count, set.encoder);
    }
}

/// Flips 5 % of the labels. Returns the share of flipped ones among as many first suspicions, and the ROC AUC.
fn found_flips(set: &Set, root: &Path, head: HeadKind) -> [f64; 2] {
    let dataset = set.open(root);
    let labelled: Vec<usize> =
        dataset.indices(None).into_iter().filter(|&i| dataset.records[i].label.is_some()).collect();
    let chosen = evenly_spread(&labelled, set.images);
    let images: Vec<Image> = chosen.iter().map(|&index| dataset.load(index).unwrap()).collect();
    let groups: Vec<Option<&str>> = chosen.iter().map(|&index| dataset.records[index].group.as_deref()).collect();
    let classes = dataset.class_names.len();
    let mut labels: Vec<usize> = dataset.labels(&chosen).into_iter().flatten().collect();
    let mut rng = Rng::for_purpose(1, "flips");
    let flipped: HashSet<usize> = rng.sample(labels.len(), labels.len() / 20).into_iter().collect();
    for &position in &flipped {
        labels[position] = (labels[position] + 1 + rng.below(classes - 1)) % classes;
    }
    let features = features(&*set.encoder(), &images);
    let scores = out_of_fold(&features, &labels, &groups, classes, head, &|_| ()).unwrap();
    let found = doubts(&scores, &labels, classes);
    let first = found.iter().take(flipped.len()).filter(|doubt| flipped.contains(&doubt.position)).count();
    let margins: Vec<f64> = found.iter().map(|doubt| -doubt.margin()).collect();
    let is_flipped: Vec<bool> = found.iter().map(|doubt| flipped.contains(&doubt.position)).collect();
    let estimated = found.iter().filter(|doubt| doubt.is_estimated_error).count();
    let right = found.iter().filter(|doubt| doubt.is_estimated_error && flipped.contains(&doubt.position)).count();
    let [precision, area] = [first as f64 / flipped.len() as f64, roc_auc(&margins, &is_flipped).unwrap()];
    println!(
        "{}: {} of {} labels flipped: {:.1} % of the first {} are flipped, ROC AUC {area:.3}; {estimated} estimated errors, {right} flipped",
        set.path,
        flipped.len(),
        labels.len(),
        100.0 * precision,
        flipped.len()
    );
    [precision, area]
}

#[test]
fn care_figures_of_flipped_labels() {
    let Some(root) = data_or_skip("flipped labels of real images") else { return };
    for (set, images, area_min) in [(BUSI, 780, 0.75), (CHEST, 2000, 0.9), (CIFAR, 2000, 0.75)] {
        let [_, area] = found_flips(&Set { images, ..set }, &root, HeadKind::Auto);
        assert!(area >= area_min, "{}: {area}", set.path);
    }
}

#[test]
fn care_figures_of_planted_images() {
    let Some(root) = data_or_skip("images planted among real images") else { return };
    let pairs = [(BUSI, CHEST, 0.6), (CHEST, BUSI, 0.6), (CIFAR, BUSI, 0.6), (BUSI, CIFAR, 0.6), (CHEST, CIFAR, 0.6)];
    for (set, others, area_min) in pairs {
        let own = set.images(&set.open(&root));
        let planted = own.len() / 100;
        let other = Set { images: planted, ..others }.images(&others.open(&root));
        let all: Vec<Image> = own.iter().chain(&other).cloned().collect();
        let features = features(&*set.encoder(), &all);
        let far = distances(&closest_others(&features, NEIGHBOURS), NEIGHBOURS);
        let [_, limit] = threshold(&far);
        let is_planted: Vec<bool> = (0..all.len()).map(|at| at >= own.len()).collect();
        let area = roc_auc(&far, &is_planted).unwrap();
        let beyond = |range: std::ops::Range<usize>| far[range].iter().filter(|&&distance| distance > limit).count();
        let (found, alarms) = (beyond(own.len()..all.len()), beyond(0..own.len()));
        println!(
            "{planted} of {} among {} of {}: ROC AUC {area:.3}, {found} beyond the threshold with {alarms} others",
            others.path,
            own.len(),
            set.path
        );
        assert!(area >= area_min, "{} in {}: {area}", others.path, set.path);
    }
}
