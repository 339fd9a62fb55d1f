//! An image as 8-bit pixels.

use macula_edge::image::luma;

/// An image of 8-bit pixels, `[height, width, channels]` row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `height * width * channels` values.
    pub pixels: Vec<u8>,
}

impl Image {
    /// One channel, by the [`luma`] of the device.
    pub fn to_grey(&self) -> Image {
        if self.channels == 1 {
            return self.clone();
        }
        let pixels = self.pixels.chunks_exact(3).map(|rgb| luma(rgb[0], rgb[1], rgb[2])).collect();
        Image { width: self.width, height: self.height, channels: 1, pixels }
    }

    /// Three channels; grey is repeated.
    pub fn to_rgb(&self) -> Image {
        if self.channels == 3 {
            return self.clone();
        }
        let pixels = self.pixels.iter().flat_map(|&value| [value; 3]).collect();
        Image { width: self.width, height: self.height, channels: 3, pixels }
    }

    /// Whether the image is grey: one channel, or three that are equal everywhere.
    pub fn is_grey(&self) -> bool {
        self.channels == 1 || self.pixels.chunks_exact(3).all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_to_rgb_and_back_is_lossless() {
        let grey = Image { width: 2, height: 1, channels: 1, pixels: vec![3, 250] };
        assert_eq!(grey.to_rgb().pixels, [3, 3, 3, 250, 250, 250]);
        assert_eq!(grey.to_rgb().to_grey(), grey);
        assert!(grey.to_rgb().is_grey());
        assert!(!Image { pixels: vec![3, 3, 4, 1, 1, 1], ..grey.to_rgb() }.is_grey());
    }
}
