//! Advice for a folder of images: which shipped encoder to start from, and whether training on the images is worth it.
//!
//! Everything is measured on the images at hand, within a given time: the shipped encoders beside the floors (raw pixels,
//! colour statistics), the speed of training on this machine, and, if the images have labels, a short trial of going on with
//! the best encoder. Labels decide where there are any. Without labels only weak signs are left, and the advice says so.

mod advice; //     everything that was measured, and the conclusion
mod candidates; // shipped encoders that fit the images
mod commands; //   what to run next
mod compare; //    figures of an encoder on the images
mod error; //      errors
mod images; //     what the folder has
mod sentences; //  the advice in words
mod session; //    the steps, within the time
mod trial; //      speed of training, and a short training
mod recommendation; //    from figures to advice

pub use advice::{Advice, Training};
pub use candidates::{Candidate, candidates};
pub use compare::{Figures, ShotFigures};
pub use error::AdviseError;
pub use images::{ImagesFound, Sample};
pub use recommendation::{GoOn, Recommendation, Start, TRAINING_IMAGES_MIN, decide};
pub use session::Session;
pub use trial::{Speed, Trial};
