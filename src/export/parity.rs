//! Parity check: the features of exported files against those of the trained encoder.
//!
//! N images, D feature dimensions. An error is the absolute difference of a value, divided by the length (L2 norm) of the
//! trained encoder's feature of the same image.

use macula_edge::feature::FeatureError;
use rayon::prelude::*;

use crate::data::{DataError, Dataset, Preprocessing};
use crate::encoder::{EncodeError, HostEncoder};

/// Largest error of the f32 file: about 100 times the rounding of sums in another order.
pub const F32_TOLERANCE: f64 = 1e-4;
/// Largest error of the f16 file: 11 bits of significand through some twenty layers.
pub const F16_TOLERANCE: f64 = 2e-2;

/// The parity check could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// There are no images.
    #[error("the parity check needs at least one image")]
    NoImages,
    /// An image could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A feature cannot be quantised.
    #[error(transparent)]
    Feature(#[from] FeatureError),
}

/// Images to compare on.
pub struct Sample {
    /// Name of their dataset, for the report.
    pub data: String,
    /// Name of each image.
    pub names: Vec<String>,
    /// Class of each image, if labelled.
    pub labels: Vec<Option<usize>>,
    /// Pixels of the encoder's input size, `[N, H, W, C]`.
    pub pixels: Vec<u8>,
}

impl Sample {
    /// Reads the images `indices` of `dataset`.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn load(dataset: &Dataset, indices: &[usize], preprocessing: &Preprocessing) -> Result<Self, ParityError> {
        let images: Vec<Vec<u8>> = indices
            .par_iter()
            .map(|&index| Ok(preprocessing.to_pixels(&dataset.load(index)?).pixels))
            .collect::<Result<_, DataError>>()?;
        let records = || indices.iter().map(|&index| &dataset.records[index]);
        Ok(Self {
            data: String::new(),
            names: records().map(|record| record.name.clone()).collect(),
            labels: records().map(|record| record.label).collect(),
            pixels: images.concat(),
        })
    }
}

/// Comparison of one exported file with the trained encoder.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ParityStep {
    /// `f32`, `f16`, `f16 blob` or `int8 blob`.
    pub file: String,
    /// Arithmetic that the file was run in.
    pub arithmetic: String,
    /// Largest error over all images and dimensions.
    pub max_error: f64,
    /// Mean error over all images and dimensions.
    pub mean_error: f64,
    /// Least cosine similarity between the two features of an image.
    pub min_cosine: f64,
    /// Mean cosine similarity between the two features of an image.
    pub mean_cosine: f64,
    /// Number of images whose nearest class changed; see [`Parity::nearest`].
    pub flips: usize,
    /// Name of the image with the largest error.
    pub worst_image: String,
    /// Largest allowed `max_error`.
    pub tolerance: f64,
    /// Whether `max_error` is within the tolerance.
    pub passed: bool,
}

/// The report, `parity.json`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Parity {
    /// The trained encoder.
    pub trainer: String,
    /// The dataset.
    pub data: String,
    /// Number of images, N.
    pub images: usize,
    /// Feature dimensions, D.
    pub feature_dim: usize,
    /// How flips are counted: by the nearest `class mean` of the trained encoder's features if the sample has at least two
    /// classes, else by the nearest `neighbour` among the other images.
    pub nearest: &'static str,
    /// Mean length of the trained encoder's features; near 0 for a dead encoder.
    pub mean_feature_norm: f64,
    /// One per file.
    pub steps: Vec<ParityStep>,
    /// Whether every step passed.
    pub passed: bool,
}

/// Name of an exported file in the report, its arithmetic, its encoder, and its tolerance.
pub type Candidate<'a> = (&'a str, String, &'a dyn HostEncoder, f64);

