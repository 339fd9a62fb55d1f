//! Statistics and covariance of the features of a corpus.

use macula_edge::feature::{Corpus, quantise};

use super::MakeError;
use crate::data::Dataset;
use crate::encoder::{CorpusStatistics, Embedder};
use crate::export::{corpus_features, statistics_of};

/// What the features of a corpus look like.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredCorpus {
    /// Mean, deviation, length.
    pub statistics: CorpusStatistics,
    /// Upper triangle, row by row, of the covariance of the quantised features, `[D (D + 1) / 2]`, scaled so that the
    /// largest is 32767; empty where nobody measured it.
    pub covariance: Vec<i16>,
}

/// Measures the features of the images `indices` of `dataset`, at most [`crate::export::CORPUS_IMAGES`] of them.
///
/// An encoder that brings statistics keeps them; the covariance is that of features quantised by them.
///
/// # Errors
/// An image that cannot be read, or features that are of no use.
pub fn measure(encoder: &dyn Embedder, dataset: &Dataset, indices: &[usize]) -> Result<MeasuredCorpus, MakeError> {
    let dim = encoder.feature_dim();
    let features = corpus_features(encoder, dataset, indices)?;
    let statistics = match encoder.corpus() {
        Some(known) => known.clone(),
        None => statistics_of(&features, dim)?,
    };
    let covariance = covariance(&features, &statistics, dim)?;
    Ok(MeasuredCorpus { statistics, covariance })
}

fn covariance(features: &[f32], statistics: &CorpusStatistics, dim: usize) -> Result<Vec<i16>, MakeError> {
    let corpus = Corpus { mean: &statistics.mean, std: &statistics.std };
    let (mut sum, mut products) = (vec![0i64; dim], vec![0i64; dim * (dim + 1) / 2]);
    let (mut quantised, mut count) = (vec![0i16; dim], 0i64);
    for feature in features.chunks(dim) {
        // A feature without direction says nothing of directions.
        if quantise(feature, Some(corpus), &mut quantised).is_err() {
            continue;
        }
        count += 1;
        let mut row = &mut products[..];
        for (d, &left) in quantised.iter().enumerate() {
            sum[d] += i64::from(left);
            let (own, rest) = row.split_at_mut(dim - d);
            own.iter_mut().zip(&quantised[d..]).for_each(|(p, &right)| *p += i64::from(left) * i64::from(right));
            row = rest;
        }
    }
    if count < 2 {
        return Err(MakeError::NoCorpus);
    }
    // count² times the covariance, exactly, and in f64 only for the scale.
    let rows = (0..dim).flat_map(|d| (d..dim).map(move |e| (d, e)));
    let exact: Vec<f64> = rows
        .zip(&products)
        .map(|((d, e), &p)| (i128::from(p) * i128::from(count) - i128::from(sum[d]) * i128::from(sum[e])) as f64)
        .collect();
    let largest = exact.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    if largest == 0.0 {
        return Err(MakeError::NoCorpus);
    }
    Ok(exact.iter().map(|value| (value / largest * f64::from(i16::MAX)).round() as i16).collect())
}
