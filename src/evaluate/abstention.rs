//! Evaluation of abstention on a device: coverage of its prediction sets, and OOD detection.
//!
//! Coverage at an error rate α is the share of sets with the correct class; it should be 1 - α or a little more.
//! With k shots it is a multiple of `1 / (k + 1)`: the *nominal* coverage is 1 - ⌊α (k + 1)⌋ / (k + 1).

use macula_edge::decide::Predictor;
use macula_edge::feature::{self, Length};
use macula_edge::head::HeadKind;
use macula_edge::support_set::Supports;
use rayon::prelude::*;

use super::EvaluateError;
use super::episodes::{Episode, EpisodePool};
use super::features::Progress;
use super::heads::{EpisodeSupports, Quantised, quantised};
use crate::encoder::known_length_max;
use crate::measure::{Features, Interval};

/// Features as on a device: quantised, with the lengths that they had before.
pub struct DeviceFeatures {
    features: Quantised,
    lengths: Vec<Length>,
}

impl DeviceFeatures {
    /// Quantises features `[N, D]` that are standardised by the corpus.
    ///
    /// # Errors
    /// When a feature cannot be quantised.
    pub fn new(standardised: &Features) -> Result<Self, EvaluateError> {
        let length = |row: &[f32]| feature::length(row, None);
        let lengths: Result<_, _> = standardised.rows.chunks(standardised.dim).map(length).collect();
        let lengths = lengths.map_err(|error| EvaluateError::Feature { message: error.to_string() })?;
        Ok(Self { features: quantised(standardised)?, lengths })
    }

    /// The length that 95 % of these do not exceed, a device's threshold for OOD detection. There is at least one image.
    pub fn length_max(&self) -> Length {
        known_length_max(self.lengths.clone()).unwrap_or(Length(u16::MAX))
    }

    /// Dimensions of a feature.
    pub(super) fn dim(&self) -> usize {
        self.features.dim
    }

    /// The quantised feature of an image.
    pub(super) fn feature(&self, index: usize) -> &[i16] {
        &self.features.rows[index * self.features.dim..][..self.features.dim]
    }
}

/// Conformal prediction sets at one error rate, over all episodes.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SetsResult {
    /// Error rate in thousandths.
    pub error_permille: u16,
    /// Whether there are enough shots for it.
    pub enough: bool,
    /// Coverage of exact sets with this many shots.
    pub nominal: f64,
    /// Share of queries whose class is in the set; mean over episodes.
    pub coverage: Interval,
    /// The same per way; comparable if all episodes have the same classes.
    pub coverage_of_ways: Vec<Interval>,
    /// Mean number of classes in a set.
    pub size: Interval,
    /// Share of queries with exactly one class in the set.
    pub single: Interval,
    /// Share of those whose class is correct, over all queries; `None` if no set had exactly one class.
    pub accuracy_of_single: Option<f64>,
    /// Share of queries with an empty set.
    pub empty: Interval,
    /// Share of queries of each episode whose set is exactly the correct class, for paired comparison on the same episodes.
    #[serde(skip)]
    pub single_right: Vec<f64>,
}

/// OOD detection over all episodes: shares accepted as in-distribution.
#[derive(Clone, Debug, serde::Serialize)]
pub struct GateResult {
    /// Of queries.
    pub true_accept: Interval,
    /// Of OOD images, if there are any.
    pub false_accept: Option<Interval>,
    /// Of queries without length: decided by the nearest support.
    pub true_accept_by_support: Interval,
    /// Of OOD images without length.
    pub false_accept_by_support: Option<Interval>,
}

/// Result of [`abstention`].
#[derive(Clone, Debug, serde::Serialize)]
pub struct AbstentionResult {
    /// One per error rate.
    pub sets: Vec<SetsResult>,
    /// OOD detection.
    pub gate: GateResult,
}

/// Input of [`abstention`].
pub struct AbstentionTask<'a> {
    /// The images of the pool.
    pub known: &'a DeviceFeatures,
    /// OOD images.
    pub ood: Option<&'a DeviceFeatures>,
    /// From [`DeviceFeatures::length_max`] of the unlabelled part.
    pub length_max: Length,
    /// In thousandths, 1 to 999.
    pub error_permilles: &'a [u16],
}

/// Sums of one episode at one error rate.
#[derive(Clone, Default)]
struct SetsTally {
    covered: Vec<f64>,
    size: f64,
    single: f64,
    single_right: f64,
    empty: f64,
}

/// Result of one episode.
#[derive(Default)]
struct Tally {
    shots: usize,
    sets: Vec<SetsTally>,
    /// Decided by length, then by support; of queries, then of OOD images.
    accepted: [[f64; 2]; 2],
}

/// Runs `episodes` episodes of `pool`.
///
/// # Errors
/// When an episode cannot be drawn or the device cannot take the features or error rates.
pub fn abstention(
    task: &AbstentionTask<'_>,
    pool: &EpisodePool,
    episodes: usize,
    progress: Progress,
) -> Result<AbstentionResult, EvaluateError> {
    let tallies: Vec<Tally> = (0..episodes)
        .into_par_iter()
        .map(|index| {
            let tally = run_episode(task, &pool.draw(index)?, index)?;
            progress(1);
            Ok::<_, EvaluateError>(tally)
        })
        .collect::<Result<_, _>>()?;
    let sets = (0..task.error_permilles.len()).map(|rate| sets_result(task.error_permilles[rate], &tallies, rate));
    let over = |value: &dyn Fn(&Tally) -> f64| Interval::of(&tallies.iter().map(value).collect::<Vec<_>>());
    let gate = GateResult {
        true_accept: over(&|tally| tally.accepted[0][0]),
        false_accept: task.ood.map(|_| over(&|tally| tally.accepted[0][1])),
        true_accept_by_support: over(&|tally| tally.accepted[1][0]),
        false_accept_by_support: task.ood.map(|_| over(&|tally| tally.accepted[1][1])),
    };
    Ok(AbstentionResult { sets: sets.collect(), gate })
}

