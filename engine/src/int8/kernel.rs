//! The interface of all kernels.

use super::plane::Plane;
use crate::Isa;

/// A step of the network, which reads values of the arena and makes another.
pub(super) trait Kernel: Send + Sync {
    /// Makes the value, without its border.
    ///
    /// * `arena`: the whole arena with its margin, of the length of [`super::network`]
    /// * `scratch`: at least [`Self::scratch`] bytes at a multiple of 16, of any content
    fn run(&self, arena: &mut [u8], scratch: &mut [u8]);

    /// Bytes of memory that it needs while it runs.
    fn scratch(&self) -> usize {
        0
    }

    /// Bytes of weights and parameters.
    fn packed(&self) -> usize {
        0
    }
}

/// From where to where a convolution goes.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub from: Plane,
    pub to: Plane,
    /// 1 or 3.
    pub side: usize,
    /// 1 or 2.
    pub stride: usize,
}

impl Geometry {
    /// What one output pixel reads: so many rows, and from each so many adjacent bytes.
    pub fn window(&self) -> (usize, usize) {
        (self.side, self.side * self.from.channels)
    }

    /// First byte of the window of an output pixel.
    pub fn first(&self, row: usize, column: usize) -> usize {
        let centre = self.from.pixel(row * self.stride, column * self.stride);
        centre - (self.side / 2) * (self.from.pitch() + self.from.channels)
    }
}

/// The sum of two values of the same shape, `clamp((left * ml + right * mr + offset) >> shift, 0, 255)`.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    pub left: Plane,
    pub right: Plane,
    pub to: Plane,
    /// `ml` and `mr`.
    pub multipliers: [i32; 2],
    pub offset: i32,
    /// 1 to 21.
    pub shift: i32,
    /// 0x80 if values are stored minus 128, else 0.
    pub flip: u8,
}

impl Sum {
    /// The sum of two values as they are stored.
    #[inline(always)]
    pub fn apply(&self, left: u8, right: u8) -> u8 {
        let [left, right] = [left, right].map(|stored| i32::from(stored ^ self.flip));
        let sum = left * self.multipliers[0] + right * self.multipliers[1] + self.offset;
        (sum >> self.shift).clamp(0, 255) as u8 ^ self.flip
    }
}

/// What values are stored with: 0x80, which is minus 128 as a signed byte, for Arm's signed products; else 0.
pub(super) fn flip(isa: Isa) -> u8 {
    match isa {
        #[cfg(any(target_arch = "aarch64", neon_a32))]
        Isa::Neon => 0x80,
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => 0x80,
        _ => 0,
    }
}
