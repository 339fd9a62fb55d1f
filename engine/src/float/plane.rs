//! Where values lie: planes with a border of zeros, so that no kernel has a case for the edge of an image.

/// Sides are rounded up to a multiple of this, the side of a Winograd tile.
pub(super) const TILE: usize = 4;

/// A value `[H, W, C]` in an arena, with a border of one pixel to the left and above, and at least one to the right and below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plane {
    pub height: usize,
    pub width: usize,
    /// Including padding to whole vectors.
    pub channels: usize,
    /// First element in the arena.
    pub offset: usize,
}

impl Plane {
    /// Elements from a pixel to the one below it.
    pub fn row_stride(self) -> usize {
        (self.width.next_multiple_of(TILE) + 2) * self.channels
    }

    fn rows(self) -> usize {
        self.height.next_multiple_of(TILE) + 2
    }

    /// Elements that it takes, where kernels read up to `overread` past the last.
    pub fn len(self, overread: usize) -> usize {
        self.rows() * self.row_stride() + overread
    }

    /// The element of the arena of the pixel above and to the left of pixel `y`, `x`.
    pub fn corner(self, y: usize, x: usize) -> usize {
        self.offset + y * self.row_stride() + x * self.channels
    }

    /// The element of the arena of pixel `y`, `x`.
    pub fn pixel(self, y: usize, x: usize) -> usize {
        self.corner(y + 1, x + 1)
    }

    /// Sets everything but the image to zero.
    pub fn clear_border<E: bytemuck::Pod>(self, arena: &mut [E], overread: usize) {
        let (row_stride, len) = (self.row_stride(), self.len(overread));
        let plane = &mut arena[self.offset..self.offset + len];
        // The end of a row and the beginning of the next are one run.
        let image = self.width * self.channels;
        plane[..row_stride + self.channels].fill(E::zeroed());
        for row in plane[row_stride + self.channels..].chunks_mut(row_stride).take(self.height) {
            row[image..].fill(E::zeroed());
        }
        plane[(1 + self.height) * row_stride..].fill(E::zeroed());
    }
}

/// A lifetime: the steps from the one that makes a value to the last that reads it.
pub(super) type Lifetime = std::ops::RangeInclusive<usize>;

/// The offset of each value in an arena, such that values that live at the same time do not overlap; and the arena's length.
/// Each is put at the lowest free place, in order.
///
/// * `values`: length and lifetime
/// * `align`: offsets are multiples of it
pub(super) fn place(values: &[(usize, Lifetime)], align: usize) -> (Vec<usize>, usize) {
    let mut placed: Vec<(usize, usize)> = Vec::new();
    for (index, (len, life)) in values.iter().enumerate() {
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .zip(&values[..index])
            .filter(|(_, (_, other))| life.start() <= other.end() && other.start() <= life.end())
            .map(|(&place, _)| place)
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if start >= offset + len {
                break;
            }
            offset = offset.max(end.next_multiple_of(align));
        }
        placed.push((offset, offset + len));
    }
    let len = placed.iter().map(|&(_, end)| end).max().unwrap_or(0);
    (placed.into_iter().map(|(start, _)| start).collect(), len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_live_together_do_not_overlap_and_memory_is_used_again() {
        let values = [(10, 0..=1), (20, 1..=3), (10, 2..=3), (30, 4..=5)];
        let (offsets, len) = place(&values, 4);
        assert_eq!(offsets, [0, 12, 0, 0]);
        assert_eq!(len, 32);
    }

    #[test]
    fn the_border_is_cleared_and_the_image_is_not() {
        let plane = Plane { height: 3, width: 5, channels: 2, offset: 4 };
        let mut arena = vec![1.0f32; 4 + plane.len(3)];
        plane.clear_border(&mut arena, 3);
        assert_eq!(arena.iter().filter(|&&value| value == 1.0).count(), 4 + 3 * 5 * 2);
        assert_eq!(arena[plane.pixel(2, 4)..][..3], [1.0, 1.0, 0.0]);
    }
}
