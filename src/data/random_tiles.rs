//! Random tiles of many large images, for training.
//!
//! Decoding a photograph of 12 million pixels takes a hundred times as long as training on one of its tiles. So each image
//! is decoded once, brought to the finest scale and kept: in memory up to a limit, then in an unnamed temporary file, from
//! which a tile reads its rows only. What is kept where does not change a tile.

use std::fs::File;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::decode::PIXELS_MAX;
use super::rows::{UNPACKED_BYTES_MAX, read_at, write_at};
use super::tile_spec::TileSpec;
use super::tiles::{brightness_deviation, level_size};
use super::{DataError, Dataset, Image, ImageDigest, Preprocessing};
use crate::rng::Rng;

/// Draws of a place before an empty tile is taken.
const DRAWS: usize = 8;

/// Draws tiles of the images of a dataset.
pub struct RandomTiles<'a> {
    dataset: &'a Dataset,
    indices: Vec<usize>,
    spec: TileSpec,
    /// The size and channels of a tile.
    preprocessing: Preprocessing,
    kept: Vec<OnceLock<Kept>>,
    memory_max: usize,
    memory_used: AtomicUsize,
    spilled: Spilled,
}

/// An image at the finest scale.
enum Kept {
    Memory(Arc<Image>),
    File { offset: u64, width: usize, height: usize },
}

/// The temporary file, made for the first image that needs it.
struct Spilled {
    file: OnceLock<Option<File>>,
    end: AtomicU64,
}

impl<'a> RandomTiles<'a> {
    /// Of the images `indices`, with at most `memory_max` bytes of pixels in memory.
    ///
    /// * `preprocessing`: size and channels of a tile
    pub fn new(
        dataset: &'a Dataset,
        indices: Vec<usize>,
        spec: TileSpec,
        preprocessing: Preprocessing,
        memory_max: usize,
    ) -> Self {
        let kept = indices.iter().map(|_| OnceLock::new()).collect();
        let spilled = Spilled { file: OnceLock::new(), end: AtomicU64::new(0) };
        let memory_used = AtomicUsize::new(0);
        Self { dataset, indices, spec, preprocessing, kept, memory_max, memory_used, spilled }
    }

    /// Reads and keeps the image at `position` of the selection. Returns the digest of the decoded image.
    ///
    /// # Errors
    /// If it cannot be read, or a scale below 1 makes it larger than an image may be.
    ///
    /// # Panics
    /// If `position` is not below the number of images.
    pub fn keep_and_digest(&self, position: usize) -> Result<ImageDigest, DataError> {
        let (decoded, image) = self.load(position)?;
        self.keep(position, &Arc::new(image));
        Ok(ImageDigest::of(&decoded))
    }

    /// A random tile of the image at `position`, of a random scale. Of eight places the first that is not empty is taken, else the
    /// one with the greatest deviation. Any number of threads may call this at once.
    ///
    /// # Errors
    /// As [`Self::keep_and_digest`].
    ///
    /// # Panics
    /// If `position` is not below the number of images.
    pub fn tile(&self, position: usize, rng: &mut Rng) -> Result<Image, DataError> {
        let Some(kept) = self.kept[position].get() else {
            let image = Arc::new(self.load(position)?.1);
            self.keep(position, &image);
            return self.draw([image.width, image.height], rng, |part| Ok(cut(&image, part)));
        };
        match kept {
            Kept::Memory(image) => self.draw([image.width, image.height], rng, |part| Ok(cut(image, part))),
            &Kept::File { offset, width, height } => {
                self.draw([width, height], rng, |part| self.read(offset, width, part))
            }
        }
    }

    /// Bytes of pixels in memory.
    pub fn memory_used(&self) -> usize {
        self.memory_used.load(Ordering::Relaxed)
    }

    /// Whether the image at `position` is kept.
    ///
    /// # Panics
    /// If `position` is not below the number of images.
    pub fn is_kept(&self, position: usize) -> bool {
        self.kept[position].get().is_some()
    }

    /// The image at `position` as it was decoded, and at the finest scale.
    fn load(&self, position: usize) -> Result<(Image, Image), DataError> {
        let index = self.indices[position];
        let decoded = self.dataset.load(index)?;
        let image = at_finest_scale(&decoded, &self.dataset.records[index].name, &self.spec, &self.preprocessing)?;
        Ok((decoded, image))
    }

    fn draw(
        &self,
        size: [usize; 2],
        rng: &mut Rng,
        read: impl Fn([usize; 4]) -> Result<Image, DataError>,
    ) -> Result<Image, DataError> {
        draw(&self.spec, &self.preprocessing, size, rng, read)
    }

