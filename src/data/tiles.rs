//! Tiles of a large image: the parts that an encoder reads one by one.
//!
//! W, H columns and rows of the image; w, h those of a tile, the input size of an encoder.
//!
//! At scale s the image is first brought to `W / s` × `H / s` pixels by the only resize of [`Preprocessing`], so that
//! a tile is a part of the smaller image and neighbouring tiles agree on what they share. Tiles start at multiples of the
//! stride; the last of a row or column is moved inside, as in MONAI's `SlidingWindowInferer` and SAHI, so that every pixel
//! is in a tile and none is invented. An image that is smaller than a tile at this scale is enlarged to one.

use macula_edge::image::luma;

use super::decode::PIXELS_MAX;
use super::tile_spec::TileSpec;
use super::{Image, Preprocessing};

/// A part of an image in its own pixels; parts of a pixel occur where the scale is no integer.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Area {
    /// First column.
    pub left: f32,
    /// First row.
    pub top: f32,
    /// Columns.
    pub width: f32,
    /// Rows.
    pub height: f32,
}

/// A tile of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Which of the scales.
    level: usize,
    /// First column in the image of this scale.
    left: usize,
    /// First row in the image of this scale.
    top: usize,
}

/// The tiles of one image that are not empty, scale by scale and row by row.
///
/// Memory holds the image at each scale beside the image itself.
pub struct Tiles {
    /// The image at each scale, with the channels of the encoder.
    levels: Vec<Image>,
    /// Columns and rows of the image.
    source: [usize; 2],
    /// Columns and rows of a tile.
    size: [usize; 2],
    tiles: Vec<Tile>,
}

/// An image cannot be cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TilesError {
    /// It has more tiles than allowed.
    #[error(
        "an image of {width}×{height} pixels has {tiles} tiles, at most {max} are allowed; use a larger scale, less overlap or max={tiles}"
    )]
    TooMany {
        /// Columns of the image.
        width: usize,
        /// Rows of the image.
        height: usize,
        /// Its tiles.
        tiles: usize,
        /// The limit.
        max: usize,
    },
    /// A scale below 1 makes it larger than an image may be.
    #[error(
        "an image of {width}×{height} pixels at the finest scale exceeds {PIXELS_MAX} pixels; use a scale of at least 1"
    )]
    TooLarge {
        /// Columns of the image at this scale.
        width: usize,
        /// Rows of the image at this scale.
        height: usize,
    },
}

impl Tiles {
    /// Cuts `image` into tiles of the input size and channels of `recipe`.
    ///
    /// Empty tiles are left out; if all are empty, the first of those with the greatest deviation stays, so that every image
    /// has a feature.
    ///
    /// # Errors
    /// If there are more tiles than `spec` allows, empty ones included, or a scale below 1 makes the image too large. Nothing is
    /// resized then.
    ///
    /// # Panics
    /// As [`Preprocessing::to_pixels`].
    pub fn of(image: &Image, spec: &TileSpec, recipe: &Preprocessing) -> Result<Self, TilesError> {
        let size = [recipe.width, recipe.height];
        let grids: Vec<[usize; 2]> =
            spec.scales().iter().map(|&scale| level_size([image.width, image.height], size, scale)).collect();
        let is_too_large = |&&[width, height]: &&[usize; 2]| (width as u64).saturating_mul(height as u64) > PIXELS_MAX;
        if let Some(&[width, height]) = grids.iter().find(is_too_large) {
            return Err(TilesError::TooLarge { width, height });
        }
        let starts = |axis: usize, len: usize| starts(len, size[axis], spec.stride(size[axis]));
        let count = |&[width, height]: &[usize; 2]| starts(0, width).len().saturating_mul(starts(1, height).len());
        let tiles = grids.iter().map(count).fold(0usize, usize::saturating_add);
        if tiles > spec.max() {
            return Err(TilesError::TooMany { width: image.width, height: image.height, tiles, max: spec.max() });
        }
        let at = |&[width, height]: &[usize; 2]| Preprocessing::unit(recipe.channels, height, width).to_pixels(image);
        let levels: Vec<Image> = grids.iter().map(at).collect();
        let mut all = Self { levels, source: [image.width, image.height], size, tiles: Vec::with_capacity(tiles) };
        for (level, &[width, height]) in grids.iter().enumerate() {
            for top in starts(1, height) {
                all.tiles.extend(starts(0, width).into_iter().map(|left| Tile { level, left, top }));
            }
        }
        all.leave_out_empty(spec.empty());
        Ok(all)
    }

    /// Number of tiles, at least 1.
    pub fn len(&self) -> usize {
        self.tiles.len()
    }

