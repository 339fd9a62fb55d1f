//! Kernels for AVX2, and for AVX-512 with VNNI.
#![allow(unsafe_code)] // Vector instructions, and pointers into an arena whose plan has checked all places.

mod requantise; // from sums to bytes
mod pack; // packed weights
mod vnni; // convolutions with AVX-512
mod avx2; // convolutions with AVX2
mod winograd; // 3×3 convolutions in a fourth of the products
mod depthwise; // convolutions of each channel alone
mod sum; // the sum of two values

use super::filters::Filters;
use super::kernel::{Geometry, Kernel, Sum};
use crate::Isa;

/// The kernel of a convolution over all channels.
pub(super) fn convolution(isa: Isa, at: Geometry, filters: Filters) -> Box<dyn Kernel> {
    match isa {
        Isa::Avx512 => Box::new(vnni::Vnni::new(at, &filters)),
        _ => match winograd::Winograd::new(at, &filters) {
            Some(kernel) => Box::new(kernel),
            None => Box::new(avx2::Avx2::new(at, &filters)),
        },
    }
}

/// The kernel of a 3×3 convolution of each channel alone.
pub(super) fn depthwise(isa: Isa, at: Geometry, filters: Filters) -> Box<dyn Kernel> {
    match isa {
        Isa::Avx512 => Box::new(depthwise::Depthwise::<true>::new(at, &filters)),
        _ => Box::new(depthwise::Depthwise::<false>::new(at, &filters)),
    }
}

/// The kernel of a sum.
pub(super) fn sum(isa: Isa, sum: Sum) -> Box<dyn Kernel> {
    match isa {
        Isa::Avx512 => Box::new(sum::VectorSum::<true>(sum)),
        _ => Box::new(sum::VectorSum::<false>(sum)),
    }
}
