//! An operating point: a threshold on the score of one class, chosen from leave-one-out scores.
//!
//! One class is positive, all others together are negative. A sample is called positive when its score is at least the
//! threshold. Each support is left out in turn and scored by the head of the rest, which gives the scores of n⁺ positives and
//! n⁻ negatives that the threshold is chosen from.
//!
//! **Sensitivity s.** The threshold is the k-th smallest score of the positives, `k = ⌊(n⁺ + 1)(1 - s)⌋`. If the score of a new
//! positive and those of the left-out ones are exchangeable, its rank among all n⁺ + 1 is uniform, and it is below
//! the threshold at most k times in n⁺ + 1: it is called positive with probability s or more, for any distribution of
//! scores (split conformal prediction; Vovk, Gammerman and Shafer 2005, proposition 4.1). No larger threshold promises that. With
//! `n⁺ < s / (1 - s)` positives k is 0 and no threshold promises s; the smallest score promises `n⁺ / (n⁺ + 1)`.
//!
//! **Specificity s.** Likewise, just above the j-th smallest score of the negatives, `j = ⌈(n⁻ + 1) s⌉`, or the largest.
//!
//! **Costs.** The threshold with the smallest `cost⁺ (1 - sensitivity) + cost⁻ (1 - specificity)` over the left-out supports;
//! of equal ones the lowest, which misses no more positives than the others. The cost is that of rates, so it
//! does not depend on how many supports of each side were taught. It promises nothing.
//!
//! The score of a left-out support comes from a head with one support fewer than the head that scores a new sample, so the two
//! are nearly exchangeable, not exactly. The prediction sets of [`super::conformal`] leave samples out of a set that the new
//! sample is part of; they are exact and have no single threshold. `macula eval operating-point` measures the difference.

use serde::{Deserialize, Serialize};

/// What a threshold shall reach. The numbers of the variants are part of the protocol: append, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// Share of positives that are called positive, at least.
    Sensitivity {
        /// In thousandths, 1 to 999.
        permille: u16,
    },
    /// Share of negatives that are called negative, at least.
    Specificity {
        /// In thousandths, 1 to 999.
        permille: u16,
    },
    /// The least cost of the two kinds of error.
    Costs {
        /// Cost of a positive that is called negative, 1 to [`COST_MAX`](Self::COST_MAX).
        missed: u16,
        /// Cost of a negative that is called positive, 1 to [`COST_MAX`](Self::COST_MAX).
        false_alarm: u16,
    },
}

impl Target {
    /// The largest cost; only the ratio of two costs matters.
    pub const COST_MAX: u16 = 10_000;

    /// The highest share, in thousandths.
    pub const PERMILLE_MAX: u16 = 999;

    /// Whether the values are in range.
    ///
    /// # Errors
    /// With the value found and the largest allowed.
    pub fn check(self) -> Result<(), (u16, u16)> {
        let (values, limit) = match self {
            Self::Sensitivity { permille } | Self::Specificity { permille } => ([permille; 2], Self::PERMILLE_MAX),
            Self::Costs { missed, false_alarm } => ([missed, false_alarm], Self::COST_MAX),
        };
        match values.into_iter().find(|&value| value == 0 || value > limit) {
            Some(found) => Err((found, limit)),
            None => Ok(()),
        }
    }

    /// Supports that the promise needs: of the positive class for a sensitivity, of all others for a specificity. Costs need
    /// one of each.
    pub const fn shots_needed(self) -> u16 {
        match self {
            // A share above 999 thousandths is not allowed.
            Self::Sensitivity { permille } | Self::Specificity { permille } if permille >= 1000 => u16::MAX,
            Self::Sensitivity { permille } | Self::Specificity { permille } => 1000u16.div_ceil(1000 - permille) - 1,
            Self::Costs { .. } => 1,
        }
    }

    /// The threshold for left-out scores without NaN; `None` when there are none of the side that decides. Sorts them.
    ///
    /// * `positives`, `negatives`: scores rounded to `f32`
    pub fn threshold(self, positives: &mut [f64], negatives: &mut [f64]) -> Option<Threshold> {
        positives.sort_unstable_by(f64::total_cmp);
        negatives.sort_unstable_by(f64::total_cmp);
        let score = match self {
            Self::Sensitivity { permille } => {
                let below = (positives.len() + 1) * usize::from(1000u16.saturating_sub(permille)) / 1000;
                *positives.get(below.max(1) - 1)? as f32
            }
            Self::Specificity { permille } => {
                let below = ((negatives.len() + 1) * usize::from(permille)).div_ceil(1000);
                (*negatives.get(below.clamp(1, negatives.len().max(1)) - 1)? as f32).next_up()
            }
            Self::Costs { missed, false_alarm } => cheapest(positives, negatives, [missed, false_alarm])?,
        };
        let below = |scores: &[f64]| scores.partition_point(|&found| found < f64::from(score)) as u32;
        let (positive, negative) = (positives.len() as u32, negatives.len() as u32);
        let detected = positive - below(positives);
        Some(Threshold { score, detected, positives: positive, rejected: below(negatives), negatives: negative })
    }
}

