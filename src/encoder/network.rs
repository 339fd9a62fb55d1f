//! A network made from a spec: its parameters and running statistics, by name.

use std::ops::Range;

use super::folded::{FoldedConv, FoldedEncoder};
use super::layout::{ConvPlaces, from_torch, layout, to_torch};
use super::plan::Plan;
use super::spec::{EncoderSpec, Node, SpecError};
use crate::kernel::Isa;
use crate::nn::batch_norm::Normalisation;
use crate::rng::Rng;

/// What a parameter tensor is, which decides how it starts and whether weight decay applies to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Convolution weights: decayed.
    Weight,
    /// Batch norm's scale: not decayed.
    Scale,
    /// Batch norm's shift: not decayed.
    Shift,
}

/// Where one tensor lies in the network's flat parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name as PyTorch has it, for instance `blocks.0.conv1.weight`.
    pub name: String,
    /// Its shape as PyTorch has it: `[O, C, K, K]`, or `[O]`.
    pub shape: Vec<usize>,
    /// What it is.
    pub role: Role,
    /// Its place in the flat vector (where it lies in the kernels' own order).
    pub range: Range<usize>,
}

/// A tensor with its name, in PyTorch's layout.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// For instance `blocks.0.conv1.weight` or `norm.running_mean`.
    pub name: String,
    /// For instance `[O, C, K, K]`.
    pub shape: Vec<usize>,
    /// Row-major.
    pub data: Vec<f32>,
}

/// Tensors do not fit the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// One is absent.
    #[error("tensor '{name}' is missing")]
    Missing {
        /// The tensor.
        name: String,
    },
    /// One has another shape.
    #[error("tensor '{name}' has shape {found:?}, the network needs {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// What was found.
        found: Vec<usize>,
        /// What is needed.
        expected: Vec<usize>,
    },
}

/// An encoder with parameters.
#[derive(Clone, Debug)]
pub struct Network {
    spec: EncoderSpec,
    pub(super) plan: Plan,
    tensors: Vec<TensorInfo>,
    pub(super) places: Vec<Option<ConvPlaces>>,
    /// All parameters, in the kernels' order; the optimiser sees one flat vector.
    pub parameters: Vec<f32>,
    /// Running mean and variance of each convolution node's batch norm.
    pub(super) running: Vec<Option<Running>>,
    /// The vector instructions in use.
    pub(super) isa: Isa,
}

/// Running statistics of one batch norm, one value a channel.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

impl Network {
    /// A network of `spec` with He-normal weights (fan-out, He et al. 2015, arXiv:1502.01852), scales
    /// 1 and shifts 0, drawn from `seed`.
    ///
    /// # Errors
    /// When the spec describes no network.
    pub fn new(spec: EncoderSpec, seed: u64) -> Result<Self, SpecError> {
        let plan = Plan::new(&spec)?;
        let (tensors, places) = layout(&spec);
        let mut parameters = Vec::with_capacity(tensors.last().map_or(0, |last| last.range.end));
        for tensor in &tensors {
            match tensor.role {
                Role::Scale => parameters.resize(tensor.range.end, 1.0),
                Role::Shift => parameters.resize(tensor.range.end, 0.0),
                Role::Weight => {
                    // A depthwise output meets one kernel only; a dense one O of them.
                    let fan_out =
                        if tensor.shape[1] == 1 { 1 } else { tensor.shape[0] } * tensor.shape[2] * tensor.shape[3];
                    let std = (2.0 / fan_out as f32).sqrt();
                    let mut rng = Rng::for_purpose(seed, &format!("initialise {}", tensor.name));
                    let torch: Vec<f32> = tensor.range.clone().map(|_| std * rng.normal()).collect();
                    parameters.extend(from_torch(&tensor.shape, &torch));
                }
            }
        }
        let running = plan.nodes.iter().map(|node| match node {
            Node::Add { .. } => None,
            Node::Conv { conv, .. } => {
                Some(Running { mean: vec![0.0; conv.channels_out], variance: vec![1.0; conv.channels_out] })
            }
        });
        Ok(Self { running: running.collect(), spec, plan, tensors, places, parameters, isa: Isa::selected() })
    }

    /// Its spec.
    pub fn spec(&self) -> &EncoderSpec {
        &self.spec
    }

