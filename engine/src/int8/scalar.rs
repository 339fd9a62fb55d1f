//! Kernels in plain Rust: for processors without a set of their own, and to compare the others with.

use super::filters::{Filters, requantised};
use super::kernel::{Geometry, Kernel, Sum};

/// A convolution over all channels.
pub(super) struct Convolution {
    pub at: Geometry,
    pub filters: Filters,
    pub flip: u8,
}

impl Kernel for Convolution {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        let Geometry { from, to, .. } = self.at;
        let (rows, run) = self.at.window();
        for (row, column) in (0..to.height).flat_map(|row| (0..to.width).map(move |column| (row, column))) {
            let first = self.at.first(row, column);
            for (channel, requantise) in self.filters.requantise.iter().enumerate() {
                let mut sum = requantise.bias;
                for (row, weights) in (0..rows).zip(self.filters.filter(channel).chunks_exact(run)) {
                    let values = &arena[first + row * from.pitch()..][..run];
                    sum = sum.wrapping_add(dot(values, weights, self.flip));
                }
                arena[to.pixel(row, column) + channel] = requantised(requantise, sum) ^ self.flip;
            }
        }
    }

    fn packed(&self) -> usize {
        self.filters.weights.len() + 16 * self.filters.channels()
    }
}

/// Sum of products. Stored bytes are signed if they are flipped.
fn dot(values: &[u8], weights: &[i8], flip: u8) -> i32 {
    let pairs = values.iter().zip(weights);
    match flip {
        0 => pairs.map(|(&value, &weight)| i32::from(value) * i32::from(weight)).sum(),
        _ => pairs.map(|(&value, &weight)| i32::from(value as i8) * i32::from(weight)).sum(),
    }
}

/// A 3×3 convolution of each channel alone.
pub(super) struct Depthwise {
    pub at: Geometry,
    pub filters: Filters,
    pub flip: u8,
}

impl Kernel for Depthwise {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        let Geometry { from, to, .. } = self.at;
        for (row, column) in (0..to.height).flat_map(|row| (0..to.width).map(move |column| (row, column))) {
            let (first, made) = (self.at.first(row, column), to.pixel(row, column));
            for (channel, requantise) in self.filters.requantise.iter().enumerate() {
                let mut sum = requantise.bias;
                for tap in 0..9 {
                    let at = first + tap / 3 * from.pitch() + tap % 3 * from.channels + channel;
                    let value = &arena[at..at + 1];
                    let weight = &self.filters.weights[tap * from.channels + channel..][..1];
                    sum = sum.wrapping_add(dot(value, weight, self.flip));
                }
                arena[made + channel] = requantised(requantise, sum) ^ self.flip;
            }
        }
    }

    fn packed(&self) -> usize {
        self.filters.weights.len() + 16 * self.filters.channels()
    }
}

impl Kernel for Sum {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        let row_len = self.to.width * self.to.channels;
        for row in 0..self.to.height {
            let [left, right, to] = [self.left, self.right, self.to].map(|plane| plane.pixel(row, 0));
            for byte in 0..row_len {
                arena[to + byte] = self.apply(arena[left + byte], arena[right + byte]);
            }
        }
    }
}
