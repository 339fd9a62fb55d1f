//! Test images that a classifier has seen in training, in the same or nearly the same form.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;
use serde::Serialize;

use super::fingerprint::Fingerprint;
use super::near::NearIndex;
use super::{DataError, Dataset, ImageDigest};

/// What identifies an image: its pixels, and what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Equal for equal images.
    pub digest: ImageDigest,
    /// Near for nearly equal images; `None` for an image without contrast.
    pub fingerprint: Option<Fingerprint>,
}

impl Dataset {
    /// Digests and fingerprints of the images `indices`, in that order, with an error for each that cannot be read.
    pub fn looks(&self, indices: &[usize], progress: &(dyn Fn(usize) + Sync)) -> Vec<Result<Look, DataError>> {
        let look = |&index: &usize| {
            let look = self
                .load(index)
                .map(|image| Look { digest: ImageDigest::of(&image), fingerprint: Fingerprint::of(&image) });
            progress(1);
            look
        };
        indices.par_iter().map(look).collect()
    }
}

/// How far test images are independent of training images and of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SplitLeaks {
    /// Test images.
    pub test_images: usize,
    /// Test images that are equal to a training image, pixel for pixel.
    pub equal: usize,
    /// Other test images that are nearly equal to a training image by their fingerprints.
    pub nearly_equal: usize,
    /// Groups (patients) with training and test images.
    pub groups: usize,
    /// Test images that are equal or nearly equal to another test image outside their group. An episode may draw one of them
    /// as a support and the other as a query.
    pub repeated: usize,
}

