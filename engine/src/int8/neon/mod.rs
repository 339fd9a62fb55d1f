//! Kernels for Arm, with dot products (version 8.2) and without. Values are stored minus 128.
#![allow(unsafe_code)] // Vector instructions, and pointers into an arena whose plan has checked all places.

mod requantise; // from sums to bytes
mod dot; // convolutions with dot products
mod sum; // the sum of two values

use super::filters::Filters;
use super::kernel::{Geometry, Kernel, Sum, flip};
use super::scalar;
use crate::Isa;

/// The kernel of a convolution over all channels.
pub(super) fn convolution(isa: Isa, at: Geometry, filters: Filters) -> Box<dyn Kernel> {
    match isa {
        Isa::NeonDot => Box::new(dot::Dot::new(at, &filters)),
        _ => Box::new(scalar::Convolution { at, filters, flip: flip(isa) }),
    }
}

/// The kernel of a 3×3 convolution of each channel alone.
pub(super) fn depthwise(at: Geometry, filters: Filters) -> Box<dyn Kernel> {
    Box::new(scalar::Depthwise { at, filters, flip: flip(Isa::Neon) })
}

/// The kernel of a sum.
pub(super) fn sum(sum: Sum) -> Box<dyn Kernel> {
    Box::new(sum::VectorSum(sum))
}
