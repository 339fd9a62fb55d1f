//! Active learning: labels that a device asks for, against labels of images in random order.
//!
//! Each run draws queries, one labelled image per class, and a pool of images without labels, whose classes come as often as
//! they are. Image by image one of the pool is labelled: a random one, or the one whose class is least certain
//! ([`uncertainty`]). The head is the device's.

use macula_edge::decide::Predictor;
use macula_edge::head::HeadKind;
use rayon::prelude::*;

use super::EvaluateError;
use super::abstention::DeviceFeatures;
use super::episodes::{Episode, EpisodePool};
use super::features::Progress;
use super::heads::{EpisodeSupports, Quantised};
use crate::measure::{ConfusionMatrix, Interval, PairedDifference, uncertainty};
use crate::rng::Rng;

/// How labels are asked for.
#[derive(Clone, Copy, Debug)]
pub struct ActiveSettings {
    /// Images of the pool.
    pub pool: usize,
    /// Labels, those of the start included.
    pub labels: usize,
    /// Error rate of the prediction sets, in thousandths.
    pub error_permille: u16,
    /// Number of runs.
    pub runs: usize,
    /// Random seed.
    pub seed: u64,
}

/// Balanced accuracy after a number of labels, over all runs.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ActivePoint {
    /// Labelled images.
    pub labels: usize,
    /// Labelled in random order.
    pub random: Interval,
    /// Labelled as the device asks.
    pub asked: Interval,
    /// `asked` against `random`, run by run.
    pub difference: PairedDifference,
    /// Labels that the device asks for until its mean balanced accuracy is that of `random` here; none if it is never reached.
    pub asked_labels: Option<usize>,
}

/// Result of [`active_learning`].
#[derive(Clone, Debug, serde::Serialize)]
pub struct ActiveResult {
    /// One for each number of labels.
    pub points: Vec<ActivePoint>,
    /// Mean balanced accuracy over all numbers of labels (the area under the curve), asked against random, run by run.
    pub area: PairedDifference,
}

/// One run: balanced accuracy after each label, `[labels]`, in random order and as asked.
type Curves = [Vec<f64>; 2];

/// Runs `settings.runs` runs on episodes of `pool`, whose shots are the labels of each class at the start.
///
/// * `labels`: class of each image
///
/// # Errors
/// When an episode cannot be drawn, or the device cannot take the features.
pub fn active_learning(
    features: &DeviceFeatures,
    labels: &[usize],
    pool: &EpisodePool,
    settings: &ActiveSettings,
    progress: Progress,
) -> Result<ActiveResult, EvaluateError> {
    let runs: Vec<Curves> = (0..settings.runs)
        .into_par_iter()
        .map(|index| {
            let (episode, images) = pool.draw_with_pool(index, settings.pool)?;
            let run = Run { features, labels, episode: &episode, settings };
            let rng = Rng::for_item(settings.seed, "order of labels", 0, index as u64);
            let curves = [run.curve(images.clone(), Some(rng))?, run.curve(images, None)?];
            progress(1);
            Ok::<_, EvaluateError>(curves)
        })
        .collect::<Result<_, _>>()?;
    Ok(summary(&runs, pool.supports()))
}

/// * `start`: labels before the first step
fn summary(runs: &[Curves], start: usize) -> ActiveResult {
    let steps = runs.iter().flatten().map(Vec::len).min().unwrap_or(0);
    let after = |order: usize, step: usize| runs.iter().map(|curves| curves[order][step]).collect::<Vec<f64>>();
    let asked: Vec<Interval> = (0..steps).map(|step| Interval::of(&after(1, step))).collect();
    let point = |step: usize| {
        let random = Interval::of(&after(0, step));
        ActivePoint {
            labels: start + step,
            difference: PairedDifference::of_episodes(&after(1, step), &after(0, step)),
            asked_labels: asked.iter().position(|asked| asked.mean >= random.mean).map(|step| start + step),
            asked: asked[step],
            random,
        }
    };
    let mean = |order: usize| -> Vec<f64> {
        let mean = |curve: &[f64]| curve.iter().sum::<f64>() / curve.len() as f64;
        runs.iter().map(|curves| mean(&curves[order][..steps])).collect()
    };
    let area = PairedDifference::of_episodes(&mean(1), &mean(0));
    ActiveResult { points: (0..steps).map(point).collect(), area }
}

/// One run.
struct Run<'r> {
    features: &'r DeviceFeatures,
    labels: &'r [usize],
    episode: &'r Episode,
    settings: &'r ActiveSettings,
}

