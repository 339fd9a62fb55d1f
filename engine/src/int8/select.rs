//! Which kernel a layer gets: of the instruction set, or in plain Rust.

use super::filters::Filters;
use super::kernel::{Geometry, Kernel, Sum, flip};
use super::scalar;
use crate::Isa;

/// Whether there are kernels for `isa`, and not plain Rust alone.
pub(super) fn has_kernels(isa: Isa) -> bool {
    isa != Isa::Scalar && cfg!(any(target_arch = "aarch64", neon_a32, target_arch = "x86_64"))
}

/// The kernel of a convolution over all channels.
pub(super) fn convolution(isa: Isa, at: Geometry, filters: Filters) -> Box<dyn Kernel> {
    match isa {
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot | Isa::Neon => super::neon::convolution(isa, at, filters),
        #[cfg(neon_a32)]
        Isa::Neon => super::neon::convolution(isa, at, filters),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx2 => super::x86::convolution(isa, at, filters),
        _ => Box::new(scalar::Convolution { at, filters, flip: flip(isa) }),
    }
}

/// The kernel of a 3×3 convolution of each channel alone.
pub(super) fn depthwise(isa: Isa, at: Geometry, filters: Filters) -> Box<dyn Kernel> {
    match isa {
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot | Isa::Neon => super::neon::depthwise(isa, at, filters),
        #[cfg(neon_a32)]
        Isa::Neon => super::neon::depthwise(isa, at, filters),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx2 => super::x86::depthwise(isa, at, filters),
        _ => Box::new(scalar::Depthwise { at, filters, flip: flip(isa) }),
    }
}

/// The kernel of a sum.
pub(super) fn sum(isa: Isa, sum: Sum) -> Box<dyn Kernel> {
    match isa {
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot | Isa::Neon => super::neon::sum(sum),
        #[cfg(neon_a32)]
        Isa::Neon => super::neon::sum(sum),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx2 => super::x86::sum(isa, sum),
        _ => Box::new(sum),
    }
}