/// The lowest threshold with the least cost of sorted scores.
fn cheapest(positives: &[f64], negatives: &[f64], [missed, false_alarm]: [u16; 2]) -> Option<f32> {
    let (&first, &other) = (positives.first()?, negatives.first()?);
    // In whole numbers, so that equal costs are equal: the cost times both numbers of supports.
    let (of_miss, of_alarm) =
        (u64::from(missed) * negatives.len() as u64, u64::from(false_alarm) * positives.len() as u64);
    // Everything is positive at the smallest score; a threshold higher than a score has at least that one below it.
    let lowest = if first < other { first } else { other } as f32;
    let (mut best, mut score) = (of_alarm * negatives.len() as u64, lowest);
    let (mut misses, mut rejected) = (0, 0);
    while misses < positives.len() || rejected < negatives.len() {
        let next = [positives.get(misses), negatives.get(rejected)].into_iter().flatten();
        let at = next.fold(f64::INFINITY, |least, &found| if found < least { found } else { least });
        misses += positives[misses..].iter().take_while(|&&found| found <= at).count();
        rejected += negatives[rejected..].iter().take_while(|&&found| found <= at).count();
        let cost = of_miss * misses as u64 + of_alarm * (negatives.len() - rejected) as u64;
        if cost < best {
            (best, score) = (cost, (at as f32).next_up());
        }
    }
    Some(score)
}

/// Which class is positive, and what its threshold shall reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatingPoint {
    /// Slot of the positive class.
    pub class: u8,
    /// What the threshold shall reach.
    pub target: Target,
}

/// Bytes of an operating point in a store: class, number of the target (1 sensitivity, 2 specificity, 3 costs), and two
/// `u16` little-endian: the share in thousandths and 0, or the costs.
const BYTES: usize = 6;

impl OperatingPoint {
    /// Its bytes in a store.
    pub fn to_bytes(self) -> [u8; BYTES] {
        let (number, values) = match self.target {
            Target::Sensitivity { permille } => (1, [permille, 0]),
            Target::Specificity { permille } => (2, [permille, 0]),
            Target::Costs { missed, false_alarm } => (3, [missed, false_alarm]),
        };
        let [[a, b], [c, d]] = values.map(u16::to_le_bytes);
        [self.class, number, a, b, c, d]
    }

    /// Reads the bytes of a store; `None` for another form, as a later program may write it.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[class, number, a, b, c, d] = bytes.try_into().ok()?;
        let [first, second] = [[a, b], [c, d]].map(u16::from_le_bytes);
        let target = match number {
            1 => Target::Sensitivity { permille: first },
            2 => Target::Specificity { permille: first },
            3 => Target::Costs { missed: first, false_alarm: second },
            _ => return None,
        };
        target.check().is_ok().then_some(Self { class, target })
    }
}

/// A threshold, and what it does to the left-out supports that it was chosen from.
///
/// A class with a single support has no score of its own: the positive class when its only support is left out, a sample that
/// is left alone with no other class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The lowest score that is called positive; finite.
    pub score: f32,
    /// Left-out positives that are called positive.
    pub detected: u32,
    /// Left-out positives.
    pub positives: u32,
    /// Left-out negatives that are called negative.
    pub rejected: u32,
    /// Left-out negatives.
    pub negatives: u32,
}

impl Threshold {
    /// Whether a sample with this score is called positive.
    pub fn is_positive(&self, score: f32) -> bool {
        score >= self.score
    }

    /// The share in thousandths that is promised for new samples: that of the target, or `n / (n + 1)` rounded down if there
    /// are too few supports for it. `None` for costs.
    pub fn promise_permille(&self, target: Target) -> Option<u16> {
        let (permille, of) = match target {
            Target::Sensitivity { permille } => (permille, self.positives),
            Target::Specificity { permille } => (permille, self.negatives),
            Target::Costs { .. } => return None,
        };
        let most = u64::from(of) * 1000 / (u64::from(of) + 1);
        Some(permille.min(most as u16))
    }

