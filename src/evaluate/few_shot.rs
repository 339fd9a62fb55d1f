//! Few-shot evaluation over many episodes.
//!
//! Features must be centred and scaled by the unlabelled split. All queries of an episode have the same weight, and
//! intervals are over episodes.

use rayon::prelude::*;

use super::EvaluateError;
use super::episodes::{Episode, EpisodePool};
use super::features::Progress;
use super::heads::HeadKind;
use super::predictions::Predictions;
use crate::measure::{ConfusionMatrix, Features, Interval, argmax_rows, roc_auc, roc_curve};

/// Result of a head over all episodes.
#[derive(Clone, Debug, serde::Serialize)]
pub struct FewShotResult {
    /// Mean over episodes.
    pub balanced_accuracy: Interval,
    /// Per class, over all queries of all episodes; `None` for a class that was never drawn.
    pub recalls: Vec<Option<f64>>,
    /// Mean of each class's recall over the episodes that drew it; `None` for a class that was never drawn.
    pub recall_intervals: Vec<Option<Interval>>,
    /// Over all queries of all episodes.
    pub accuracy: f64,
    /// Mean over episodes of the area under the ROC curve; only for two classes.
    pub area_under_roc: Option<Interval>,
    /// Mean over episodes of the sensitivity for the second of two classes at the most sensitive threshold that leaves a
    /// specificity of 95 % on the queries of the episode; only for two classes.
    pub sensitivity_at_95_specificity: Option<Interval>,
    /// `[truth][predicted]` over all queries.
    pub confusion: ConfusionMatrix,
    /// Balanced accuracy of each episode, for paired comparison on the same episodes.
    #[serde(skip)]
    pub of_episodes: Vec<f64>,
    /// Mean of each class's specificity over the episodes that drew it; `None` for a class that was never drawn.
    #[serde(skip)]
    pub specificity_intervals: Vec<Option<Interval>>,
}

/// The specificity at which sensitivity is reported.
const SPECIFICITY: f64 = 0.95;

/// Result of one episode.
struct Tally {
    confusion: ConfusionMatrix,
    area_under_roc: Option<f64>,
    sensitivity: Option<f64>,
    predictions: Predictions,
}

/// Evaluates `head` on `episodes` episodes of `pool`.
///
/// * `features`: `[N, D]`, standardised, in the pool's order
/// * `num_classes`: of the dataset
///
/// # Errors
/// When an episode cannot be drawn or the head fails.
pub fn few_shot(
    features: &Features,
    num_classes: usize,
    pool: &EpisodePool,
    episodes: usize,
    head: HeadKind,
    progress: Progress,
) -> Result<FewShotResult, EvaluateError> {
    Ok(few_shot_predictions(features, num_classes, pool, episodes, head, (0, progress))?.0)
}

/// [`few_shot`], and the predictions of the first `keep` episodes.
///
/// # Errors
/// As [`few_shot`].
pub fn few_shot_predictions(
    features: &Features,
    num_classes: usize,
    pool: &EpisodePool,
    episodes: usize,
    head: HeadKind,
    (keep, progress): (usize, Progress),
) -> Result<(FewShotResult, Predictions), EvaluateError> {
    let select = |episode: &Episode| Ok([features.select(&episode.supports), features.select(&episode.queries)]);
    few_shot_by(&select, num_classes, pool, episodes, head, (keep, progress))
}

/// As [`few_shot_predictions`] with features that depend on the supports of an episode.
///
/// * `select`: features of supports and of queries of an episode, standardised; labels of queries must not matter
///
/// # Errors
/// As [`few_shot`], and those of `select`.
pub fn few_shot_by(
    select: &(dyn Fn(&Episode) -> Result<[Features; 2], EvaluateError> + Sync),
    num_classes: usize,
    pool: &EpisodePool,
    episodes: usize,
    head: HeadKind,
    (keep, progress): (usize, Progress),
) -> Result<(FewShotResult, Predictions), EvaluateError> {
    let tallies: Vec<Tally> = (0..episodes)
        .into_par_iter()
        .map(|index| {
            let tally = run_episode(select, num_classes, &pool.draw(index)?, head, index < keep)?;
            progress(1);
            Ok::<_, EvaluateError>(tally)
        })
        .collect::<Result<_, _>>()?;
    let mut confusion = ConfusionMatrix::new(num_classes);
    tallies.iter().for_each(|tally| confusion.merge(&tally.confusion));
    let of_episodes: Vec<f64> = tallies.iter().map(|tally| tally.confusion.balanced_accuracy()).collect();
    let recall_interval = |class: usize| {
        let of_class: Vec<f64> = tallies.iter().filter_map(|tally| tally.confusion.recalls()[class]).collect();
        (!of_class.is_empty()).then(|| Interval::of(&of_class))
    };
    let specificity_interval = |class: usize| {
        // An episode without the class says nothing about it.
        let drawn = tallies.iter().filter(|tally| tally.confusion.images(class) > 0);
        let of_class: Vec<f64> = drawn.filter_map(|tally| tally.confusion.specificities()[class]).collect();
        (!of_class.is_empty()).then(|| Interval::of(&of_class))
    };
    let mut predictions = Predictions::default();
    tallies.iter().take(keep).for_each(|tally| predictions.extend(&tally.predictions));
    let sensitivities: Vec<f64> = tallies.iter().filter_map(|tally| tally.sensitivity).collect();
    let areas: Vec<f64> = tallies.iter().filter_map(|tally| tally.area_under_roc).collect();
    let result = FewShotResult {
        balanced_accuracy: Interval::of(&of_episodes),
        recalls: confusion.recalls(),
        recall_intervals: (0..num_classes).map(recall_interval).collect(),
        accuracy: confusion.accuracy(),
        area_under_roc: (!areas.is_empty()).then(|| Interval::of(&areas)),
        sensitivity_at_95_specificity: (!sensitivities.is_empty()).then(|| Interval::of(&sensitivities)),
        specificity_intervals: (0..num_classes).map(specificity_interval).collect(),
        confusion,
        of_episodes,
    };
    Ok((result, predictions))
}

