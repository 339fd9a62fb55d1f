//! A prepared graph for one image, and the states in which threads run it.
//!
//! The batch size is 1 and images are spread over threads: tract is fastest with known shapes, and no image can affect the
//! feature of another.

use std::sync::Mutex;

use tract_onnx::prelude::*;

use super::admission::{self, Element, Fact};
use super::arithmetic::Arithmetic;
use super::engine::{self, Runnable, State};
use super::error::RuntimeError;
use super::limits::{FEATURE_DIM_MAX, at_most};
use super::model_file::{DeclaredInput, ElementType, describe, pb};
use crate::encoder::Layout;

/// A model, ready to run on one image.
pub(super) struct Plan {
    runnable: Runnable,
    input: DatumType,
    shape: [usize; 3],
    layout: Layout,
    feature_dim: usize,
    /// States that no thread uses now; there are as many as threads that ran at once.
    idle: Mutex<Vec<State>>,
}

impl Plan {
    /// Prepares `model` with the input `input` for images of `shape` (channels, height, width).
    ///
    /// # Errors
    /// When a node is not admitted, a limit is exceeded, tract refuses the graph, or the output is not a vector.
    pub(super) fn new(
        model: pb::ModelProto,
        input: &DeclaredInput,
        shape: [usize; 3],
        arithmetic: Arithmetic,
        path: &str,
    ) -> Result<Self, RuntimeError> {
        let element = match input.element {
            ElementType::F32 => Element::F32,
            ElementType::F16 => Element::F16,
        };
        let layout = input.layout;
        let fact = Fact::new(element, &dims(shape, layout));
        let output = model.graph.iter().flat_map(|graph| &graph.output).map(|output| output.name.clone()).next();
        let admitted = admission::admit(model, &[(input.name.clone(), fact)], path)?;
        let feature = admitted.outputs.first().and_then(|own| admitted.facts.get(own));
        let found = feature.map_or(&[][..], |fact| &fact.dims);
        let feature_dim = match *found {
            // Pooling without flattening leaves two dimensions of 1.
            [1, dim] | [1, dim, 1, 1] => dim,
            _ => {
                return Err(RuntimeError::Shape {
                    path: path.to_owned(),
                    what: "output",
                    name: output.unwrap_or_default(),
                    found: describe(&found.iter().copied().map(Some).collect::<Vec<_>>()),
                    needed: "[N, D], one vector per image",
                });
            }
        };
        at_most(path, "values of a feature", feature_dim as u64, FEATURE_DIM_MAX)?;
        let runnable = engine::prepare(&admitted, arithmetic, path)?;
        let input = runnable.model().input_fact(0).map(|fact| fact.datum_type);
        let input = input.map_err(|error| RuntimeError::Prepare {
            path: path.to_owned(),
            message: engine::one_line(&error.to_string()),
        })?;
        Ok(Self { runnable, input, shape, layout, feature_dim, idle: Mutex::new(Vec::new()) })
    }

    pub(super) fn feature_dim(&self) -> usize {
        self.feature_dim
    }

    /// Channels, height, width.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Writes the feature `[D]` of one image `[H, W, C]` to `feature`.
    pub(super) fn run(&self, image: &[f32], feature: &mut [f32]) -> Result<(), String> {
        let idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        let state = engine::catch_panic(|| {
            let mut state = idle.map_or_else(|| self.runnable.spawn(), Ok)?;
            let dims = dims(self.shape, self.layout);
            let input = match self.layout {
                Layout::Nchw => Tensor::from_shape(&dims, &channels_first(image, self.shape[0]))?,
                Layout::Nhwc => Tensor::from_shape(&dims, image)?,
            };
            let input = input.cast_to_dt(self.input)?.into_owned();
            let output = state.run(tvec!(input.into_tvalue()))?;
            let output = output.first().ok_or_else(|| TractError::msg("it returned no output"))?.cast_to::<f32>()?;
            let values = output.try_as_plain_ram()?.as_slice::<f32>()?;
            if values.len() != feature.len() {
                return Err(TractError::msg(format!(
                    "it returned {} values instead of {}",
                    values.len(),
                    feature.len()
                )));
            }
            feature.copy_from_slice(values);
            Ok(state)
        });
        // After a failure the content of the state is unknown, so it is dropped.
        let state = state.map_err(engine::Failure::message)?;
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(state);
        Ok(())
    }
}

/// The dimensions of the input for one image of `shape`.
fn dims([channels, height, width]: [usize; 3], layout: Layout) -> [usize; 4] {
    match layout {
        Layout::Nchw => [1, channels, height, width],
        Layout::Nhwc => [1, height, width, channels],
    }
}

/// `[H, W, C]` to `[C, H, W]`.
fn channels_first(image: &[f32], channels: usize) -> Vec<f32> {
    (0..channels).flat_map(|channel| image.iter().skip(channel).step_by(channels).copied()).collect()
}