    /// Whether there are enough supports to promise the target; always for costs, which promise nothing.
    pub fn is_enough(&self, target: Target) -> bool {
        match target {
            Target::Sensitivity { permille } | Target::Specificity { permille } => {
                self.promise_permille(target) == Some(permille)
            }
            Target::Costs { .. } => true,
        }
    }
}

/// Log odds of class `positive` against all other classes, `ln (p / (1 - p))`, by softmax of `-½ sharpness` times the squared
/// distances. All classes are equally likely before the sample is seen. `None` without a distance to both sides.
///
/// * `squares`: squared distance to each class, up to a common term; `∞` for a class without supports
pub(super) fn log_odds(squares: &[f64], positive: usize, sharpness: f64) -> Option<f32> {
    let others = || squares.iter().enumerate().filter(|(class, _)| *class != positive).map(|(_, &square)| square);
    let nearest = others().fold(f64::INFINITY, |least, square| if square < least { square } else { least });
    let own = *squares.get(positive)?;
    // Subtracting the nearest of the others keeps the exponentials finite.
    let sum = others().fold(0.0, |sum, square| sum + libm::exp(0.5 * sharpness * (nearest - square)));
    let odds = (0.5 * sharpness * (nearest - own) - libm::log(sum)) as f32;
    (nearest.is_finite() && odds.is_finite()).then_some(odds)
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec::Vec;

    /// Scores in sixteenths, so that many are equal.
    fn scores(seed: &mut u64, count: usize) -> Vec<f64> {
        let mut next = || {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 60) as f64 / 16.0 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    const fn sensitivity(permille: u16) -> Target {
        Target::Sensitivity { permille }
    }

    const fn specificity(permille: u16) -> Target {
        Target::Specificity { permille }
    }

    /// Every threshold that tells scores apart: each score, and just above each.
    fn candidates(positives: &[f64], negatives: &[f64]) -> Vec<f32> {
        let all = positives.iter().chain(negatives).map(|&score| score as f32);
        let mut all: Vec<f32> = all.flat_map(|score| [score, score.next_up()]).collect();
        all.sort_by(f32::total_cmp);
        all
    }

    fn count(scores: &[f64], is: impl Fn(f64) -> bool) -> usize {
        scores.iter().filter(|&&score| is(score)).count()
    }

    /// Adding a positive at every place among the others keeps the promise on average, and the next higher score would not.
    #[test]
    fn a_threshold_is_the_largest_that_keeps_the_promise() {
        let mut seed = 5;
        for permille in [1, 100, 500, 800, 900, 950, 999] {
            for of in [1, 2, 5, 9, 18, 19, 20, 40, 100] {
                let (mut positives, mut negatives) = (scores(&mut seed, of), scores(&mut seed, 7));
                let found = sensitivity(permille).threshold(&mut positives, &mut negatives).unwrap();
                // Distinct scores, as the promise is the tightest then.
                let mut distinct: Vec<f64> = (0..of).map(|rank| rank as f64).collect();
                let threshold = sensitivity(permille).threshold(&mut distinct, &mut []).unwrap().score;
                // The new positive has each of the n + 1 places with equal probability: below the first, …, above the last.
                let called = |threshold: f64| (0..=of).filter(|&place| place as f64 - 0.5 >= threshold).count();
                let promised = |threshold: f64| called(threshold) * 1000 >= usize::from(permille) * (of + 1);
                let enough = of >= usize::from(sensitivity(permille).shots_needed());
                assert_eq!(promised(threshold.into()), enough, "{permille} of {of}: {threshold}");
                assert!(!promised(f64::from(threshold) + 1.0), "{permille} of {of}: a larger one would do");
                assert_eq!(found.positives as usize, of);
                assert_eq!(found.detected as usize, count(&positives, |score| score >= found.score.into()));
                assert_eq!(found.rejected as usize, count(&negatives, |score| score < found.score.into()));
                let most = (of * 1000 / (of + 1)) as u16;
                assert_eq!(found.promise_permille(sensitivity(permille)), Some(permille.min(most)));
                assert_eq!(found.is_enough(sensitivity(permille)), enough);

                // A specificity is a sensitivity of the negatives with all scores negated.
                let mirrored = specificity(permille).threshold(&mut [], &mut distinct).unwrap().score;
                assert_eq!(mirrored, (of as f32 - 1.0 - threshold).next_up(), "{permille} of {of}");
            }
        }
    }

    #[test]
    fn costs_agree_with_trying_every_threshold() {
        let mut seed = 11;
        for (missed, false_alarm) in [(1, 1), (10, 1), (1, 10), (3, 2), (Target::COST_MAX, 1)] {
            for (of, others) in [(1, 1), (1, 5), (6, 3), (12, 12), (20, 7)] {
                let (mut positives, mut negatives) = (scores(&mut seed, of), scores(&mut seed, others));
                let cost = |threshold: f32| {
                    let threshold = f64::from(threshold);
                    count(&positives, |score| score < threshold) * others * usize::from(missed)
                        + count(&negatives, |score| score >= threshold) * of * usize::from(false_alarm)
                };
                let all = candidates(&positives, &negatives);
                let least = all.iter().map(|&threshold| cost(threshold)).min().unwrap();
                let lowest = all.into_iter().find(|&threshold| cost(threshold) == least).unwrap();
                let target = Target::Costs { missed, false_alarm };
                let found = target.threshold(&mut positives, &mut negatives).unwrap();
                assert_eq!(found.score, lowest, "{target:?} {positives:?} {negatives:?}");
                assert_eq!(found.promise_permille(target), None);
            }
        }
        // Scores far apart: just above the negatives, so that anything in the gap is positive.
        let found = Target::Costs { missed: 1, false_alarm: 1 }.threshold(&mut [4.0, 3.0], &mut [-2.0, -3.0]).unwrap();
        assert_eq!((found.score, found.detected, found.rejected), ((-2.0f32).next_up(), 2, 2));
    }

    #[test]
    fn a_side_without_scores_has_no_threshold() {
        let costs = Target::Costs { missed: 1, false_alarm: 1 };
        assert_eq!(sensitivity(900).threshold(&mut [], &mut [1.0]), None);
        assert_eq!(specificity(900).threshold(&mut [1.0], &mut []), None);
        assert!(costs.threshold(&mut [], &mut [1.0]).is_none() && costs.threshold(&mut [1.0], &mut []).is_none());
        let alone = sensitivity(900).threshold(&mut [1.5], &mut []).unwrap();
        assert_eq!(alone, Threshold { score: 1.5, detected: 1, positives: 1, rejected: 0, negatives: 0 });
        assert!(alone.is_positive(1.5) && !alone.is_positive(1.5f32.next_down()));
    }

    #[test]
    fn shots_needed_are_those_of_the_promise() {
        for (permille, needed) in [(1, 1), (500, 1), (900, 9), (950, 19), (975, 39), (990, 99), (999, 999)] {
            assert_eq!((sensitivity(permille).shots_needed(), specificity(permille).shots_needed()), (needed, needed));
        }
    }

    #[test]
    fn bytes_of_a_store() {
        for (target, bytes) in [
            (sensitivity(950), [7, 1, 0xb6, 3, 0, 0]),
            (specificity(1), [7, 2, 1, 0, 0, 0]),
            (Target::Costs { missed: 20, false_alarm: 1 }, [7, 3, 20, 0, 1, 0]),
        ] {
            let point = OperatingPoint { class: 7, target };
            assert_eq!(point.to_bytes(), bytes);
            assert_eq!(OperatingPoint::parse(&bytes), Some(point));
            assert_eq!(OperatingPoint::parse(&bytes[..5]), None);
        }
        for bytes in [[0, 0, 1, 0, 0, 0], [0, 4, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 2, 0xe8, 3, 0, 0]] {
            assert_eq!(OperatingPoint::parse(&bytes), None, "{bytes:?}");
        }
        assert_eq!(sensitivity(1000).check(), Err((1000, 999)));
        assert_eq!(Target::Costs { missed: 1, false_alarm: 0 }.check(), Err((0, 10_000)));
    }

    #[test]
    fn log_odds_by_hand() {
        // Squared distances 2 and 6 with sharpness 1: exp(-1) against exp(-3).
        assert_eq!(log_odds(&[2.0, 6.0], 0, 1.0), Some(2.0));
        assert_eq!(log_odds(&[2.0, 6.0], 1, 1.0), Some(-2.0));
        let two = log_odds(&[2.0, 6.0, 6.0], 0, 1.0).unwrap();
        assert!((two - (2.0 - core::f32::consts::LN_2)).abs() < 1e-6);
        assert_eq!(log_odds(&[2.0, 6.0, f64::INFINITY], 0, 1.0), Some(2.0), "a class without supports");
        assert_eq!((log_odds(&[2.0, f64::INFINITY], 0, 1.0), log_odds(&[2.0, f64::INFINITY], 1, 1.0)), (None, None));
        assert_eq!((log_odds(&[2.0], 0, 1.0), log_odds(&[2.0, 6.0], 2, 1.0)), (None, None));
    }
}