/// Compares `candidates` with `trainer` on `sample`. An exceeded tolerance is reported, not an error.
///
/// # Errors
/// When there are no images or an encoder fails.
pub fn compare(trainer: &dyn HostEncoder, candidates: &[Candidate], sample: &Sample) -> Result<Parity, ParityError> {
    if sample.names.is_empty() {
        return Err(ParityError::NoImages);
    }
    let dim = trainer.feature_dim();
    let reference = trainer.encode_batch(&sample.pixels)?;
    let anchors = Anchors::new(&reference, &sample.labels, dim);
    let steps = candidates
        .iter()
        .map(|(file, arithmetic, encoder, tolerance)| {
            let features = encoder.encode_batch(&sample.pixels)?;
            let mut step = step(&reference, &features, sample, &anchors, dim);
            step.file = (*file).to_owned();
            step.arithmetic = arithmetic.clone();
            step.tolerance = *tolerance;
            step.passed = step.max_error <= *tolerance;
            Ok(step)
        })
        .collect::<Result<Vec<_>, ParityError>>()?;
    Ok(Parity {
        trainer: trainer.name().to_owned(),
        data: sample.data.clone(),
        images: sample.names.len(),
        feature_dim: dim,
        nearest: anchors.kind(),
        mean_feature_norm: reference.chunks(dim).map(norm).sum::<f64>() / sample.names.len() as f64,
        passed: steps.iter().all(|step| step.passed),
        steps,
    })
}

fn step(reference: &[f32], features: &[f32], sample: &Sample, anchors: &Anchors, dim: usize) -> ParityStep {
    let (mut max_error, mut worst, mut sum) = (0.0f64, 0, 0.0);
    let (mut min_cosine, mut cosine_sum, mut flips) = (f64::INFINITY, 0.0, 0);
    let pairs = reference.chunks(dim).zip(features.chunks(dim));
    for (image, (a, b)) in pairs.enumerate() {
        // For a feature of zeros, any difference becomes far too large, and no difference stays 0.
        let scale = norm(a).max(f64::from(f32::MIN_POSITIVE));
        let error = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).abs() / scale;
        // `f64::max` ignores NaN.
        let errors = a.iter().zip(b).map(error).map(|error| if error.is_nan() { f64::INFINITY } else { error });
        let largest = errors.clone().fold(0.0, f64::max);
        if largest > max_error {
            (max_error, worst) = (largest, image);
        }
        sum += errors.sum::<f64>();
        let cosine = cosine(a, b);
        min_cosine = min_cosine.min(cosine);
        cosine_sum += cosine;
        flips += usize::from(anchors.nearest(a, image) != anchors.nearest(b, image));
    }
    ParityStep {
        file: String::new(),
        arithmetic: String::new(),
        max_error,
        mean_error: sum / reference.len() as f64,
        min_cosine,
        mean_cosine: cosine_sum / sample.names.len() as f64,
        flips,
        worst_image: sample.names[worst].clone(),
        tolerance: 0.0,
        passed: false,
    }
}

/// The candidates for the nearest vector.
enum Anchors {
    /// One vector per class in the sample.
    Classes(Vec<Vec<f32>>),
    /// All images; an image is never its own neighbour.
    Images(Vec<Vec<f32>>),
}

impl Anchors {
    fn new(reference: &[f32], labels: &[Option<usize>], dim: usize) -> Self {
        let mut classes: Vec<usize> = labels.iter().flatten().copied().collect();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() < 2 {
            return Self::Images(reference.chunks(dim).map(<[f32]>::to_vec).collect());
        }
        let class_sum = |class: &usize| {
            let mut sum = vec![0.0; dim];
            let members = reference.chunks(dim).zip(labels).filter(|(_, label)| **label == Some(*class));
            members.for_each(|(feature, _)| sum.iter_mut().zip(feature).for_each(|(sum, value)| *sum += value));
            // The cosine ignores the length, so the sum serves as the mean.
            sum
        };
        Self::Classes(classes.iter().map(class_sum).collect())
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Classes(_) => "class mean",
            Self::Images(_) => "neighbour",
        }
    }

    /// Index of the anchor with the largest cosine similarity; ties go to the first.
    fn nearest(&self, feature: &[f32], image: usize) -> usize {
        let (anchors, own) = match self {
            Self::Classes(anchors) => (anchors, usize::MAX),
            Self::Images(anchors) => (anchors, image),
        };
        let mut best = (f64::NEG_INFINITY, usize::MAX);
        for (index, anchor) in anchors.iter().enumerate().filter(|(index, _)| *index != own) {
            let similarity = cosine(feature, anchor);
            if similarity > best.0 {
                best = (similarity, index);
            }
        }
        best.1
    }
}

fn norm(feature: &[f32]) -> f64 {
    feature.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// Cosine similarity; 1 for two vectors of zeros, 0 for one.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let lengths = norm(a) * norm(b);
    if lengths == 0.0 {
        return if norm(a) == norm(b) { 1.0 } else { 0.0 };
    }
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() / lengths
}
