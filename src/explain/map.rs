//! A heat map: a value for parts of an image, and its pixels.

use crate::data::Area;

/// Longest side of a [`Raster`] in pixels: what a screen shows.
const SIDE_MAX: usize = 1_024;

/// Values of parts of an image, which may overlap.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Columns of the image.
    pub width: usize,
    /// Rows of the image.
    pub height: usize,
    /// A part of the image, in its pixels, and its value.
    pub cells: Vec<(Area, f32)>,
}

/// The pixels of a heat map.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width]`; NaN where no part lies.
    pub values: Vec<f32>,
}

impl HeatMap {
    /// The least and the greatest value; `None` without parts.
    pub fn range(&self) -> Option<[f32; 2]> {
        let values = || self.cells.iter().map(|cell| cell.1);
        Some([values().reduce(f32::min)?, values().reduce(f32::max)?])
    }

    /// The map as large as the image, but at most 1,024 pixels on its longer side. A pixel has the mean of the parts that its
    /// centre lies in.
    pub fn raster(&self) -> Raster {
        let longer = self.width.max(self.height);
        let side = |side: usize| match longer > SIDE_MAX {
            true => (side * SIDE_MAX).div_ceil(longer).max(1),
            false => side,
        };
        let (width, height) = (side(self.width), side(self.height));
        let scale = [width as f32 / self.width as f32, height as f32 / self.height as f32];
        let (mut sums, mut counts) = (vec![0.0f64; width * height], vec![0u32; width * height]);
        for &(Area { left, top, width: across, height: down }, value) in &self.cells {
            let rows = covered(top, down, scale[1], height);
            let columns = covered(left, across, scale[0], width);
            for row in rows {
                for at in row * width + columns.start..row * width + columns.end {
                    sums[at] += f64::from(value);
                    counts[at] += 1;
                }
            }
        }
        let mean = |(sum, count): (f64, u32)| if count == 0 { f32::NAN } else { (sum / f64::from(count)) as f32 };
        Raster { width, height, values: sums.into_iter().zip(counts).map(mean).collect() }
    }
}

/// The pixels whose centres lie in `from..from + len`, of `count` pixels that are `scale` to one of the image.
fn covered(from: f32, len: f32, scale: f32, count: usize) -> std::ops::Range<usize> {
    // The centre of pixel p lies at (p + 1/2) / scale.
    let first = |edge: f32| ((edge * scale - 0.5).ceil().max(0.0) as usize).min(count);
    let range = first(from)..first(from + len);
    // A part smaller than a pixel still marks the pixel that it lies in.
    if range.is_empty() && count > 0 {
        let at = ((from * scale) as usize).min(count - 1);
        return at..at + 1;
    }
    range
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(left: f32, top: f32, width: f32, height: f32) -> Area {
        Area { left, top, width, height }
    }

    #[test]
    fn overlapping_parts_are_averaged_and_the_rest_is_empty() {
        let cells = vec![(area(0.0, 0.0, 2.0, 2.0), 1.0), (area(1.0, 0.0, 2.0, 1.0), 4.0)];
        let map = HeatMap { width: 4, height: 2, cells };
        let Raster { width, height, values } = map.raster();
        assert_eq!((width, height, map.range()), (4, 2, Some([1.0, 4.0])));
        assert_eq!(values[..3], [1.0, 2.5, 4.0]);
        assert_eq!(values[4..6], [1.0, 1.0]);
        assert!(values[3].is_nan() && values[6].is_nan() && values[7].is_nan());
        assert_eq!(HeatMap { cells: Vec::new(), ..map }.range(), None);
    }

    #[test]
    fn a_large_image_has_a_smaller_map_and_adjacent_parts_leave_no_gap() {
        let cells = (0..41).map(|i| (area(i as f32 * 100.0, 0.0, 100.0, 2_050.0), i as f32)).collect();
        let raster = HeatMap { width: 4_100, height: 2_050, cells }.raster();
        assert_eq!((raster.width, raster.height), (1_024, 512));
        assert!(raster.values.iter().all(|value| value.is_finite()));
        assert!(raster.values[..1_024].is_sorted(), "each pixel has the part of its centre");
        // A part of less than a pixel is seen.
        let dot = HeatMap { width: 8_192, height: 8_192, cells: vec![(area(4_096.0, 8_191.0, 1.0, 1.0), 3.0)] }.raster();
        assert_eq!(dot.values.iter().filter(|value| **value == 3.0).count(), 1);
    }
}
