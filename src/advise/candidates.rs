//! The shipped encoders, as they fit the images.

use std::collections::HashSet;

use super::AdviseError;
use super::images::ImagesFound;
use crate::encoder::InputShape;
use crate::models::Model;
use crate::pretrain::Run;

/// Largest input that is tried: on a device its activations take four times the memory of half the side.
const SIDE_MAX: usize = 256;

/// Share of grey images from which grey encoders are tried beside colour encoders.
const MOSTLY: f64 = 0.5;

/// An encoder to compare, by a name that every command takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `grey-64`, or with another input `grey-64@1x128x128`.
    pub name: String,
    /// Its input.
    pub input: InputShape,
    /// Multiply-accumulates per image; cheaper ones are measured first.
    pub macs: u64,
}

/// The shipped encoders `models` for images like `found`, cheapest first.
///
/// A colour encoder sees grey images through one channel, which gives the same features at less cost. If the images are at
/// least twice as large as its input, an encoder is also tried at twice its input. Encoders that are thereby the same are tried
/// once. A grey encoder is left out for images that are mostly in colour as long as there is a colour encoder.
///
/// # Errors
/// When a shipped encoder cannot be read.
pub fn candidates(models: &[Model], found: &ImagesFound) -> Result<Vec<Candidate>, AdviseError> {
    let mut requests = Vec::new();
    for model in models {
        let trained = Run::load(model.name.as_ref())?.network.spec().input;
        let own = InputShape { channels: trained.channels.min(found.channels), ..trained };
        let twice = InputShape { height: 2 * own.height, width: 2 * own.width, ..own };
        let fits = twice.height <= SIDE_MAX && twice.height.max(twice.width) <= found.shorter_side;
        let inputs = [Some(own), fits.then_some(twice)].into_iter().flatten();
        requests.extend(inputs.map(|input| (model.name, input, input == trained)));
    }
    // Of encoders that are the same, the first is tried: a model's own name is the shorter one.
    requests.sort_by_key(|&(_, _, is_trained)| !is_trained);
    let (mut all, mut known) = (Vec::new(), HashSet::new());
    for (model, input, is_trained) in requests {
        let name = if is_trained { model.to_owned() } else { format!("{model}@{input}") };
        let run = Run::load(name.as_ref())?;
        if known.insert(run.info.id) {
            let macs = run.network.spec().cost().map_or(u64::MAX, |cost| cost.macs);
            all.push(Candidate { name, input, macs });
        }
    }
    let fits = |candidate: &Candidate| candidate.input.channels == found.channels;
    if found.grey_share < MOSTLY && all.iter().any(fits) {
        all.retain(fits);
    }
    all.sort_by_key(|candidate| candidate.macs);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::MODELS;

    fn found(channels: usize, grey_share: f64, shorter_side: usize) -> Vec<Candidate> {
        let images = ImagesFound {
            images: 100,
            training_images: 100,
            unreadable: 0,
            channels,
            grey_share,
            shorter_side,
            size: [shorter_side; 2],
            classes: Vec::new(),
            unlabelled: 100,
            read_ms: 1.0,
        };
        candidates(MODELS, &images).unwrap()
    }

    #[test]
    fn candidates_fit_channels_and_size_and_open_by_name() {
        for (channels, grey_share, side) in [(1, 1.0, 20), (1, 1.0, 512), (3, 0.0, 20), (3, 0.4, 512)] {
            let all = found(channels, grey_share, side);
            assert!(!all.is_empty() && all.is_sorted_by_key(|candidate| candidate.macs), "{all:?}");
            for candidate in &all {
                let run = Run::load(candidate.name.as_ref()).unwrap();
                assert_eq!(run.network.spec().input, candidate.input);
                assert_eq!(candidate.input.channels, channels, "there are shipped encoders for both");
            }
        }
        // Every encoder sees grey images; large images are also tried at twice the input.
        let (small, large) = (found(1, 1.0, 20), found(1, 1.0, 512));
        assert!(large.len() > small.len() && small.iter().all(|candidate| large.contains(candidate)));
        assert_eq!(found(3, 0.9, 20).len(), MODELS.len(), "colour marks on grey images rule no encoder out");
        // The weights of a colour encoder with one channel are those of the grey encoder, and so is an input of twice the side.
        let names = |side| found(1, 1.0, side).into_iter().map(|candidate| candidate.name).collect::<Vec<_>>();
        assert_eq!(names(20), ["grey-64", "grey-128"]);
        assert!(!names(512).contains(&"grey-64@1x128x128".to_owned()), "{:?}", names(512));
    }
}
