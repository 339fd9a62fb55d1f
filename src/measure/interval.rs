//! Confidence intervals of means, and paired differences between two encoders on the same tasks.
//!
//! All intervals are 95 % intervals. Proportions of few images use the adjusted Wald intervals of Price and Bonett (2004,
//! "An improved confidence interval for a linear function of binomial proportions") and Bonett and Price (2012, "Adjusted
//! Wald confidence interval for a difference of binomial proportions based on paired data"). They add pseudo-observations,
//! half of them correct, so that the width stays above 0 when all images are correct.

use std::fmt;

use super::ConfusionMatrix;

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.96;

/// Fewest episodes for an interval of a difference; with fewer their variance is too uncertain.
const EPISODES_MIN: usize = 5;

/// A mean with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// The mean; NaN without values.
    pub mean: f64,
    /// Half the width of the 95 % confidence interval of the mean; none if it cannot be estimated (a single value).
    pub half_width_95: Option<f64>,
}

impl Interval {
    /// Mean of independent `values` with the normal approximation `1.96 s / √n`, `s` the sample standard deviation.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        Self { mean, half_width_95: standard_error(values, mean).map(|error| Z * error) }
    }

    /// Balanced accuracy of one test set. The recalls of its `m` classes are independent binomial proportions `k / n`; for
    /// the width each is replaced by `(k + 2/m) / (n + 4/m)` (Price and Bonett 2004).
    pub fn of_balanced_accuracy(confusion: &ConfusionMatrix) -> Self {
        let classes: Vec<usize> = (0..confusion.counts().len()).filter(|&class| confusion.images(class) > 0).collect();
        let m = classes.len() as f64;
        let variance = |&class: &usize| {
            let images = confusion.images(class) as f64 + 4.0 / m;
            let share = (confusion.counts()[class][class] as f64 + 2.0 / m) / images;
            share * (1.0 - share) / images
        };
        let error = classes.iter().map(variance).sum::<f64>().sqrt() / m;
        let half_width_95 = (!classes.is_empty()).then_some(Z * error);
        Self { mean: confusion.balanced_accuracy(), half_width_95 }
    }

    /// Whether the intervals of `self` and `other` overlap; none if one of them has no width.
    pub fn overlaps(&self, other: &Self) -> Option<bool> {
        Some((self.mean - other.mean).abs() <= self.half_width_95? + other.half_width_95?)
    }

    /// The half width as text for a table.
    pub fn width_text(&self) -> String {
        self.half_width_95.map_or("-".to_owned(), |half| format!("{half:.3}"))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mean.is_nan(), self.half_width_95) {
            (true, _) => f.pad("-"),
            (false, Some(half)) => f.pad(&format!("{:.3} ± {half:.3}", self.mean)),
            (false, None) => f.pad(&format!("{:.3}", self.mean)),
        }
    }
}

/// The 95 % interval of Wilson (1927, "Probable inference, the law of succession, and statistical inference") for a
/// proportion of `count` in `of` trials; none without a trial. It never leaves 0 to 1, and has a width at both ends.
pub fn wilson(count: u64, of: u64) -> Option<[f64; 2]> {
    if of == 0 {
        return None;
    }
    let (n, share) = (of as f64, count as f64 / of as f64);
    let scale = 1.0 + Z * Z / n;
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some([((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0)])
}

/// `s / √n`; none for fewer than two values.
fn standard_error(values: &[f64], mean: f64) -> Option<f64> {
    let n = values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt())
}

/// Conclusion from the interval of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The interval lies above 0: the first is better.
    Ahead,
    /// The interval contains 0.
    Level,
    /// The interval lies below 0: the first is worse.
    Behind,
    /// Too few values for an interval.
    Undecided,
}

/// Paired difference of two classifiers on the same images or episodes.
///
/// The difficulty of an image or episode is common to both and cancels. The interval of the difference is therefore
/// narrower than the two separate intervals suggest: these may overlap although one classifier is clearly better.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct PairedDifference {
    /// Mean difference, -1 to 1; positive if the first is better.
    pub difference: f64,
    /// 95 % confidence interval of the difference, lower and upper end.
    pub interval: Option<[f64; 2]>,
    /// Conclusion from the interval.
    pub verdict: Standing,
}

impl PairedDifference {
    /// From one figure per episode for each, `[episodes]`, by Student's t.
    pub fn of_episodes(own: &[f64], other: &[f64]) -> Self {
        let differences: Vec<f64> = own.iter().zip(other).map(|(own, other)| own - other).collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        let error = standard_error(&differences, mean).filter(|_| differences.len() >= EPISODES_MIN);
        let half = error.map(|error| error * student_t_975(differences.len() - 1));
        Self::between(mean, half.map(|half| [mean - half, mean + half]))
    }