fn sets_result(error_permille: u16, tallies: &[Tally], rate: usize) -> SetsResult {
    let over = |value: &dyn Fn(&SetsTally) -> f64| {
        Interval::of(&tallies.iter().map(|tally| value(&tally.sets[rate])).collect::<Vec<_>>())
    };
    let shots = tallies.first().map_or(0, |tally| tally.shots);
    let ways = tallies.first().map_or(0, |tally| tally.sets[rate].covered.len());
    let missed = (usize::from(error_permille) * (shots + 1) / 1000) as f64 / (shots + 1) as f64;
    let total = |value: &dyn Fn(&SetsTally) -> f64| tallies.iter().map(|tally| value(&tally.sets[rate])).sum::<f64>();
    let single = total(&|sets| sets.single);
    SetsResult {
        error_permille,
        enough: shots >= usize::from(Predictor::shots_needed(error_permille)),
        nominal: 1.0 - missed,
        coverage: over(&|sets| sets.covered.iter().sum::<f64>() / ways as f64),
        coverage_of_ways: (0..ways).map(|way| over(&|sets| sets.covered[way])).collect(),
        size: over(&|sets| sets.size),
        single: over(&|sets| sets.single),
        accuracy_of_single: (single > 0.0).then(|| total(&|sets| sets.single_right) / single),
        empty: over(&|sets| sets.empty),
        single_right: tallies.iter().map(|tally| tally.sets[rate].single_right).collect(),
    }
}

fn run_episode(task: &AbstentionTask<'_>, episode: &Episode, index: usize) -> Result<Tally, EvaluateError> {
    let ways = episode.classes.len();
    let shots = episode.supports.len() / ways;
    let known = task.known;
    let rows = episode.supports.iter().flat_map(|&image| known.feature(image)).copied().collect();
    let labels: Vec<usize> = (0..episode.supports.len()).map(|support| support / shots).collect();
    let support_set = EpisodeSupports::new(&Quantised { dim: known.features.dim, rows }, &labels);
    let supports = support_set.supports();
    let length_max = Some(task.length_max);
    let mut scratch = vec![0.0; Predictor::scratch_len(supports.dim, ways, supports.len())];
    let mut tally = Tally { shots, ..Tally::default() };
    for &error_permille in task.error_permilles {
        let mut predictor = Predictor::fit(HeadKind::Auto, supports, ways, length_max, error_permille, &mut scratch)?;
        tally.sets.push(tally_sets(&mut predictor, supports, known, episode)?);
    }
    // OOD detection does not depend on the error rate.
    let mut predictor = Predictor::fit(HeadKind::Auto, supports, ways, length_max, 500, &mut scratch)?;
    let count = episode.queries.len();
    for (by_length, accepted) in [true, false].into_iter().zip(&mut tally.accepted) {
        accepted[0] = share_known(&mut predictor, supports, known, episode.queries.iter().copied(), by_length)?;
        if let Some(ood) = task.ood {
            // As many as queries, different ones in each episode.
            let images = (0..count).map(|image| (index * count + image) % ood.lengths.len());
            accepted[1] = share_known(&mut predictor, supports, ood, images, by_length)?;
        }
    }
    Ok(tally)
}

fn tally_sets(
    predictor: &mut Predictor<'_>,
    supports: Supports<'_>,
    known: &DeviceFeatures,
    episode: &Episode,
) -> Result<SetsTally, EvaluateError> {
    let ways = episode.classes.len();
    let per_way = episode.queries.len() / ways;
    let part = 1.0 / episode.queries.len() as f64;
    let mut probabilities = vec![0.0; ways];
    let mut sets = SetsTally { covered: vec![0.0; ways], ..SetsTally::default() };
    for (query, &image) in episode.queries.iter().enumerate() {
        let truth = query / per_way;
        let set = predictor.predict(supports, known.feature(image), None, &mut probabilities)?.set;
        let covered = set.contains(truth as u8);
        sets.covered[truth] += f64::from(u8::from(covered)) / per_way as f64;
        sets.size += set.len() as f64 * part;
        match set.len() {
            0 => sets.empty += part,
            1 => {
                sets.single += part;
                sets.single_right += if covered { part } else { 0.0 };
            }
            _ => {}
        }
    }
    Ok(sets)
}

fn share_known(
    predictor: &mut Predictor<'_>,
    supports: Supports<'_>,
    features: &DeviceFeatures,
    images: impl ExactSizeIterator<Item = usize>,
    by_length: bool,
) -> Result<f64, EvaluateError> {
    let mut probabilities = vec![0.0; predictor.classes()];
    let (mut known, count) = (0usize, images.len());
    for image in images {
        let length = by_length.then_some(features.lengths[image]);
        known += usize::from(
            predictor.predict(supports, features.feature(image), length, &mut probabilities)?.in_distribution,
        );
    }
    Ok(known as f64 / count as f64)
}
