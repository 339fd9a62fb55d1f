//! Weights of the triangle filter along one axis, in fixed point.
//!
//! Pixel `i` of a source of `n` pixels has its centre at `(i + 1/2) / n` of the axis, pixel `o` of a target of `m` pixels
//! at `(o + 1/2) / m`. The weight of `i` in `o` falls linearly with their distance, to 0 at `max(1/n, 1/m)`. When
//! enlarging, this is linear interpolation; when shrinking, the triangle is wide enough to use every source pixel.
//! Multiplied by `2 n m`, all numbers are integers:
//!
//! `weight = max(0, 2 max(n, m) - |(2i + 1) m - (2o + 1) n|)`
//!
//! The filter is that of Pillow's `BILINEAR` and `Triangle` of the image crate. As there, weights beyond the border are
//! left out and the rest scaled up.

/// The fixed-point weights of a target pixel sum to exactly `2^ONE_BITS`, so a flat area keeps its value.
pub const ONE_BITS: u32 = 20;

/// Source and target length of one axis, each 1 to [`super::SIDE_MAX`].
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub source: usize,
    pub target: usize,
}

impl Axis {
    /// Whether the target has at least as many pixels as the source.
    ///
    /// A target pixel then has at most 2 source pixels; otherwise a source pixel is in at most 2 target pixels. Either way
    /// there are at most `2 max(source, target)` weights in all.
    pub fn enlarges(&self) -> bool {
        self.target >= self.source
    }

    /// Range of source pixels with a weight above 0 in target pixel `output`: first and end. Never empty.
    pub fn span(&self, output: usize) -> (usize, usize) {
        let (n, m) = (self.source as i64, self.target as i64);
        let (centre, reach) = ((2 * output as i64 + 1) * n, 2 * n.max(m));
        // The first i with (2i + 1) m > centre - reach, and the first with (2i + 1) m >= centre + reach.
        let first = (centre - reach - m).div_euclid(2 * m) + 1;
        let end = (centre + reach - m + 2 * m - 1).div_euclid(2 * m);
        (first.max(0) as usize, end.min(n) as usize)
    }

    fn weight(&self, output: usize, index: usize) -> u64 {
        let (n, m) = (self.source as u64, self.target as u64);
        let distance = ((2 * index as u64 + 1) * m).abs_diff((2 * output as u64 + 1) * n);
        (2 * n.max(m)).saturating_sub(distance)
    }
}

/// An iterator over the weights of a target pixel.
///
/// Each weight is the difference of two rounded partial sums. Rounding errors do not add up, no weight is negative, and
/// the sum is exactly `2^ONE_BITS`.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    axis: Axis,
    output: usize,
    pub first: usize,
    pub end: usize,
    next: usize,
    /// Sum of all exact weights, below 2³⁵.
    total: u64,
    /// Sum of the exact weights before `next`.
    sum: u64,
    /// Sum of the rounded weights before `next`.
    rounded: u32,
}

impl Weights {
    pub fn new(axis: Axis, output: usize) -> Self {
        let (first, end) = axis.span(output);
        let total = (first..end).map(|index| axis.weight(output, index)).sum();
        Self { axis, output, first, end, next: first, total, sum: 0, rounded: 0 }
    }
}

impl Iterator for Weights {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.next >= self.end {
            return None;
        }
        self.sum += self.axis.weight(self.output, self.next);
        self.next += 1;
        let rounded = (((self.sum << ONE_BITS) + self.total / 2) / self.total) as u32;
        let weight = rounded - self.rounded;
        self.rounded = rounded;
        Some(weight)
    }
}
