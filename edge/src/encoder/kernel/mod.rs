//! The inner loops of convolutions, in the instructions that Cortex-M4 and M7 share with armv7, in those of Helium, and in
//! plain Rust.

pub(super) mod direct; // int8: four filters times two patches
pub(super) mod finish; // int8: from sums to outputs
pub(super) mod float; //  f16: eight filters times two pixels
pub(super) mod lanes; //  two numbers of 16 bits in a word
pub(super) mod places; // int8: two filters times two tiles, at each place of a transformed tile
pub(super) mod transform; // int8: tiles and filters of Winograd's convolution
pub(super) mod vector; //   int8: all filters times three patches, in vectors of Cortex-M
#[cfg(test)]
pub(super) mod random; // numbers for tests
