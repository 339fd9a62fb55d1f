//! The comparisons of an encoder with the floors, raw pixels and colour statistics: the last lines of every evaluation.

use crate::encoders::Baseline;
use crate::evaluate::{Interval, PairedDifference, Standing};
use crate::report::text::{count, shown};

/// Whether `encoder` is a floor itself, which is compared with none.
pub fn is_floor(encoder: &str) -> bool {
    Baseline::FLOORS.contains(&encoder)
}

/// An encoder compared with a floor on the same images or episodes.
#[derive(serde::Serialize)]
pub struct Comparison {
    encoder: String,
    baseline: String,
    /// Name of the compared figure, a fraction.
    measure: &'static str,
    /// Labelled images per class, for episodes.
    shots: Option<usize>,
    /// Error rate, for conformal prediction sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_rate_percent: Option<f64>,
    /// Target of the threshold, for operating points.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Head of both, for episodes.
    head: Option<String>,
    /// `difference`, its paired 95 % `interval`, and the resulting `verdict`.
    #[serde(flatten)]
    paired: PairedDifference,
    /// Whether the two intervals of the table overlap. They may do so although the paired interval excludes 0.
    intervals_overlap: Option<bool>,
}

/// The compared values of a row of the table.
pub struct Candidate<'a> {
    pub encoder: &'a str,
    pub value: Interval,
}

impl Comparison {
    /// Compares `own` with the baseline.
    pub fn new(measure: &'static str, own: &Candidate<'_>, baseline: &Candidate<'_>, paired: PairedDifference) -> Self {
        Self {
            encoder: own.encoder.to_owned(),
            baseline: baseline.encoder.to_owned(),
            measure,
            shots: None,
            error_rate_percent: None,
            target: None,
            head: None,
            intervals_overlap: own.value.overlaps(&baseline.value),
            paired,
        }
    }

    /// Sets the number of shots.
    pub fn with_shots(self, shots: usize) -> Self {
        Self { shots: Some(shots), ..self }
    }

    /// Sets the head.
    pub fn with_head(self, head: &str) -> Self {
        Self { head: Some(head.to_owned()), ..self }
    }

    /// Sets the error rate.
    pub fn with_error_rate(self, permille: u16) -> Self {
        Self { error_rate_percent: Some(f64::from(permille) / 10.0), ..self }
    }

    /// Sets the target.
    pub fn with_target(self, target: String) -> Self {
        Self { target: Some(target), ..self }
    }

    /// The comparison as a sentence.
    pub fn sentence(&self) -> String {
        let PairedDifference { difference, interval, verdict } = self.paired;
        let shots = match self.shots {
            None => String::new(),
            Some(shots) => format!("with {} ", count(shots, "shot")),
        };
        let rate = self.error_rate_percent.map_or(String::new(), |percent| format!("at an error rate of {percent} % "));
        let target = self.target.as_ref().map_or(String::new(), |target| format!("at {target} "));
        let head = self.head.as_ref().map_or(String::new(), |head| format!("{head}: "));
        let standing = match verdict {
            Standing::Ahead => "ahead of",
            Standing::Level => "level with",
            Standing::Behind => "behind",
            Standing::Undecided => "not comparable with",
        };
        let range = match interval {
            None => "too few episodes for an interval (at least 5)".to_owned(),
            Some([low, high]) => {
                format!("paired 95 % interval {:+.1} to {:+.1}{}", 100.0 * low, 100.0 * high, self.overlap())
            }
        };
        format!(
            "{head}{shots}{rate}{target}{} is {standing} {}: {} {:+.1} points; {range}",
            shown(&self.encoder),
            self.baseline,
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

/// Prints a sentence per comparison.
pub fn print(comparisons: &[Comparison], encoder: &str) {
    if comparisons.is_empty() {
        let reason = if is_floor(encoder) { "it is a baseline itself" } else { "no baseline was evaluated" };
        println!("{}: {reason}, so there is no comparison", shown(encoder));
    }
    comparisons.iter().for_each(|comparison| println!("{}", comparison.sentence()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(own: &[f64], other: &[f64]) -> Comparison {
        let candidate = |encoder, values| Candidate { encoder, value: Interval::of(values) };
        let paired = PairedDifference::of_episodes(own, other);
        let (own, other) = (candidate("run x", own), candidate("raw-pixels", other));
        Comparison::new("balanced accuracy", &own, &other, paired).with_shots(5)
    }

    #[test]
    fn the_sentence_says_who_is_ahead_and_by_how_many_points() {
        let (better, worse) = ([0.9, 0.8, 0.7, 0.8, 0.9], [0.6, 0.6, 0.5, 0.6, 0.6]);
        let ahead = comparison(&better, &worse).with_head("auto").sentence();
        assert!(ahead.starts_with("auto: with 5 shots run x is ahead of raw-pixels"), "{ahead}");
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
