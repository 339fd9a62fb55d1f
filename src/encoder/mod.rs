//! Encoders: image to feature. Specs as plain data, the network built from one, and its cost.

mod backward;
mod cost;
mod embed;
mod folded;
mod forward;
mod layout;
mod network;
mod plan;
mod presets;
mod reader;
mod spec;
mod workspace;

pub use crate::kernel::{Activation, Grid};
pub use cost::Cost;
pub use embed::{CorpusStatistics, EmbedError, Embedder, Layout, known_length_max};
pub use folded::{FoldedConv, FoldedEncoder};
pub use layout::{Role, TensorInfo};
pub use network::{NamedTensor, Network, TensorError};
pub use presets::Preset;
pub use spec::{Conv, ConvKind, EncoderSpec, InputShape, Node, SpecError, ValueId};
pub use workspace::Workspace;
