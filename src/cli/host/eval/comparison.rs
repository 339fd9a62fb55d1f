//! The sentence that every evaluation ends with: how the encoder stands beside raw pixels.

use crate::evaluate::{Interval, PairedDifference, Standing};
use crate::report::text::{count, shown};

/// What every encoder must beat.
pub const BASELINE: &str = "raw-pixels";

/// The encoder asked for beside [`BASELINE`], both on the same images or episodes.
#[derive(serde::Serialize)]
pub struct Comparison {
    encoder: String,
    baseline: &'static str,
    /// What is compared, a share.
    measure: &'static str,
    /// Labelled images of each class, where there are episodes.
    shots: Option<usize>,
    /// Where sets of classes are compared, how often they may miss the right one.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_rate_percent: Option<f64>,
    /// The encoder's best head, where there are several.
    head: Option<String>,
    /// The baseline's best head, where there are several.
    baseline_head: Option<String>,
    /// `difference`, its paired 95 % `interval` and the `verdict` that follows from it.
    #[serde(flatten)]
    paired: PairedDifference,
    /// Whether the two intervals of the table overlap. They may where the paired interval says that one is ahead.
    intervals_overlap: Option<bool>,
}

/// One row of a table, as far as it is compared.
pub struct Candidate<'a> {
    pub encoder: &'a str,
    pub head: &'a str,
    pub value: Interval,
}

impl Comparison {
    /// Of `own` with the same figure of the baseline.
    pub fn new(measure: &'static str, own: &Candidate<'_>, baseline: &Candidate<'_>, paired: PairedDifference) -> Self {
        Self {
            encoder: own.encoder.to_owned(),
            baseline: BASELINE,
            measure,
            shots: None,
            error_rate_percent: None,
            head: None,
            baseline_head: None,
            intervals_overlap: own.value.overlaps(&baseline.value),
            paired,
        }
    }

    /// This, of episodes with so many shots.
    pub fn with_shots(self, shots: usize) -> Self {
        Self { shots: Some(shots), ..self }
    }

    /// This, of the best head of each.
    pub fn with_heads(self, own: &str, baseline: &str) -> Self {
        Self { head: Some(own.to_owned()), baseline_head: Some(baseline.to_owned()), ..self }
    }

    /// This, of sets of classes at an error rate.
    pub fn with_error_rate(self, permille: u16) -> Self {
        Self { error_rate_percent: Some(f64::from(permille) / 10.0), ..self }
    }

    /// In words.
    pub fn sentence(&self) -> String {
        let PairedDifference { difference, interval, verdict } = self.paired;
        let shots = match self.shots {
            None => String::new(),
            Some(shots) => format!("with {} ", count(shots, "shot")),
        };
        let rate = self.error_rate_percent.map_or(String::new(), |percent| format!("at an error rate of {percent} % "));
        let head = |head: &Option<String>| head.as_ref().map_or(String::new(), |head| format!(" ({head})"));
        let standing = match verdict {
            Standing::Ahead => "ahead of",
            Standing::Level => "level with",
            Standing::Behind => "behind",
            Standing::Undecided => "not comparable with",
        };
        let range = match interval {
            None => "too few episodes for an interval, at least 5 are needed".to_owned(),
            Some([low, high]) => {
                format!("paired 95 % interval {:+.1} to {:+.1}{}", 100.0 * low, 100.0 * high, self.overlap())
            }
        };
        format!(
            "{shots}{rate}{}{} is {standing} {}{}: {} {:+.1} points; {range}",
            shown(&self.encoder),
            head(&self.head),
            self.baseline,
            head(&self.baseline_head),
            self.measure,
            100.0 * difference,
        )
    }

    fn overlap(&self) -> &'static str {
        match self.intervals_overlap {
            None => "",
            Some(true) => "; the two intervals of the table overlap",
            Some(false) => "; the two intervals of the table do not overlap",
        }
    }
}

/// Prints a sentence for each comparison.
pub fn print(comparisons: &[Comparison], encoder: &str) {
    if comparisons.is_empty() {
        println!("{} is the baseline itself: there is nothing to compare it with", shown(encoder));
    }
    comparisons.iter().for_each(|comparison| println!("{}", comparison.sentence()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(own: &[f64], other: &[f64]) -> Comparison {
        let candidate = |values| Candidate { encoder: "run x", head: "auto", value: Interval::of(values) };
        let paired = PairedDifference::of_episodes(own, other);
        Comparison::new("balanced accuracy", &candidate(own), &candidate(other), paired).with_shots(5)
    }

    #[test]
    fn the_sentence_says_who_is_ahead_and_by_how_many_points() {
        let (better, worse) = ([0.9, 0.8, 0.7, 0.8, 0.9], [0.6, 0.6, 0.5, 0.6, 0.6]);
        let ahead = comparison(&better, &worse).with_heads("auto", "logistic").sentence();
        assert!(ahead.starts_with("with 5 shots run x (auto) is ahead of raw-pixels (logistic)"), "{ahead}");
        assert!(ahead.contains("+24.0 points") && ahead.contains("do not overlap"), "{ahead}");
        assert!(comparison(&worse, &better).sentence().contains("is behind raw-pixels: balanced accuracy -24.0"));
        assert!(comparison(&worse, &worse).sentence().contains("is level with raw-pixels: balanced accuracy +0.0"));
        let json = serde_json::to_value(comparison(&better, &worse)).unwrap();
        assert_eq!((&json["baseline"], &json["verdict"]), (&"raw-pixels".into(), &"ahead".into()));
        assert!((json["difference"].as_f64().unwrap() - 0.24).abs() < 1e-9);
        assert!(json["interval"][0].as_f64().unwrap() > 0.0 && json["intervals_overlap"] == false);
        let one = comparison(&better[..1], &worse[..1]);
        assert!(one.sentence().contains("too few episodes"));
        assert_eq!(serde_json::to_value(one).unwrap()["interval"], serde_json::Value::Null);
    }
}
