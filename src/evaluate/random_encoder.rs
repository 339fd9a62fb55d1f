//! The random-encoder baseline: the same network without training, to show what pretraining adds.

use rayon::prelude::*;

use super::EvaluateError;
use crate::data::{DataError, Dataset, Preprocessing, spread_position};
use crate::encoder::{
    EncodeError, EncoderSpec, HostEncoder, HostEncoderInfo, IdHash, InputShape, Network, Preset, Workspace,
    require_finite,
};

/// A preset with random weights.
///
/// Batch norm needs running statistics, which an untrained network lacks. They are calibrated as in training, by forward
/// passes over unlabelled images. Without calibration the features would be badly scaled, not random.
pub struct RandomEncoder {
    network: Network,
    info: HostEncoderInfo,
}

/// Images per calibration batch, and batches. Running statistics keep a factor 0.9 per batch, so after 64 batches a
/// thousandth of their initial values is left.
const BATCH: usize = 32;
const BATCHES: usize = 64;

impl RandomEncoder {
    /// `preset` with weights drawn from `seed`, calibrated on `unlabelled` images of `dataset`.
    ///
    /// # Errors
    /// When the preset does not take this input, there is no unlabelled image, or one cannot be read.
    pub fn new(
        preset: Preset,
        preprocessing: Preprocessing,
        dataset: &Dataset,
        unlabelled: &[usize],
        seed: u64,
    ) -> Result<Self, EvaluateError> {
        let mut network = network(preset, &preprocessing, seed)?;
        calibrate(&mut network, &preprocessing, dataset, unlabelled)?;
        Ok(Self::of(preset, network, preprocessing))
    }

    /// As [`Self::new`] without images, at the preset's usual input: its features are badly scaled, its speed is that of
    /// any encoder of this preset.
    ///
    /// # Errors
    /// None for the existing presets.
    pub fn uncalibrated(preset: Preset, seed: u64) -> Result<Self, EvaluateError> {
        let InputShape { channels, height, width } = preset.usual_input();
        let preprocessing = Preprocessing::unit(channels, height, width);
        Ok(Self::of(preset, network(preset, &preprocessing, seed)?, preprocessing))
    }

    fn of(preset: Preset, network: Network, preprocessing: Preprocessing) -> Self {
        let hash = IdHash::new(format!("random {:?} ", network.spec())).preprocessing(&preprocessing, " ");
        let statistics = network.statistics();
        let hash = hash.values(&network.parameters).values(statistics.iter().flat_map(|tensor| &tensor.data));
        let info = HostEncoderInfo {
            name: format!("random:{}", preset.name()),
            id: hash.finish(),
            feature_dim: network.spec().feature_dim(),
            preprocessing,
            corpus: None,
            arithmetic: "f32".to_owned(),
        };
        Self { network, info }
    }
}

fn network(preset: Preset, preprocessing: &Preprocessing, seed: u64) -> Result<Network, EvaluateError> {
    let Preprocessing { channels, height, width, .. } = *preprocessing;
    Ok(Network::new(EncoderSpec::preset(preset, InputShape { channels, height, width })?, seed)?)
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
    let mut workspace = Workspace::with_schedule(network.forward_schedule());
    for batch in 0..BATCHES {
        let image = |image: usize| {
            // Evenly over the split, which may lie in class order: each batch strides through all of it.
            let at = spread_position(image * BATCHES + batch, BATCH * BATCHES, unlabelled.len());
            Ok::<_, DataError>(preprocessing.apply(&dataset.load(unlabelled[at])?))
        };
        let input: Vec<Vec<f32>> = (0..BATCH).into_par_iter().map(image).collect::<Result<_, _>>()?;
        network.forward(&mut workspace, &input.concat());
    }
    Ok(())
}

impl HostEncoder for RandomEncoder {
    fn info(&self) -> &HostEncoderInfo {
        &self.info
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        require_finite(&self.info, self.network.embed(&self.info.preprocessing.normalise(pixels)))
    }
}
