//! Encoders: image → feature. Plain-data specs, the network made from one, and what it costs.

mod embed;
mod folded;
mod network;
mod spec;

pub use embed::{CorpusStatistics, EmbedError, Embedder};
pub use folded::{FoldedConv, FoldedEncoder};
pub use network::{NamedTensor, Network, Role, TensorError, TensorInfo, Workspace};
pub use spec::{Activation, Conv, ConvKind, Cost, EncoderSpec, InputShape, Node, Preset, SpecError, ValueId};
