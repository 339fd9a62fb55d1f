//! The prediction for one image.

use crate::cli::device::why::Witness;

/// What is said of one image.
#[derive(serde::Serialize)]
pub struct Row {
    pub image: String,
    pub class: String,
    /// Of the class, 0 to 1; none where only one class is taught: nothing else could have been said.
    pub probability: Option<f32>,
    /// Whether the image is like what the device was taught.
    pub known: bool,
    /// The classes that cannot be excluded at the asked error rate.
    pub set: Vec<String>,
    /// Whether there are samples enough for that; the set promises nothing otherwise.
    pub enough: bool,
    pub shots_needed: u16,
    pub nearest: Vec<Witness>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// What is said of an image that is unlike all that was taught.
pub const DONT_KNOW: &str = "I don't know";
