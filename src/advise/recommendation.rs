//! From figures to advice.

use serde::Serialize;

use super::compare::Figures;
use super::images::ImagesFound;
use super::trial::Trial;
use crate::evaluate::{PairedDifference, Standing};

/// Fewest training images for going on with an encoder: even with a batch fitted to them, contrastive training with fewer
/// sees almost the same images in every step.
pub const TRAINING_IMAGES_MIN: usize = 200;

/// The encoder to start from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Start {
    /// A shipped encoder, measurably better than the better floor.
    Ahead {
        /// Its name.
        encoder: String,
        /// The better floor.
        floor: String,
        /// Its accuracy less that of the floor, on the same episodes.
        difference: PairedDifference,
    },
    /// No shipped encoder is measurably better than the better floor; the best of them is named.
    Level {
        /// Its name.
        encoder: String,
        /// The better floor.
        floor: String,
        /// Its accuracy less that of the floor, on the same episodes.
        difference: PairedDifference,
    },
    /// The better floor is measurably better than every shipped encoder.
    Behind {
        /// The best shipped encoder.
        encoder: String,
        /// The better floor.
        floor: String,
        /// Its accuracy less that of the floor, on the same episodes.
        difference: PairedDifference,
    },
    /// There are no labels to judge by: the shipped encoder that recognises the images best under augmentation.
    Unlabelled {
        /// Its name.
        encoder: String,
    },
    /// No shipped encoder could be measured.
    Nothing,
}

impl Start {
    /// The shipped encoder to start from, or the best of them.
    pub fn encoder(&self) -> Option<&str> {
        match self {
            Self::Ahead { encoder, .. }
            | Self::Level { encoder, .. }
            | Self::Behind { encoder, .. }
            | Self::Unlabelled { encoder } => Some(encoder),
            Self::Nothing => None,
        }
    }
}

/// Whether to go on with the encoder on the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoOn {
    /// The trial made the encoder better.
    Worthwhile,
    /// The trial made no measurable difference; a longer training may.
    Open,
    /// The trial made the encoder worse.
    Harmful,
    /// There are too few images.
    TooFewImages,
    /// There was no trial, because of missing labels or time.
    Untried,
}

/// The advice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// The encoder to start from.
    pub start: Start,
    /// Whether to go on with it on the images.
    pub go_on: GoOn,
}

/// The encoder to start from, by `figures` of shipped encoders and floors.
pub fn start(figures: &[Figures]) -> Start {
    let best = |is_floor: bool| {
        let of = figures.iter().filter(move |figures| figures.is_floor == is_floor);
        // On a tie the first, which costs least.
        of.rev().max_by(|a, b| key(a).total_cmp(&key(b)))
    };
    let (Some(own), floor) = (best(false), best(true)) else { return Start::Nothing };
    let encoder = own.encoder.clone();
    let (Some(floor), Some(_)) = (floor, own.accuracy()) else { return Start::Unlabelled { encoder } };
    let difference = PairedDifference::of_episodes(&own.of_episodes(), &floor.of_episodes());
    let floor = floor.encoder.clone();
    match difference.verdict {
        Standing::Ahead => Start::Ahead { encoder, floor, difference },
        Standing::Behind => Start::Behind { encoder, floor, difference },
        Standing::Level | Standing::Undecided => Start::Level { encoder, floor, difference },
    }
}

/// Accuracy, or without labels the share of images found again.
fn key(figures: &Figures) -> f64 {
    figures.accuracy().unwrap_or(figures.retrieval)
}

/// The advice from the encoder to start from, the images, and the trial if there was one.
pub fn decide(start: Start, images: &ImagesFound, trial: Option<&Trial>) -> Recommendation {
    let go_on = match trial.map(|trial| trial.change.verdict) {
        _ if images.training_images < TRAINING_IMAGES_MIN => GoOn::TooFewImages,
        Some(Standing::Ahead) => GoOn::Worthwhile,
        Some(Standing::Behind) => GoOn::Harmful,
        Some(Standing::Level | Standing::Undecided) => GoOn::Open,
        None => GoOn::Untried,
    };
    Recommendation { start, go_on }
}

