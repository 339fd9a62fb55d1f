//! Features of a dataset: images are streamed through an encoder, and only the features stay in memory.

use rayon::prelude::*;

use super::EvaluateError;
use crate::data::Dataset;
use crate::encoder::{CorpusStatistics, EncodeError, HostEncoder};
use crate::measure::{Features, Moments};

/// Images per task. Fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 64;

/// Blocks that [`corpus_statistics`] sums at a time.
const BLOCKS_AT_ONCE: usize = 32;

/// Called from many threads with the number of images just finished.
pub type Progress<'a> = &'a (dyn Fn(usize) + Sync);

/// Features of the images `indices` of `dataset`, in that order. Memory holds 64 images per thread beside the features.
///
/// # Errors
/// When an image cannot be read or encoded, or its feature is not finite.
pub fn embed_dataset(
    encoder: &dyn HostEncoder,
    dataset: &Dataset,
    indices: &[usize],
    progress: Progress,
) -> Result<Features, EvaluateError> {
    let dim = encoder.feature_dim();
    let mut rows = vec![0.0; indices.len() * dim];
    rows.par_chunks_mut(BLOCK * dim).zip(indices.par_chunks(BLOCK)).try_for_each(|(out, block)| {
        out.copy_from_slice(&embed_block(encoder, dataset, block)?);
        progress(block.len());
        Ok::<(), EvaluateError>(())
    })?;
    Ok(Features { dim, rows })
}

/// Mean and standard deviation of the features of `indices`; the features are not kept.
///
/// # Errors
/// As [`embed_dataset`].
pub fn corpus_statistics(
    encoder: &dyn HostEncoder,
    dataset: &Dataset,
    indices: &[usize],
    progress: Progress,
) -> Result<CorpusStatistics, EvaluateError> {
    let mut moments = Moments::new(encoder.feature_dim());
    for blocks in indices.chunks(BLOCK * BLOCKS_AT_ONCE) {
        let parts: Vec<Moments> = (blocks.par_chunks(BLOCK))
            .map(|block| {
                let moments = Moments::of(&embed_block(encoder, dataset, block)?, encoder.feature_dim());
                progress(block.len());
                Ok::<_, EvaluateError>(moments)
            })
            .collect::<Result<_, _>>()?;
        parts.iter().for_each(|part| moments.merge(part));
    }
    Ok(moments.statistics())
}

fn embed_block(encoder: &dyn HostEncoder, dataset: &Dataset, block: &[usize]) -> Result<Vec<f32>, EvaluateError> {
    if encoder.is_tiled() {
        // One image at a time: they are large.
        let mut features = Vec::with_capacity(block.len() * encoder.feature_dim());
        for &index in block {
            let feature = encoder.encode_image(&dataset.load(index)?);
            features.extend(feature.map_err(|error| error.of_image(&dataset.records[index].name))?);
        }
        return Ok(features);
    }
    let mut pixels = Vec::new();
    for &index in block {
        pixels.extend(encoder.preprocessing().to_pixels(&dataset.load(index)?).pixels);
    }
    encoder.encode_batch(&pixels).map_err(|error| match error {
        EncodeError::NotFinite { encoder, image, position, value } => {
            let image = dataset.records[block[image]].name.clone();
            EvaluateError::NotFinite { encoder, image, position, value }
        }
        error => error.into(),
    })
}

/// The images of `indices` that can be read, and name and reason of each that cannot.
pub fn readable(dataset: &Dataset, indices: &[usize]) -> (Vec<usize>, Vec<(String, String)>) {
    let found: Vec<Result<usize, (String, String)>> = (indices.par_iter())
        .map(|&index| match dataset.load(index) {
            Ok(_) => Ok(index),
            Err(error) => Err((dataset.records[index].name.clone(), error.to_string())),
        })
        .collect();
    let (mut kept, mut skipped) = (Vec::new(), Vec::new());
    for image in found {
        match image {
            Ok(index) => kept.push(index),
            Err(reason) => skipped.push(reason),
        }
    }
    (kept, skipped)
}
