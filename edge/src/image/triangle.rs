//! Weights of the triangle filter along one axis, in fixed point.
//!
//! Pixel `i` of a source of `n` pixels has its centre at `(i + 1/2) / n` of the axis, pixel `o` of a target of `m` at
//! `(o + 1/2) / m`. The weight of `i` in `o` falls linearly with their distance to 0 at `max(1/n, 1/m)`: linear
//! interpolation when enlarging, and when shrinking a triangle wide enough that no source pixel is left out. Times
//! `2 n m` all of this is integers:
//!
//! `weight = max(0, 2 max(n, m) - |(2i + 1) m - (2o + 1) n|)`
//!
//! The same filter as Pillow's `BILINEAR` and as `Triangle` of the image crate; border pixels beyond the source are left out
//! and the rest scaled up, as there.

/// The fixed-point weights of one target pixel sum to exactly this, so that a flat area keeps its value.
pub const ONE_BITS: u32 = 20;

/// Source and target length of one axis, each 1 to [`super::SIDE_MAX`].
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub source: usize,
    pub target: usize,
}

impl Axis {
    /// Whether target pixels are at least as many as source pixels. Then each is made of at most 2 neighbours;
    /// otherwise each source pixel is in at most 2 neighbouring targets. Either way there are at most
    /// `2 max(source, target)` weights in all.
    pub fn enlarges(&self) -> bool {
        self.target >= self.source
    }

    /// Source pixels with a weight above 0 in target pixel `output`: first, and one after the last. Never empty.
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

/// The weights of one target pixel, one after the other along its span.
///
/// Each is the difference of two rounded partial sums: rounding errors do not add up, none is negative, and the sum
/// is exactly `2^ONE_BITS`.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    axis: Axis,
    output: usize,
    pub first: usize,
    pub end: usize,
    next: usize,
    /// Sum of the exact weights: of all, and up to `next`. Below 2³⁵.
    total: u64,
    sum: u64,
    /// Sum of what was handed out.
    given: u32,
}

impl Weights {
    pub fn new(axis: Axis, output: usize) -> Self {
        let (first, end) = axis.span(output);
        let total = (first..end).map(|index| axis.weight(output, index)).sum();
        Self { axis, output, first, end, next: first, total, sum: 0, given: 0 }
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
        let given = (((self.sum << ONE_BITS) + self.total / 2) / self.total) as u32;
        let weight = given - self.given;
        self.given = given;
        Some(weight)
    }
}
