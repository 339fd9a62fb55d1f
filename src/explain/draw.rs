//! A heat map over its image.

use super::map::{HeatMap, Raster};
use crate::data::{Image, Preprocessing};

/// Ten colours of matplotlib's viridis, evenly spaced: brightness rises from the first to the last, so that the order is
/// seen without colour vision and in print.
const VIRIDIS: [[u8; 3]; 10] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x28, 0x78],
    [0x3E, 0x49, 0x89],
    [0x31, 0x68, 0x8E],
    [0x26, 0x82, 0x8E],
    [0x1F, 0x9E, 0x89],
    [0x35, 0xB7, 0x79],
    [0x6D, 0xCD, 0x59],
    [0xB4, 0xDE, 0x2C],
    [0xFD, 0xE7, 0x25],
];

/// Share of the map in a pixel; the rest is the image.
const SHARE: f32 = 0.5;

/// `image` in grey at the size of the map, and over it the map from its least value, dark blue, to its greatest, yellow.
/// Where the map has no value the image alone is seen.
pub fn overlay(image: &Image, map: &HeatMap) -> Image {
    let Raster { width, height, values } = map.raster();
    let grey = Preprocessing::unit(1, height, width).to_pixels(image);
    let [least, greatest] = map.range().unwrap_or([0.0, 0.0]);
    let pixel = |(&grey, value): (&u8, f32)| {
        if value.is_nan() {
            return [grey; 3];
        }
        let colour = viridis(if greatest > least { (value - least) / (greatest - least) } else { 0.5 });
        colour.map(|colour| ((1.0 - SHARE) * f32::from(grey) + SHARE * f32::from(colour)).round() as u8)
    };
    Image { width, height, channels: 3, pixels: grey.pixels.iter().zip(values).flat_map(pixel).collect() }
}

/// The colour at `position` of the scale, 0 to 1.
fn viridis(position: f32) -> [u8; 3] {
    let last = VIRIDIS.len() - 1;
    let at = position.clamp(0.0, 1.0) * last as f32;
    let first = (at as usize).min(last - 1);
    let share = at - first as f32;
    std::array::from_fn(|channel| {
        let [a, b] = [VIRIDIS[first][channel], VIRIDIS[first + 1][channel]].map(f32::from);
        (a + share * (b - a)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Area;

    #[test]
    fn brightness_rises_along_the_scale() {
        let luma = |[r, g, b]: [u8; 3]| macula_edge::image::luma(r, g, b);
        let levels: Vec<u8> = (0..=100).map(|step| luma(viridis(step as f32 / 100.0))).collect();
        assert!(levels.is_sorted() && levels[0] < 40 && levels[100] > 200, "{levels:?}");
        assert_eq!((viridis(-1.0), viridis(2.0)), (VIRIDIS[0], VIRIDIS[9]));
    }

    #[test]
    fn the_greatest_value_is_yellow_and_the_rest_of_the_image_grey() {
        let image = Image { width: 3, height: 1, channels: 3, pixels: [100; 9].to_vec() };
        let at = |left: f32| Area { left, top: 0.0, width: 1.0, height: 1.0 };
        let map = HeatMap { width: 3, height: 1, cells: vec![(at(0.0), -1.0), (at(2.0), 5.0)] };
        let drawn = overlay(&image, &map);
        let mixed = |colour: [u8; 3]| colour.map(|value| (50.0 + 0.5 * f32::from(value)).round() as u8);
        assert_eq!(drawn.pixels, [mixed(VIRIDIS[0]), [100; 3], mixed(VIRIDIS[9])].concat());
    }
}
