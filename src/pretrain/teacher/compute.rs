//! Computes the features of a teacher, block by block, each image decoded once for all of its views.

use half::f16;
use rayon::prelude::*;

use super::error::TeacherError;
use crate::augment::Augmentation;
use crate::data::{DataError, Dataset, Image, Preprocessing};
use crate::encoder::HostEncoder;
use crate::objective::{Distillation, TeacherView};
use crate::pretrain::config::PretrainConfig;
use crate::pretrain::view_order::numbered_view;

/// Network inputs per call of the teacher.
const ENCODE_TOGETHER: usize = 256;

/// How a teacher's input is made of an image.
pub(super) struct Rendering<'a> {
    /// The teacher's preprocessing.
    pub preprocessing: &'a Preprocessing,
    /// Channels of the student: the teacher sees a grey image where the student does.
    channels: usize,
    /// The augmentation at the teacher's size; `None` for the plain image.
    augmentation: Option<Augmentation>,
    views: usize,
    seed: u64,
}

impl<'a> Rendering<'a> {
    pub fn new(config: &PretrainConfig, settings: &Distillation, preprocessing: &'a Preprocessing) -> Self {
        let scale = side_of(preprocessing) as f32 / config.size as f32;
        let is_same = settings.teacher_view == TeacherView::Same;
        Self {
            preprocessing,
            channels: config.channels,
            augmentation: is_same.then(|| config.augmentation.at_scale(scale)),
            views: settings.num_views(),
            seed: config.seed,
        }
    }

    /// The teacher's inputs `[V, height, width, channels]` of the image `index` of the dataset.
    ///
    /// A view is drawn as for the student, but from the original pixels at the teacher's size, so the teacher sees the same
    /// part of the image in full detail. Views are square, as the student's; a teacher whose input is not sees them stretched.
    fn inputs(&self, image: &Image, index: usize) -> Vec<u8> {
        let Preprocessing { height, width, .. } = *self.preprocessing;
        let Some(augmentation) = &self.augmentation else {
            let pixels = Preprocessing::unit(self.channels, height, width).to_pixels(image);
            return self.preprocessing.to_pixels(&pixels).pixels;
        };
        let side = side_of(self.preprocessing);
        let square = Preprocessing::unit(self.channels, side, side).to_pixels(image);
        let view = |number| numbered_view(&square, augmentation, self.seed, number, index);
        (0..self.views).flat_map(|number| self.preprocessing.to_pixels(&view(number)).pixels).collect()
    }

    /// Features `[images, V, D]` of the images at `indices` of `dataset`.
    pub fn features(
        &self,
        teacher: &dyn HostEncoder,
        dataset: &Dataset,
        indices: &[usize],
    ) -> Result<Vec<f16>, TeacherError> {
        let inputs = |&index: &usize| Ok(self.inputs(&dataset.load(index)?, index));
        let inputs: Vec<Vec<u8>> = indices.par_iter().map(inputs).collect::<Result<_, DataError>>()?;
        let (inputs, mut features) = (inputs.concat(), Vec::new());
        for inputs in inputs.chunks(ENCODE_TOGETHER * self.preprocessing.input_len()) {
            features.extend(teacher.encode_batch(inputs)?);
        }
        let kept: Vec<f16> = features.iter().map(|&value| f16::from_f32(value)).collect();
        match kept.iter().position(|value| !value.is_finite()) {
            None => Ok(kept),
            Some(at) => Err(TeacherError::TooLargeValue {
                encoder: teacher.name().to_owned(),
                image: dataset.records[indices[at / (self.views * teacher.feature_dim())]].name.clone(),
                value: features[at],
            }),
        }
    }
}

/// Side of the square view that a teacher's input is made of.
fn side_of(preprocessing: &Preprocessing) -> usize {
    preprocessing.height.max(preprocessing.width)
}
