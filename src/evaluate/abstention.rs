//! Whether a device's verdicts keep what they promise: coverage of the sets of classes, and strangers turned away.
//!
//! Coverage at an error rate α is how often the right class is in the set; it should be 1 - α or a little more.
//! With k shots it can only be a multiple of `1 / (k + 1)`: 1 - ⌊α (k + 1)⌋ / (k + 1), shown beside it as *nominal*.

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

/// Images as a device sees them: quantised, and the length that quantising took away.
pub struct Seen {
    features: Quantised,
    lengths: Vec<Length>,
}

impl Seen {
    /// Of features `[N, D]` that are standardised by the corpus.
    ///
    /// # Errors
    /// When a device cannot take them.
    pub fn new(standardised: &Features) -> Result<Self, EvaluateError> {
        let length = |row: &[f32]| feature::length(row, None);
        let lengths: Result<_, _> = standardised.rows.chunks(standardised.dim).map(length).collect();
        let lengths = lengths.map_err(|error| EvaluateError::Feature { message: error.to_string() })?;
        Ok(Self { features: quantised(standardised)?, lengths })
    }

    /// The length that 95 % of these do not exceed, which a device is given to tell strangers by; at least one image.
    pub fn length_max(&self) -> Length {
        known_length_max(self.lengths.clone()).unwrap_or(Length(u16::MAX))
    }

    fn feature(&self, index: usize) -> &[i16] {
        &self.features.rows[index * self.features.dim..][..self.features.dim]
    }
}

/// Sets of classes at one error rate, over all episodes.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SetsResult {
    /// Asked for.
    pub error_permille: u16,
    /// Shots suffice for it.
    pub enough: bool,
    /// What exact sets cover with this many shots.
    pub nominal: f64,
    /// Share of queries whose class is in the set; mean over episodes.
    pub coverage: Interval,
    /// The same of each way's queries; ways of every episode must be the same classes to be told apart.
    pub coverage_of_ways: Vec<Interval>,
    /// Classes of a set; mean over episodes.
    pub size: Interval,
    /// Share of queries with exactly one class in the set.
    pub single: Interval,
    /// Share of those whose one class is right, over all queries; none where no set was single.
    pub accuracy_of_single: Option<f64>,
    /// Share of queries with an empty set.
    pub empty: Interval,
    /// Share of queries of each episode with exactly one class in the set, the right one; to be compared with that of
    /// others on the same episodes.
    #[serde(skip)]
    pub single_right: Vec<f64>,
}

/// The unknown gate over all episodes: share accepted as known.
#[derive(Clone, Debug, serde::Serialize)]
pub struct GateResult {
    /// Of queries.
    pub true_accept: Interval,
    /// Of strangers; none where none were shown.
    pub false_accept: Option<Interval>,
    /// Of queries whose length nobody knows: by the nearest support.
    pub true_accept_by_support: Interval,
    /// Of strangers whose length nobody knows.
    pub false_accept_by_support: Option<Interval>,
}

/// What verdicts are worth.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AbstentionResult {
    /// One for each error rate.
    pub sets: Vec<SetsResult>,
    /// The unknown gate.
    pub gate: GateResult,
}

/// What is asked of [`abstention`].
pub struct AbstentionTask<'a> {
    /// The images of the pool.
    pub known: &'a Seen,
    /// Images of another kind.
    pub strangers: Option<&'a Seen>,
    /// From [`Seen::length_max`] of the unlabelled part.
    pub length_max: Length,
    /// In thousandths, 1 to 999.
    pub error_permilles: &'a [u16],
}

/// Of one episode at one error rate.
#[derive(Clone, Default)]
struct SetsTally {
    covered: Vec<f64>,
    size: f64,
    single: f64,
    single_right: f64,
    empty: f64,
}

/// Of one episode.
#[derive(Default)]
struct Tally {
    shots: usize,
    sets: Vec<SetsTally>,
    /// By length, then by support; of queries, then of strangers.
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
        false_accept: task.strangers.map(|_| over(&|tally| tally.accepted[0][1])),
        true_accept_by_support: over(&|tally| tally.accepted[1][0]),
        false_accept_by_support: task.strangers.map(|_| over(&|tally| tally.accepted[1][1])),
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
    let taught = EpisodeSupports::new(&Quantised { dim: known.features.dim, rows }, &labels);
    let supports = taught.supports();
    let length_max = Some(task.length_max);
    let mut scratch = vec![0.0; Predictor::scratch_len(supports.dim, ways, supports.len())];
    let mut tally = Tally { shots, ..Tally::default() };
    for &error_permille in task.error_permilles {
        let mut predictor = Predictor::fit(HeadKind::Auto, supports, ways, length_max, error_permille, &mut scratch)?;
        tally.sets.push(tally_sets(&mut predictor, supports, known, episode)?);
    }
    // The gate asks for no error rate: any will do.
    let mut predictor = Predictor::fit(HeadKind::Auto, supports, ways, length_max, 500, &mut scratch)?;
    let count = episode.queries.len();
    for (by_length, accepted) in [true, false].into_iter().zip(&mut tally.accepted) {
        accepted[0] = share_known(&mut predictor, supports, known, episode.queries.iter().copied(), by_length)?;
        if let Some(strangers) = task.strangers {
            // As many as there are queries, others in each episode.
            let images = (0..count).map(|stranger| (index * count + stranger) % strangers.lengths.len());
            accepted[1] = share_known(&mut predictor, supports, strangers, images, by_length)?;
        }
    }
    Ok(tally)
}

fn tally_sets(
    predictor: &mut Predictor<'_>,
    supports: Supports<'_>,
    known: &Seen,
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
    seen: &Seen,
    images: impl ExactSizeIterator<Item = usize>,
    by_length: bool,
) -> Result<f64, EvaluateError> {
    let mut probabilities = vec![0.0; predictor.classes()];
    let (mut known, count) = (0usize, images.len());
    for image in images {
        let length = by_length.then_some(seen.lengths[image]);
        known +=
            usize::from(predictor.predict(supports, seen.feature(image), length, &mut probabilities)?.in_distribution);
    }
    Ok(known as f64 / count as f64)
}
