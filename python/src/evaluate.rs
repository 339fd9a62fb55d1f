//! `macula.evaluate`: few-shot episodes on images, beside the baselines.

use macula::data::{self, Dataset, Split, SplitLeaks, TrainTestSplit};
use macula::encoder::HostEncoder;
use macula::encoders::{self, Baseline, EncoderInput, OpenOptions};
use macula::evaluate::{
    EpisodePool, EpisodeSettings, FewShotResult, HeadKind, PairedDifference, ReadImages, corpus_statistics,
    embed_dataset, few_shot, labels, leave_out_empty_classes, require_two_classes,
};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::dataset::{Labelled, Source};
use crate::encoder::{EncoderArgument, Opening, name_of};
use crate::error::{Failure, Kind};
use crate::json::to_python;
use crate::watch::{Watch, interruptible};

/// Side of the input of an encoder without an own size.
const SIDE: usize = 32;

/// Images that are embedded between two looks at the flag to stop.
const BLOCK: usize = 1024;

/// What is evaluated.
struct Task {
    encoder: String,
    opening: Opening,
    shots: Vec<usize>,
    queries: usize,
    episodes: usize,
    ways: Option<usize>,
    head: HeadKind,
    seed: u64,
    baselines: Vec<Baseline>,
}

/// The images of an evaluation.
struct Images {
    dataset: Dataset,
    train: Vec<usize>,
    test: Vec<usize>,
    remarks: Vec<String>,
}

/// See `macula.evaluate`.
#[pyfunction]
#[pyo3(signature = (encoder, data, *, shots, queries, episodes, ways, head, seed, baselines))]
#[expect(clippy::too_many_arguments, reason = "one for each keyword")]
pub fn evaluate<'py>(
    py: Python<'py>,
    encoder: EncoderArgument<'py>,
    data: Labelled<'py>,
    shots: Vec<usize>,
    queries: usize,
    episodes: usize,
    ways: Option<usize>,
    head: &str,
    seed: u64,
    baselines: Vec<String>,
) -> PyResult<Bound<'py, PyAny>> {
    let (encoder, opening, open) = match encoder {
        EncoderArgument::Open(encoder) => {
            let opened = std::sync::Arc::clone(&encoder.opened);
            (encoder.name.clone(), encoder.opening.clone(), Some(opened))
        }
        EncoderArgument::Name(name) => (name_of(name)?, Opening::new(py, Vec::new(), None, true)?, None),
    };
    for (name, count) in
        [("shots", shots.iter().copied().min().unwrap_or(0)), ("queries", queries), ("episodes", episodes)]
    {
        if count == 0 {
            return Err(Failure::input(format!("{name} must be at least 1")).into());
        }
    }
    let baselines = baselines.iter().map(|name| name.parse().map_err(Failure::input)).collect::<Result<_, _>>()?;
    let head = head.parse::<HeadKind>().map_err(Failure::from)?;
    let task = Task { encoder, opening, shots, queries, episodes, ways, head, seed, baselines };
    let source = data.read()?;
    let found = interruptible(py, |watch| {
        let open = open.as_ref().map(|opened| &*opened.encoder);
        let images = Images::read(task.dataset(source, open)?, &task.encoder, watch)?;
        task.run(images, open, watch)
    })?;
    to_python(py, &found)
}

fn check(watch: &Watch) -> Result<(), Failure> {
    if watch.is_stopped() { Err(Failure::new(Kind::Internal, "interrupted")) } else { Ok(()) }
}

impl Images {
    /// Reads the images, splits them if they are not split, and leaves out those that `encoder` was trained on.
    fn read(mut dataset: Dataset, encoder: &str, watch: &Watch) -> Result<Self, Failure> {
        dataset.keep_decoded(data::DECODED_BYTES_MAX);
        let mut remarks: Vec<String> = dataset.remarks.iter().map(ToString::to_string).collect();
        let mut read = ReadImages::default();
        for block in dataset.indices(None).chunks(BLOCK) {
            check(watch)?;
            read.read(&dataset, block, &|_| ());
        }
        remarks.extend(dataset.raw_remarks().iter().map(ToString::to_string));
        let skipped: Vec<_> = dataset.skipped.iter().chain(&read.skipped).collect();
        if let Some((name, reason)) = skipped.first() {
            remarks.push(format!("left out: {} unreadable images, the first {name}: {reason}", skipped.len()));
        }
        let (TrainTestSplit { train, mut test }, remark) = read.split(&dataset, Split::Test);
        remarks.extend(remark);
        for (part, indices) in [("training", &train), ("test", &test)] {
            if indices.is_empty() {
                return Err(Failure::input(format!("{}: no readable image in the {part} split", dataset.name)));
            }
        }
        remarks.extend(encoders::leave_out_seen(encoder, &dataset, &read.images, &mut test)?);
        remarks.extend(SplitLeaks::find(&dataset, &train, &test, &read.looks).episode_remarks(&dataset.name));
        let gone = leave_out_empty_classes(&mut dataset, &test);
        if !gone.is_empty() {
            remarks.push(format!("class {}: left out, because the test part has no image of it", gone.join(", ")));
        }
        require_two_classes(&dataset.class_names, &labels(&dataset, &test)?, "test")?;
        Ok(Self { dataset, train, test, remarks })
    }
}

