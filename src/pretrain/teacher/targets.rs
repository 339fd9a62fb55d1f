//! Targets: the features of teachers, centred, reduced and of unit length, for the images of a step.

use half::f16;
use rayon::prelude::*;

use super::basis::Basis;
use super::cache::FeatureCache;
use crate::measure::Features;
use crate::nn::l2_normalize::l2_normalize;
use crate::pretrain::sampling::Visit;
use crate::pretrain::view_order::ViewOrder;

/// Features that one thread projects at a time.
const ROWS: usize = 64;

/// The targets of one teacher.
pub(super) struct Table {
    dim: usize,
    /// `[N, V, dim]`, in f16 to halve the memory.
    rows: Vec<f16>,
}

/// The targets of a run.
pub(in crate::pretrain) struct TeacherTargets {
    pub(super) tables: Vec<Table>,
    /// Row of each position of the training set.
    pub(super) row_of: Vec<usize>,
    /// Views per image with features.
    pub(super) views: usize,
    /// Views per image and step.
    pub(super) each: usize,
    /// Which views an epoch trains on; `None` if the teachers saw plain images.
    pub order: Option<ViewOrder>,
}

impl Table {
    /// The targets in `basis` of the features in `cache`, whose blocks are all valid.
    pub fn new(cache: &mut FeatureCache, basis: &Basis) -> std::io::Result<Self> {
        let mut rows = Vec::new();
        for number in 0..cache.blocks() {
            let block = cache.read(number)?.ok_or(std::io::ErrorKind::InvalidData)?;
            let of_features = |features: &[f16]| {
                let projected = basis.project(features);
                let mut unit = vec![0.0; projected.len()];
                l2_normalize(&mut unit, &projected, basis.targets);
                unit.into_iter().map(f16::from_f32)
            };
            rows.par_extend(block.par_chunks(ROWS * basis.features).flat_map_iter(of_features));
        }
        Ok(Self { dim: basis.targets, rows })
    }
}

/// Tables as bytes for other ranks: for each the dimensions and the number of values, 8 bytes each, then the values. Empty
/// without tables.
pub(super) fn packed(tables: Option<Vec<Table>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Table { dim, rows } in tables.into_iter().flatten() {
        bytes.extend_from_slice(bytemuck::bytes_of(&[dim as u64, rows.len() as u64]));
        bytes.extend(rows.iter().flat_map(|value| value.to_ne_bytes()));
    }
    bytes
}

/// The inverse of [`packed`].
pub(super) fn unpacked(mut bytes: &[u8]) -> Option<Vec<Table>> {
    let mut tables = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<16>() {
        let [dim, len] = bytemuck::cast::<_, [u64; 2]>(*head).map(|number| number as usize);
        let (values, rest) = rest.split_at_checked(2 * len)?;
        let rows = values.chunks_exact(2).map(|pair| f16::from_ne_bytes([pair[0], pair[1]])).collect();
        tables.push(Table { dim, rows });
        bytes = rest;
    }
    (!tables.is_empty()).then_some(tables)
}

impl TeacherTargets {
    /// For each teacher the targets `[N * V, T]` of `visits` of images, whose indices in the dataset `index_of` gives.
    pub fn of_batch(&self, visits: &[Visit], index_of: &[usize]) -> Vec<Features> {
        let rows: Vec<usize> = (visits.iter())
            .flat_map(|&Visit { position, number }| {
                let plain = || vec![0; self.each];
                let numbers = self.order.map_or_else(plain, |order| order.numbers(number, index_of[position]));
                numbers.into_iter().map(move |number| self.row_of[position] * self.views + number)
            })
            .collect();
        let of_table = |Table { dim, rows: all }: &Table| Features {
            dim: *dim,
            rows: rows.iter().flat_map(|&row| &all[row * dim..][..*dim]).map(|value| value.to_f32()).collect(),
        };
        self.tables.iter().map(of_table).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_tables_are_unpacked_and_none_stay_none() {
        let table = |dim, rows: &[f32]| Table { dim, rows: rows.iter().map(|&value| f16::from_f32(value)).collect() };
        let bytes = packed(Some(vec![table(2, &[1.0, -0.5, 3.0, 4.0]), table(1, &[7.0])]));
        let tables = unpacked(&bytes).unwrap();
        let found: Vec<_> = tables.iter().map(|table| (table.dim, table.rows.clone())).collect();
        let expected = [table(2, &[1.0, -0.5, 3.0, 4.0]), table(1, &[7.0])].map(|table| (table.dim, table.rows));
        assert_eq!(found, expected);
        assert!(unpacked(&packed(None)).is_none());
        assert!(unpacked(&bytes[..bytes.len() - 1]).is_none());
    }
}
