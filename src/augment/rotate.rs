//! Rotations by multiples of 90° and flips, which move pixels without changing their values.

use crate::data::Image;

/// `image` rotated counter-clockwise by `quarters` × 90°, as by `numpy.rot90`.
///
/// An odd number swaps height and width. Only `quarters` modulo 4 matters.
pub fn rotate90(image: &Image, quarters: usize) -> Image {
    let (height, width) = (image.height, image.width);
    match quarters % 4 {
        0 => image.clone(),
        1 => gather(image, width, height, |y, x| (x, width - 1 - y)),
        2 => gather(image, height, width, |y, x| (height - 1 - y, width - 1 - x)),
        _ => gather(image, width, height, |y, x| (height - 1 - x, y)),
    }
}

/// `image` flipped left to right.
pub fn flip_horizontal(image: &Image) -> Image {
    gather(image, image.height, image.width, |y, x| (y, image.width - 1 - x))
}

/// An image of `height` × `width` whose pixel `(y, x)` is that of `image` at `source(y, x)`.
pub(super) fn gather(
    image: &Image,
    height: usize,
    width: usize,
    source: impl Fn(usize, usize) -> (usize, usize),
) -> Image {
    let place = |y, x| {
        let (from_y, from_x) = source(y, x);
        from_y * image.width + from_x
    };
    let pixels = match image.channels {
        1 => gather_pixels::<1>(&image.pixels, height, width, place),
        _ => gather_pixels::<3>(&image.pixels, height, width, place),
    };
    Image { width, height, channels: image.channels, pixels }
}

/// With a constant number of channels, a pixel is copied by one move.
fn gather_pixels<const C: usize>(
    pixels: &[u8],
    height: usize,
    width: usize,
    place: impl Fn(usize, usize) -> usize,
) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<C>();
    let mut gathered = Vec::with_capacity(height * width);
    for y in 0..height {
        gathered.extend((0..width).map(|x| pixels[place(y, x)]));
    }
    gathered.into_flattened()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: usize, height: usize, channels: usize, pixels: &[u8]) -> Image {
        Image { width, height, channels, pixels: pixels.to_vec() }
    }

    /// Expected values are numpy.rot90's.
    #[test]
    fn rotation_is_counter_clockwise() {
        let wide = image(3, 2, 1, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(rotate90(&wide, 1), image(2, 3, 1, &[3, 6, 2, 5, 1, 4]));
        assert_eq!(rotate90(&wide, 2), image(3, 2, 1, &[6, 5, 4, 3, 2, 1]));
        assert_eq!(rotate90(&wide, 3), image(2, 3, 1, &[4, 1, 5, 2, 6, 3]));
        assert_eq!(rotate90(&wide, 4), wide);
    }

    #[test]
    fn the_channels_of_a_pixel_stay_together() {
        let colour = image(2, 2, 3, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(rotate90(&colour, 1), image(2, 2, 3, &[4, 5, 6, 10, 11, 12, 1, 2, 3, 7, 8, 9]));
        assert_eq!(flip_horizontal(&colour), image(2, 2, 3, &[4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]));
    }

    #[test]
    fn rotations_compose() {
        let wide = image(3, 2, 3, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]);
        for first in 0..4 {
            for second in 0..4 {
                assert_eq!(rotate90(&rotate90(&wide, first), second), rotate90(&wide, first + second));
            }
        }
        assert_eq!(flip_horizontal(&flip_horizontal(&wide)), wide);
    }
}