    /// Name, shape, role and place of each parameter tensor.
    pub fn layout(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// A flat vector that is laid out like `parameters` (themselves, momentum, gradient) as named
    /// tensors in PyTorch's layout.
    pub fn to_named(&self, flat: &[f32]) -> Vec<NamedTensor> {
        let named = |tensor: &TensorInfo| NamedTensor {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            data: to_torch(&tensor.shape, &flat[tensor.range.clone()]),
        };
        self.tensors.iter().map(named).collect()
    }

    /// The inverse of [`Self::to_named`].
    ///
    /// # Errors
    /// A missing tensor or one of another shape. Tensors the network does not have are ignored.
    pub fn from_named(&self, tensors: &[NamedTensor]) -> Result<Vec<f32>, TensorError> {
        let mut flat = vec![0.0; self.parameters.len()];
        for tensor in &self.tensors {
            let found = find(tensors, &tensor.name, &tensor.shape)?;
            flat[tensor.range.clone()].copy_from_slice(&from_torch(&tensor.shape, &found.data));
        }
        Ok(flat)
    }

    /// Running mean and variance of each batch norm, as `NAME.running_mean`, `NAME.running_var`.
    pub fn statistics(&self) -> Vec<NamedTensor> {
        let mut tensors = Vec::new();
        for (node, running) in self.plan.nodes.iter().zip(&self.running) {
            if let (Node::Conv { conv, .. }, Some(running)) = (node, running) {
                for (suffix, data) in [("running_mean", &running.mean), ("running_var", &running.variance)] {
                    tensors.push(NamedTensor {
                        name: format!("{}.{suffix}", conv.norm),
                        shape: vec![data.len()],
                        data: data.clone(),
                    });
                }
            }
        }
        tensors
    }

    /// Puts back what [`Self::statistics`] gave.
    ///
    /// # Errors
    /// A missing tensor or one of another shape; the network is then unchanged.
    pub fn set_statistics(&mut self, tensors: &[NamedTensor]) -> Result<(), TensorError> {
        let mut running = self.running.clone();
        for (node, running) in self.plan.nodes.iter().zip(&mut running) {
            if let (Node::Conv { conv, .. }, Some(running)) = (node, running) {
                let shape = [conv.channels_out];
                running.mean.clone_from(&find(tensors, &format!("{}.running_mean", conv.norm), &shape)?.data);
                running.variance.clone_from(&find(tensors, &format!("{}.running_var", conv.norm), &shape)?.data);
            }
        }
        self.running = running;
        Ok(())
    }

    /// The network as it is shipped: `weight * scale` and `shift` of each batch norm, with the running statistics.
    pub fn folded(&self) -> FoldedEncoder {
        let mut convs = Vec::new();
        for (places, norm) in self.places.iter().zip(self.running_norms()) {
            let (Some(places), Some(norm)) = (places, norm) else { continue };
            let tensor =
                self.tensors.iter().find(|tensor| tensor.range == places.weight).expect("places come from the tensors");
            let mut weight = to_torch(&tensor.shape, &self.parameters[places.weight.clone()]);
            let filter = weight.len() / norm.scale.len();
            for (filter, scale) in weight.chunks_mut(filter).zip(&norm.scale) {
                filter.iter_mut().for_each(|weight| *weight *= scale);
            }
            convs.push(FoldedConv { weight, bias: norm.shift });
        }
        FoldedEncoder { spec: self.spec.clone(), convs }
    }

    /// The affine map of each convolution node's batch norm with the running statistics.
    pub(super) fn running_norms(&self) -> Vec<Option<Normalisation>> {
        let norm = |(places, running): (&Option<ConvPlaces>, &Option<Running>)| {
            let (places, running) = (places.as_ref()?, running.as_ref()?);
            let [gamma, beta] = [&places.gamma, &places.beta].map(|range| &self.parameters[range.clone()]);
            Some(Normalisation::from_running(&running.mean, &running.variance, gamma, beta))
        };
        self.places.iter().zip(&self.running).map(norm).collect()
    }
}

fn find<'t>(tensors: &'t [NamedTensor], name: &str, shape: &[usize]) -> Result<&'t NamedTensor, TensorError> {
    let found = tensors
        .iter()
        .find(|tensor| tensor.name == name)
        .ok_or_else(|| TensorError::Missing { name: name.to_owned() })?;
    if found.shape != shape || found.data.len() != shape.iter().product::<usize>() {
        return Err(TensorError::Shape { name: name.to_owned(), found: found.shape.clone(), expected: shape.to_vec() });
    }
    Ok(found)
}
