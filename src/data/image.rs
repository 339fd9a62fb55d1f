//! Raw pixels, the way a camera or a file gives them.

/// An image of 8-bit pixels, `[height, width, channels]` row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `height * width * channels` values.
    pub pixels: Vec<u8>,
}

impl Image {
    /// One channel: BT.601 luma in the integer arithmetic of Pillow's `convert("L")`, so that grey
    /// images come out the same on every CPU and in every tool.
    pub fn to_grey(&self) -> Image {
        if self.channels == 1 {
            return self.clone();
        }
        let pixels = self.pixels.chunks_exact(3).map(luma).collect();
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

    /// Whether the image shows no colour: one channel, or three that are equal everywhere.
    pub fn is_grey(&self) -> bool {
        self.channels == 1 || self.pixels.chunks_exact(3).all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2])
    }
}

/// The weights sum to 2¹⁶, so that equal channels keep their value.
fn luma(rgb: &[u8]) -> u8 {
    let [red, green, blue] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
    ((19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_is_that_of_bt_601() {
        // 0.299 red + 0.587 green + 0.114 blue, rounded.
        for (rgb, expected) in [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([10, 200, 90], 131)] {
            assert_eq!(luma(&rgb), expected, "{rgb:?}");
        }
        assert!((0..=255).all(|value| luma(&[value; 3]) == value));
    }

    #[test]
    fn grey_survives_the_way_through_colour() {
        let grey = Image { width: 2, height: 1, channels: 1, pixels: vec![3, 250] };
        assert_eq!(grey.to_rgb().pixels, [3, 3, 3, 250, 250, 250]);
        assert_eq!(grey.to_rgb().to_grey(), grey);
        assert!(grey.to_rgb().is_grey());
        assert!(!Image { pixels: vec![3, 3, 4, 1, 1, 1], ..grey.to_rgb() }.is_grey());
    }
}