    /// Of balanced accuracy on the same images, from the class of each image and whether each classifier was correct, `[N]`.
    ///
    /// A class with `n` images, of which only the first is correct on `b` and only the other on `c`, contributes
    /// `(b - c) / n`, averaged over the `m` classes. For the interval `b` and `c` are increased by `1/m` and `n` by `2/m`
    /// (Bonett and Price 2012, distributed over the classes as in Price and Bonett 2004).
    pub fn of_images(truth: &[usize], own: &[bool], other: &[bool], num_classes: usize) -> Self {
        let mut counts = vec![[0.0f64; 3]; num_classes];
        for ((&class, &own), &other) in truth.iter().zip(own).zip(other) {
            let [n, b, c] = &mut counts[class];
            *n += 1.0;
            *b += f64::from(u8::from(own && !other));
            *c += f64::from(u8::from(other && !own));
        }
        counts.retain(|&[n, ..]| n > 0.0);
        let m = counts.len() as f64;
        let mean = |of: &dyn Fn(&[f64; 3]) -> f64| counts.iter().map(of).sum::<f64>() / m;
        let difference = mean(&|[n, b, c]| (b - c) / n);
        if counts.is_empty() {
            return Self::between(0.0, None);
        }
        let shares = |[n, b, c]: &[f64; 3]| ((b + 1.0 / m) / (n + 2.0 / m), (c + 1.0 / m) / (n + 2.0 / m));
        let centre = mean(&|counts| shares(counts).0 - shares(counts).1);
        let variance = mean(&|counts| {
            let (only_own, only_other) = shares(counts);
            (only_own + only_other - (only_own - only_other).powi(2)) / (counts[0] + 2.0 / m)
        });
        let half = Z * (variance / m).sqrt();
        Self::between(difference, Some([(centre - half).max(-1.0), (centre + half).min(1.0)]))
    }

    fn between(difference: f64, interval: Option<[f64; 2]>) -> Self {
        let verdict = match interval {
            None => Standing::Undecided,
            Some([low, _]) if low > 0.0 => Standing::Ahead,
            Some([_, high]) if high < 0.0 => Standing::Behind,
            Some(_) => Standing::Level,
        };
        Self { difference, interval, verdict }
    }
}

