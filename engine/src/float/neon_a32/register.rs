//! A register.

use std::arch::arm::float32x4_t;

/// Four f32.
#[derive(Clone, Copy)]
pub(in super::super) struct NeonA32(pub float32x4_t);
