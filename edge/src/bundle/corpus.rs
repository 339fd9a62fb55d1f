//! Statistics of the features over the unlabelled corpus.
//!
//! | bytes         | field                                                                         |
//! |--------------:|-------------------------------------------------------------------------------|
//! | 4             | D, dimensions of a feature                                                    |
//! | 2             | 95th percentile of the feature length over the corpus, in 256ths; 0 unknown    |
//! | 1, 1          | 1 if unused bytes follow at the end, else 0; 0                                |
//! | 4 D, 4 D      | mean and standard deviation of the features, f32                              |
//! | D (D + 1)     | only after a 1: version 0.1.0 stored a covariance here, which no head used    |

use crate::feature::{CorpusStats, DIM_MAX, Length};

/// Statistics of the corpus, read in place.
#[derive(Clone, Copy, Debug)]
pub struct CorpusPart<'b> {
    dim: usize,
    length_max: u16,
    mean: &'b [u8],
    std: &'b [u8],
}

impl<'b> CorpusPart<'b> {
    /// Reads the part; `None` when the bytes are not a part of statistics.
    pub fn parse(bytes: &'b [u8]) -> Option<Self> {
        let (&[d0, d1, d2, d3, l0, l1, has_unused @ (0 | 1), 0], rest) = bytes.split_first_chunk::<8>()? else {
            return None;
        };
        let dim = u32::from_le_bytes([d0, d1, d2, d3]) as usize;
        if dim == 0 || dim > DIM_MAX {
            return None;
        }
        let (mean, rest) = rest.split_at_checked(4 * dim)?;
        let (std, unused) = rest.split_at_checked(4 * dim)?;
        let part = Self { dim, length_max: u16::from_le_bytes([l0, l1]), mean, std };
        let finite = part.mean().all(f32::is_finite) && part.std().all(|std| std.is_finite() && std >= 0.0);
        (finite && unused.len() == usize::from(has_unused) * dim * (dim + 1)).then_some(part)
    }

    /// Dimensions of a feature, D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The 95th percentile of the feature length over the corpus, if known.
    pub fn length_max(&self) -> Option<Length> {
        (self.length_max > 0).then_some(Length(self.length_max))
    }

    /// Mean of each dimension.
    pub fn mean(&self) -> impl Iterator<Item = f32> + use<'b> {
        floats(self.mean)
    }

    /// Standard deviation of each dimension.
    pub fn std(&self) -> impl Iterator<Item = f32> + use<'b> {
        floats(self.std)
    }

    /// Writes the part.
    pub fn write(corpus: CorpusStats<'_>, out: &mut impl FnMut(&[u8])) {
        let CorpusStats { mean, std, length_max } = corpus;
        out(&(mean.len() as u32).to_le_bytes());
        out(&length_max.map_or(0, |Length(length)| length).to_le_bytes());
        out(&[0, 0]);
        mean.iter().chain(std).for_each(|value| out(&value.to_le_bytes()));
    }
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + use<'_> {
    bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes))
}
