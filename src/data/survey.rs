//! Decodes images to learn which are readable, and their size, colour, digest and raw range.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::decode::{DecodeOptions, RawFacts};
use super::source::SourceImage;
use super::{DataError, Dataset, Image, ImageDigest, Remark, ValueRange, evenly_spread};

/// Facts about one decoded image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 or 3, as stored.
    pub channels: usize,
    /// Whether it is grey, however it is stored.
    pub grey: bool,
    /// Equal for equal images.
    pub digest: ImageDigest,
}

impl ImageFacts {
    fn of(image: &Image) -> Self {
        let Image { width, height, channels, .. } = *image;
        Self { width, height, channels, grey: image.is_grey(), digest: ImageDigest::of(image) }
    }
}

impl Dataset {
    /// Decodes every image. Unreadable ones move from `records` to `skipped` with the reason; the facts of the others are
    /// returned in index order. `progress` is called with the number of images done and the total, from any thread.
    ///
    /// # Errors
    /// If no image is readable. If `strict`: the first skipped entry or unreadable image.
    pub fn check(
        &mut self,
        strict: bool,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Vec<ImageFacts>, DataError> {
        if strict && let Some((name, reason)) = self.skipped.first() {
            return Err(DataError::Decode { name: name.clone(), reason: reason.clone() });
        }
        let (done, len) = (AtomicUsize::new(0), self.len());
        let look = |index| {
            let facts = self.load(index).map(|image| ImageFacts::of(&image));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, len);
            facts
        };
        let looked: Vec<Result<ImageFacts, DataError>> = (0..len).into_par_iter().map(look).collect();
        let (records, items) = (std::mem::take(&mut self.records), std::mem::take(&mut self.items));
        let mut facts = Vec::with_capacity(len);
        let mut first_error = None;
        for ((record, item), looked) in records.into_iter().zip(items).zip(looked) {
            match looked {
                Ok(found) => {
                    facts.push(found);
                    self.records.push(record);
                    self.items.push(item);
                }
                Err(error) => {
                    self.skipped.push((record.name, error.to_string()));
                    first_error.get_or_insert(error);
                }
            }
        }
        self.remark_on_grey(&facts);
        match first_error {
            Some(error) if strict => Err(error),
            _ if self.is_empty() && self.skipped.is_empty() => {
                Err(DataError::Empty { path: self.name.clone(), expected: "at least one" })
            }
            _ if self.is_empty() => Err(DataError::all_skipped(self.name.clone(), &self.skipped)),
            _ => Ok(facts),
        }
    }

    /// At most `count` readable images of `indices`, spread evenly, and name and reason of the unreadable ones that were
    /// chosen first.
    pub fn readable_spread(&self, indices: &[usize], count: usize) -> (Vec<usize>, Vec<(String, String)>) {
        let (mut left, mut skipped) = (indices.to_vec(), Vec::new());
        loop {
            let chosen = evenly_spread(&left, count);
            let unreadable: BTreeMap<usize, String> =
                chosen.par_iter().filter_map(|&index| Some((index, self.load(index).err()?.to_string()))).collect();
            if unreadable.is_empty() {
                return (chosen, skipped);
            }
            left.retain(|index| !unreadable.contains_key(index));
            skipped.extend(unreadable.into_iter().map(|(index, reason)| (self.records[index].name.clone(), reason)));
        }
    }

    /// The smallest and the largest raw value of the images `indices` with samples of more than 8 bits; `None` if there are
    /// none. Unreadable images are left out.
    ///
    /// # Errors
    /// If all such images have a single value, which is no range.
    pub fn measure_range(&self, indices: &[usize]) -> Result<Option<ValueRange>, DataError> {
        let options = DecodeOptions { measure: true, range: None, needs_range: false, ..self.decode };
        let facts = |&index: &usize| match self.read(index, &options) {
            Ok(SourceImage::File(decoded)) => Some(decoded.raw),
            _ => None,
        };
        let deep = indices.par_iter().filter_map(facts).filter(RawFacts::takes_range);
        let limits = deep.map(|raw| [raw.low, raw.high]).reduce_with(|a, b| [a[0].min(b[0]), a[1].max(b[1])]);
        let Some([low, high]) = limits else { return Ok(None) };
        let range = ValueRange::new(low, high).map_err(|error| DataError::Malformed {
            path: self.name.clone(),
            what: "the range of raw values".to_owned(),
            found: error.found,
            expected: "two different values".to_owned(),
        })?;
        Ok(Some(range))
    }

    fn remark_on_grey(&mut self, facts: &[ImageFacts]) {
        let stored_in_colour = facts.iter().any(|fact| fact.channels == 3);
        if stored_in_colour && facts.iter().all(|fact| fact.grey) {
            self.remarks.push(Remark::GreyInColour { images: facts.len() });
        }
    }

    /// The channels that the images `indices` need, judged by a sample: 3 if an image shows colour, otherwise 1, with a
    /// remark if grey images are stored in colour. Unreadable images are left out.
    pub fn channels(&self, indices: &[usize]) -> (usize, Option<Remark>) {
        /// Sampled images.
        const SAMPLE: usize = 32;
        let mut stored_in_colour = false;
        let sample = evenly_spread(indices, SAMPLE);
        for image in sample.iter().filter_map(|&index| self.load(index).ok()) {
            stored_in_colour |= image.channels == 3;
            if !image.is_grey() {
                return (3, None);
            }
        }
        (1, stored_in_colour.then_some(Remark::GreyInColour { images: sample.len() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Record;
    use crate::data::source::{ImageFiles, PixelSource};

    /// A dataset of missing files.
    fn unreadable(count: usize) -> Dataset {
        let records = (0..count).map(|index| Record { name: index.to_string(), ..Record::default() }).collect();
        let files = (0..count).map(|index| format!("nowhere/{index}.png").into()).collect();
        Dataset::new("made up".to_owned(), records, ImageFiles(files))
    }

    struct ItemTenIsBroken;

    impl PixelSource for ItemTenIsBroken {
        fn read(&self, item: usize, _: &DecodeOptions) -> Result<SourceImage, DataError> {
            let image = Image { width: 1, height: 1, channels: 1, pixels: vec![0] };
            (item != 10)
                .then_some(SourceImage::Pixels(image))
                .ok_or(DataError::Empty { path: "10".into(), expected: "" })
        }
    }

    #[test]
    fn a_dataset_without_readable_images_is_an_error() {
        assert!(matches!(unreadable(0).check(false, &|_, _| ()), Err(DataError::Empty { .. })));
        assert!(matches!(unreadable(3).check(false, &|_, _| ()), Err(DataError::AllSkipped { count: 3, .. })));
        assert_eq!(unreadable(3).channels(&[0, 1, 2]), (1, None));
    }

    #[test]
    fn a_sample_is_spread_over_readable_images() {
        let dataset = Dataset::new("made up".to_owned(), vec![Record::default(); 40], ItemTenIsBroken);
        let mut all = dataset.indices(None);
        let (chosen, skipped) = dataset.readable_spread(&all, 4);
        assert!(chosen.len() == 4 && !chosen.contains(&10), "{chosen:?}");
        assert_eq!(skipped.len(), 1);
        all.remove(10);
        assert_eq!(dataset.readable_spread(&all, 4), (evenly_spread(&all, 4), Vec::new()));
        assert_eq!(unreadable(3).readable_spread(&[0, 1, 2], 2).0, Vec::<usize>::new());
    }
}
