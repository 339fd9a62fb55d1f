//! Errors of building a blob.

use macula_edge::encoder::BlobError;

use crate::encoder::SpecError;

/// An encoder that cannot be built into a blob.
#[derive(Debug, thiserror::Error)]
pub enum MakeBlobError {
    /// An invalid spec.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Weights, preprocessing or ranges do not belong to the spec.
    #[error("{what}: found {found} values, the encoder needs {needed}")]
    Length {
        /// What has the wrong length.
        what: String,
        /// Number of values found.
        found: usize,
        /// Number of values in the spec.
        needed: usize,
    },
    /// The linear map of the readout is missing, or the readout states none.
    #[error("the readout states {stated} outputs of its linear map, the encoder has a map of {found}")]
    Map {
        /// Outputs that the readout states; 0 for no map.
        stated: usize,
        /// Outputs of the encoder's map; 0 for no map.
        found: usize,
    },
    /// A value is not finite, or becomes infinite in f16.
    #[error("{layer}: {what} {index} is {value}, which {element} cannot represent")]
    Value {
        /// Name of the convolution, or `readout`.
        layer: String,
        /// `weight` or `bias`.
        what: &'static str,
        /// Its index.
        index: usize,
        /// The value.
        value: f32,
        /// `f16` or `int8`.
        element: &'static str,
    },
    /// The input and output ranges of a layer are too far apart for integer requantisation.
    #[error("{layer} cannot be computed in int8: the range of its output is too narrow for the products of its input")]
    Scale {
        /// Name of the layer.
        layer: String,
    },
    /// The encoder needs more RAM than allowed.
    #[error(
        "the encoder needs {needed} bytes of RAM, {limit} are allowed: {values} for values (peak of {peak} at {layer}) and {scratch} for scratch"
    )]
    Ram {
        /// Bytes of the arena.
        needed: usize,
        /// Bytes allowed.
        limit: usize,
        /// Bytes of values.
        values: usize,
        /// Layer at the peak.
        layer: String,
        /// Bytes of values alive at the peak.
        peak: usize,
        /// Bytes of the kernels' scratch and of the pooled values.
        scratch: usize,
    },
    /// The blob needs more flash than allowed.
    #[error(
        "the encoder needs {needed} bytes of flash, {limit} are allowed: the largest part is {largest} bytes of weights of {layer}"
    )]
    Flash {
        /// Bytes of the blob.
        needed: usize,
        /// Bytes allowed.
        limit: usize,
        /// Layer with the most weights.
        layer: String,
        /// Bytes of those.
        largest: usize,
    },
    /// The device's parser refuses the blob.
    #[error("the device would refuse this encoder: {0}")]
    Refused(#[from] BlobError),
}