/// The 97.5 % quantile of Student's t by its expansion about the normal quantile (Abramowitz and Stegun 26.7.5); exact to
/// 0.001 from 4 degrees of freedom on.
fn student_t_975(degrees: usize) -> f64 {
    let (z, n) = (1.959_964f64, degrees as f64);
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
        (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1482.0 * z.powi(5) - 1920.0 * z.powi(3) - 945.0 * z) / 92_160.0,
    ];
    z + terms.iter().enumerate().map(|(power, term)| term / n.powi(power as i32 + 1)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Newcombe (1998, "Two-sided confidence intervals for the single proportion", table I, method 3).
    #[test]
    fn wilson_intervals_are_those_of_newcombe() {
        for (count, of, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let found = wilson(count, of).unwrap();
            assert!((found[0] - low).abs() < 1e-4 && (found[1] - high).abs() < 1e-4, "{count} of {of}: {found:?}");
        }
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(5, 5).unwrap()[1], 1.0);
    }
    use crate::rng::Rng;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
    }

    #[test]
    fn intervals_match_the_closed_form() {
        let interval = Interval::of(&[0.0, 1.0, 0.0, 1.0]);
        close(interval.mean, 0.5);
        close(interval.half_width_95.unwrap(), 1.96 * (1.0f64 / 3.0 / 4.0).sqrt());
        // Recalls 2 of 4 and 4 of 4, replaced by 3 of 6 and 5 of 6: variances 1/24 and 5/216.
        let confusion = ConfusionMatrix::of(2, &[0, 0, 0, 0, 1, 1, 1, 1], &[0, 0, 1, 1, 1, 1, 1, 1]);
        let found = Interval::of_balanced_accuracy(&confusion);
        close(found.mean, 0.75);
        close(found.half_width_95.unwrap(), 1.96 * (1.0f64 / 24.0 + 5.0 / 216.0).sqrt() / 2.0);
    }

    /// A single value has no interval; a perfect score on few images still has a width.
    #[test]
    fn few_values_have_a_wide_or_no_interval() {
        assert_eq!(Interval::of(&[0.7]), Interval { mean: 0.7, half_width_95: None });
        assert_eq!(Interval::of(&[0.7]).to_string(), "0.700");
        assert!(Interval::of(&[]).mean.is_nan());
        assert_eq!(Interval::of(&[]).to_string(), "-");
        let perfect = Interval::of_balanced_accuracy(&ConfusionMatrix::of(2, &[0, 1], &[0, 1]));
        assert!(perfect.mean == 1.0 && perfect.half_width_95.unwrap() > 0.3, "{perfect:?}");
        assert_eq!(Interval::of_balanced_accuracy(&ConfusionMatrix::new(2)).half_width_95, None);
        let one = Interval::of(&[0.7]);
        assert_eq!((one.overlaps(&perfect), perfect.overlaps(&perfect)), (None, Some(true)));
    }

    /// Of 2,000 simulated test sets at least nine tenths contain the true value in the interval, however small they are.
    #[test]
    fn intervals_of_small_test_sets_cover_the_true_value() {
        let mut rng = Rng::for_purpose(1, "test");
        for (images, recalls) in [(5, [0.9, 0.6]), (10, [0.95, 0.95]), (40, [0.7, 0.99])] {
            let mut covered = 0;
            for _ in 0..2000 {
                let truth: Vec<usize> = (0..2 * images).map(|image| image % 2).collect();
                let answered = |&class: &usize| if rng.uniform() < recalls[class] { class } else { 1 - class };
                let predicted: Vec<usize> = truth.iter().map(answered).collect();
                let found = Interval::of_balanced_accuracy(&ConfusionMatrix::of(2, &truth, &predicted));
                let mean = f64::from(recalls[0] + recalls[1]) / 2.0;
                covered += usize::from((found.mean - mean).abs() <= found.half_width_95.unwrap());
            }
            assert!(covered >= 1800, "{images} images of each class: {covered} of 2000");
        }
    }

    #[test]
    fn quantiles_of_students_t_match_r() {
        // R: qt(0.975, c(4, 9, 29, 99)).
        for (degrees, expected) in [(4, 2.776_445), (9, 2.262_157), (29, 2.045_230), (99, 1.984_217)] {
            let found = student_t_975(degrees);
            assert!((found - expected).abs() < 2e-3, "{degrees}: {found} is not {expected}");
        }
    }

    #[test]
    fn paired_episodes_match_the_closed_form() {
        let (own, other) = ([0.9, 0.5, 0.7, 0.8, 0.6], [0.8, 0.5, 0.6, 0.7, 0.4]);
        let found = PairedDifference::of_episodes(&own, &other);
        // Differences .1 0 .1 .1 .2: mean .1, s² = .02 / 4.
        close(found.difference, 0.1);
        let half = student_t_975(4) * (0.005f64 / 5.0).sqrt();
        let [low, high] = found.interval.unwrap();
        assert!((low - (0.1 - half)).abs() < 1e-9 && (high - (0.1 + half)).abs() < 1e-9);
        assert_eq!(found.verdict, Standing::Ahead);
        assert_eq!(PairedDifference::of_episodes(&other, &own).verdict, Standing::Behind);
        assert_eq!(PairedDifference::of_episodes(&own, &own).verdict, Standing::Level);
        assert_eq!(Interval::of(&own).overlaps(&Interval::of(&other)), Some(true), "and yet one is ahead");
        let few = PairedDifference::of_episodes(&own[..1], &other[..1]);
        assert_eq!((few.interval, few.verdict), (None, Standing::Undecided));
    }

    #[test]
    fn paired_images_match_the_closed_form() {
        // Class 0: of 8 images 4 only by the first, 1 only by the other; class 1: 0 and 0 of 2.
        let truth = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
        let own = [true, true, true, true, false, true, false, true, true, false];
        let other = [false, false, false, false, true, true, false, true, true, false];
        let found = PairedDifference::of_images(&truth, &own, &other, 3);
        close(found.difference, 3.0 / 8.0 / 2.0);
        // Increased by 1/2 each: 4.5 and 1.5 of 9, and 0.5 and 0.5 of 3.
        let variances = [(6.0 / 9.0 - (3.0f64 / 9.0).powi(2)) / 9.0, (1.0 / 3.0) / 3.0];
        let (centre, half) = (3.0 / 9.0 / 2.0, 1.96 * (variances[0] + variances[1]).sqrt() / 2.0);
        let [low, high] = found.interval.unwrap();
        close(low, centre - half);
        close(high, centre + half);
        assert_eq!(found.verdict, Standing::Level);
        // Three images are not enough for a conclusion, three hundred are.
        let sure = |count: usize| {
            let truth: Vec<usize> = (0..count).map(|image| image % 2).collect();
            PairedDifference::of_images(&truth, &vec![true; count], &vec![false; count], 2).verdict
        };
        assert_eq!((sure(2), sure(300)), (Standing::Level, Standing::Ahead));
        assert_eq!(PairedDifference::of_images(&[], &[], &[], 2).verdict, Standing::Undecided);
    }
}
