//! The prediction for one image.

use crate::cli::device::why::NearestSample;

/// The decision on one image.
#[derive(serde::Serialize)]
pub struct Row {
    pub image: String,
    pub class: String,
    /// Probability of the class, 0 to 1. `None` if the device has samples of one class only.
    pub probability: Option<f32>,
    /// Whether the image resembles the samples; otherwise it is out of distribution.
    pub known: bool,
    /// Conformal prediction set at the given error rate.
    pub set: Vec<String>,
    /// Whether the classes have enough samples; otherwise the set guarantees nothing.
    pub enough: bool,
    pub shots_needed: u16,
    pub nearest: Vec<NearestSample>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// The decision on an image that is out of distribution.
pub const DONT_KNOW: &str = "I don't know";
