//! The field's lessons, re-created from seed to picture and table.
//!
//! A lesson trains what it needs, or finds it trained, and tells what it found as tables (CSV), charts (SVG) and
//! pictures (PNG). The short form does all of it on phantoms in seconds and shows that it works; the full form runs
//! on real images, and its figures are worth quoting.

mod few_labels; //      the probe on few labels beside training from scratch
mod few_shot; //        what a handful of labels is worth, for every objective on every task
mod fine_tuning; //     figure 5: iterations from pretrained and from random weights
mod from_scratch; //    a network trained on the supports of an episode alone
mod findings; //        a lesson's name, what it found, and its errors
mod lab; //             data sets, runs used by several lessons, features
mod models; //          the encoders that come with the program, and sets they never saw
mod moco_memory; //     negatives without large batches
mod representations; // nearest neighbours by pixels and by features
mod rotation_epochs; // figure 8: what rotation teaches as it is learnt
mod table_4_3; //       triplet against SimCLR
mod tasks; //           the data sets and their settings

pub use findings::{Findings, Lesson, ReproduceError};
pub use lab::{Lab, Scale};

use findings::share;

impl Lesson {
    /// Re-creates it.
    ///
    /// # Errors
    /// See [`ReproduceError`].
    pub fn reproduce(self, lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
        match self {
            Self::Representations => representations::reproduce(lab),
            Self::Figure5 => fine_tuning::reproduce(lab),
            Self::Figure8 => rotation_epochs::reproduce(lab),
            Self::FewLabels => few_labels::reproduce(lab),
            Self::Table43 => table_4_3::reproduce(lab),
            Self::MocoMemory => moco_memory::reproduce(lab),
            Self::Models => models::reproduce(lab),
            Self::FewShot => few_shot::reproduce(lab),
        }
    }
}
