//! Kernels for Arm, with dot products (8.2) and without.

use super::filters::Filters;
use super::kernel::{Geometry, Kernel, Sum};
use super::scalar;
use crate::Isa;

/// The kernel of a convolution over all channels.
pub(super) fn convolution(_isa: Isa, at: Geometry, filters: Filters) -> Box<dyn Kernel> {
    Box::new(scalar::Convolution { at, filters, flip: 0x80 })
}

/// The kernel of a 3×3 convolution of each channel alone.
pub(super) fn depthwise(at: Geometry, filters: Filters) -> Box<dyn Kernel> {
    Box::new(scalar::Depthwise { at, filters, flip: 0x80 })
}

/// The kernel of a sum.
pub(super) fn sum(sum: Sum) -> Box<dyn Kernel> {
    Box::new(sum)
}
