//! Evaluation of operating points on a device: what a threshold from leave-one-out scores attains on other images.
//!
//! The supports of an episode are the samples of a device, which chooses its threshold from them; the queries are new images. The
//! sensitivity promised is a mean over devices: each has its own threshold, so `low_tenth` shows how low one device in ten is.

use macula_edge::decide::{OperatingPoint, Predictor, Target};
use macula_edge::head::HeadKind;
use rayon::prelude::*;

use super::EvaluateError;
use super::abstention::DeviceFeatures;
use super::episodes::{Episode, EpisodePool};
use super::features::Progress;
use super::heads::{EpisodeSupports, Quantised};
use crate::measure::Interval;

/// Input of [`operating_points`].
pub struct OperatingPointTask<'a> {
    /// The images of the pool.
    pub known: &'a DeviceFeatures,
    /// Index of the positive class among the dataset's; every episode has it.
    pub positive: usize,
    /// Targets within their ranges.
    pub targets: &'a [Target],
}

/// Result of one target over all episodes.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PointResult {
    /// Share of positive queries that are called positive; mean over episodes.
    pub sensitivity: Interval,
    /// Share of the other queries that are called negative.
    pub specificity: Interval,
    /// Sensitivity of the left-out supports, as a device reports it.
    pub expected_sensitivity: Interval,
    /// Specificity of the left-out supports.
    pub expected_specificity: Interval,
    /// The share that is promised, in thousandths; none for costs.
    pub promise_permille: Option<u16>,
    /// Whether there are enough shots for the target.
    pub enough: bool,
    /// The share of the target (of both, their mean, for costs) that nine of ten episodes reach.
    pub low_tenth: f64,
    /// What is paid for the target in each episode: specificity for a sensitivity, sensitivity for a specificity, the mean of both for
    /// costs.
    #[serde(skip)]
    pub paid: Vec<f64>,
}

/// Result of [`operating_points`].
#[derive(Clone, Debug, serde::Serialize)]
pub struct OperatingPointsResult {
    /// One per target.
    pub points: Vec<PointResult>,
    /// Sensitivity of the most probable class, without an operating point.
    pub default_sensitivity: Interval,
    /// Specificity of the most probable class.
    pub default_specificity: Interval,
}

/// Shares of one episode: of queries, then of left-out supports; each sensitivity, specificity.
#[derive(Clone, Copy, Default)]
struct Shares {
    of_queries: [f64; 2],
    of_supports: [f64; 2],
    promise_permille: Option<u16>,
}

/// Result of one episode.
struct Tally {
    points: Vec<Shares>,
    default: [f64; 2],
}

/// Runs `episodes` episodes of `pool`, whose ways are all classes.
///
/// # Errors
/// When an episode cannot be drawn, lacks the positive class, or has too few supports for a threshold.
pub fn operating_points(
    task: &OperatingPointTask<'_>,
    pool: &EpisodePool,
    episodes: usize,
    progress: Progress,
) -> Result<OperatingPointsResult, EvaluateError> {
    let tallies: Vec<Tally> = (0..episodes)
        .into_par_iter()
        .map(|index| {
            let tally = run_episode(task, &pool.draw(index)?)?;
            progress(1);
            Ok::<_, EvaluateError>(tally)
        })
        .collect::<Result<_, _>>()?;
    let over = |value: &dyn Fn(&Tally) -> f64| Interval::of(&tallies.iter().map(value).collect::<Vec<_>>());
    let point = |(place, &target): (usize, &Target)| {
        let of = |value: &dyn Fn(&Shares) -> f64| over(&|tally| value(&tally.points[place]));
        let promise_permille = tallies.first().and_then(|tally| tally.points[place].promise_permille);
        // The share that the target is about, and the other one.
        let sides = |[sensitivity, specificity]: [f64; 2]| match target {
            Target::Sensitivity { .. } => [sensitivity, specificity],
            Target::Specificity { .. } => [specificity, sensitivity],
            Target::Costs { .. } => [(sensitivity + specificity) / 2.0; 2],
        };
        let mut wanted: Vec<f64> = tallies.iter().map(|tally| sides(tally.points[place].of_queries)[0]).collect();
        wanted.sort_by(f64::total_cmp);
        PointResult {
            sensitivity: of(&|shares| shares.of_queries[0]),
            specificity: of(&|shares| shares.of_queries[1]),
            expected_sensitivity: of(&|shares| shares.of_supports[0]),
            expected_specificity: of(&|shares| shares.of_supports[1]),
            promise_permille,
            enough: match target {
                Target::Sensitivity { permille } | Target::Specificity { permille } => {
                    promise_permille == Some(permille)
                }
                Target::Costs { .. } => true,
            },
            low_tenth: wanted.get(wanted.len() / 10).copied().unwrap_or(f64::NAN),
            paid: tallies.iter().map(|tally| sides(tally.points[place].of_queries)[1]).collect(),
        }
    };
    Ok(OperatingPointsResult {
        points: task.targets.iter().enumerate().map(point).collect(),
        default_sensitivity: over(&|tally| tally.default[0]),
        default_specificity: over(&|tally| tally.default[1]),
    })
}

fn run_episode(task: &OperatingPointTask<'_>, episode: &Episode) -> Result<Tally, EvaluateError> {
    let ways = episode.classes.len();
    let (shots, per_way) = (episode.supports.len() / ways, episode.queries.len() / ways);
    let known = task.known;
    let positive = episode.classes.iter().position(|&class| class == task.positive);
    let positive = positive.ok_or(EvaluateError::NoThreshold { shots })?;
    let rows = episode.supports.iter().flat_map(|&image| known.feature(image)).copied().collect();
    let labels: Vec<usize> = (0..episode.supports.len()).map(|support| support / shots).collect();
    let support_set = EpisodeSupports::new(&Quantised { dim: known.dim(), rows }, &labels);
    let supports = support_set.supports();
    let mut scratch = vec![0.0; Predictor::scratch_len(supports.dim, ways, supports.len())];
    // Sets are not used, so any error rate will do.
    let mut predictor = Predictor::fit(HeadKind::Auto, supports, ways, None, 500, &mut scratch)?;
    let class = positive as u8;
    let mut thresholds = Vec::new();
    for &target in task.targets {
        let threshold = predictor.threshold(supports, OperatingPoint { class, target });
        thresholds.push(threshold.ok_or(EvaluateError::NoThreshold { shots })?);
    }
    let share = |count: u32, of: u32| f64::from(count) / f64::from(of.max(1));
    let mut points: Vec<Shares> = (thresholds.iter().zip(task.targets))
        .map(|(found, &target)| Shares {
            of_queries: [0.0; 2],
            of_supports: [share(found.detected, found.positives), share(found.rejected, found.negatives)],
            promise_permille: found.promise_permille(target),
        })
        .collect();
    let (mut default, mut probabilities) = ([0.0; 2], vec![0.0; ways]);
    let parts = [1.0 / per_way as f64, 1.0 / (per_way * (ways - 1)) as f64];
    for (query, &image) in episode.queries.iter().enumerate() {
        let is_positive = query / per_way == positive;
        let side = usize::from(!is_positive);
        let predicted = predictor.predict(supports, known.feature(image), None, &mut probabilities)?.class;
        default[side] += if (predicted == class) == is_positive { parts[side] } else { 0.0 };
        let Some(score) = predictor.score(class) else { continue };
        for (point, threshold) in points.iter_mut().zip(&thresholds) {
            let is_right = threshold.is_positive(score) == is_positive;
            point.of_queries[side] += if is_right { parts[side] } else { 0.0 };
        }
    }
    Ok(Tally { points, default })
}