impl Task {
    /// Opens the dataset with the range of the encoder, and reads DICOM files as its run did, as `macula eval` does: the digests
    /// of its training images are of these pixels.
    fn dataset(&self, source: Source, open: Option<&dyn HostEncoder>) -> Result<Dataset, Failure> {
        let mut dataset = source.open(self.seed)?;
        dataset.read_dicom(&encoders::dicom_reading_of(&self.encoder))?;
        dataset.decode.range = match open {
            // Encoders that are fitted to the images use the range of the images.
            _ if encoders::is_fitted(&self.encoder) => None,
            Some(encoder) => encoder.preprocessing().range,
            None => self.opening.open(&self.encoder)?.encoder.preprocessing().range,
        };
        Ok(dataset)
    }

    /// Evaluates the encoder, then its baselines.
    fn run(&self, images: Images, open: Option<&dyn HostEncoder>, watch: &Watch) -> Result<Value, Failure> {
        let (dataset, classes) = (&images.dataset, images.dataset.class_names.len());
        let settings = |shots| EpisodeSettings {
            ways: self.ways.unwrap_or(classes),
            shots,
            queries: self.queries,
            seed: self.seed,
        };
        let pool = |&shots: &usize| Ok((shots, EpisodePool::new(dataset, &images.test, settings(shots))?));
        let pools: Vec<(usize, EpisodePool)> = self.shots.iter().map(pool).collect::<Result<_, Failure>>()?;
        let input = EncoderInput {
            dataset,
            unlabelled: &images.train,
            channels: encoders::channels_of(dataset, &images.train),
            height: SIDE,
            width: SIDE,
        };
        let named;
        let own = match open {
            Some(encoder) => encoder,
            None => {
                named = self.open(&self.encoder, input)?;
                &*named
            }
        };
        let (mut rows, mut first) = (Vec::new(), Vec::new());
        self.measure(own, (&images, &pools), watch, |shots, result| {
            rows.push(row(own.name(), shots, &result, &dataset.class_names, None));
            first.push(result.of_episodes);
        })?;
        let preset = encoders::preset_of(&self.encoder);
        for baseline in &self.baselines {
            let name = baseline.encoder(preset);
            if name == self.encoder {
                continue;
            }
            let other = self.open(&name, baseline.input(input, own.preprocessing()))?;
            let mut own_episodes = first.iter();
            self.measure(&*other, (&images, &pools), watch, |shots, result| {
                let ahead = own_episodes.next().map(|own| PairedDifference::of_episodes(own, &result.of_episodes));
                rows.push(row(&name, shots, &result, &dataset.class_names, ahead));
            })?;
        }
        Ok(json!({
            "rows": rows,
            "classes": dataset.class_names,
            "train_images": images.train.len(),
            "test_images": images.test.len(),
            "episodes": self.episodes,
            "head": self.head.to_string(),
            "remarks": images.remarks,
        }))
    }

    fn open(&self, name: &str, fit: EncoderInput<'_>) -> Result<Box<dyn HostEncoder>, Failure> {
        let options = OpenOptions {
            host: self.opening.host.clone(),
            trusted: &self.opening.trusted,
            stated: self.opening.stated.as_ref().filter(|_| name == self.encoder),
            fit: Some(fit),
            seed: self.seed,
            ..OpenOptions::default()
        };
        Ok(encoders::open(name, &options)?.encoder)
    }

    /// Evaluates `encoder` with each number of shots.
    fn measure(
        &self,
        encoder: &dyn HostEncoder,
        (images, pools): (&Images, &[(usize, EpisodePool)]),
        watch: &Watch,
        mut take: impl FnMut(usize, FewShotResult),
    ) -> Result<(), Failure> {
        check(watch)?;
        let corpus = corpus_statistics(encoder, &images.dataset, &images.train, &|_| ())?;
        let mut features = embed_dataset(encoder, &images.dataset, &[], &|_| ())?;
        for block in images.test.chunks(BLOCK) {
            check(watch)?;
            features.rows.extend(embed_dataset(encoder, &images.dataset, block, &|_| ())?.rows);
        }
        features.standardise(&corpus);
        for (shots, pool) in pools {
            check(watch)?;
            let classes = images.dataset.class_names.len();
            take(*shots, few_shot(&features, classes, pool, self.episodes, self.head, &|_| ())?);
        }
        Ok(())
    }
}

/// * `ahead`: how far the evaluated encoder is ahead, for a baseline
fn row(
    encoder: &str,
    shots: usize,
    result: &FewShotResult,
    class_names: &[String],
    ahead: Option<PairedDifference>,
) -> Value {
    let recalls: serde_json::Map<String, Value> =
        class_names.iter().zip(&result.recalls).map(|(name, recall)| (name.clone(), json!(recall))).collect();
    json!({
        "encoder": encoder,
        "shots": shots,
        "balanced_accuracy": result.balanced_accuracy.mean,
        "half_width_95": result.balanced_accuracy.half_width_95,
        "accuracy": result.accuracy,
        "recalls": recalls,
        "area_under_roc": result.area_under_roc.map(|interval| interval.mean),
        "ahead": ahead.map(|ahead| ahead.difference),
        "ahead_interval": ahead.and_then(|ahead| ahead.interval),
    })
}