    /// Whether there is no tile, which does not occur.
    pub fn is_empty(&self) -> bool {
        self.tiles.is_empty()
    }

    /// The tiles, in order.
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// Adds the pixels of `tile`, `[h, w, channels]`, to `pixels`.
    pub fn write(&self, tile: Tile, pixels: &mut Vec<u8>) {
        self.rows(tile).for_each(|row| pixels.extend_from_slice(row));
    }

    /// The part of the image that `tile` shows.
    pub fn area(&self, tile: Tile) -> Area {
        let level = &self.levels[tile.level];
        let across = self.source[0] as f32 / level.width as f32;
        let down = self.source[1] as f32 / level.height as f32;
        Area {
            left: tile.left as f32 * across,
            top: tile.top as f32 * down,
            width: self.size[0] as f32 * across,
            height: self.size[1] as f32 * down,
        }
    }

    fn rows(&self, tile: Tile) -> impl Iterator<Item = &[u8]> {
        let level = &self.levels[tile.level];
        let [width, height] = self.size;
        (tile.top..tile.top + height)
            .map(move |y| &level.pixels[(y * level.width + tile.left) * level.channels..][..width * level.channels])
    }

    fn leave_out_empty(&mut self, empty: f32) {
        if empty <= 0.0 {
            return;
        }
        let deviations: Vec<f64> = self.tiles.iter().map(|&tile| self.deviation(tile)).collect();
        let most = deviations.iter().copied().fold(0.0, f64::max);
        let is_kept = |deviation: f64| deviation >= f64::from(empty);
        if most >= f64::from(empty) {
            let mut deviations = deviations.into_iter();
            self.tiles.retain(|_| deviations.next().is_some_and(is_kept));
        } else {
            let first = deviations.iter().position(|&deviation| deviation == most).unwrap_or(0);
            self.tiles = vec![self.tiles[first]];
        }
    }

    fn deviation(&self, tile: Tile) -> f64 {
        brightness_deviation(self.rows(tile), self.levels[tile.level].channels)
    }
}

/// Standard deviation of the brightness of `rows` of pixels with 1 or 3 `channels`, in levels.
pub(super) fn brightness_deviation<'p>(rows: impl Iterator<Item = &'p [u8]>, channels: usize) -> f64 {
    let (mut count, mut sum, mut squares) = (0u64, 0u64, 0u64);
    let mut add = |value: u8| {
        let value = u64::from(value);
        (count, sum, squares) = (count + 1, sum + value, squares + value * value);
    };
    for row in rows {
        match channels {
            3 => row.chunks_exact(3).for_each(|rgb| add(luma(rgb[0], rgb[1], rgb[2]))),
            _ => row.iter().for_each(|&value| add(value)),
        }
    }
    let mean = sum as f64 / count as f64;
    (squares as f64 / count as f64 - mean * mean).max(0.0).sqrt()
}

/// Columns and rows of an image of `source` at `scale`, at least those of a tile.
pub(super) fn level_size(source: [usize; 2], tile: [usize; 2], scale: f32) -> [usize; 2] {
    let side = |axis: usize| {
        let scaled = (source[axis] as f64 / f64::from(scale)).round() as usize;
        scaled.clamp(tile[axis], macula_edge::image::SIDE_MAX.max(tile[axis]))
    };
    [side(0), side(1)]
}

