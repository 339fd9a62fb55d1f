//! Reads stored values: batch norm and activation are applied again at every read.

use super::plan::Plan;
use super::spec::ValueId;
use crate::kernel::channel::{Affine, Summand, affine_activation};
use crate::kernel::{Activation, Isa};
use crate::nn::batch_norm::Normalisation;
use crate::nn::conv::{clear_border, pad};

/// Turns stored values into what their readers need.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub isa: Isa,
    pub plan: &'a Plan,
    /// Of each convolution node.
    pub norms: &'a [Option<Normalisation>],
}

impl<'a> Reader<'a> {
    /// Batch norm and activation between the stored `value` and its readers; the identity for the input and for sums.
    pub fn norm_and_activation(&self, value: ValueId) -> (Affine<'a>, Activation) {
        let norm = value.checked_sub(1).and_then(|node| self.norms[node].as_ref());
        match (norm, self.plan.conv(value)) {
            (Some(norm), Some(conv)) => (Affine { scale: &norm.scale, shift: &norm.shift }, conv.activation),
            _ => (self.plan.identity(), Activation::Identity),
        }
    }

    /// `value` of one image as the input of a convolution, with a border of `padding`. Borrows `stored` itself where nothing has to be
    /// done, and writes to `scratch` otherwise.
    pub fn conv_input<'s>(
        &self,
        value: ValueId,
        stored: &'s [f32],
        padding: usize,
        scratch: &'s mut Vec<f32>,
    ) -> &'s [f32] {
        let grid = self.plan.grids[value];
        let is_conv = self.plan.conv(value).is_some();
        if !is_conv && padding == 0 {
            return stored;
        }
        let row = (grid.columns + 2 * padding) * grid.channels;
        scratch.resize(scratch.len().max((grid.rows + 2 * padding) * row), 0.0);
        if is_conv {
            clear_border(grid, padding, scratch);
            self.activate(value, stored, &mut scratch[padding * (row + grid.channels)..], row);
        } else {
            pad(stored, grid, padding, scratch);
        }
        scratch
    }

    /// `value` as an operand of a sum.
    pub fn summand(&self, value: ValueId, stored: &'a [f32]) -> Summand<'a> {
        let (affine, activation) = self.norm_and_activation(value);
        Summand { stored, affine, activation }
    }

    /// `value` of one image after batch norm and activation. Borrows `stored` itself where nothing has to be done, and writes to
    /// `scratch` otherwise.
    pub fn activated<'s>(&self, value: ValueId, stored: &'s [f32], scratch: &'s mut Vec<f32>) -> &'s [f32] {
        let Some(conv) = self.plan.conv(value) else { return stored };
        let grid = self.plan.grids[value];
        scratch.resize(scratch.len().max(grid.len()), 0.0);
        self.activate(value, stored, &mut scratch[..grid.len()], grid.columns * conv.channels_out);
        &scratch[..grid.len()]
    }

    /// `out = activation(norm(stored))`, rows of `out` `out_row` floats apart.
    fn activate(&self, value: ValueId, stored: &[f32], out: &mut [f32], out_row: usize) {
        let (affine, activation) = self.norm_and_activation(value);
        affine_activation(self.isa, self.plan.grids[value], stored, affine, activation, out, out_row);
    }
}