    /// The part `[left, top, width, height]` of an image of `columns` columns in the file.
    fn read(&self, offset: u64, columns: usize, [left, top, width, height]: [usize; 4]) -> Result<Image, DataError> {
        let channels = self.preprocessing.channels;
        let mut pixels = vec![0; width * height * channels];
        let file = self.spilled.file.get().and_then(Option::as_ref).expect("an image was written to it");
        for (row, pixels) in pixels.chunks_exact_mut(width * channels).enumerate() {
            let at = offset + (((top + row) * columns + left) * channels) as u64;
            read_at(file, pixels, at).map_err(DataError::io(&std::env::temp_dir()))?;
        }
        Ok(Image { width, height, channels, pixels })
    }

    fn keep(&self, position: usize, image: &Arc<Image>) {
        let (slot, len) = (&self.kept[position], image.pixels.len());
        let fits = |used: usize| used.checked_add(len).filter(|&sum| sum <= self.memory_max);
        if self.memory_used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok() {
            if slot.set(Kept::Memory(Arc::clone(image))).is_err() {
                // Another thread kept the same image first.
                self.memory_used.fetch_sub(len, Ordering::Relaxed);
            }
        } else if let Some(offset) = self.spilled.write(&image.pixels) {
            let _ = slot.set(Kept::File { offset, width: image.width, height: image.height });
        }
    }
}

impl Spilled {
    /// Writes `pixels` and returns where; `None` if the disk is full or the limit reached. Then the image is decoded again for each
    /// of its tiles, which only takes time.
    fn write(&self, pixels: &[u8]) -> Option<u64> {
        let file = self.file.get_or_init(|| tempfile::tempfile().ok()).as_ref()?;
        let len = pixels.len() as u64;
        let fits = |end: u64| end.checked_add(len).filter(|&end| end <= UNPACKED_BYTES_MAX);
        let offset = self.end.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        write_at(file, pixels, offset).ok()?;
        Some(offset)
    }
}

/// A random tile of the image called `name` with size and channels of `preprocessing`, as [`RandomTiles::tile`] draws it.
///
/// # Errors
/// If a scale below 1 makes it larger than an image may be.
pub fn random_tile(
    (image, name): (&Image, &str),
    spec: &TileSpec,
    preprocessing: &Preprocessing,
    rng: &mut Rng,
) -> Result<Image, DataError> {
    let image = at_finest_scale(image, name, spec, preprocessing)?;
    draw(spec, preprocessing, [image.width, image.height], rng, |part| Ok(cut(&image, part)))
}

fn at_finest_scale(
    decoded: &Image,
    name: &str,
    spec: &TileSpec,
    preprocessing: &Preprocessing,
) -> Result<Image, DataError> {
    let &Preprocessing { width, height, channels, .. } = preprocessing;
    let scale = spec.scales()[0];
    let [across, down] = level_size([decoded.width, decoded.height], [width, height], scale);
    let (width, height) = (across as u64, down as u64);
    // Scale 1/8 makes 64 times as many pixels of an image that decoding allows.
    if width * height > PIXELS_MAX {
        let name = format!("{name} at a scale of {scale}");
        return Err(DataError::TooLarge { name, width, height, limit: PIXELS_MAX });
    }
    Ok(Preprocessing::unit(channels, down, across).to_pixels(decoded))
}

/// Draws a tile of an image of `size` at the finest scale, whose parts `[left, top, width, height]` `read` returns.
fn draw<E>(
    spec: &TileSpec,
    preprocessing: &Preprocessing,
    size: [usize; 2],
    rng: &mut Rng,
    read: impl Fn([usize; 4]) -> Result<Image, E>,
) -> Result<Image, E> {
    let scales = spec.scales();
    let ratio = scales[rng.below(scales.len())] / scales[0];
    let side = |tile: usize, len: usize| ((tile as f32 * ratio).round() as usize).clamp(1, len);
    let (width, height) = (side(preprocessing.width, size[0]), side(preprocessing.height, size[1]));
    let mut one = || -> Result<(f64, Image), E> {
        let (left, top) = (rng.below(size[0] - width + 1), rng.below(size[1] - height + 1));
        let tile = preprocessing.to_pixels(&read([left, top, width, height])?);
        Ok((brightness_deviation([&tile.pixels[..]].into_iter(), tile.channels), tile))
    };
    let mut best = one()?;
    for _ in 1..DRAWS {
        if best.0 >= f64::from(spec.empty()) {
            break;
        }
        let next = one()?;
        if next.0 > best.0 {
            best = next;
        }
    }
    Ok(best.1)
}

