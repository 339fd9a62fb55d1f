//! Which images of a dataset a purpose uses.

use super::{Dataset, Split};

impl Dataset {
    /// The images to learn from: the `train` split, or every image if no image names a split.
    ///
    /// Empty if the dataset names splits but none is `train`: images of another split are never learned from.
    pub fn train_indices(&self) -> Vec<usize> {
        self.indices(self.has_splits().then_some(Split::Train))
    }

    /// Keeps the images `indices`, in that order, and drops all others.
    ///
    /// # Panics
    /// If an index is not below [`Dataset::len`].
    pub fn keep(&mut self, indices: &[usize]) {
        self.records = indices.iter().map(|&index| self.records[index].clone()).collect();
        self.items = indices.iter().map(|&index| self.items[index]).collect();
    }

    /// The images to validate a run on: the `val` split, or `test` if there is none. Empty if there is neither.
    pub fn validation_indices(&self) -> Vec<usize> {
        let of = |split| self.indices(Some(split));
        Some(of(Split::Val)).filter(|val| !val.is_empty()).unwrap_or_else(|| of(Split::Test))
    }

    /// The images of `split`, or every image if `split` has none.
    ///
    /// For measurements that nothing is learned from and that claim no accuracy: corpus statistics and calibration
    /// (`train`), parity and golden images (`test`). Any image will do there, so a dataset of one split is enough.
    pub fn split_or_all(&self, split: Split) -> Vec<usize> {
        Some(self.indices(Some(split))).filter(|of_split| !of_split.is_empty()).unwrap_or_else(|| self.indices(None))
    }
}

/// At most `count` of `items`, spread evenly over them, in their order.
pub fn evenly_spread<T: Copy>(items: &[T], count: usize) -> Vec<T> {
    let count = count.min(items.len());
    (0..count).map(|i| items[spread_position(i, count, items.len())]).collect()
}

/// Position of pick `i` of `count` spread evenly over `len` items: `i len / count`. Picks repeat if `count > len`.
pub fn spread_position(i: usize, count: usize, len: usize) -> usize {
    i * len / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_fall_back_as_documented() {
        let mut dataset = crate::data::open_named("phantoms:16:12", 1).unwrap();
        let set = |dataset: &mut Dataset, splits: [Option<Split>; 2]| {
            dataset.records.iter_mut().enumerate().for_each(|(index, record)| record.split = splits[index % 2]);
        };
        let (all, even) = (dataset.indices(None), vec![0, 2, 4, 6, 8, 10]);
        for (splits, train, validation, train_or_all) in [
            ([None, None], &all, &vec![], &all),
            ([Some(Split::Train), None], &even, &vec![], &even),
            ([Some(Split::Test), None], &vec![], &even, &all),
            ([Some(Split::Val), Some(Split::Test)], &vec![], &even, &all),
        ] {
            set(&mut dataset, splits);
            assert_eq!(&dataset.train_indices(), train, "{splits:?}");
            assert_eq!(&dataset.validation_indices(), validation, "{splits:?}");
            assert_eq!(&dataset.split_or_all(Split::Train), train_or_all, "{splits:?}");
        }
    }

    #[test]
    fn picks_are_spread_over_all_items() {
        assert_eq!(evenly_spread(&[0, 1, 2, 3, 4, 5, 6], 3), [0, 2, 4]);
        assert_eq!(evenly_spread(&['a', 'b'], 5), ['a', 'b']);
        assert!(evenly_spread::<u8>(&[], 5).is_empty());
        assert_eq!((0..4).map(|i| spread_position(i, 4, 2)).collect::<Vec<_>>(), [0, 0, 1, 1]);
    }
}
