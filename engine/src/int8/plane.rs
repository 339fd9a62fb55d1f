//! Where the pixels of a value lie in the arena.

/// A value `[H, W, C]`, a byte each, in the arena.
///
/// With a border there is one pixel of the zero point before each row, which is also the one behind the row above, and a
/// row of them above and below:
///
/// ```text
/// b  b b b b
/// b  . . . b      first byte of the next row's left border: here
/// b  . . . b
/// b  b b b b
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plane {
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// C.
    pub channels: usize,
    /// Whether it has a border.
    pub bordered: bool,
    /// Zero point of each channel as stored, repeated: channel `c` has that at `c % 3`.
    pub zero: [u8; 3],
    /// First byte of the arena, border included.
    pub start: usize,
}

impl Plane {
    /// Bytes from a pixel to that below.
    pub fn pitch(&self) -> usize {
        (self.width + usize::from(self.bordered)) * self.channels
    }

    /// Bytes of the arena, border included.
    pub fn len(&self) -> usize {
        match self.bordered {
            true => (self.height + 2) * self.pitch() + self.channels,
            false => self.height * self.pitch(),
        }
    }

    /// First byte of pixel (0, 0).
    pub fn origin(&self) -> usize {
        self.start + if self.bordered { self.pitch() + self.channels } else { 0 }
    }

    /// First byte of a pixel.
    pub fn pixel(&self, row: usize, column: usize) -> usize {
        self.origin() + row * self.pitch() + column * self.channels
    }

    /// First byte of each pixel, row by row, as seen from pixel (0, 0), if every `stride`-th of rows and columns is taken.
    /// The last one is repeated up to a multiple of `tile`: kernels compute whole tiles of pixels.
    #[cfg(any(target_arch = "aarch64", neon_a32, target_arch = "x86_64"))]
    pub fn offsets(&self, stride: usize, tile: usize) -> Vec<u32> {
        let columns = (0..self.width).step_by(stride);
        let rows = (0..self.height).step_by(stride);
        let offset = |row: usize, column: usize| (row * self.pitch() + column * self.channels) as u32;
        let mut offsets: Vec<u32> =
            rows.flat_map(|row| columns.clone().map(move |column| offset(row, column))).collect();
        let last = offsets.last().copied().unwrap_or(0);
        offsets.resize(offsets.len().next_multiple_of(tile), last);
        offsets
    }

    /// Writes the border.
    ///
    /// * `arena`: the whole arena
    pub fn write_border(&self, arena: &mut [u8]) {
        if !self.bordered {
            return;
        }
        let (pitch, channels) = (self.pitch(), self.channels);
        let mut fill = |start: usize, len: usize| match self.zero {
            [zero, second, third] if zero == second && zero == third => arena[start..start + len].fill(zero),
            zero => {
                for (byte, index) in arena[start..start + len].iter_mut().zip(0..) {
                    *byte = zero[index % 3];
                }
            }
        };
        let origin = self.origin();
        // The row above with the first left border, the borders between rows, and the row below.
        fill(self.start, pitch + channels);
        for row in 1..self.height {
            fill(origin + row * pitch - channels, channels);
        }
        fill(origin + self.height * pitch - channels, pitch + channels);
    }
}
