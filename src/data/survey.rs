//! Looks at every pixel once: what can be read, how large it is, and what it equals.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::remark::Remark;
use super::{DataError, Dataset, Image, ImageDigest, evenly_spread};

/// What one look at an image's pixels tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 or 3, as stored.
    pub channels: usize,
    /// Whether it shows no colour, however it is stored.
    pub grey: bool,
    /// Equal for equal pictures.
    pub digest: ImageDigest,
}

impl Facts {
    fn of(image: &Image) -> Self {
        let Image { width, height, channels, .. } = *image;
        Self { width, height, channels, grey: image.is_grey(), digest: ImageDigest::of(image) }
    }
}

impl Dataset {
    /// Decodes every image. Those that cannot be read move from `records` to `skipped` with the
    /// reason, and the facts of the others are returned in index order.
    ///
    /// With `strict` the first unreadable one by index is the error, and so is what the reader itself
    /// has skipped. `progress` is called with the number done so far and the number of all,
    /// from any thread.
    pub fn check(&mut self, strict: bool, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Vec<Facts>, DataError> {
        if strict && let Some((name, reason)) = self.skipped.first() {
            return Err(DataError::Decode { name: name.clone(), reason: reason.clone() });
        }
        let (done, len) = (AtomicUsize::new(0), self.len());
        let look = |index| {
            let facts = self.load(index).map(|image| Facts::of(&image));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, len);
            facts
        };
        let looked: Vec<Result<Facts, DataError>> = (0..len).into_par_iter().map(look).collect();
        let (records, places) = (std::mem::take(&mut self.records), std::mem::take(&mut self.places));
        let mut facts = Vec::with_capacity(len);
        let mut first_error = None;
        for ((record, place), looked) in records.into_iter().zip(places).zip(looked) {
            match looked {
                Ok(found) => {
                    facts.push(found);
                    self.push(record, place);
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

    /// At most `count` of the images `indices` that can be read, spread evenly over them; name and reason of those that
    /// were chosen first and cannot be.
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

    fn remark_on_grey(&mut self, facts: &[Facts]) {
        let stored_in_colour = facts.iter().any(|fact| fact.channels == 3);
        if stored_in_colour && facts.iter().all(|fact| fact.grey) {
            self.remarks.push(Remark::GreyInColour { images: facts.len() });
        }
    }

    /// The channels that the images `indices` need: 3 where any of some spread over them shows colour, else 1. Images
    /// that cannot be read are not counted; with them goes whether grey ones are stored in colour, as a remark.
    pub fn channels(&self, indices: &[usize]) -> (usize, Option<Remark>) {
        /// Images looked at.
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
    use crate::data::dataset::Place;

    /// Files that are not there.
    fn unreadable(count: usize) -> Dataset {
        let mut dataset = Dataset::new("made up".to_owned(), Vec::new());
        for index in 0..count {
            let record = Record { name: index.to_string(), label: None, split: None, group: None };
            dataset.push(record, Place::File(format!("nowhere/{index}.png").into()));
        }
        dataset
    }

    #[test]
    fn nothing_to_look_at_is_an_error() {
        assert!(matches!(unreadable(0).check(false, &|_, _| ()), Err(DataError::Empty { .. })));
        assert!(matches!(unreadable(3).check(false, &|_, _| ()), Err(DataError::AllSkipped { count: 3, .. })));
        assert_eq!(unreadable(3).channels(&[0, 1, 2]), (1, None));
    }

    #[test]
    fn a_sample_is_spread_over_what_can_be_read() {
        let mut dataset = crate::data::open_named("phantoms:16:40", 1).unwrap();
        let all = dataset.indices(None);
        assert_eq!(dataset.readable_spread(&all, 4), (evenly_spread(&all, 4), Vec::new()));
        dataset.places[10] = Place::File("nowhere/10.png".into());
        let (chosen, skipped) = dataset.readable_spread(&all, 4);
        assert!(chosen.len() == 4 && !chosen.contains(&10), "{chosen:?}");
        assert_eq!(skipped.len(), 1);
        assert_eq!(unreadable(3).readable_spread(&[0, 1, 2], 2).0, Vec::<usize>::new());
    }
}
