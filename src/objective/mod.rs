//! Objectives of pretraining, one per file.
//!
//! An objective defines the views of an image and the loss of their features. Its trained parameters, the
//! *head*, are one flat vector that the learner keeps beside the encoder's.
//!
//! To add an objective, write one file that implements [`Objective`] and has a `METHOD`, then name it twice below: as a
//! module and in the list of methods.

mod classifier;
mod contrastive;
mod distill;
mod distill_loss;
mod distillation;
mod ema;
#[cfg(test)]
mod gradient_check;
mod head;
mod interface;
mod masked;
mod moco;
mod nt_xent;
mod nt_xent_over;
mod queue;
mod rotation;
mod settings;
mod simclr;
mod supervised;
mod triplet;
mod triplet_loss;

use serde::{Deserialize, Serialize};

pub use contrastive::{EmbeddingLoss, contrastive_step, normalized_loss};
pub use distill::Distill;
pub use distill_loss::{SeedTemperatures, seed_loss, simreg_loss};
pub use distillation::{Distillation, Teacher, TeacherView};
pub use head::{Head, HeadTensor};
pub use interface::{MethodInfo, Objective, StepOutput, Targets};
pub use masked::Masked;
pub use moco::{Moco, info_nce};
pub use nt_xent::nt_xent;
pub use nt_xent_over::nt_xent_over;
pub use rotation::Rotation;
pub use settings::{Comparison, Freeze, Miner, ObjectiveSettings, Positives};
pub use simclr::SimClr;
pub use supervised::{PROBE_LAYERS_MAX, Supervised};
pub use triplet::Triplet;
pub use triplet_loss::triplet_loss;

/// Declares [`Method`] from variants and the modules that define them; a module's name is the method's name.
macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident => $module:ident,)+) => {
        /// A pretraining method by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Method {
            $($(#[$doc])* $method,)+
        }

        impl Method {
            /// All methods, in the order of tables.
            pub const ALL: &[Self] = &[$(Self::$method),+];

            /// Its name in settings, tables and folders.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$method => stringify!($module),)+
                }
            }

            /// Its defaults and how to build it.
            pub fn info(self) -> &'static MethodInfo {
                match self {
                    $(Self::$method => &$module::METHOD,)+
                }
            }
        }
    };
}

methods! {
    /// Predict by which of four multiples of 90° the image was rotated. Needs no labels.
    Rotation => rotation,
    /// Pull views of one image, or images of one class, nearer than others by a margin.
    Triplet => triplet,
    /// Find the other view of the same image among all views in the batch. Needs no labels.
    Simclr => simclr,
    /// Find the key of the same image among the keys of earlier images. Needs no labels.
    Moco => moco,
    /// Reconstruct masked patches. Needs no labels.
    Masked => masked,
    /// Predict the features of other encoders, the teachers. Needs no labels.
    Distill => distill,
    /// Predict the label.
    Supervised => supervised,
}

impl Method {
    /// All methods but distillation, which needs teachers, in the order of tables.
    pub fn without_teachers() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|method| !method.needs_teachers())
    }

    /// Whether it needs teachers: encoders whose features are its targets.
    pub fn needs_teachers(self) -> bool {
        self == Self::Distill
    }

    /// Whether it compares views of images.
    pub fn is_contrastive(self) -> bool {
        self.info().is_contrastive
    }
}