/// First pixels of the tiles along an axis of `len` pixels, at least `tile`.
fn starts(len: usize, tile: usize, stride: usize) -> Vec<usize> {
    let last = len - tile;
    (0..last).step_by(stride).chain([last]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn noise(width: usize, height: usize, channels: usize) -> Image {
        let mut rng = Rng::for_purpose(5, "test");
        let pixels = (0..width * height * channels).map(|_| rng.below(256) as u8).collect();
        Image { width, height, channels, pixels }
    }

    fn tiles(image: &Image, spec: &str, side: usize) -> Tiles {
        Tiles::of(image, &spec.parse().unwrap(), &Preprocessing::unit(image.channels, side, side)).unwrap()
    }

    #[test]
    fn every_pixel_is_in_a_tile_and_no_tile_reaches_beyond() {
        for (len, tile, stride) in [(1, 1, 1), (10, 10, 3), (11, 10, 10), (100, 16, 16), (100, 16, 5), (97, 32, 31)] {
            let starts = starts(len, tile, stride);
            assert!(starts.is_sorted_by(|a, b| a < b), "{starts:?}");
            assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= stride));
            let covered = (0..len).all(|at| starts.iter().any(|&start| (start..start + tile).contains(&at)));
            assert!(covered && starts.iter().all(|start| start + tile <= len), "{len} {tile} {stride}: {starts:?}");
        }
    }

    #[test]
    fn a_tile_is_a_part_of_the_image_at_its_scale() {
        let image = noise(50, 37, 3);
        let all = tiles(&image, "1,overlap=0.5,empty=0", 16);
        assert_eq!(all.len(), 6 * 4, "columns 0, 8, …, 34 and rows 0, 8, 16, 21");
        let last = *all.tiles().last().unwrap();
        assert_eq!(all.area(last), Area { left: 34.0, top: 21.0, width: 16.0, height: 16.0 });
        let mut pixels = Vec::new();
        all.write(last, &mut pixels);
        let expected = (21..37).flat_map(|y| image.pixels[(y * 50 + 34) * 3..][..48].to_vec());
        assert_eq!(pixels, expected.collect::<Vec<_>>());
        // At scale 2 the tiles of the image at half the size.
        let half = Preprocessing::unit(3, 19, 25).to_pixels(&image);
        let all = tiles(&image, "2,empty=0", 16);
        let mut found = Vec::new();
        all.write(all.tiles()[0], &mut found);
        assert_eq!(found, (0..16).flat_map(|y| half.pixels[y * 75..][..48].to_vec()).collect::<Vec<_>>());
        assert_eq!(all.area(all.tiles()[0]), Area { left: 0.0, top: 0.0, width: 32.0, height: 16.0 * 37.0 / 19.0 });
        // Scales come one after the other, finest first.
        let both = tiles(&image, "2+1,empty=0", 16);
        assert_eq!(both.len(), 4 * 3 + 2 * 2);
        assert_eq!(both.area(both.tiles()[12]), all.area(all.tiles()[0]));
    }

    #[test]
    fn a_small_image_is_enlarged_to_one_tile() {
        let image = noise(10, 20, 1);
        let one = tiles(&image, "4", 16);
        let mut pixels = Vec::new();
        one.write(one.tiles()[0], &mut pixels);
        assert_eq!((one.len(), &pixels), (1, &Preprocessing::unit(1, 16, 16).to_pixels(&image).pixels));
        assert_eq!(one.area(one.tiles()[0]), Area { left: 0.0, top: 0.0, width: 10.0, height: 20.0 });
    }

    #[test]
    fn empty_tiles_are_left_out_and_one_always_stays() {
        // A textured square in a uniform border.
        let mut image = Image { width: 64, height: 64, channels: 1, pixels: vec![7; 4096] };
        for y in 16..32 {
            (16..32).for_each(|x| image.pixels[y * 64 + x] = if (x + y) % 2 == 0 { 0 } else { 200 });
        }
        let kept = tiles(&image, "1", 16);
        assert_eq!(kept.tiles(), [Tile { level: 0, left: 16, top: 16 }]);
        assert_eq!(tiles(&image, "1,empty=0", 16).len(), 16);
        let flat = Image { pixels: vec![7; 4096], ..image };
        assert_eq!(tiles(&flat, "1", 16).tiles(), [Tile { level: 0, left: 0, top: 0 }]);
        let coloured: Vec<&[u8]> = vec![&[10, 20, 30, 10, 20, 30]];
        assert_eq!(brightness_deviation(coloured.into_iter(), 3), 0.0);
        assert_eq!(brightness_deviation([&[0u8, 2][..], &[0, 2]].into_iter(), 1), 1.0);
    }

    #[test]
    fn more_tiles_than_allowed_are_refused_with_their_number() {
        let image = Image { width: 64, height: 32, channels: 1, pixels: vec![0; 2048] };
        let cut = |spec: &str| {
            Tiles::of(&image, &spec.parse().unwrap(), &Preprocessing::unit(1, 8, 8)).map(|tiles| tiles.len())
        };
        assert_eq!(cut("1,empty=0,max=32"), Ok(32));
        assert_eq!(cut("1,max=31"), Err(TilesError::TooMany { width: 64, height: 32, tiles: 32, max: 31 }));
        assert_eq!(cut("1+2,empty=0,max=40"), Ok(40));
        let wide = Image { width: 8_192, height: 4_096, channels: 1, pixels: vec![0; 1 << 25] };
        let cut = |spec: &str| {
            Tiles::of(&wide, &spec.parse().unwrap(), &Preprocessing::unit(1, 512, 512)).map(|tiles| tiles.len())
        };
        assert_eq!(cut("0.5"), Err(TilesError::TooLarge { width: 16_384, height: 8_192 }));
        assert_eq!(cut("4,empty=0"), Ok(4 * 2));
    }
}
