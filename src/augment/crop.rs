//! Crops of the original size from an image with reflected padding.

use super::rotate::gather;
use crate::data::Image;
use crate::rng::Rng;

/// [`padded_crop`] at a uniformly random position.
pub fn padded_random_crop(image: &Image, padding: usize, rng: &mut Rng) -> Image {
    let (top, left) = (rng.below(2 * padding + 1), rng.below(2 * padding + 1));
    padded_crop(image, padding, top, left)
}

/// `image` padded by `padding` reflected pixels on each side, then cropped to its original shape from row `top` and column
/// `left` of the padded image; both at most `2 * padding`.
///
/// The border pixel is not repeated (`numpy.pad`'s `reflect`). Black padding would show a rotation objective how the image
/// was rotated.
pub fn padded_crop(image: &Image, padding: usize, top: usize, left: usize) -> Image {
    if padding == 0 {
        return image.clone();
    }
    let sources =
        |start: usize, len: usize| -> Vec<usize> { (start..start + len).map(|at| reflect(at, padding, len)).collect() };
    let (rows, columns) = (sources(top, image.height), sources(left, image.width));
    gather(image, image.height, image.width, |y, x| (rows[y], columns[x]))
}

/// The source of index `at` of a padded axis; reflects repeatedly if the padding is larger than the axis.
fn reflect(at: usize, padding: usize, len: usize) -> usize {
    let period = (2 * (len - 1)).max(1) as isize;
    let at = (at as isize - padding as isize).rem_euclid(period);
    at.min(period - at).min(len as isize - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are numpy.pad(…, mode="reflect")'s.
    #[test]
    fn padding_reflects_without_repeating_the_border() {
        let padded = |len: usize, padding: usize| -> Vec<usize> {
            (0..len + 2 * padding).map(|at| reflect(at, padding, len)).collect()
        };
        assert_eq!(padded(4, 2), [2, 1, 0, 1, 2, 3, 2, 1]);
        assert_eq!(padded(3, 4), [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
        assert_eq!(padded(1, 2), [0; 5]);
    }

    #[test]
    fn the_centre_crop_is_the_image() {
        let image = Image { width: 3, height: 2, channels: 1, pixels: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(padded_crop(&image, 4, 4, 4), image);
        assert_eq!(padded_crop(&image, 1, 0, 1).pixels, [4, 5, 6, 1, 2, 3], "one row from above");
        assert_eq!(padded_crop(&image, 1, 1, 2).pixels, [2, 3, 2, 5, 6, 5], "one column further right");
    }

    #[test]
    fn every_position_is_drawn() {
        let image = Image { width: 5, height: 5, channels: 1, pixels: (0..25).collect() };
        let mut rng = Rng::for_purpose(1, "test");
        let views: std::collections::BTreeSet<Vec<u8>> =
            (0..400).map(|_| padded_random_crop(&image, 1, &mut rng).pixels).collect();
        assert_eq!(views.len(), 9);
    }
}
