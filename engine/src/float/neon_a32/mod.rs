//! Vectors of four f32 in the NEON of 32-bit Arm processors.
//!
//! Products are rounded before they are added: only such an instruction takes one lane as a factor, and processors without fused
//! ones, such as Cortex-A9, need no kernels of their own.
//!
//! There are 16 registers, few enough that the compiler keeps parts of the inner loops on the stack, where each vector costs two
//! instructions. So the loops that take nearly all of the time are assembly; what is left is the code of all processors.

mod register;
mod tiles; //    rows times weights
mod filter; //   3×3 convolutions of each channel alone
mod winograd; // both transforms
mod vector; //   what the kernels of all processors use

pub(super) use register::NeonA32;
