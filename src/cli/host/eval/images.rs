//! The images of an evaluation: read once, split, and without those that the encoder was trained on.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use anyhow::Context;

use super::probe_args::ProbeArgs;
use crate::cli::images::EncoderRange;
use crate::data::{self, Dataset, ImageDigest, Split, SplitLeaks, TrainTestSplit};
use crate::encoders;
use crate::evaluate::{self, EpisodePool, EpisodeSettings, FeatureSource, ReadImages};
use crate::files::Cache;
use crate::report::text::count;

/// The images of an evaluation.
pub struct Images {
    pub dataset: Dataset,
    pub train: Vec<usize>,
    pub test: Vec<usize>,
    /// The digest of each readable image.
    digests: HashMap<usize, ImageDigest>,
    cache: Option<Cache>,
    /// Test images that are not independent of the training images or of each other.
    pub leaks: SplitLeaks,
    /// Remarks for readers of the figures.
    pub remarks: Vec<String>,
}

impl ProbeArgs {
    /// Reads the images of `--data`.
    pub fn images(&self) -> anyhow::Result<Images> {
        let mut dataset = self.open(&self.data)?;
        dataset.keep_decoded(data::DECODED_BYTES_MAX);
        let mut remarks: Vec<String> = dataset.remarks.iter().map(ToString::to_string).collect();
        let split = Split::from_name(&self.split).context("--split: use train, val or test")?;
        let used = |index: &usize| [None, Some(Split::Train), Some(split)].contains(&dataset.records[*index].split);
        let bar = self.bar(dataset.len(), "reading");
        let mut read = ReadImages::default();
        let indices: Vec<usize> = dataset.indices(None).into_iter().filter(used).collect();
        read.read(&dataset, &indices, &|n| bar.inc(n as u64));
        bar.finish_and_clear();
        remarks.extend(dataset.raw_remarks().iter().map(ToString::to_string));
        let (TrainTestSplit { train, mut test }, remark) = read.split(&dataset, split);
        remarks.extend(remark);
        let skipped: Vec<_> = dataset.skipped.iter().chain(&read.skipped).collect();
        if let Some((name, reason)) = skipped.first() {
            let left_out = count(skipped.len(), "unreadable image");
            remarks.push(format!("left out: {left_out}, the first {name}: {reason}"));
            anyhow::ensure!(!self.reading.strict, "{}: {left_out}, the first {name}: {reason}", self.data);
        }
        for (part, indices) in [("train", &train), (self.split.as_str(), &test)] {
            anyhow::ensure!(!indices.is_empty(), "{}: no readable image in the {part} split", self.data);
        }
        remarks.extend(encoders::leave_out_seen(&self.encoder, &dataset, &read.images, &mut test)?);
        let leaks = SplitLeaks::find(&dataset, &train, &test, &read.looks);
        let digests = read.images.into_iter().collect();
        Ok(Images { dataset, train, test, digests, cache: self.cache.open()?, leaks, remarks })
    }

    /// Opens a dataset with the range of `--range`, or of the encoder. DICOM files are read as the run of the encoder read
    /// them, unless an option says otherwise: the digests of its training images are of these pixels.
    pub fn open(&self, name: &str) -> anyhow::Result<Dataset> {
        let mut dataset = data::open_named(name, self.common.seed)?;
        let range = match self.reading.given() {
            // Encoders that are fitted to the images use the range of the images.
            None if !encoders::is_fitted(&self.encoder) => self.open_encoder(None)?.preprocessing().range,
            _ => None,
        };
        self.reading.read_dicom(&mut dataset, encoders::dicom_reading_of(&self.encoder))?;
        self.reading.set_range(&mut dataset, EncoderRange::Known(range), self.common.quiet || self.common.json)?;
        Ok(dataset)
    }
}

impl Images {
    /// Features of these images, computed once if there is a cache.
    pub fn source(&self) -> FeatureSource<'_> {
        FeatureSource::new(&self.dataset, &self.digests, self.cache.as_ref())
    }

    /// Leaves out the classes without an image in `indices`, with a remark that names `part`.
    fn leave_out_empty_classes(&mut self, indices: &[usize], part: &str) {
        let gone = evaluate::leave_out_empty_classes(&mut self.dataset, indices);
        if !gone.is_empty() {
            self.remarks.push(format!("class {}: left out, because the {part} has no image of it", gone.join(", ")));
        }
    }

    /// Labels of the training and the test images. Refuses a test class without training images, and fewer than two classes.
    pub fn labels_to_learn_and_test(&mut self, split: &str) -> anyhow::Result<[Vec<usize>; 2]> {
        self.remarks.extend(self.leaks.training_remarks(&self.dataset.name));
        let both: Vec<usize> = self.train.iter().chain(&self.test).copied().collect();
        self.leave_out_empty_classes(&both, "data");
        let names = &self.dataset.class_names;
        let (train, test) =
            (evaluate::labels(&self.dataset, &self.train)?, evaluate::labels(&self.dataset, &self.test)?);
        evaluate::require_two_classes(names, &train, "training")?;
        evaluate::require_two_classes(names, &test, split)?;
        evaluate::require_every_class(names, &train, "training")?;
        let untested: Vec<&str> =
            (0..names.len()).filter(|class| !test.contains(class)).map(|class| names[class].as_str()).collect();
        if !untested.is_empty() {
            self.remarks.push(format!(
                "class {}: no image in the {split} split; balanced accuracy is the mean over the other classes",
                untested.join(", ")
            ));
        }
        Ok([train, test])
    }

    /// Leaves out classes without test images. Returns the number of classes.
    pub fn classes_to_draw(&mut self, split: &str) -> anyhow::Result<usize> {
        self.remarks.extend(self.leaks.episode_remarks(&self.dataset.name));
        let test = self.test.clone();
        self.leave_out_empty_classes(&test, &format!("{split} part"));
        let labels = evaluate::labels(&self.dataset, &self.test)?;
        evaluate::require_two_classes(&self.dataset.class_names, &labels, split)?;
        Ok(self.dataset.class_names.len())
    }

    /// The episodes of the test images for each number of `shots`.
    pub fn pools(
        &self,
        shots: &[NonZeroUsize],
        ways: usize,
        queries: NonZeroUsize,
        seed: u64,
    ) -> anyhow::Result<Vec<(usize, EpisodePool)>> {
        let pool = |shots: &NonZeroUsize| {
            let settings = EpisodeSettings { ways, shots: shots.get(), queries: queries.get(), seed };
            Ok((shots.get(), EpisodePool::new(&self.dataset, &self.test, settings)?))
        };
        shots.iter().map(pool).collect()
    }
}
