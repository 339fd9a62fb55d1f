//! Encoders: image to feature. Specs as plain data, the network built from one, and its cost.

mod adapt;
mod backward;
mod convolution;
mod corpus;
mod cost;
mod folded;
mod forward;
mod host;
mod id;
mod layout;
mod network;
mod plan;
mod pooled;
mod pooling;
mod precision;
mod presets;
mod reader;
mod readout;
#[cfg(test)]
mod same_bytes;
mod spares;
mod spec;
mod synchronise;
mod workspace;

pub use crate::kernel::{Activation, Grid};
pub use adapt::{InputError, adapt, emptied};
pub use backward::FeatureGradient;
pub use corpus::{CorpusStatistics, known_length_max};
pub use cost::Cost;
pub use folded::{FoldedConv, FoldedEncoder};
pub use host::{EncodeError, HostEncoder, HostEncoderInfo, Layout, encode_each, require_finite};
pub use id::{EncoderId, IdHash, TeacherId};
pub use layout::{Role, TensorInfo};
pub use network::{NamedTensor, Network, READOUT_WEIGHT, ReadoutError, TensorError};
pub use pooled::{Pooled, cell};
pub use precision::{Algorithm, Precision};
pub use presets::Preset;
pub use readout::{LinearMap, Pooling, Readout, STD_EPSILON};
pub use spares::Spares;
pub use spec::{Conv, ConvKind, EncoderSpec, InputShape, Node, SpecError, ValueId};
pub use workspace::Workspace;