fn run_episode(
    select: &dyn Fn(&Episode) -> Result<[Features; 2], EvaluateError>,
    num_classes: usize,
    episode: &Episode,
    head: HeadKind,
    keep: bool,
) -> Result<Tally, EvaluateError> {
    let ways = episode.classes.len();
    let (shots, queries) = (episode.supports.len() / ways, episode.queries.len() / ways);
    let way_of = |per_class: usize| (0..ways * per_class).map(move |i| i / per_class).collect::<Vec<_>>();
    let [supports, query_features] = select(episode)?;
    let scores = head.scores(&supports, &way_of(shots), ways, &query_features)?;
    let mut confusion = ConfusionMatrix::new(num_classes);
    let truth = way_of(queries);
    for (&truth, predicted) in truth.iter().zip(argmax_rows(&scores, ways)) {
        confusion.add(episode.classes[truth], episode.classes[predicted]);
    }
    let area_under_roc = binary_area(&scores, &truth, num_classes);
    let sensitivity = (num_classes == 2).then(|| {
        let margins: Vec<f64> = scores.chunks(2).map(|pair| pair[1] - pair[0]).collect();
        sensitivity_at(&margins, &truth, SPECIFICITY)
    });
    let predictions = match keep {
        true => predictions(&head.probabilities(&scores, ways), &truth, episode, num_classes),
        false => Predictions::default(),
    };
    Ok(Tally { confusion, area_under_roc, sensitivity, predictions })
}

/// The predictions of an episode with the classes of the dataset.
fn predictions(of_ways: &[f64], truth: &[usize], episode: &Episode, num_classes: usize) -> Predictions {
    let ways = episode.classes.len();
    let mut probabilities = vec![f64::NAN; truth.len() * num_classes];
    for (row, out) in of_ways.chunks_exact(ways).zip(probabilities.chunks_exact_mut(num_classes)) {
        row.iter().zip(&episode.classes).for_each(|(&value, &class)| out[class] = value);
    }
    let truth = truth.iter().map(|&way| episode.classes[way]).collect();
    Predictions { num_classes, images: episode.queries.clone(), truth, probabilities }
}

/// The greatest sensitivity for class 1 on the ROC curve of the margins at which at least `specificity` of class 0 lies below the
/// threshold. Ties count against sensitivity: images of equal margin pass a threshold together.
fn sensitivity_at(margins: &[f64], truth: &[usize], specificity: f64) -> f64 {
    let positive: Vec<bool> = truth.iter().map(|&class| class == 1).collect();
    // Rounding must not turn 5 % of 20 images into none.
    let allowed = 1.0 - specificity + 1e-9;
    let points = roc_curve(margins, &positive).unwrap_or_default();
    points.iter().filter(|point| point.0 <= allowed).map(|point| point.1).fold(0.0, f64::max)
}

/// Area under the ROC curve of the second of two classes; `None` for another number of classes.
pub(super) fn binary_area(scores: &[f64], truth: &[usize], num_classes: usize) -> Option<f64> {
    if num_classes != 2 {
        return None;
    }
    let margins: Vec<f64> = scores.chunks(2).map(|pair| pair[1] - pair[0]).collect();
    let positive: Vec<bool> = truth.iter().map(|&class| class == 1).collect();
    roc_auc(&margins, &positive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitivity_is_counted_above_all_but_the_allowed_negatives() {
        // 20 negatives 0..=19 and 4 positives: one negative may lie above, so the threshold is 18.
        let margins: Vec<f64> = (0..20).map(f64::from).chain([17.0, 18.0, 18.5, 30.0]).collect();
        let truth: Vec<usize> = vec![0; 20].into_iter().chain([1; 4]).collect();
        assert_eq!(sensitivity_at(&margins, &truth, 0.95), 0.5);
        // Of 19 negatives none may lie above.
        assert_eq!(sensitivity_at(&margins[1..], &truth[1..], 0.95), 0.25);
        assert_eq!(sensitivity_at(&[1.0, 1.0], &[0, 1], 0.95), 0.0, "a tie is no detection");
    }
}
