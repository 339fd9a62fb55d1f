//! The baseline that every encoder must beat: the pixels themselves.

use sha2::{Digest, Sha256};

use crate::data::Preprocessing;
use crate::encoder::{EmbedError, Embedder};

/// Network input, flattened, as the feature.
pub struct RawPixels {
    preprocessing: Preprocessing,
}

impl RawPixels {
    /// Of images brought to the size and channels of `preprocessing`.
    pub fn new(preprocessing: Preprocessing) -> Self {
        Self { preprocessing }
    }
}

impl Embedder for RawPixels {
    fn name(&self) -> String {
        "raw-pixels".to_owned()
    }

    fn identity(&self) -> [u8; 32] {
        Sha256::new().chain_update("raw-pixels ").chain_update(recipe_bytes(&self.preprocessing)).finalize().into()
    }

    fn feature_dim(&self) -> usize {
        self.preprocessing.height * self.preprocessing.width * self.preprocessing.channels
    }

    fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    fn embed_input(&self, input: &[f32]) -> Result<Vec<f32>, EmbedError> {
        Ok(input.to_vec())
    }
}

/// Every field of a recipe, so that two recipes of the same bytes treat images the same.
pub(super) fn recipe_bytes(preprocessing: &Preprocessing) -> Vec<u8> {
    let Preprocessing { channels, height, width, filter, mean, std, range } = preprocessing;
    let mut bytes = format!("{channels} {height} {width} {filter:?} ").into_bytes();
    mean.iter().chain(std).for_each(|value| bytes.extend(value.to_le_bytes()));
    range.iter().for_each(|range| bytes.extend(range.identity_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ValueRange;

    #[test]
    fn a_range_is_part_of_the_identity_and_none_leaves_it_as_it_was() {
        let plain = Preprocessing { mean: vec![0.5], std: vec![0.25], ..Preprocessing::unit(1, 8, 8) };
        let before = [&b"1 8 8 Triangle "[..], &0.5f32.to_le_bytes(), &0.25f32.to_le_bytes()].concat();
        assert_eq!(recipe_bytes(&plain), before);
        let with = |high| Preprocessing { range: ValueRange::new(0.0, high).ok(), ..plain.clone() };
        let identities = [plain.clone(), with(1023.0), with(4095.0)].map(|recipe| RawPixels::new(recipe).identity());
        assert!(identities[0] != identities[1] && identities[1] != identities[2]);
    }
}
