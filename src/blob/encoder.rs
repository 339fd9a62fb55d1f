//! A blob as an encoder on the host: in int8 by the engine, which has the bytes of the device's code; in f16 by that code.

use std::path::Path;

use macula_edge::encoder::{Arithmetic, Blob, BlobError, EncodeError as DeviceError, Encoder as _, encode_pixels};
use macula_engine::Isa;
use macula_engine::int8::{Int8Error, Int8Network};
use rayon::prelude::*;

use crate::data::{Preprocessing, ResizeFilter};
use crate::encoder::{EncodeError, EncoderId, HostEncoder, HostEncoderInfo, Spares, require_finite};
use crate::files::{MODEL_MAX, read_bounded};

/// A blob cannot be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum BlobFileError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The bytes are not a valid blob.
    #[error("{name}: {source}")]
    Blob {
        /// Name of the blob.
        name: String,
        /// The fault.
        source: BlobError,
    },
    /// Running it on an image failed.
    #[error(transparent)]
    Run(#[from] DeviceError),
    /// The engine cannot run it.
    #[error(transparent)]
    Engine(#[from] Int8Error),
}

/// A checked blob in memory.
pub struct BlobFile {
    /// As words, because a blob must lie at a multiple of 4.
    words: Vec<u32>,
    info: HostEncoderInfo,
    /// Whether the engine computes it.
    is_native: bool,
    /// Where it does.
    networks: Spares<Int8Network>,
}

impl BlobFile {
    /// Opens a file.
    ///
    /// # Errors
    /// A file that cannot be read or is not a blob.
    pub fn open(path: &Path) -> Result<Self, BlobFileError> {
        let name = path.display().to_string();
        let bytes = read_bounded(path, MODEL_MAX)
            .map_err(|error| BlobFileError::Io { path: name.clone(), source: error.source })?;
        Self::from_bytes(&name, &bytes)
    }

    /// Copies the blob `bytes`; errors call it `name`.
    ///
    /// # Errors
    /// Bytes that are not a blob.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, BlobFileError> {
        let mut words = vec![0u32; bytes.len().div_ceil(4)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        let refused = |source| BlobFileError::Blob { name: name.to_owned(), source };
        // The last word may be padded, but the blob ends with `bytes`.
        let blob = Blob::parse(&bytemuck::cast_slice(&words)[..bytes.len()]).map_err(refused)?;
        let arithmetic = match blob.arithmetic() {
            Arithmetic::F16 => "f32, from weights in f16",
            Arithmetic::Int8 => "int8",
        };
        let info = HostEncoderInfo {
            name: name.to_owned(),
            id: EncoderId::of_bytes(&bytes[..blob.len_bytes()]),
            feature_dim: blob.dim(),
            preprocessing: preprocessing(&blob),
            corpus: blob.corpus().map(Into::into),
            arithmetic: arithmetic.to_owned(),
        };
        let is_native = blob.arithmetic() == Arithmetic::Int8 && Int8Network::has_kernels(Isa::best());
        Ok(Self { words, info, is_native, networks: Spares::default() })
    }

    /// The blob.
    ///
    /// # Errors
    /// None: [`Self::from_bytes`] has checked it.
    pub fn blob(&self) -> Result<Blob<'_>, BlobFileError> {
        let refused = |source| BlobFileError::Blob { name: self.info.name.clone(), source };
        Blob::parse(bytemuck::cast_slice(&self.words)).map_err(refused)
    }

    /// The quantised feature `[D]` of an image of the network's input size, as a device computes it.
    ///
    /// # Errors
    /// An image of another size, or a feature without a direction.
    pub fn quantised(&self, pixels: &[u8]) -> Result<Vec<i16>, BlobFileError> {
        let blob = self.blob()?;
        let (mut work, mut feature) = (vec![0; blob.info().work_words()], vec![0; blob.dim()]);
        encode_pixels(&blob, pixels, &mut work, &mut feature)?;
        Ok(feature)
    }
}

/// The preprocessing whose normalisation is the blob's first step: scale is `1 / (255 std)`, offset `-mean / std`.
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

impl HostEncoder for BlobFile {
    fn info(&self) -> &HostEncoderInfo {
        &self.info
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        let failed =
            |error: BlobFileError| EncodeError::Encoder { encoder: self.info.name.clone(), message: error.to_string() };
        let (one, dim) = (self.info.preprocessing.input_len(), self.info.feature_dim);
        let mut features = vec![0.0; pixels.len() / one * dim];
        // One arena per group.
        let group = (pixels.len() / one).div_ceil(rayon::current_num_threads()).max(1);
        let groups = (pixels.par_chunks(group * one), features.par_chunks_mut(group * dim)).into_par_iter();
        let encoded = match self.is_native {
            // The engine has the bytes of the device's code, and kernels for this processor. The blob is read only for a new
            // network, because a check of all its bytes can take longer than an image.
            true => groups.try_for_each(|(pixels, features)| {
                let make = || Ok(Int8Network::new(&self.blob()?, Isa::best())?);
                let encode = |network: &mut Int8Network| {
                    let mut pairs = pixels.chunks(one).zip(features.chunks_mut(dim));
                    pairs.try_for_each(|(image, feature)| Ok(network.encode(image, feature)?))
                };
                self.networks.with(make, encode).flatten()
            }),
            false => self.blob().and_then(|blob| {
                groups.try_for_each(|(pixels, features)| {
                    let mut arena = vec![0; blob.arena_words()];
                    let mut pairs = pixels.chunks(one).zip(features.chunks_mut(dim));
                    pairs.try_for_each(|(image, feature)| Ok(blob.encode(image, &mut arena, feature)?))
                })
            }),
        };
        encoded.map_err(failed)?;
        require_finite(&self.info, features)
    }
}
