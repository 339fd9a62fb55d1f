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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_is_cleared_and_the_image_is_not() {
        let plane = Plane { height: 3, width: 5, channels: 2, offset: 4 };
        let mut arena = vec![1.0f32; 4 + plane.len(3)];
        plane.clear_border(&mut arena, 3);
        assert_eq!(arena.iter().filter(|&&value| value == 1.0).count(), 4 + 3 * 5 * 2);
        assert_eq!(arena[plane.pixel(2, 4)..][..3], [1.0, 1.0, 0.0]);
    }
}
