//! A heat map: a value for parts of an image, and its pixels.

use crate::data::Area;

/// Longest side of a [`Raster`] in pixels: what a screen shows.
const SIDE_MAX: usize = 1_024;

/// Standard deviation of the weight of a part around its centre, as a share of its side, as in MONAI's
/// `SlidingWindowInferer` with Gaussian weights. The value of a part says most about its centre.
const SIGMA: f64 = 0.125;

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
    /// centre lies in, with weights that fall from the centre of each part as a Gaussian.
    pub fn raster(&self) -> Raster {
        let longer = self.width.max(self.height);
        let side = |side: usize| match longer > SIDE_MAX {
            true => (side * SIDE_MAX).div_ceil(longer).max(1),
            false => side,
        };
        let (width, height) = (side(self.width), side(self.height));
        let scale = [width as f32 / self.width as f32, height as f32 / self.height as f32];
        let (mut sums, mut totals) = (vec![0.0f64; width * height], vec![0.0f64; width * height]);
        for &(Area { left, top, width: across, height: down }, value) in &self.cells {
            let rows = covered(top, down, scale[1], height);
            let columns = covered(left, across, scale[0], width);
            let weights: Vec<f64> = columns.clone().map(|column| weight(column, left, across, scale[0])).collect();
            for row in rows {
                let of_row = weight(row, top, down, scale[1]);
                let pixels = row * width + columns.start..row * width + columns.end;
                let pixels = sums[pixels.clone()].iter_mut().zip(&mut totals[pixels]);
                for ((sum, total), weight) in pixels.zip(&weights) {
                    *sum += of_row * weight * f64::from(value);
                    *total += of_row * weight;
                }
            }
        }
        let mean = |(sum, total): (f64, f64)| if total > 0.0 { (sum / total) as f32 } else { f32::NAN };
        Raster { width, height, values: sums.into_iter().zip(totals).map(mean).collect() }
    }
}

/// Weight of a pixel in a part from `from`, `len` long, of an image whose pixels are `scale` of a pixel.
fn weight(pixel: usize, from: f32, len: f32, scale: f32) -> f64 {
    let centre = (pixel as f64 + 0.5) / f64::from(scale);
    let distance = (centre - f64::from(from) - f64::from(len) / 2.0) / (SIGMA * f64::from(len));
    // A part smaller than a pixel may lie off its centre.
    (-0.5 * distance.powi(2)).max(-20.0).exp()
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
        let cells = vec![(area(0.0, 0.0, 2.0, 2.0), 1.0), (area(1.0, 0.0, 2.0, 2.0), 4.0)];
        let map = HeatMap { width: 4, height: 3, cells };
        let Raster { width, height, values } = map.raster();
        assert_eq!((width, height, map.range()), (4, 3, Some([1.0, 4.0])));
        for row in [&values[..4], &values[4..8]] {
            assert!(row[..3] == [1.0, 2.5, 4.0] && row[3].is_nan(), "{row:?}");
        }
        assert!(values[8..].iter().all(|value| value.is_nan()));
        assert_eq!(HeatMap { cells: Vec::new(), ..map }.range(), None);
    }

    #[test]
    fn the_nearer_centre_has_more_weight() {
        let cells = vec![(area(0.0, 0.0, 8.0, 1.0), 0.0), (area(2.0, 0.0, 8.0, 1.0), 1.0)];
        let values = HeatMap { width: 10, height: 1, cells }.raster().values;
        assert!(values.is_sorted() && values[4] < 0.5 && values[5] > 0.5, "{values:?}");
        // Distances of 0.5 and 1.5 pixels with a deviation of one: e^-1/8 and e^-9/8.
        assert!((f64::from(values[5]) - 1.0 / (1.0 + (-1.0f64).exp())).abs() < 1e-6, "{values:?}");
    }

    #[test]
    fn a_large_image_has_a_smaller_map_and_adjacent_parts_leave_no_gap() {
        let cells = (0..41).map(|i| (area(i as f32 * 100.0, 0.0, 100.0, 2_050.0), i as f32)).collect();
        let raster = HeatMap { width: 4_100, height: 2_050, cells }.raster();
        assert_eq!((raster.width, raster.height), (1_024, 512));
        assert!(raster.values.iter().all(|value| value.is_finite()));
        assert!(raster.values[..1_024].is_sorted(), "each pixel has the part of its centre");
        // A part of less than a pixel is seen.
        let dot =
            HeatMap { width: 8_192, height: 8_192, cells: vec![(area(4_096.0, 8_191.0, 1.0, 1.0), 3.0)] }.raster();
        assert_eq!(dot.values.iter().filter(|value| **value == 3.0).count(), 1);
    }
}
