//! Kernels for Arm: of 64 bits with dot products (version 8.2) and without, and of 32 bits. Values are stored minus 128.
#![allow(unsafe_code)] // Vector instructions, and pointers into an arena whose plan has checked all places.

mod intrinsics; // vector instructions of both architectures
mod requantise; // from sums to bytes: the parameters
#[cfg(target_arch = "aarch64")]
mod lanes; // from sums to bytes: the instructions
#[cfg(target_arch = "aarch64")]
mod dot; // convolutions with dot products
#[cfg(target_arch = "aarch64")]
mod dot_wide; // the same, of many channels
#[cfg(target_arch = "aarch64")]
mod pairs; // convolutions without dot products
#[cfg(target_arch = "aarch64")]
mod depthwise; // convolutions of each channel alone
#[cfg(neon_a32)]
mod a32; // what 32-bit Arm has instead
mod winograd; // 3×3 convolutions without dot products, in a fourth of the products
mod sum; // the sum of two values
pub(super) mod pool; // sums over pixels

#[cfg(neon_a32)]
use self::a32::{depthwise::Depthwise, pairs};
use super::filters::Filters;
use super::kernel::{Geometry, Kernel, Sum, flip};
use super::scalar;
use crate::Isa;

#[cfg(target_arch = "aarch64")]
type Depthwise = depthwise::Depthwise<false>;

/// The kernel of a convolution over all channels.
pub(super) fn convolution(isa: Isa, at: Geometry, filters: Filters) -> Box<dyn Kernel> {
    #[cfg(target_arch = "aarch64")]
    if isa == Isa::NeonDot {
        return match dot_wide::WideDot::new(at, &filters) {
            Some(kernel) => Box::new(kernel),
            None => Box::new(dot::Dot::new(at, &filters)),
        };
    }
    if let Some(kernel) = winograd::Winograd::new(at, &filters) {
        return Box::new(kernel);
    }
    match pairs::Pairs::new(at, &filters) {
        Some(pairs) => Box::new(pairs),
        None => Box::new(scalar::Convolution { at, filters, flip: flip(isa) }),
    }
}

/// The kernel of a 3×3 convolution of each channel alone.
pub(super) fn depthwise(isa: Isa, at: Geometry, filters: Filters) -> Box<dyn Kernel> {
    #[cfg(target_arch = "aarch64")]
    if isa == Isa::NeonDot
        && let Some(kernel) = depthwise::Depthwise::<true>::new(at, &filters)
    {
        return Box::new(kernel);
    }
    match Depthwise::new(at, &filters) {
        Some(kernel) => Box::new(kernel),
        None => Box::new(scalar::Depthwise { at, filters, flip: flip(isa) }),
    }
}

/// The kernel of a sum.
pub(super) fn sum(sum: Sum) -> Box<dyn Kernel> {
    Box::new(sum::VectorSum(sum))
}