impl Run<'_> {
    /// Balanced accuracy on the queries after each label.
    ///
    /// * `random`: draws the images to label; without it the device asks
    fn curve(&self, mut pool: Vec<usize>, mut random: Option<Rng>) -> Result<Vec<f64>, EvaluateError> {
        let mut labelled = self.episode.supports.clone();
        let mut curve = Vec::new();
        loop {
            let (accuracy, next) = self.step(&labelled, &pool, random.as_mut())?;
            curve.push(accuracy);
            match next {
                Some(next) if labelled.len() < self.settings.labels => labelled.push(pool.swap_remove(next)),
                _ => return Ok(curve),
            }
        }
    }

    /// Balanced accuracy with the images `labelled`, and the position in `pool` of the next one to label.
    fn step(
        &self,
        labelled: &[usize],
        pool: &[usize],
        random: Option<&mut Rng>,
    ) -> Result<(f64, Option<usize>), EvaluateError> {
        let ways: Vec<usize> = labelled.iter().map(|&image| self.way(image)).collect();
        let rows = labelled.iter().flat_map(|&image| self.features.feature(image)).copied().collect();
        let support_set = EpisodeSupports::new(&Quantised { dim: self.features.dim(), rows }, &ways);
        let supports = support_set.supports();
        let count = self.episode.classes.len();
        let mut scratch = vec![0.0; Predictor::scratch_len(supports.dim, count, supports.len())];
        let mut probabilities = vec![0.0; count];
        let error_permille = self.settings.error_permille;
        let mut predictor = Predictor::fit(HeadKind::Auto, supports, count, None, error_permille, &mut scratch)?;
        let mut confusion = ConfusionMatrix::new(count);
        for &image in &self.episode.queries {
            let found = predictor.predict(supports, self.features.feature(image), None, &mut probabilities)?;
            confusion.add(self.way(image), found.class.into());
        }
        let next = match random {
            _ if pool.is_empty() => None,
            Some(random) => Some(random.below(pool.len())),
            None => {
                let mut most: Option<(f64, usize)> = None;
                for (position, &image) in pool.iter().enumerate() {
                    let found = predictor.predict(supports, self.features.feature(image), None, &mut probabilities)?;
                    let value = uncertainty(found.set.len(), found.probability.into());
                    if most.is_none_or(|(largest, _)| value > largest) {
                        most = Some((value, position));
                    }
                }
                most.map(|(_, position)| position)
            }
        };
        Ok((confusion.balanced_accuracy(), next))
    }

    /// The place of an image's class in the episode.
    fn way(&self, image: usize) -> usize {
        self.episode.classes.iter().position(|&class| class == self.labels[image]).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_to_the_same_accuracy_are_counted_from_the_start() {
        let random = vec![0.5, 0.6, 0.7, 0.8];
        let asked = vec![0.5, 0.7, 0.8, 0.9];
        let runs: Vec<Curves> = (0..5).map(|_| [random.clone(), asked.clone()]).collect();
        let found = summary(&runs, 2);
        let counts: Vec<(usize, Option<usize>)> =
            found.points.iter().map(|point| (point.labels, point.asked_labels)).collect();
        assert_eq!(counts, [(2, Some(2)), (3, Some(3)), (4, Some(3)), (5, Some(4))]);
        assert!((found.area.difference - 0.075).abs() < 1e-9);
    }

    #[test]
    fn a_rare_class_between_two_is_found_sooner_by_asking() {
        // Two classes on an arc: most images are far from the border, where labels tell nothing.
        let mut rng = Rng::for_purpose(3, "test");
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        for image in 0..600 {
            let angle = if image % 10 == 0 { 0.55 + 0.45 * rng.uniform() } else { 0.45 * rng.uniform() };
            let class = usize::from(angle > 0.5);
            let angle = angle * std::f32::consts::FRAC_PI_2;
            rows.extend([angle.cos(), angle.sin(), 0.1 * rng.normal()]);
            labels.push(class);
        }
        let features = DeviceFeatures::new(&crate::measure::Features { dim: 3, rows }).unwrap();
        let settings = super::super::episodes::EpisodeSettings { ways: 2, shots: 1, queries: 25, seed: 1 };
        let pool = EpisodePool::of_labels(&labels, settings).unwrap();
        let settings = ActiveSettings { pool: 100, labels: 16, error_permille: 100, runs: 20, seed: 1 };
        let run = || active_learning(&features, &labels, &pool, &settings, &|_| ()).unwrap();
        let found = run();
        assert_eq!(found.points.len(), 15);
        assert_eq!(found.points[0].random.mean, found.points[0].asked.mean, "the start is the same");
        assert!(found.area.difference > 0.0, "{:?}", found.area);
        assert_eq!(format!("{found:?}"), format!("{:?}", run()), "the same seed gives the same figures");
    }
}
