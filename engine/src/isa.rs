//! Instruction sets, found at run time.

/// An instruction set for which the kernels are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// x86-64 with AVX-512 (F, BW, DQ, VL) and its VNNI dot products.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// x86-64 with AVX2 and fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AArch64 from version 8.2 with the dot-product and f16 instructions, such as Cortex-A55 and A76.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
    /// AArch64 of version 8.0, such as Cortex-A53 and A72; ARMv7 with NEON, such as Cortex-A7 and A9.
    #[cfg(any(target_arch = "aarch64", neon_a32))]
    Neon,
    /// Plain Rust.
    Scalar,
}

impl Isa {
    /// All sets of this processor, the fastest first.
    #[allow(clippy::vec_init_then_push)] // There may be nothing before the last.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") && has!("avx512vnni") {
                found.push(Self::Avx512);
            }
            if has!("avx2") && has!("fma") {
                found.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            use std::arch::is_aarch64_feature_detected as has;
            if has!("dotprod") && has!("fp16") {
                found.push(Self::NeonDot);
            }
            found.push(Self::Neon);
        }
        #[cfg(neon_a32)]
        if std::arch::is_arm_feature_detected!("neon") {
            found.push(Self::Neon);
        }
        found.push(Self::Scalar);
        found
    }

    /// The fastest set of this processor.
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => "neon-dotprod",
            #[cfg(any(target_arch = "aarch64", neon_a32))]
            Self::Neon => "neon",
            Self::Scalar => "scalar",
        }
    }
}
