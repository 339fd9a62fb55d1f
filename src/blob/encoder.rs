//! A blob as an encoder on the host, on the native engine. In int8 it has the bytes of the device's code; in f16 it adds in
//! another order, and features differ in the last bits.

use std::path::Path;

use macula_edge::encoder::{Arithmetic, Blob, BlobError, EncodeError as DeviceError, Encoder as _, encode_pixels};
use macula_engine::Isa;
use macula_engine::float::{self, FloatNetwork, GraphError, Precision};
use macula_engine::int8::{Int8Error, Int8Network};

use super::graph::graph;
use crate::data::{Preprocessing, ResizeFilter};
use crate::encoder::{EncodeError, EncoderId, HostEncoder, HostEncoderInfo, Spares};
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
    /// The engine cannot run it in int8.
    #[error(transparent)]
    Int8(#[from] Int8Error),
    /// The engine cannot run it in f32.
    #[error(transparent)]
    Float(#[from] GraphError),
}

/// A checked blob in memory.
pub struct BlobFile {
    /// As words, because a blob must lie at a multiple of 4.
    words: Vec<u32>,
    info: HostEncoderInfo,
    network: Network,
}

/// What computes it.
enum Network {
    /// The engine in int8: one network, with its memory, for each thread.
    Int8(Spares<Int8Network>),
    /// The engine in f32.
    Float(FloatNetwork, Spares<float::Arena>),
    /// The device's code, in arenas of words.
    Device(Spares<Vec<u32>>),
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
        let network = Network::of(&blob)?;
        Ok(Self { words, info, network })
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

impl Network {
    fn of(blob: &Blob<'_>) -> Result<Self, BlobFileError> {
        let isa = Isa::best();
        if blob.arithmetic() == Arithmetic::Int8 && Int8Network::has_kernels(isa) {
            return Ok(Self::Int8(Spares::default()));
        }
        let planned = graph(blob).map(|graph| FloatNetwork::new(&graph, isa, Precision::F32)).transpose()?;
        Ok(match planned.flatten() {
            Some(network) => Self::Float(network, Spares::default()),
            None => Self::Device(Spares::default()),
        })
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
        match &self.network {
            Network::Int8(networks) => networks.encode_each(
                &self.info,
                pixels,
                || Ok::<_, BlobFileError>(Int8Network::new(&self.blob()?, Isa::best())?),
                |network, image, feature| Ok(network.encode(image, feature)?),
            ),
            Network::Float(network, arenas) => arenas.encode_each(
                &self.info,
                pixels,
                || Ok::<_, GraphError>(network.arena()),
                |arena, image, feature| network.encode(image, arena, feature),
            ),
            Network::Device(arenas) => {
                // Once per batch: it checks every byte of the blob.
                let blob = self.blob().map_err(|error| EncodeError::Encoder {
                    encoder: self.info.name.clone(),
                    message: error.to_string(),
                })?;
                arenas.encode_each(
                    &self.info,
                    pixels,
                    || Ok::<_, DeviceError>(vec![0; blob.arena_words()]),
                    |arena, image, feature| blob.encode(image, arena, feature),
                )
            }
        }
    }
}
