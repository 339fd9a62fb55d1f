//! A support and a read-only view of many.

/// What a support was made of: the first 16 bytes of the SHA-256 of the source (the image file, or the feature).
pub type SourceId = [u8; 16];

/// A support without its feature: where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportRecord {
    /// What it was made of; a device keeps one support of a source.
    pub source: SourceId,
    /// The slot of its class.
    pub class: u8,
    /// Who taught it; the number is the operator's own.
    pub operator: u32,
    /// When, in seconds since 1970; 0 where the teacher had no clock.
    pub time_s: u64,
}

impl SupportRecord {
    /// Fills memory that is about to be lent.
    pub const EMPTY: Self = Self { source: [0; 16], class: 0, operator: 0, time_s: 0 };
}

/// A read-only view of supports, for those who compute from them.
#[derive(Clone, Copy, Debug)]
pub struct Supports<'a> {
    /// Feature dimension D.
    pub dim: usize,
    /// Where each came from, `[n]`, in the order of their sources.
    pub records: &'a [SupportRecord],
    /// Their features, `[n, D]`.
    pub features: &'a [i16],
}

impl<'a> Supports<'a> {
    /// Number of supports n.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The feature of support `index`, `[D]`.
    ///
    /// # Panics
    /// When there is no such support.
    pub fn feature(&self, index: usize) -> &'a [i16] {
        &self.features[index * self.dim..][..self.dim]
    }

    /// Class and feature of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [i16])> + use<'a> {
        let (records, features, dim) = (self.records, self.features, self.dim);
        records.iter().zip(features.chunks_exact(dim)).map(|(record, feature)| (record.class, feature))
    }
}
