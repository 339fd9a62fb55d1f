//! The datasets of the lessons, and how encoders are pretrained on them.

use crate::augment::{Policy, Views};
use crate::encoder::{Algorithm, Readout};
use crate::pretrain::{Method, PretrainConfig, Validate};

/// A labelled dataset, and how encoders are pretrained on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task {
    /// Its name in tables.
    pub name: &'static str,
    /// Its path below the folder of datasets, or the name of a generated dataset.
    pub path: &'static str,
    /// 1 (grey) or 3 (colour).
    pub channels: usize,
    /// Side of the network's input, in pixels.
    pub size: usize,
    /// Augmentation for methods that compare views.
    pub views: Policy,
    /// Augmentation for other methods.
    pub single: Policy,
    /// Epochs, the same for every objective.
    pub epochs: u64,
}

/// Photographs of ten classes, the standard benchmark.
pub const CIFAR_10: Task = Task {
    name: "cifar10",
    path: "cifar10",
    channels: 3,
    size: 32,
    views: Policy::Natural,
    single: Policy::Light,
    epochs: 10,
};

/// Chest x-rays of children: no pneumonia, bacterial, viral.
pub const KERMANY: Task = Task {
    name: "kermany-3class",
    path: "kermany-cxr/kermany-3class.csv",
    channels: 1,
    size: 64,
    views: Policy::Medical,
    single: Policy::Light,
    epochs: 20,
};

/// The same patients at 28 × 28 pixels.
pub const PNEUMONIA: Task =
    Task { name: "pneumoniamnist", path: "pneumoniamnist", channels: 1, size: 28, views: Policy::Medical, ..KERMANY };

/// Breast ultrasound: malignant or not. Few images, so more epochs.
pub const BUSI: Task = Task { name: "busi-malignant", path: "busi/busi-malignant.csv", epochs: 100, ..KERMANY };

/// Patches of the retina: is there a vessel at the centre? A single view keeps the centre at the centre. Compared views use
/// random crops, which are better after pretraining on photographs (balanced accuracy .70 instead of .67 at 20 shots);
/// without it neither helps much.
pub const DRIVE: Task = Task {
    name: "drive-patches",
    path: "drive-patches",
    channels: 3,
    size: 32,
    views: Policy::Natural,
    single: Policy::Centred,
    epochs: 20,
};

/// All tasks of the full form.
pub const ALL: [Task; 5] = [CIFAR_10, KERMANY, PNEUMONIA, BUSI, DRIVE];

/// The task of the short form: phantoms, which need no data.
pub const PHANTOMS: Task = Task {
    name: "phantoms",
    path: "phantoms:32:900",
    channels: 1,
    size: 32,
    views: Policy::Natural,
    single: Policy::Light,
    epochs: 2,
};

impl Task {
    /// The configuration of `nano` on this task, whose path is `data`.
    pub fn config(&self, data: &str, method: Method, seed: u64) -> PretrainConfig {
        let mut config = PretrainConfig::new(data, method);
        (config.channels, config.size, config.epochs, config.seed) = (self.channels, self.size, self.epochs, seed);
        // As in the published results.
        (config.readout, config.convolution) = (Readout::default(), Algorithm::Direct);
        if method == Method::Simclr {
            config.comparison.temperature = 0.5;
        }
        let policy = if method.is_contrastive() { self.views } else { self.single };
        config.augmentation = policy.augmentation(self.size);
        if policy == Policy::Natural {
            config.augmentation.crop_area_min = 0.08;
        }
        if config.objective(0).views() == Views::Rotated {
            // A rotation that is drawn anyway would hide the one to predict.
            config.augmentation.quarter_turns = false;
            config.augmentation.turn_degrees = 0.0;
        }
        // Only these have a meaningful score on held-out images.
        let has_score = matches!(method, Method::Rotation | Method::Supervised);
        config.validate = if has_score { Validate::Epoch } else { Validate::Never };
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_of_every_task_is_in_range() {
        for task in ALL.iter().chain([&PHANTOMS]) {
            for method in Method::without_teachers() {
                assert_eq!(task.config("data", method, 1).check(), Ok(()), "{} {method:?}", task.name);
            }
        }
    }
}
