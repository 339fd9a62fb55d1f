//! tract's plan for one image, and the states that threads borrow to run it.
//!
//! The batch is fixed to 1 and images are spread over threads: a plan with known shapes is the
//! fastest that tract has for one image, and no image can touch the feature of another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tract_onnx::prelude::*;
use tract_onnx::tract_core::transform::get_transform;

use super::arithmetic::Arithmetic;
use super::error::RuntimeError;
use super::model_file::{describe, pb};

/// A model that is ready to run on one image.
pub(super) struct Plan {
    runnable: Arc<TypedRunnableModel>,
    input: DatumType,
    shape: [usize; 3],
    feature_dim: usize,
    /// Scratch memory; one is made for each thread that runs at the same time as others.
    idle: Mutex<Vec<TypedSimpleState>>,
}

impl Plan {
    /// Prepares `model` for images of `shape` (channels, height, width).
    ///
    /// `folder` is where weights outside of the file are looked for.
    ///
    /// # Errors
    /// An operator that tract does not have, a graph that does not fit together, or an output that
    /// is no vector.
    pub(super) fn new(
        model: &pb::ModelProto,
        folder: Option<&Path>,
        shape: [usize; 3],
        arithmetic: Arithmetic,
        path: &str,
    ) -> Result<Self, RuntimeError> {
        refuse_unknown_operators(model, path)?;
        let fail = |message| RuntimeError::Prepare { path: path.to_owned(), message };
        // The last fence: the graph is somebody's bytes, and tract indexes into it in many places.
        let prepared = catch_unwind(AssertUnwindSafe(|| prepare(model, folder, shape, arithmetic)));
        let runnable = prepared
            .map_err(|_| fail("tract gave up on this graph".into()))?
            .map_err(|error| fail(one_line(&error)))?;
        let facts = || -> TractResult<_> {
            let output = runnable.model().output_fact(0)?;
            let dims = output
                .shape
                .iter()
                .map(|dim| dim.to_i64().ok().and_then(|dim| usize::try_from(dim).ok()))
                .collect::<Vec<_>>();
            Ok((runnable.model().input_fact(0)?.datum_type, dims))
        };
        let (input, dims) = facts().map_err(|error| fail(one_line(&error)))?;
        let feature_dim = match dims[..] {
            // Pooling without a flatten after it leaves two sides of 1.
            [Some(1), Some(dim)] | [Some(1), Some(dim), Some(1), Some(1)] if dim > 0 => dim,
            _ => {
                return Err(RuntimeError::Shape {
                    path: path.to_owned(),
                    what: "output",
                    name: model.graph.iter().flat_map(|graph| &graph.output).map(|o| o.name.as_str()).collect(),
                    found: describe(&dims),
                    needed: "[N, D], one vector an image",
                });
            }
        };
        Ok(Self { runnable, input, shape, feature_dim, idle: Mutex::new(Vec::new()) })
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
        let run = || -> TractResult<TypedSimpleState> {
            let mut state = idle.map_or_else(|| self.runnable.spawn(), Ok)?;
            let [channels, height, width] = self.shape;
            let input = Tensor::from_shape(&[1, channels, height, width], &channels_first(image, channels))?;
            let input = input.cast_to_dt(self.input)?.into_owned();
            let output = state.run(tvec!(input.into_tvalue()))?;
            let output = output[0].cast_to::<f32>()?;
            feature.copy_from_slice(output.try_as_plain_ram()?.as_slice::<f32>()?);
            Ok(state)
        };
        let state = run().map_err(|error| one_line(&error))?;
        // A state that has failed is dropped above: what it holds is unknown.
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(state);
        Ok(())
    }
}

fn refuse_unknown_operators(model: &pb::ModelProto, path: &str) -> Result<(), RuntimeError> {
    let known = onnx().op_register.0;
    let nodes = model.graph.iter().flat_map(|graph| &graph.node);
    for node in nodes {
        // tract finds operators by name alone; another domain's may share one and mean something else.
        let own = node.domain.is_empty() || node.domain == "ai.onnx";
        if !own || !known.contains_key(&node.op_type) {
            let name = if node.name.is_empty() { node.output.concat() } else { node.name.clone() };
            return Err(RuntimeError::Unsupported {
                path: path.to_owned(),
                node: name,
                op: if own { node.op_type.clone() } else { format!("{}.{}", node.domain, node.op_type) },
                message: "tract has no such operator".into(),
            });
        }
    }
    Ok(())
}

fn prepare(
    model: &pb::ModelProto,
    folder: Option<&Path>,
    [channels, height, width]: [usize; 3],
    arithmetic: Arithmetic,
) -> TractResult<Arc<TypedRunnableModel>> {
    let folder = folder.and_then(Path::to_str);
    // Declared output shapes name a batch that we fix to 1 below.
    let parsed = onnx().with_ignore_output_shapes(true).with_ignore_value_info(true).parse(model, folder)?;
    if let Some(name) = parsed.unresolved_inputs.first() {
        return Err(TractError::msg(format!("no node makes '{name}'")));
    }
    let mut model = parsed.model;
    let element = model.input_fact(0)?.datum_type().unwrap_or(DatumType::F32);
    let shape = tvec!(1, channels, height, width);
    model.set_input_fact(0, InferenceFact::dt_shape(element, shape))?;
    let mut model = model.into_typed()?;
    if arithmetic == Arithmetic::F16WidenedToF32 {
        let widen = get_transform("f16_to_f32")?.ok_or_else(|| TractError::msg("tract cannot widen f16"))?;
        widen.transform(&mut model)?;
    }
    model.into_optimized()?.into_runnable()
}

/// `[H, W, C]` to `[C, H, W]`.
fn channels_first(image: &[f32], channels: usize) -> Vec<f32> {
    (0..channels).flat_map(|channel| image.iter().skip(channel).step_by(channels).copied()).collect()
}

/// An error with its causes in one line of bearable length.
fn one_line(error: &TractError) -> String {
    let text = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