/// The part `[left, top, width, height]` of an image.
fn cut(image: &Image, [left, top, width, height]: [usize; 4]) -> Image {
    let row = |y: usize| &image.pixels[(y * image.width + left) * image.channels..][..width * image.channels];
    Image { width, height, channels: image.channels, pixels: (top..top + height).flat_map(row).copied().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiles<'a>(dataset: &'a Dataset, spec: &str, memory_max: usize) -> RandomTiles<'a> {
        RandomTiles::new(
            dataset,
            dataset.indices(None),
            spec.parse().unwrap(),
            Preprocessing::unit(1, 16, 16),
            memory_max,
        )
    }

    #[test]
    fn a_tile_is_the_same_from_memory_from_the_file_and_decoded_again() {
        let dataset = crate::data::open_named("phantoms:64:12", 2).unwrap();
        let (memory, file) = (tiles(&dataset, "1+2", 1 << 20), tiles(&dataset, "1+2", 3 * 64 * 64 + 9));
        for position in 0..12 {
            let digest = ImageDigest::of(&dataset.load(position).unwrap());
            assert_eq!(
                [memory.keep_and_digest(position).unwrap(), file.keep_and_digest(position).unwrap()],
                [digest; 2]
            );
        }
        assert_eq!((memory.memory_used(), file.memory_used()), (12 * 64 * 64, 3 * 64 * 64));
        assert!((0..12).all(|position| file.is_kept(position)), "the others are in the file");
        let again = tiles(&dataset, "1+2", 0);
        for (position, epoch) in (0..12).flat_map(|position| [(position, 0), (position, 1)]) {
            let rng = || Rng::for_item(7, "tile", epoch, position as u64);
            let expected = memory.tile(position, &mut rng()).unwrap();
            assert_eq!((expected.width, expected.height, expected.channels), (16, 16, 1));
            assert_eq!(file.tile(position, &mut rng()).unwrap(), expected);
            assert_eq!(again.tile(position, &mut rng()).unwrap(), expected);
        }
        let draws: Vec<Image> =
            (0..40).map(|epoch| memory.tile(0, &mut Rng::for_item(7, "tile", epoch, 0)).unwrap()).collect();
        assert!((1..40).filter(|&at| draws[at] != draws[0]).count() > 30, "places differ between epochs");
    }

    #[test]
    fn an_image_that_a_scale_makes_too_large_is_refused_by_name() {
        let image = Image { width: 2_048, height: 1_024, channels: 1, pixels: vec![0; 1 << 21] };
        let tile = |scale: &str| {
            let preprocessing = Preprocessing::unit(1, 16, 16);
            random_tile((&image, "a.png"), &scale.parse().unwrap(), &preprocessing, &mut Rng::for_purpose(1, "test"))
        };
        assert!(tile("1").is_ok());
        match tile("0.125") {
            Err(DataError::TooLarge { name, width, height, limit }) => {
                assert_eq!((width, height, limit), (16_384, 8_192, PIXELS_MAX));
                assert!(name.starts_with("a.png"), "{name}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tiles_come_from_inside_and_empty_ones_are_avoided() {
        let folder = tempfile::tempdir().unwrap();
        // A checked square of 20×20 in an image of 80×60 whose rest is uniform.
        let pixel = |x: u32, y: u32| {
            let inside = (30..50).contains(&x) && (20..40).contains(&y);
            image::Luma([if inside && (x + y).is_multiple_of(2) { 255 } else { 9 }])
        };
        image::GrayImage::from_fn(80, 60, pixel).save(folder.path().join("a.png")).unwrap();
        let dataset = crate::data::open(folder.path()).unwrap();
        let empty = |spec: &str| {
            let tiles = tiles(&dataset, spec, 1 << 20);
            let is_empty = |epoch: u64| {
                let tile = tiles.tile(0, &mut Rng::for_item(1, "tile", epoch, 0)).unwrap();
                tile.pixels.iter().all(|&value| value == 9)
            };
            (0..200).filter(|&epoch| is_empty(epoch)).count()
        };
        // 35² of 65 × 45 places touch the square: 42 %. Eight draws miss it in 1 % of tiles.
        assert!((80..145).contains(&empty("1,empty=0")), "{}", empty("1,empty=0"));
        assert!(empty("1") < 12, "{}", empty("1"));
    }
}
