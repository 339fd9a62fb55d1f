//! A blob as an encoder on the desk, run by the device's own code.

use std::path::Path;

use macula_edge::encoder::{Blob, BlobEncoder, BlobError, EmbedError as DeviceError};
use macula_edge::feature::{Length, quantise};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::data::{Preprocessing, ResizeFilter};
use crate::encoder::{CorpusStatistics, EmbedError, Embedder};
use crate::files::{MODEL_MAX, read_bounded};

/// A blob cannot be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum BlobFileError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no blob that can be run.
    #[error("{name}: {source}")]
    Blob {
        /// What the blob is called.
        name: String,
        /// What is wrong with it.
        source: BlobError,
    },
    /// It failed on an image.
    #[error(transparent)]
    Run(#[from] DeviceError),
}

/// A blob in memory, checked, with what the desk needs to know of it.
pub struct BlobFile {
    name: String,
    /// As words, because a blob must lie at a multiple of 4.
    words: Vec<u32>,
    sha256: [u8; 32],
    dim: usize,
    preprocessing: Preprocessing,
    corpus: Option<CorpusStatistics>,
}

impl BlobFile {
    /// Opens a file.
    ///
    /// # Errors
    /// A file that cannot be read, or is no blob.
    pub fn open(path: &Path) -> Result<Self, BlobFileError> {
        let name = path.display().to_string();
        let bytes = read_bounded(path, MODEL_MAX)
            .map_err(|error| BlobFileError::Io { path: name.clone(), source: error.source })?;
        Self::from_bytes(&name, &bytes)
    }

    /// Takes the blob `bytes`.
    ///
    /// # Errors
    /// Bytes that are no blob.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, BlobFileError> {
        let mut words = vec![0u32; bytes.len().div_ceil(4)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        let refused = |source| BlobFileError::Blob { name: name.to_owned(), source };
        // What stands behind the last byte may make up a word, but never the blob.
        let blob = Blob::parse(&bytemuck::cast_slice(&words)[..bytes.len()]).map_err(refused)?;
        let (dim, preprocessing) = (blob.dim(), preprocessing(&blob));
        let corpus = blob.statistics();
        let corpus = corpus.map(|corpus| CorpusStatistics {
            mean: corpus.mean.to_vec(),
            std: corpus.std.to_vec(),
            length_max: blob.length_max().map(|Length(max)| max),
        });
        let sha256 = Sha256::digest(&bytes[..blob.len_bytes()]).into();
        Ok(Self { name: name.to_owned(), words, sha256, dim, preprocessing, corpus })
    }

    /// The blob.
    ///
    /// # Errors
    /// None that [`Self::from_bytes`] has not seen.
    pub fn blob(&self) -> Result<Blob<'_>, BlobFileError> {
        let refused = |source| BlobFileError::Blob { name: self.name.clone(), source };
        Blob::parse(bytemuck::cast_slice(&self.words)).map_err(refused)
    }

    /// Lends `work` the encoder, running in an arena of its own.
    ///
    /// # Errors
    /// What `work` gives.
    pub fn with_encoder<T>(
        &self,
        work: impl FnOnce(&mut BlobEncoder<'_, '_>) -> Result<T, BlobFileError>,
    ) -> Result<T, BlobFileError> {
        let blob = self.blob()?;
        let mut arena = vec![0; blob.arena_words()];
        let refused = |source| BlobFileError::Blob { name: self.name.clone(), source };
        work(&mut BlobEncoder::new(blob, &mut arena).map_err(refused)?)
    }

    /// The quantised feature `[D]` of an image of the network's size, as a device computes it.
    ///
    /// # Errors
    /// An image of another size, or a feature without a direction.
    pub fn quantised(&self, pixels: &[u8]) -> Result<Vec<i16>, BlobFileError> {
        let mut feature = vec![0; self.dim];
        self.with_encoder(|device| {
            let statistics = device.blob().statistics();
            quantise(device.feature(pixels)?, statistics, &mut feature).map_err(DeviceError::from)?;
            Ok(())
        })?;
        Ok(feature)
    }

    /// The pixels that `input`, `[N, H, W, C]`, was normalised from.
    fn pixels(&self, input: &[f32]) -> Vec<u8> {
        let Preprocessing { channels, mean, std, .. } = &self.preprocessing;
        let of_pixel = |(i, &value): (usize, &f32)| {
            let channel = i % channels;
            ((value * std[channel] + mean[channel]) * 255.0).round() as u8
        };
        input.iter().enumerate().map(of_pixel).collect()
    }
}

/// The recipe that the blob's first step undoes: scale is `1 / (255 std)`, offset `-mean / std`.
fn preprocessing(blob: &Blob<'_>) -> Preprocessing {
    let input = blob.input();
    let std: Vec<f32> = blob.input_channels().iter().map(|channel| 1.0 / (255.0 * channel.scale)).collect();
    let mean = blob.input_channels().iter().zip(&std).map(|(channel, std)| -channel.offset * std).collect();
    Preprocessing {
        channels: input.channels.into(),
        height: input.height.into(),
        width: input.width.into(),
        filter: ResizeFilter::Triangle,
        mean,
        std,
        range: None,
    }
}

impl Embedder for BlobFile {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn identity(&self) -> [u8; 32] {
        self.sha256
    }

    fn corpus(&self) -> Option<&CorpusStatistics> {
        self.corpus.as_ref()
    }

    fn feature_dim(&self) -> usize {
        self.dim
    }

    fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    fn embed_input(&self, input: &[f32]) -> Result<Vec<f32>, EmbedError> {
        let failed = |error: BlobFileError| EmbedError::Encoder { encoder: self.name(), message: error.to_string() };
        let (pixels, one) = (self.pixels(input), self.preprocessing.input_len());
        // One arena a group; the feature of an image does not depend on the others.
        let group = (pixels.len() / one).div_ceil(rayon::current_num_threads()).max(1);
        let groups = pixels.par_chunks(group * one).map(|pixels| {
            self.with_encoder(|device| {
                let mut features = Vec::with_capacity(pixels.len() / one * self.dim);
                for pixels in pixels.chunks(one) {
                    features.extend_from_slice(device.feature(pixels)?);
                }
                Ok(features)
            })
        });
        let features = groups.collect::<Result<Vec<_>, _>>().map_err(failed)?.concat();
        match features.iter().position(|value| !value.is_finite()) {
            None => Ok(features),
            Some(at) => Err(EmbedError::NotFinite {
                encoder: self.name(),
                image: at / self.dim,
                position: at % self.dim,
                value: features[at],
            }),
        }
    }
}
