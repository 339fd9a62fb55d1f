//! Which part of an image decided.

use super::super::error::{ApiError, ErrorKind};
use super::Controller;
use crate::data::Image;
use crate::explain::{ExplainError, Explanation, Method, explain};

impl Controller<'_, '_> {
    /// The heat map of `image` for the class in slot `class`, or for the decided one.
    ///
    /// # Errors
    /// If the encoder does not run in this process: a board would embed hundreds of images, and nobody else be answered. If
    /// fewer than two classes have samples.
    pub fn heat_map(&mut self, image: &Image, class: Option<u8>) -> Result<Explanation, ApiError> {
        let Some(known) = &self.encoder else {
            return Err(ApiError::new(ErrorKind::Refused, "a heat map needs the device's encoder in this process"));
        };
        explain(self.client, Some(known.encoder), image, class, &Method::Auto).map_err(|error| match error {
            ExplainError::Link(error) => error.into(),
            ExplainError::NoOther { .. } | ExplainError::Head(_) => {
                ApiError::new(ErrorKind::Refused, error.to_string())
            }
            error => ApiError::new(ErrorKind::DeviceFault, error.to_string()),
        })
    }
}
