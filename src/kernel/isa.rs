//! Instruction set of the kernels, selected once at run time.
//!
//! Vectors run along channels, and the order of every sum is independent of the vector width. AVX-512, AVX2 and NEON, which
//! all have a fused multiply-add, therefore give the same bytes. The portable kernels also round after the multiplication
//! and agree up to rounding.

use std::any::TypeId;
use std::sync::OnceLock;

use pulp::{Scalar256b, Simd, WithSimd};

/// An instruction set for which the kernels are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// 16 floats per vector, 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 8 floats per vector, 16 registers, fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 4 floats per vector, 32 registers, fused multiply-add.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Plain Rust in blocks of 8 floats.
    Portable,
}

/// `MACULA_ISA` names an instruction set that this CPU lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("MACULA_ISA is '{name}'; this CPU supports {}", .available.join(", "))]
pub struct UnknownIsa {
    /// The value of `MACULA_ISA`.
    pub name: String,
    /// Names of the supported sets.
    pub available: Vec<&'static str>,
}

impl Isa {
    /// All sets of this CPU, the fastest first.
    pub fn available() -> Vec<Isa> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if pulp::x86::V4::is_available() {
                found.push(Isa::Avx512);
            }
            if pulp::x86::V3::is_available() {
                found.push(Isa::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if pulp::aarch64::Neon::try_new().is_some() {
            found.push(Isa::Neon);
        }
        found.push(Isa::Portable);
        found
    }

    /// The set that `MACULA_ISA` names (`avx512`, `avx2`, `neon`, `portable`); without it, the fastest of this CPU.
    ///
    /// # Errors
    /// A set that this CPU lacks.
    pub fn from_env() -> Result<Isa, UnknownIsa> {
        let available = Isa::available();
        match std::env::var("MACULA_ISA") {
            Err(_) => Ok(available[0]),
            Ok(name) => available
                .iter()
                .copied()
                .find(|isa| isa.name() == name)
                .ok_or_else(|| UnknownIsa { name, available: available.iter().map(|isa| isa.name()).collect() }),
        }
    }

    /// The set in use, selected once: [`Self::from_env`], or the fastest if that is an error (which the program reports at
    /// its start).
    pub fn selected() -> Isa {
        static SELECTED: OnceLock<Isa> = OnceLock::new();
        *SELECTED.get_or_init(|| Isa::from_env().unwrap_or_else(|_| Isa::available()[0]))
    }

    /// Name in `MACULA_ISA` and in reports.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
            Isa::Portable => "portable",
        }
    }

    /// Floats per vector and number of vector registers; they decide the tile of a kernel.
    pub(crate) fn geometry(self) -> (usize, usize) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => (16, 32),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => (8, 16),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => (4, 32),
            Isa::Portable => (8, 16),
        }
    }

    /// The widest set whose vector length divides `channels` (a multiple of 8): 24 channels are three vectors of 8, not one
    /// and a half of 16.
    pub(crate) fn for_channels(self, channels: usize) -> Isa {
        assert!(channels.is_multiple_of(8), "kernels need a multiple of 8 channels, got {channels}");
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if !channels.is_multiple_of(16) => Isa::Avx2,
            isa => isa,
        }
    }

    /// Runs `op`, compiled for this set.
    #[inline]
    pub(crate) fn run<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Simd::vectorize(pulp::x86::V4::try_new().expect("selected only where available"), op),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Simd::vectorize(pulp::x86::V3::try_new().expect("selected only where available"), op),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Simd::vectorize(pulp::aarch64::Neon::try_new().expect("selected only where available"), op),
            Isa::Portable => Simd::vectorize(Scalar256b, op),
        }
    }
}

/// `a * b + c`, fused if the CPU has the instruction; the fused form would be a slow library call otherwise.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if TypeId::of::<S>() == TypeId::of::<Scalar256b>() {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    } else {
        simd.mul_add_f32s(a, b, c)
    }
}

/// Whether `S` is NEON, which multiplies by one element of a vector, and whose multiplications read registers only: values that are
/// loaded once and used several times save instructions.
#[cfg_attr(
    not(target_arch = "aarch64"),
    allow(clippy::extra_unused_type_parameters, reason = "no other processor has NEON")
)]
#[inline(always)]
pub(crate) fn is_neon<S: Simd>() -> bool {
    #[cfg(target_arch = "aarch64")]
    let found = TypeId::of::<S>() == TypeId::of::<pulp::aarch64::Neon>();
    #[cfg(not(target_arch = "aarch64"))]
    let found = false;
    found
}
