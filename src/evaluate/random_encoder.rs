//! The baseline that shows what pretraining adds: the same network, never trained.

use sha2::{Digest, Sha256};

use super::EvaluateError;
use super::raw_pixels::recipe_bytes;
use crate::data::{Dataset, Preprocessing, spread_position};
use crate::encoder::{EmbedError, Embedder, EncoderSpec, InputShape, Network, Preset, Workspace};

/// A preset with random weights.
///
/// Batch norm divides by running statistics that an untrained network does not have. They are
/// gathered here as training would, by forward passes over unlabelled images, and nothing else is
/// learned: without them the features of a random network would be badly scaled rather than random.
pub struct RandomEncoder {
    preset: Preset,
    network: Network,
    preprocessing: Preprocessing,
}

/// Images of a calibration batch, and batches. Running statistics forget by a factor 0.9 a batch:
/// after 64 batches a thousandth of their starting values is left.
const BATCH: usize = 32;
const BATCHES: usize = 64;

impl RandomEncoder {
    /// `preset` with weights drawn from `seed`, calibrated on `unlabelled` images of `dataset`.
    ///
    /// # Errors
    /// An input the preset does not take, no unlabelled image, or one that cannot be read.
    pub fn new(
        preset: Preset,
        preprocessing: Preprocessing,
        dataset: &Dataset,
        unlabelled: &[usize],
        seed: u64,
    ) -> Result<Self, EvaluateError> {
        let Preprocessing { channels, height, width, .. } = preprocessing;
        let spec = EncoderSpec::preset(preset, InputShape { channels, height, width })?;
        let mut network = Network::new(spec, seed)?;
        calibrate(&mut network, &preprocessing, dataset, unlabelled)?;
        Ok(Self { preset, network, preprocessing })
    }
}

fn calibrate(
    network: &mut Network,
    preprocessing: &Preprocessing,
    dataset: &Dataset,
    unlabelled: &[usize],
) -> Result<(), EvaluateError> {
    if unlabelled.is_empty() {
        let message = "has no image to gather batch norm statistics from".to_owned();
        return Err(EvaluateError::Encoder { name: format!("random:{}", network.spec().name), message });
    }
    let mut workspace = Workspace::default();
    for batch in 0..BATCHES {
        let mut input = Vec::new();
        for image in 0..BATCH {
            // Evenly over the split, which may lie in class order: each batch strides through all of it.
            let at = spread_position(image * BATCHES + batch, BATCH * BATCHES, unlabelled.len());
            input.extend(preprocessing.apply(&dataset.load(unlabelled[at])?));
        }
        network.forward(&mut workspace, &input);
    }
    Ok(())
}

impl Embedder for RandomEncoder {
    fn name(&self) -> String {
        format!("random:{}", self.preset.name())
    }

    fn identity(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(format!("random {:?} ", self.network.spec()));
        hash.update(recipe_bytes(&self.preprocessing));
        self.network.parameters.iter().for_each(|value| hash.update(value.to_le_bytes()));
        for tensor in self.network.statistics() {
            tensor.data.iter().for_each(|value| hash.update(value.to_le_bytes()));
        }
        hash.finalize().into()
    }

    fn feature_dim(&self) -> usize {
        self.network.spec().feature_dim()
    }

    fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    fn embed_input(&self, input: &[f32]) -> Result<Vec<f32>, EmbedError> {
        Ok(self.network.embed(input))
    }
}
