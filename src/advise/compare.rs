//! Figures of an encoder on a sample of the images.

use std::time::Duration;

use serde::Serialize;

use super::AdviseError;
use super::images::Sample;
use crate::augment::Policy;
use crate::data::{Dataset, evenly_spread};
use crate::encoder::HostEncoder;
use crate::evaluate::{
    EpisodePool, EpisodeSettings, Features, HeadKind, Interval, corpus_of, embed_dataset, few_shot, labels,
};
use crate::measure::{effective_rank, nearest};
use crate::rng::Rng;

/// Images that must be found again among each other from an augmented view.
const RETRIEVED: usize = 256;

/// Largest dimension for an effective rank, whose cost grows with its third power.
const RANK_DIM_MAX: usize = 256;

/// Episodes per number of shots.
const EPISODES: usize = 60;

/// Numbers of shots that are tried, and fewest and most queries per class.
const SHOTS: [usize; 3] = [1, 5, 20];
const QUERIES: [usize; 2] = [4, 15];

/// Figures of one encoder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// The name that every command takes.
    pub encoder: String,
    /// Whether it is a floor, which needs no training: raw pixels or colour statistics.
    pub is_floor: bool,
    /// Channels, rows and columns of its input.
    pub input: [usize; 3],
    /// Dimensions of its feature.
    pub feature_dim: usize,
    /// Milliseconds per image, all threads together, with reading and resizing.
    pub encode_ms: f64,
    /// Effective number of directions in which features of the images differ, 1 to the dimension.
    pub effective_rank: Option<f64>,
    /// Share of images that are the nearest to their own augmented view.
    pub retrieval: f64,
    /// Few-shot accuracy with the device's head; empty without labels.
    pub few_shot: Vec<ShotFigures>,
}

/// Few-shot accuracy at one number of shots.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShotFigures {
    /// Labelled images per class.
    pub shots: usize,
    /// Mean over episodes with its 95 % interval.
    pub balanced_accuracy: Interval,
    /// Each episode, for paired differences: all encoders have the same episodes.
    #[serde(skip)]
    pub of_episodes: Vec<f64>,
}

impl Figures {
    /// Balanced accuracy of every episode of every number of shots; empty without labels.
    pub fn of_episodes(&self) -> Vec<f64> {
        self.few_shot.iter().flat_map(|figures| figures.of_episodes.iter().copied()).collect()
    }

    /// Mean of [`Self::of_episodes`].
    pub fn accuracy(&self) -> Option<f64> {
        Some(Interval::of(&self.of_episodes()).mean).filter(|mean| mean.is_finite())
    }
}

/// What all encoders are compared on.
pub struct Comparison<'a> {
    /// The images.
    pub dataset: &'a Dataset,
    /// The sample of them.
    pub sample: &'a Sample,
    /// Seeds views and episodes.
    pub seed: u64,
    /// Images of the episodes, of classes with enough images.
    tested: Vec<usize>,
    /// Pools of episodes; empty if the labels do not allow any.
    pools: Vec<(usize, EpisodePool)>,
}

impl<'a> Comparison<'a> {
    /// Draws the episodes that the labels of the sample allow: from its test images, or from all if those are too few.
    pub fn new(dataset: &'a Dataset, sample: &'a Sample, seed: u64) -> Self {
        let all: Vec<usize> = sample.train.iter().chain(&sample.test).copied().collect();
        for images in [&sample.test, &all] {
            let tested = of_usable_classes(dataset, images);
            let pools = pools(dataset, &tested, seed);
            if !pools.is_empty() {
                return Self { dataset, sample, seed, tested, pools };
            }
        }
        Self { dataset, sample, seed, tested: Vec::new(), pools: Vec::new() }
    }

    /// Numbers of shots of the episodes; empty if the labels do not allow any.
    pub fn shots(&self) -> Vec<usize> {
        self.pools.iter().map(|(shots, _)| *shots).collect()
    }

