//! The advice in words.

use super::advice::{Advice, Training};
use super::recommendation::{GoOn, Start, TRAINING_IMAGES_MIN};
use crate::evaluate::PairedDifference;

/// Which encoder, whether to train, and what would make the advice better.
pub fn sentences(advice: &Advice) -> Vec<String> {
    let mut sentences = vec![of_start(&advice.recommendation.start), of_training(advice)];
    if !advice.images.is_labelled() {
        sentences.push(
            "For a comparison by accuracy, put at least 10 images of each class into a folder named after the class and \
             run the command on those."
                .to_owned(),
        );
    } else if advice.shots.is_empty() {
        sentences.push(
            "The classes have too few images for a comparison by accuracy; at least 5 of each are needed.".to_owned(),
        );
    }
    if !advice.not_measured.is_empty() {
        let names = advice.not_measured.join(", ");
        sentences.push(format!("There was no time to measure {names}; --seconds gives more."));
    }
    sentences
}

fn of_start(start: &Start) -> String {
    match start {
        Start::Ahead { encoder, floor, difference } => {
            format!("Start from {encoder}: it is better than {floor} by {}.", points(difference))
        }
        Start::Level { encoder, floor, difference } => format!(
            "No shipped encoder is measurably better than {floor} on these images; the best, {encoder}, differs by {}.",
            points(difference)
        ),
        Start::Behind { encoder, floor, difference } => format!(
            "No shipped encoder is as good as {floor} on these images; the best, {encoder}, differs by {}. Use --encoder \
             {floor}, or train an encoder on the images.",
            points(difference)
        ),
        Start::Unlabelled { encoder } => format!(
            "Start from {encoder}: of the shipped encoders it finds most images again from an augmented view. Without \
             labels this is a weak sign, and says nothing about accuracy."
        ),
        Start::Nothing => "No shipped encoder could be measured.".to_owned(),
    }
}

fn of_training(advice: &Advice) -> String {
    let images = advice.images.training_images;
    let time = advice.training.as_ref().map_or("an unknown time".to_owned(), time);
    let trial = advice.trial.as_ref().map_or(String::new(), |trial| {
        format!("{} on {} images changed its accuracy by {}", steps(trial.steps), trial.images, points(&trial.change))
    });
    match advice.recommendation.go_on {
        GoOn::TooFewImages => format!(
            "Do not train on these images: there are {images} to train on; with fewer than {TRAINING_IMAGES_MIN} every step sees \
             almost the same images."
        ),
        GoOn::Worthwhile => {
            format!("Going on with it on your images is worth it: {trial}. A full training is {time} on this machine.")
        }
        GoOn::Open => format!(
            "Whether going on with it on your images helps is open: {trial}, which may be chance. A full training is \
             {time} on this machine; compare before and after."
        ),
        GoOn::Harmful => format!("Do not train on these images: {trial}."),
        GoOn::Untried => format!(
            "Going on with it on your images was not tried. A full training is {time} on this machine; compare the \
             encoders on labelled images before you use it."
        ),
    }
}

fn steps(count: u64) -> String {
    format!("{count} training steps")
}

/// `10 epochs, about 3 minutes`.
fn time(training: &Training) -> String {
    let time = match training.seconds {
        seconds if seconds < 90.0 => format!("{seconds:.0} seconds"),
        seconds if seconds < 5_400.0 => format!("{:.0} minutes", seconds / 60.0),
        seconds => format!("{:.1} hours", seconds / 3_600.0),
    };
    format!("{} epochs, about {time}", training.epochs)
}

/// `+3.1 points (+1.0 to +5.2)`.
fn points(difference: &PairedDifference) -> String {
    let interval = difference
        .interval
        .map_or(String::new(), |[low, high]| format!(" (95 % interval {:+.1} to {:+.1})", 100.0 * low, 100.0 * high));
    format!("{:+.1} points{interval}", 100.0 * difference.difference)
}