impl SplitLeaks {
    /// Compares the images `test` with the images `train` and with each other.
    ///
    /// * `looks`: by index; images without are taken for unlike all others
    pub fn find(dataset: &Dataset, train: &[usize], test: &[usize], looks: &HashMap<usize, Look>) -> Self {
        let digests: HashSet<ImageDigest> = looks_of(train, looks).map(|(_, look)| look.digest).collect();
        let trained = near_index(train, looks);
        let of_train = |look: &Look| match digests.contains(&look.digest) {
            true => [1, 0],
            false => [0, usize::from(look.fingerprint.is_some_and(|print| trained.any(&print, |_| true)))],
        };
        let tested: Vec<(usize, Look)> = looks_of(test, looks).collect();
        let counts = tested.par_iter().map(|(_, look)| of_train(look));
        let [equal, nearly_equal] = counts.reduce(|| [0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);

        let mut of_digest: HashMap<ImageDigest, Vec<usize>> = HashMap::new();
        tested.iter().for_each(|&(index, look)| of_digest.entry(look.digest).or_default().push(index));
        let near_tested = near_index(test, looks);
        let group = |index: usize| dataset.records[index].group.as_deref();
        let is_repeated = |&&(index, look): &&(usize, Look)| {
            let is_other = |other: usize| other != index && (group(other).is_none() || group(other) != group(index));
            of_digest[&look.digest].iter().any(|&other| is_other(other))
                || look.fingerprint.is_some_and(|print| near_tested.any(&print, is_other))
        };
        let repeated = tested.par_iter().filter(is_repeated).count();

        let groups = |indices: &[usize]| indices.iter().filter_map(|&index| group(index)).collect::<HashSet<_>>();
        let groups = groups(train).intersection(&groups(test)).count();
        Self { test_images: test.len(), equal, nearly_equal, groups, repeated }
    }

    /// What a reader of figures of a classifier or an encoder that was trained on the training images should know.
    ///
    /// * `data`: the dataset's name on the command line
    pub fn training_remarks(&self, data: &str) -> Vec<String> {
        let Self { test_images, equal, nearly_equal, groups, .. } = self;
        let mut remarks = Vec::new();
        if equal + nearly_equal > 0 {
            remarks.push(format!(
                "leaky split: {equal} of {test_images} test images are equal to a training image and {nearly_equal} more nearly \
                 equal: figures after training on these may be too high; `macula data {data} --report` lists them"
            ));
        }
        if *groups > 0 {
            remarks.push(format!(
                "leaky split: {groups} groups (patients) have training and test images: figures after training on these may be \
                 too high; `macula data {data}` counts them"
            ));
        }
        remarks
    }

    /// As [`Self::training_remarks`], and what a reader of figures of episodes should know, whose supports and queries are all
    /// test images.
    ///
    /// * `data`: the dataset's name on the command line
    pub fn episode_remarks(&self, data: &str) -> Vec<String> {
        let Self { test_images, repeated, .. } = self;
        let mut remarks = self.training_remarks(data);
        if *repeated > 0 {
            remarks.push(format!(
                "repeated images: {repeated} of {test_images} test images are equal or nearly equal to another one, and an \
                 episode may draw one as support and the other as query: figures may be too high; `macula data {data} --report` \
                 lists them"
            ));
        }
        remarks
    }
}

fn looks_of<'a>(indices: &'a [usize], looks: &'a HashMap<usize, Look>) -> impl Iterator<Item = (usize, Look)> + 'a {
    indices.iter().filter_map(|&index| Some((index, *looks.get(&index)?)))
}

fn near_index(indices: &[usize], looks: &HashMap<usize, Look>) -> NearIndex {
    NearIndex::new(looks_of(indices, looks).filter_map(|(index, look)| Some((index, look.fingerprint?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Image, Record, open_named};

    /// Looks of phantoms 0 to 9 with those of `changed` in place of others.
    fn looks(changed: &[(usize, Image)]) -> (Dataset, HashMap<usize, Look>) {
        let dataset = open_named("phantoms:64:10", 1).unwrap();
        let all = dataset.indices(None);
        let mut looks: HashMap<usize, Look> =
            all.iter().copied().zip(dataset.looks(&all, &|_| ()).into_iter().map(Result::unwrap)).collect();
        for (index, image) in changed {
            looks.insert(*index, Look { digest: ImageDigest::of(image), fingerprint: Fingerprint::of(image) });
        }
        (dataset, looks)
    }

    fn brighter(image: &Image) -> Image {
        Image { pixels: image.pixels.iter().map(|&value| value - value / 8 + 20).collect(), ..image.clone() }
    }

    #[test]
    fn equal_and_nearly_equal_images_are_counted_apart() {
        let (dataset, clean) = looks(&[]);
        let (train, test): (Vec<usize>, Vec<usize>) = ((0..5).collect(), (5..10).collect());
        let none = SplitLeaks { test_images: 5, ..SplitLeaks::default() };
        assert_eq!(SplitLeaks::find(&dataset, &train, &test, &clean), none);
        assert!(none.training_remarks("x").is_empty() && none.episode_remarks("x").is_empty());
        let image = |index: usize| dataset.load(index).unwrap();
        let (mut dataset, leaky) =
            looks(&[(5, image(1)), (6, brighter(&image(2))), (8, image(9)), (7, brighter(&image(9)))]);
        let found = SplitLeaks::find(&dataset, &train, &test, &leaky);
        assert_eq!(found, SplitLeaks { equal: 1, nearly_equal: 1, repeated: 3, ..none });
        assert_eq!(found.training_remarks("x").len(), 1);
        assert!(found.training_remarks("x")[0].contains("1 of 5"), "{:?}", found.training_remarks("x"));
        assert!(found.episode_remarks("x")[1].contains("3 of 5"), "{:?}", found.episode_remarks("x"));
        // Images of one group are never support and query of an episode.
        let group = |record: &mut Record, name: &str| record.group = Some(name.to_owned());
        [7, 8, 9].iter().for_each(|&index| group(&mut dataset.records[index], "a"));
        [0, 6].iter().for_each(|&index| group(&mut dataset.records[index], "b"));
        let found = SplitLeaks::find(&dataset, &train, &test, &leaky);
        assert_eq!(found, SplitLeaks { equal: 1, nearly_equal: 1, groups: 1, ..none });
        assert_eq!(found.training_remarks("x").len(), 2);
    }
}