    /// The figures of `encoder`, which every command opens by `name`.
    ///
    /// # Errors
    /// When an image cannot be read or the encoder fails.
    pub fn figures(
        &self,
        name: &str,
        is_floor: bool,
        encoder: &dyn HostEncoder,
        clock: &dyn Fn() -> Duration,
    ) -> Result<Figures, AdviseError> {
        let begun = clock();
        let train = embed_dataset(encoder, self.dataset, &self.sample.train, &|_| ())?;
        let seconds = (clock() - begun).as_secs_f64();
        let corpus = corpus_of(&train);
        let mut test = embed_dataset(encoder, self.dataset, &self.tested, &|_| ())?;
        test.standardise(&corpus);
        let classes = self.dataset.class_names.len();
        let of_shots = |(shots, pool): &(usize, EpisodePool)| {
            let found = few_shot(&test, classes, pool, EPISODES, HeadKind::Auto, &|_| ())?;
            let (balanced_accuracy, of_episodes) = (found.balanced_accuracy, found.of_episodes);
            Ok(ShotFigures { shots: *shots, balanced_accuracy, of_episodes })
        };
        let few_shot = self.pools.iter().map(of_shots).collect::<Result<_, AdviseError>>()?;
        let recipe = encoder.preprocessing();
        let dim = encoder.feature_dim();
        Ok(Figures {
            encoder: name.to_owned(),
            is_floor,
            input: [recipe.channels, recipe.height, recipe.width],
            feature_dim: dim,
            encode_ms: 1e3 * seconds / self.sample.train.len() as f64,
            effective_rank: (dim <= RANK_DIM_MAX).then(|| effective_rank(&train.rows, dim)),
            retrieval: self.retrieval(encoder, &corpus)?,
            few_shot,
        })
    }

    /// Share of images that are nearest to their own view, of the augmentations that suit medical images: no other class
    /// arises from them.
    fn retrieval(
        &self,
        encoder: &dyn HostEncoder,
        corpus: &crate::encoder::CorpusStatistics,
    ) -> Result<f64, AdviseError> {
        let chosen = evenly_spread(&self.sample.train, RETRIEVED);
        let recipe = encoder.preprocessing();
        let augmentation = Policy::Medical.augmentation(recipe.height.min(recipe.width));
        let (mut pixels, mut views) = (Vec::new(), Vec::new());
        for (at, &index) in chosen.iter().enumerate() {
            let image = recipe.to_pixels(&self.dataset.load(index)?);
            let mut rng = Rng::for_item(self.seed, "advise view", 0, at as u64);
            views.extend(augmentation.apply(&image, &mut rng).pixels);
            pixels.extend(image.pixels);
        }
        let features = |pixels: &[u8]| {
            let rows = encoder.encode_batch(pixels).map_err(crate::evaluate::EvaluateError::from)?;
            let mut features = Features { dim: encoder.feature_dim(), rows };
            features.standardise(corpus);
            Ok::<_, AdviseError>(features)
        };
        let found = nearest(&features(&pixels)?, &features(&views)?, 1);
        let right = found.iter().enumerate().filter(|(at, near)| near.first() == Some(at)).count();
        Ok(right as f64 / chosen.len() as f64)
    }
}

/// The labelled images of `images` whose class has enough of them for an episode.
fn of_usable_classes(dataset: &Dataset, images: &[usize]) -> Vec<usize> {
    let labelled = |index: &usize| dataset.records[*index].label;
    let mut counts = vec![0usize; dataset.class_names.len()];
    images.iter().filter_map(labelled).for_each(|label| counts[label] += 1);
    let mut usable: Vec<usize> = images.to_vec();
    usable.retain(|index| labelled(index).is_some_and(|label| counts[label] > QUERIES[0]));
    usable.sort_unstable();
    usable.dedup();
    usable
}

/// Pools for as many shots as the rarest class allows; none for fewer than two classes.
fn pools(dataset: &Dataset, images: &[usize], seed: u64) -> Vec<(usize, EpisodePool)> {
    let Ok(labels) = labels(dataset, images) else { return Vec::new() };
    let mut counts = vec![0usize; dataset.class_names.len()];
    labels.iter().for_each(|&label| counts[label] += 1);
    counts.retain(|&count| count > 0);
    let (ways, rarest) = (counts.len(), counts.into_iter().min().unwrap_or(0));
    let [fewest, most] = QUERIES;
    let pool = |&shots: &usize| {
        let queries = rarest.checked_sub(shots).filter(|&queries| queries >= fewest)?.min(most);
        let settings = EpisodeSettings { ways, shots, queries, seed };
        let pool = EpisodePool::new(dataset, images, settings).ok()?;
        // Groups may be too coarse for some episodes; a few draws show it.
        (0..3).all(|index| pool.draw(index).is_ok()).then_some((shots, pool))
    };
    SHOTS.iter().filter_map(pool).collect()
}
