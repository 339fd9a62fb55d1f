//! A data set: an index in memory, the pixels read when asked for.

use std::path::PathBuf;
use std::sync::Arc;

use super::decode::DecodeOptions;
use super::raw::Seen;
use super::rows::Rows;
use super::{DataError, Image, Record, Remark, Split, decode, phantoms::Phantoms};

/// Where the pixels of one record lie.
#[derive(Clone)]
pub(crate) enum Place {
    /// A file of its own.
    File(PathBuf),
    /// A row of one of the data set's arrays.
    Row {
        /// Index into [`Dataset::arrays`].
        array: usize,
        /// Index in that array.
        row: usize,
    },
    /// A phantom, drawn when asked for.
    Phantom(usize),
}

/// A data set. It holds names and labels of its images, but none of their pixels.
pub struct Dataset {
    /// The path or name that it was opened by.
    pub name: String,
    /// One an image.
    pub records: Vec<Record>,
    /// The classes in label order; empty where nothing is labelled.
    pub class_names: Vec<String>,
    /// Name and reason of what lies in the data set and cannot be read.
    pub skipped: Vec<(String, String)>,
    /// How it was understood and what was not used.
    pub remarks: Vec<Remark>,
    /// How its image files are read. Arrays hold 8-bit pixels, which it does not concern.
    pub decode: DecodeOptions,
    pub(super) seen: Seen,
    pub(super) places: Vec<Place>,
    pub(super) arrays: Vec<Rows>,
    pub(super) phantoms: Option<Arc<Phantoms>>,
}

impl Dataset {
    /// An empty data set, to be filled by a reader.
    pub(crate) fn new(name: String, class_names: Vec<String>) -> Self {
        let (records, skipped, places, arrays) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            name,
            records,
            class_names,
            skipped,
            remarks: Vec::new(),
            decode: DecodeOptions::default(),
            seen: Seen::default(),
            places,
            arrays,
            phantoms: None,
        }
    }

    /// Appends one image.
    pub(crate) fn push(&mut self, record: Record, place: Place) {
        self.records.push(record);
        self.places.push(place);
    }

    /// Leaves only classes that have an image, in their order.
    pub(super) fn drop_absent_classes(&mut self) {
        let mut occurs = vec![false; self.class_names.len()];
        self.records.iter().filter_map(|record| record.label).for_each(|label| occurs[label] = true);
        let before: Vec<usize> =
            occurs.iter().scan(0, |sum, &is| Some(std::mem::replace(sum, *sum + usize::from(is)))).collect();
        self.records.iter_mut().for_each(|record| record.label = record.label.map(|label| before[label]));
        let mut occurs = occurs.into_iter();
        self.class_names.retain(|_| occurs.next().unwrap_or(false));
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Reads the pixels of image `index` now. Any number of threads may do so at once.
    pub fn load(&self, index: usize) -> Result<Image, DataError> {
        let out_of_range = || DataError::OutOfRange { dataset: self.name.clone(), index, len: self.len() };
        match self.places.get(index).ok_or_else(out_of_range)? {
            Place::File(path) => {
                let decoded = decode::read(path, &self.decode)?;
                self.seen.add(&decoded);
                Ok(decoded.image)
            }
            Place::Row { array, row } => self.arrays[*array].image(*row),
            Place::Phantom(item) => Ok(self.phantoms.as_ref().ok_or_else(out_of_range)?.draw(*item)),
        }
    }

    /// The images of one split, or all with `None`, in index order.
    pub fn indices(&self, split: Option<Split>) -> Vec<usize> {
        (0..self.len()).filter(|&i| split.is_none() || self.records[i].split == split).collect()
    }

    /// The labels of some images, in their order.
    ///
    /// # Panics
    /// On an index that is not below [`Dataset::len`].
    pub fn labels(&self, indices: &[usize]) -> Vec<Option<usize>> {
        indices.iter().map(|&index| self.records[index].label).collect()
    }

    /// Whether any image says which split it belongs to.
    pub fn has_splits(&self) -> bool {
        self.records.iter().any(|record| record.split.is_some())
    }
}
