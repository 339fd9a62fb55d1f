//! Kernels of 32-bit Arm, which has no dot products. They are assembly: there are 16 registers, few enough that the compiler
//! keeps parts of the inner loops on the stack, where each vector costs two instructions.

pub(super) mod winograd; //  the parts of 3×3 convolutions in a fourth of the products
pub(super) mod pairs; //     other convolutions
pub(super) mod depthwise; // convolutions of each channel alone
