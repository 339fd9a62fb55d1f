//! Encoders: image → feature. Plain-data specs, the network made from one, and what it costs.

mod backward;
mod embed;
mod folded;
mod forward;
mod layout;
mod network;
mod plan;
mod spec;

pub use crate::kernel::Activation;
pub use embed::{CorpusStatistics, EmbedError, Embedder, Layout, known_length_max};
pub use folded::{FoldedConv, FoldedEncoder};
pub use forward::Workspace;
pub use network::{NamedTensor, Network, Role, TensorError, TensorInfo};
pub use spec::{Conv, ConvKind, Cost, EncoderSpec, InputShape, Node, Preset, SpecError, ValueId};
