//! The precision that a model is computed in: the file's own if the processor is fast at it.

use std::fmt;

use super::model_file::ElementType;

/// The precision of a loaded model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arithmetic {
    /// An f32 file, computed in f32.
    F32,
    /// An f16 file, computed in f16.
    F16,
    /// An f16 file, its weights widened to f32 and computed in f32.
    F16WidenedToF32,
}

impl Arithmetic {
    /// The best precision for a file of `element` on this processor.
    ///
    /// Without half-precision instructions f16 is emulated, 11 to 290 times slower than f32. Widened weights are exactly the
    /// same numbers.
    pub fn suited_to(element: ElementType) -> Self {
        match element {
            ElementType::F32 => Self::F32,
            ElementType::F16 if cpu_has_fp16() => Self::F16,
            ElementType::F16 => Self::F16WidenedToF32,
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::F16WidenedToF32 => "f16 weights widened to f32 (the runtime has no f16 kernels for this processor)",
        })
    }
}

/// Whether this processor has f16 vector arithmetic that tract's kernels use.
pub fn cpu_has_fp16() -> bool {
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("fp16")
    }
    // tract 0.23 has no f16 matrix kernel for x86-64, not even for AVX512-FP16.
    #[cfg(not(target_arch = "aarch64"))]
    {
        false
    }
}
