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
    /// Whether the image is positive at the operating point. `None` without one, or for an image out of distribution.
    pub positive: Option<bool>,
    /// Log odds of the positive class against all others, which the threshold is applied to.
    pub score: Option<f32>,
    pub nearest: Vec<NearestSample>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

#[cfg(test)]
impl Row {
    /// A row of class `a`.
    pub fn example() -> Self {
        Self {
            image: String::new(),
            class: "a".to_owned(),
            probability: Some(0.5),
            known: true,
            set: vec!["a".to_owned()],
            enough: true,
            shots_needed: 9,
            positive: None,
            score: None,
            nearest: Vec::new(),
            label: None,
        }
    }
}

/// The decision on an image that is out of distribution.
pub const DONT_KNOW: &str = "I don't know";
