//! Input of `make`: encoder, preprocessing, weights, statistics, golden image, and the device's limits.

use macula_edge::encoder::Arithmetic;
use macula_edge::feature::CorpusStats;

use super::calibrate::ValueRange;
use super::error::MakeBlobError;
use crate::data::Preprocessing;
use crate::encoder::{Conv, FoldedEncoder, Node};

/// Number format of the weights.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// f16; the device computes in f32.
    F16,
    /// int8, with the range of each value of the graph.
    Int8(&'a [ValueRange]),
}

impl Weights<'_> {
    pub(super) fn arithmetic(self) -> Arithmetic {
        match self {
            Self::F16 => Arithmetic::F16,
            Self::Int8(_) => Arithmetic::Int8,
        }
    }
}

/// An image and its feature, for the device's self-test.
#[derive(Clone, Copy, Debug)]
pub struct Golden<'a> {
    /// `[H, W, C]`.
    pub pixels: &'a [u8],
    /// Its quantised feature, `[D]`.
    pub feature: &'a [i16],
}

/// Contents of a blob.
#[derive(Clone, Copy, Debug)]
pub struct BlobParts<'a> {
    /// Graph and weights.
    pub encoder: &'a FoldedEncoder,
    /// From pixels to the network's input.
    pub preprocessing: &'a Preprocessing,
    /// Number format of the weights.
    pub weights: Weights<'a>,
    /// Statistics of the features over the corpus.
    pub corpus: Option<CorpusStats<'a>>,
    /// For the self-test.
    pub golden: Option<Golden<'a>>,
}

/// Memory of a device for an encoder, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// RAM for the arena.
    pub ram: Option<usize>,
    /// Flash for the blob.
    pub flash: Option<usize>,
}

impl BlobParts<'_> {
    /// Checks that weights, preprocessing and ranges have the lengths that the spec requires.
    pub(super) fn check_lengths(&self) -> Result<(), MakeBlobError> {
        let spec = &self.encoder.spec;
        let values = spec.shapes()?.len();
        let check = |what: &str, found: usize, needed: usize| match found == needed {
            true => Ok(()),
            false => Err(MakeBlobError::Length { what: what.to_owned(), found, needed }),
        };
        let convs = spec.nodes.iter().filter_map(|node| match node {
            Node::Conv { conv, .. } => Some(conv),
            Node::Add { .. } => None,
        });
        let convs: Vec<&Conv> = convs.collect();
        check("list of convolutions", self.encoder.convs.len(), convs.len())?;
        for (conv, folded) in convs.iter().zip(&self.encoder.convs) {
            check(&format!("weight of {}", conv.name), folded.weight.len(), conv.weight_len())?;
            check(&format!("bias of {}", conv.name), folded.bias.len(), conv.channels_out)?;
        }
        let map = self.encoder.map.as_ref();
        let (stated, found) = (spec.readout.dim.unwrap_or(0), map.map_or(0, |map| map.bias.len()));
        if stated != found {
            return Err(MakeBlobError::Map { stated, found });
        }
        if let Some(map) = map {
            check("linear map of the readout", map.weight.len(), stated * spec.pooled_len())?;
        }
        let (recipe, input) = (self.preprocessing, spec.input);
        let needed = input.channels * input.height * input.width;
        check("preprocessing", recipe.channels * recipe.height * recipe.width, needed)?;
        check("mean of the preprocessing", recipe.mean.len(), input.channels)?;
        check("standard deviation of the preprocessing", recipe.std.len(), input.channels)?;
        match self.weights {
            Weights::F16 => Ok(()),
            Weights::Int8(ranges) => check("list of ranges", ranges.len(), values),
        }
    }
}
