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
