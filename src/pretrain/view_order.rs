//! Numbered views, which repeat: those whose teacher features are known.

use crate::augment::Augmentation;
use crate::data::Image;
use crate::rng::Rng;

/// The order in which epochs train on the numbered views of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ViewOrder {
    pub seed: u64,
    /// Numbered views of an image, at least `each`.
    pub of: usize,
    /// Views of an image per step, 1 or 2.
    pub each: usize,
}

impl ViewOrder {
    /// The numbers of the views that visit `visit` of the image `index` of the dataset trains on: its epoch, or its round if sources
    /// are weighed.
    ///
    /// A single view is `visit` modulo [`Self::of`]. Pairs are drawn anew in every pass over the views, so that a view is not
    /// always compared with the same other.
    pub fn numbers(self, visit: u64, index: usize) -> Vec<usize> {
        let Self { seed, of, each } = self;
        if each == 1 {
            return vec![(visit % of as u64) as usize];
        }
        let visits = (of / each) as u64;
        let mut order: Vec<usize> = (0..of).collect();
        Rng::for_item(seed, "view order", visit / visits, index as u64).shuffle(&mut order);
        let start = (visit % visits) as usize * each;
        order[start..start + each].to_vec()
    }
}

/// The numbered view of `image`, the image `index` of the dataset.
///
/// The same number gives the same part, colours and blur at any size of `image`, if `augmentation` is scaled to it.
pub(super) fn numbered_view(
    image: &Image,
    augmentation: &Augmentation,
    seed: u64,
    number: usize,
    index: usize,
) -> Image {
    augmentation.apply(image, &mut Rng::for_item(seed, "augment", number as u64, index as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_is_used_once_per_pass() {
        let single = ViewOrder { seed: 1, of: 3, each: 1 };
        let numbers: Vec<usize> = (0..7).flat_map(|epoch| single.numbers(epoch, 5)).collect();
        assert_eq!(numbers, [0, 1, 2, 0, 1, 2, 0]);
        let pairs = ViewOrder { seed: 1, of: 4, each: 2 };
        let mut partners = std::collections::BTreeSet::new();
        for pass in 0..8 {
            let mut numbers: Vec<usize> = (0..2).flat_map(|part| pairs.numbers(2 * pass + part, 5)).collect();
            partners.insert(numbers[..2].to_vec());
            numbers.sort_unstable();
            assert_eq!(numbers, [0, 1, 2, 3]);
        }
        assert!(partners.len() > 2, "{partners:?}");
    }
}
