//! One support, and a read-only view of many.

/// Identifies the origin of a support, as the host computes it: 16 bytes of a SHA-256 over size and pixels (`docs/protocol.md`).
pub type SourceId = [u8; 16];

/// A support without its feature: class and provenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportRecord {
    /// Image or feature that the support was made from. A set has at most one support per source.
    pub source: SourceId,
    /// Slot of the class.
    pub class: u8,
    /// Number of the operator who taught it.
    pub operator: u32,
    /// Time of teaching in seconds since 1970; 0 if unknown.
    pub time_s: u64,
}

impl SupportRecord {
    /// Initial content of memory to lend.
    pub const EMPTY: Self = Self { source: [0; 16], class: 0, operator: 0, time_s: 0 };
}

/// A read-only view of supports, sorted by source.
#[derive(Clone, Copy, Debug)]
pub struct Supports<'a> {
    /// Feature dimension D.
    pub dim: usize,
    /// Class and provenance, `[n]`.
    pub records: &'a [SupportRecord],
    /// Features, `[n, D]`.
    pub features: &'a [i16],
}

impl<'a> Supports<'a> {
    /// Number of supports n.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no support.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The feature of support `index`, `[D]`.
    ///
    /// # Panics
    /// If there is no such support.
    pub fn feature(&self, index: usize) -> &'a [i16] {
        &self.features[index * self.dim..][..self.dim]
    }

    /// Class and feature of each support, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [i16])> + use<'a> {
        let (records, features, dim) = (self.records, self.features, self.dim);
        records.iter().zip(features.chunks_exact(dim)).map(|(record, feature)| (record.class, feature))
    }
}
