//! Label-preserving augmentations of 8-bit images, and the views that training makes with them.
//!
//! All act on `[height, width, channels]` row-major pixels, before normalisation, and draw from a separate stream for
//! each image and epoch: neither the order of work nor a resume changes a view.

mod augmentation;
mod blur;
mod colour;
mod crop;
mod cut;
mod policy;
mod resample;
mod rotate;
mod views;

pub use augmentation::Augmentation;
pub use blur::{Blur, Noise, blur, gaussian_blur, noise};
pub use colour::{Jitter, jitter};
pub use crop::{padded_crop, padded_random_crop};
pub use cut::{CutOut, cut_out, masked_patches};
pub use policy::Policy;
pub use resample::{resized_crop, rotate};
pub use rotate::{flip_horizontal, rotate90};
pub use views::Views;
