//! A dataset: an index in memory, with pixels that are read when they are needed.

use super::decode::DecodeOptions;
use super::decode_stats::{DecodeStats, RawSamples};
use super::kept::KeptImages;
use super::source::{PixelSource, SourceImage};
use super::{DataError, Image, Record, Remark, Split};

/// Bytes of decoded pixels to keep while several encoders read the same images: 10,000 grey images of 224 × 224 pixels.
pub const DECODED_BYTES_MAX: usize = 512 << 20;

/// A dataset. It holds the names and labels of its images, but none of their pixels.
pub struct Dataset {
    /// The path or name by which it was opened.
    pub name: String,
    /// One per image.
    pub records: Vec<Record>,
    /// The classes in label order; empty if nothing is labelled.
    pub class_names: Vec<String>,
    /// Name and reason of each entry that cannot be read.
    pub skipped: Vec<(String, String)>,
    /// How the dataset was interpreted, and what was not used.
    pub remarks: Vec<Remark>,
    /// How its image files are read. It does not affect sources of 8-bit pixels.
    pub decode: DecodeOptions,
    decode_stats: DecodeStats,
    pub(super) source: Box<dyn PixelSource>,
    /// Number of each image in `source`.
    pub(super) items: Vec<usize>,
    kept: Option<KeptImages>,
}

impl Dataset {
    /// A dataset of `records`, the images 0, 1, … of `source`, with no class yet.
    pub(super) fn new(name: String, records: Vec<Record>, source: impl PixelSource + 'static) -> Self {
        Self {
            name,
            items: (0..records.len()).collect(),
            records,
            class_names: Vec::new(),
            skipped: Vec::new(),
            remarks: Vec::new(),
            decode: DecodeOptions::default(),
            decode_stats: DecodeStats::default(),
            source: Box::new(source),
            kept: None,
        }
    }

    /// Sets the classes to those of `names` that have an image, and renumbers the labels, which are positions in `names`.
    pub(super) fn set_classes_that_occur(&mut self, names: Vec<String>) {
        let mut occurs = vec![false; names.len()];
        self.records.iter().filter_map(|record| record.label).for_each(|label| occurs[label] = true);
        let before: Vec<usize> =
            occurs.iter().scan(0, |sum, &is| Some(std::mem::replace(sum, *sum + usize::from(is)))).collect();
        self.records.iter_mut().for_each(|record| record.label = record.label.map(|label| before[label]));
        let mut occurs = occurs.into_iter();
        self.class_names = names.into_iter().filter(|_| occurs.next().unwrap_or(false)).collect();
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Keeps decoded images in memory, up to `bytes_max` bytes of pixels, so that several passes decode each of these once.
    /// Images that were decoded with other options than [`Dataset::decode`] at this call are not kept.
    pub fn keep_decoded(&mut self, bytes_max: usize) {
        self.kept = Some(KeptImages::new(self.decode, self.len(), bytes_max));
    }

    /// Reads the pixels of image `index`. Any number of threads may call this at once.
    pub fn load(&self, index: usize) -> Result<Image, DataError> {
        let kept = self.kept.as_ref().filter(|kept| kept.options == self.decode);
        if let Some(image) = kept.and_then(|kept| kept.get(index)) {
            return Ok(image);
        }
        let image = match self.read(index, &self.decode)? {
            SourceImage::File(decoded) => {
                self.decode_stats.add(&decoded);
                decoded.image
            }
            SourceImage::Pixels(image) => image,
        };
        kept.inspect(|kept| kept.keep(index, &image));
        Ok(image)
    }

    /// Reads image `index` with `options` instead of the dataset's own; [`Dataset::raw_samples`] does not count it.
    pub(super) fn read(&self, index: usize, options: &DecodeOptions) -> Result<SourceImage, DataError> {
        let out_of_range = || DataError::OutOfRange { dataset: self.name.clone(), index, len: self.len() };
        self.source.read(*self.items.get(index).ok_or_else(out_of_range)?, options)
    }

    /// The samples of the image files read so far, by kind and bits.
    pub fn raw_samples(&self) -> Vec<RawSamples> {
        self.decode_stats.samples()
    }

    /// Remarks on the image files read so far, see [`DecodeStats::remarks`].
    pub fn raw_remarks(&self) -> Vec<Remark> {
        self.decode_stats.remarks(self.decode.range)
    }

    /// Indices of the images of one split, or of all images for `None`, in order.
    pub fn indices(&self, split: Option<Split>) -> Vec<usize> {
        (0..self.len()).filter(|&i| split.is_none() || self.records[i].split == split).collect()
    }

    /// The labels of the images `indices`, in that order.
    ///
    /// # Panics
    /// If an index is not below [`Dataset::len`].
    pub fn labels(&self, indices: &[usize]) -> Vec<Option<usize>> {
        indices.iter().map(|&index| self.records[index].label).collect()
    }

    /// Whether any image names its split.
    pub fn has_splits(&self) -> bool {
        self.records.iter().any(|record| record.split.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_images_are_decoded_once_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = |number: u8| folder.path().join(format!("{number}.png"));
        for number in 0..4 {
            image::GrayImage::from_pixel(10, 10, image::Luma([number])).save(path(number)).unwrap();
        }
        let mut dataset = crate::data::open(folder.path()).unwrap();
        // Room for two of four images.
        dataset.keep_decoded(250);
        let before: Vec<Image> = (0..4).map(|index| dataset.load(index).unwrap()).collect();
        assert_eq!(dataset.load(0).unwrap(), before[0]);
        (0..4).for_each(|number| std::fs::remove_file(path(number)).unwrap());
        let again: Vec<Option<Image>> = (0..4).map(|index| dataset.load(index).ok()).collect();
        assert_eq!(again, [Some(before[0].clone()), Some(before[1].clone()), None, None]);
        dataset.decode.range = super::super::ValueRange::new(0.0, 9.0).ok();
        assert!(dataset.load(0).is_err(), "an image decoded with other options is not returned");
    }
}
