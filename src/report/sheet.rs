//! Contact sheets: a row of images per class.

use std::io::Cursor;
use std::path::Path;

use image::{ExtendedColorType, ImageEncoder, ImageError, codecs::png::PngEncoder};

use crate::data::{DataError, Dataset, Image, Preprocessing};
use crate::files::{WriteError, write_private};
use crate::rng::Rng;

/// White pixels between tiles.
const GAP: usize = 2;

/// A contact sheet that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// An image could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The PNG could not be encoded.
    #[error("cannot encode {path}: {source}")]
    Encode {
        /// The file.
        path: String,
        /// The cause.
        source: ImageError,
    },
    /// The PNG could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Draws `columns` images per class, one row per class in label order, then unlabelled images.
///
/// Images are drawn by `seed` and resized to `tile_size` × `tile_size` pixels. A class with fewer images leaves the rest of
/// its row white. `columns` and `tile_size` are at least 1.
pub fn draw(dataset: &Dataset, columns: usize, tile_size: usize, seed: u64) -> Result<Image, DataError> {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); dataset.class_names.len() + 1];
    for (index, record) in dataset.records.iter().enumerate() {
        rows[record.label.unwrap_or(dataset.class_names.len())].push(index);
    }
    rows.retain(|row| !row.is_empty());
    let step = tile_size + GAP;
    let (width, height) = (columns * step + GAP, rows.len() * step + GAP);
    let mut sheet = Image { width, height, channels: 3, pixels: vec![255; width * height * 3] };
    let recipe = Preprocessing::unit(3, tile_size, tile_size);
    for (row, of_class) in rows.iter().enumerate() {
        let chosen = Rng::for_item(seed, "sheet", 0, row as u64).sample(of_class.len(), columns);
        for (column, pick) in chosen.into_iter().enumerate() {
            let tile = recipe.to_pixels(&dataset.load(of_class[pick])?);
            paste(&mut sheet, &tile, GAP + column * step, GAP + row * step);
        }
    }
    Ok(sheet)
}

/// Draws `tiles`, all of one size, `columns` (at least 1) per row.
pub fn grid(tiles: &[Image], columns: usize) -> Image {
    let (tile_width, tile_height) = tiles.first().map_or((0, 0), |tile| (tile.width, tile.height));
    let (step_x, step_y) = (tile_width + GAP, tile_height + GAP);
    let width = columns.min(tiles.len()) * step_x + GAP;
    let height = tiles.len().div_ceil(columns) * step_y + GAP;
    let mut sheet = Image { width, height, channels: 3, pixels: vec![255; width * height * 3] };
    for (index, tile) in tiles.iter().enumerate() {
        paste(&mut sheet, &tile.to_rgb(), GAP + index % columns * step_x, GAP + index / columns * step_y);
    }
    sheet
}

/// `image` with a longer side of `side` pixels.
pub fn scaled(image: &Image, side: usize) -> Image {
    let longer = image.width.max(image.height);
    let scaled = |length: usize| (length * side / longer).max(1);
    Preprocessing::unit(image.channels, scaled(image.height), scaled(image.width)).to_pixels(image)
}

/// `image`, scaled if one of its sides is longer than `side_max` pixels.
pub fn shrunk(image: &Image, side_max: usize) -> Image {
    if image.width.max(image.height) <= side_max { image.clone() } else { scaled(image, side_max) }
}

/// `image` as PNG.
///
/// # Errors
/// When the encoder refuses it.
pub fn png(image: &Image) -> Result<Vec<u8>, ImageError> {
    let colour = if image.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut bytes = Cursor::new(Vec::new());
    PngEncoder::new(&mut bytes).write_image(&image.pixels, image.width as u32, image.height as u32, colour)?;
    Ok(bytes.into_inner())
}

/// Writes an image as PNG, atomically and readable by its owner alone: it shows images of a dataset.
pub fn write_png(path: &Path, image: &Image) -> Result<(), SheetError> {
    let bytes = png(image).map_err(|source| SheetError::Encode { path: path.display().to_string(), source })?;
    Ok(write_private(path, &bytes)?)
}

fn paste(sheet: &mut Image, tile: &Image, left: usize, top: usize) {
    let row_bytes = tile.width * 3;
    for (row, pixels) in tile.pixels.chunks_exact(row_bytes).enumerate() {
        let start = ((top + row) * sheet.width + left) * 3;
        sheet.pixels[start..start + row_bytes].copy_from_slice(pixels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{decode, open_named};

    #[test]
    fn tiles_lie_where_they_should() {
        let dataset = open_named("phantoms:16:12", 1).unwrap();
        let sheet = draw(&dataset, 3, 16, 1).unwrap();
        assert_eq!((sheet.width, sheet.height), (3 * 18 + 2, 6 * 18 + 2));
        let pixel = |x: usize, y: usize| &sheet.pixels[(y * sheet.width + x) * 3..][..3];
        assert_eq!(pixel(1, 30), [255; 3], "the gap is white");
        assert_eq!(pixel(2 + 2 * 18 + 8, 10), [255; 3], "there are only two images per class");
        // The first tile is one of the images of the first class.
        let same = |index: usize| (0..16).all(|x| pixel(2 + x, 2)[0] == dataset.load(index).unwrap().pixels[x]);
        assert!(same(0) || same(6));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        write_png(&path, &sheet).unwrap();
        assert_eq!(decode::read_image(&path).unwrap(), sheet);
    }
}
