//! Invariants of every dataset that opens, and the folder in which targets write their files.

use std::path::Path;

use macula::data::decode::PIXELS_MAX;
use macula::data::{DataError, Dataset, Image, Preprocessing};
use macula_edge::image::SIDE_MAX;
use tempfile::TempDir;

use crate::Outcome;

/// Images that are loaded from one dataset.
const LOADED: usize = 6;
/// Pixels of an image that is resized here at most.
const RESIZED_MAX: usize = 1 << 20;

thread_local! {
    static FOLDER: TempDir = tempfile::Builder::new().prefix("macula-fuzz-").tempdir().expect("a temporary folder");
}

/// Runs `work` in a folder of this thread; it may hold files of earlier inputs.
pub(crate) fn in_folder<T>(work: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with(|folder| work(folder.path()))
}

/// Checks that an image is within the limits and has as many pixels as its shape.
pub(crate) fn check_image(image: &Image) {
    let Image { width, height, channels, ref pixels } = *image;
    assert!((1..=SIDE_MAX).contains(&width) && (1..=SIDE_MAX).contains(&height), "an image of {width}×{height}");
    assert!((width * height) as u64 <= PIXELS_MAX, "an image of {width}×{height}");
    assert!(channels == 1 || channels == 3, "{channels} channels");
    assert_eq!(pixels.len(), width * height * channels, "pixels of an image of {width}×{height}×{channels}");
    if width * height <= RESIZED_MAX {
        let input = Preprocessing::unit(1, 8, 8).apply(image);
        assert!(input.iter().all(|value| (0.0..=1.0).contains(value)), "network input outside 0 to 1");
    }
}

/// Checks that every label is a class, every loaded image is valid, and every error has a message.
pub(crate) fn check_opened(opened: Result<Dataset, DataError>) -> Outcome {
    let dataset = match opened {
        Ok(dataset) => dataset,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Outcome::Refused;
        }
    };
    for record in &dataset.records {
        assert!(!record.name.is_empty(), "an image without a name");
        assert!(record.label.is_none_or(|label| label < dataset.class_names.len()), "{}: no such class", record.name);
    }
    let len = dataset.len();
    for index in (0..len.min(LOADED)).chain(len.checked_sub(1)) {
        match dataset.load(index) {
            Ok(image) => check_image(&image),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(dataset.load(len).is_err(), "an image past the last");
    Outcome::Accepted
}