#[cfg(test)]
mod tests {
    use super::super::compare::ShotFigures;
    use super::*;
    use crate::evaluate::Interval;

    fn figures(encoder: &str, is_floor: bool, accuracy: Option<f64>, retrieval: f64) -> Figures {
        let of_episodes: Vec<f64> = accuracy
            .map_or_else(Vec::new, |mean| [-0.02, 0.01, 0.0, 0.02, -0.01, 0.0].map(|apart| mean + apart).to_vec());
        let few_shot = match of_episodes.is_empty() {
            true => Vec::new(),
            false => vec![ShotFigures { shots: 5, balanced_accuracy: Interval::of(&of_episodes), of_episodes }],
        };
        Figures {
            encoder: encoder.into(),
            is_floor,
            input: [1, 8, 8],
            feature_dim: 4,
            encode_ms: 1.0,
            effective_rank: None,
            retrieval,
            few_shot,
        }
    }

    /// Floors at 0.6 and 0.7, encoders at 0.5 and `own`.
    fn table(own: f64) -> Vec<Figures> {
        let row = |name, is_floor, accuracy| figures(name, is_floor, Some(accuracy), 0.5);
        vec![row("raw", true, 0.6), row("colour", true, 0.7), row("a", false, 0.5), row("b", false, own)]
    }

    #[test]
    fn the_best_encoder_is_compared_with_the_better_floor() {
        assert!(
            matches!(start(&table(0.8)), Start::Ahead { encoder, floor, .. } if encoder == "b" && floor == "colour")
        );
        assert!(
            matches!(start(&table(0.65)), Start::Behind { encoder, floor, .. } if encoder == "b" && floor == "colour")
        );
        // The same episodes give no difference.
        assert!(matches!(start(&table(0.7)), Start::Level { encoder, .. } if encoder == "b"));
        assert_eq!(start(&table(0.8)[..2]), Start::Nothing);
        let unlabelled =
            [figures("raw", true, None, 0.9), figures("a", false, None, 0.4), figures("b", false, None, 0.4)];
        assert_eq!(start(&unlabelled), Start::Unlabelled { encoder: "a".into() });
    }

    #[test]
    fn few_images_rule_out_training_whatever_the_trial_says() {
        let images = |training_images| ImagesFound {
            images: training_images,
            training_images,
            unreadable: 0,
            channels: 1,
            grey_share: 1.0,
            shorter_side: 64,
            size: [64, 64],
            classes: Vec::new(),
            unlabelled: training_images,
            read_ms: 1.0,
        };
        let trial = |own: f64| {
            let change = |mean: f64| [0.0, 0.01, -0.01, 0.0, 0.01].map(|apart| mean + apart);
            Trial {
                steps: 20,
                images: 100,
                change: PairedDifference::of_episodes(
                    &change(own),
                    &change(0.5)[..].iter().rev().copied().collect::<Vec<_>>(),
                ),
            }
        };
        let go_on = |count, trial: Option<Trial>| decide(Start::Nothing, &images(count), trial.as_ref()).go_on;
        assert_eq!(go_on(TRAINING_IMAGES_MIN - 1, Some(trial(0.6))), GoOn::TooFewImages);
        assert_eq!(go_on(TRAINING_IMAGES_MIN, Some(trial(0.6))), GoOn::Worthwhile);
        assert_eq!(go_on(TRAINING_IMAGES_MIN, Some(trial(0.4))), GoOn::Harmful);
        assert_eq!(go_on(TRAINING_IMAGES_MIN, Some(trial(0.5))), GoOn::Open);
        assert_eq!(go_on(TRAINING_IMAGES_MIN, None), GoOn::Untried);
    }
}
