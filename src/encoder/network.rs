//! A network built from a spec: parameters and running statistics, accessible by name.

use super::folded::{FoldedConv, FoldedEncoder};
use super::layout::{ConvTensors, ParameterLayout, Role, TensorInfo, from_torch, to_torch};
use super::plan::Plan;
use super::pooled::Pooled;
use super::precision::{Algorithm, Precision};
use super::readout::{LinearMap, Pooling, Readout};
use super::spec::{EncoderSpec, Node, SpecError};
use crate::kernel::Isa;
use crate::nn::batch_norm::Normalisation;
use crate::nn::ema::ema_update;
use crate::ranks::Ranks;
use crate::rng::Rng;

/// Name of the weight of the readout's linear map in a checkpoint.
pub const READOUT_WEIGHT: &str = "readout.weight";
const READOUT_BIAS: &str = "readout.bias";

/// A named tensor in PyTorch's layout.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// For instance `blocks.0.conv1.weight` or `norm.running_mean`.
    pub name: String,
    /// For instance `[O, C, K, K]`.
    pub shape: Vec<usize>,
    /// Row-major.
    pub data: Vec<f32>,
}

impl NamedTensor {
    /// The tensor `name` of `tensors`.
    ///
    /// # Errors
    /// The tensor is missing or does not have this `shape`.
    pub fn find<'t>(tensors: &'t [Self], name: &str, shape: &[usize]) -> Result<&'t Self, TensorError> {
        let found = tensors.iter().find(|tensor| tensor.name == name);
        let found = found.ok_or_else(|| TensorError::Missing { name: name.to_owned() })?;
        if found.shape != shape || found.data.len() != shape.iter().product::<usize>() {
            return Err(TensorError::Shape {
                name: name.to_owned(),
                found: found.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        Ok(found)
    }

    /// The tensor with `prefix` in front of its name.
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.name.insert_str(0, prefix);
        self
    }

    /// The tensors whose names start with `prefix`, without it.
    pub fn without_prefix(tensors: &[Self], prefix: &str) -> Vec<Self> {
        let stripped = |t: &Self| Some(Self { name: t.name.strip_prefix(prefix)?.to_owned(), ..t.clone() });
        tensors.iter().filter_map(stripped).collect()
    }
}

/// Tensors that do not fit the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// A tensor is missing.
    #[error("tensor '{name}' is missing")]
    Missing {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor has the wrong shape.
    #[error("tensor '{name}' has shape {found:?}, the network needs {expected:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape in the network.
        expected: Vec<usize>,
    },
}

/// A readout that does not fit the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadoutError {
    /// The linear map has more outputs than inputs, or none.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The linear map is missing, has other lengths than the readout, or the readout has none.
    #[error("the linear map has {found:?} weights and biases, the readout needs {expected:?}")]
    Map {
        /// Weights and biases of the map.
        found: Option<[usize; 2]>,
        /// Weights and biases of the readout.
        expected: Option<[usize; 2]>,
    },
}

/// An encoder with its parameters, running statistics and readout.
#[derive(Clone, Debug)]
pub struct Network {
    spec: EncoderSpec,
    pub(super) plan: Plan,
    /// The linear map of the readout, if it has one.
    map: Option<LinearMap>,
    /// What the objective reads.
    pub(super) trained: Pooled,
    layout: ParameterLayout,
    /// All parameters in one flat vector, in the kernels' order.
    pub parameters: Vec<f32>,
    /// Running mean and variance of each convolution node's batch norm.
    pub(super) running: Vec<Option<Running>>,
    /// Instruction set of the kernels.
    pub(super) isa: Isa,
    /// Arithmetic of [`Self::forward`] and [`Self::backward`].
    pub(super) arithmetic: (Precision, Algorithm),
    /// The ranks whose images batch norm takes together.
    pub(super) ranks: Ranks,
}

/// Running statistics of one batch norm, one value per channel.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

impl Network {
    /// A network of `spec` with He-normal weights (fan-out, He et al. 2015, arXiv:1502.01852), scales
    /// 1 and shifts 0, drawn from `seed`.
    ///
    /// A linear map of the readout is fitted later ([`Self::set_readout`]): until then the feature is the pooled values.
    ///
    /// # Errors
    /// An invalid spec.
    pub fn new(mut spec: EncoderSpec, seed: u64) -> Result<Self, SpecError> {
        let plan = Plan::new(&spec)?;
        spec.readout = Readout::pooled(spec.readout.pooling);
        let layout = ParameterLayout::new(&spec);
        let mut parameters = Vec::with_capacity(layout.len());
        for tensor in &layout.tensors {
            match tensor.role {
                Role::Scale => parameters.resize(tensor.range.end, 1.0),
                Role::Shift => parameters.resize(tensor.range.end, 0.0),
                Role::Weight => {
                    // An input of a depthwise convolution feeds one output channel, that of a dense one all O.
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
        let (running, trained) = (running.collect(), spec.pooled(Pooling::Mean));
        Ok(Self {
            running,
            spec,
            plan,
            map: None,
            trained,
            layout,
            parameters,
            isa: Isa::selected(),
            arithmetic: Default::default(),
            ranks: Ranks::ONE,
        })
    }

    /// Trains with this arithmetic. [`Self::embed`] always computes directly in f32.
    pub fn set_arithmetic(&mut self, precision: Precision, algorithm: Algorithm) {
        self.arithmetic = (precision, algorithm);
    }

    /// Replaces the readout. `map` is that of `readout.dim`, fitted on the pooled values of this network.
    ///
    /// # Errors
    /// When the map is missing or has other lengths than the readout.
    pub fn set_readout(&mut self, readout: Readout, map: Option<LinearMap>) -> Result<(), ReadoutError> {
        let spec = EncoderSpec { readout, ..self.spec.clone() };
        spec.check_readout()?;
        let expected = readout.dim.map(|dim| [dim * spec.pooled_len(), dim]);
        let found = map.as_ref().map(|map| [map.weight.len(), map.bias.len()]);
        if found != expected {
            return Err(ReadoutError::Map { found, expected });
        }
        (self.spec, self.map) = (spec, map);
        Ok(())
    }

    /// The linear map as `readout.weight` `[D, P]` and `readout.bias` `[D]`; empty without one.
    pub fn map_tensors(&self) -> Vec<NamedTensor> {
        let Some(map) = &self.map else { return Vec::new() };
        let dim = map.bias.len();
        let named =
            |name: &str, shape, data: &Vec<f32>| NamedTensor { name: name.to_owned(), shape, data: data.clone() };
        vec![
            named(READOUT_WEIGHT, vec![dim, map.weight.len() / dim], &map.weight),
            named(READOUT_BIAS, vec![dim], &map.bias),
        ]
    }

    /// Restores `readout`, which has a linear map, from [`Self::map_tensors`].
    ///
    /// # Errors
    /// A missing tensor or one of the wrong shape; the network is then unchanged.
    pub fn read_map(&mut self, readout: Readout, tensors: &[NamedTensor]) -> Result<(), TensorError> {
        let spec = EncoderSpec { readout, ..self.spec.clone() };
        let dim = spec.feature_dim();
        let weight = NamedTensor::find(tensors, READOUT_WEIGHT, &[dim, spec.pooled_len()])?.data.clone();
        let bias = NamedTensor::find(tensors, READOUT_BIAS, &[dim])?.data.clone();
        (self.spec, self.map) = (spec, Some(LinearMap { weight, bias }));
        Ok(())
    }

    /// The linear map of the readout.
    pub fn map(&self) -> Option<&LinearMap> {
        self.map.as_ref()
    }

    /// Lets the objective read `pooling` rather than the mean of the last value. The linear map is no part of it: it is
    /// fitted to a trained network.
    pub fn train_on(&mut self, pooling: Pooling) {
        self.trained = self.spec.pooled(pooling);
    }

    /// Length of what the objective reads.
    pub fn trained_dim(&self) -> usize {
        self.trained.len()
    }

    /// Length of the feature.
    pub fn feature_dim(&self) -> usize {
        self.spec.feature_dim()
    }

    /// The same network with `spec`, which has the same nodes for another input. All parameters are 0.
    ///
    /// # Errors
    /// An invalid spec.
    pub(super) fn emptied(&self, spec: EncoderSpec) -> Result<Self, SpecError> {
        let (plan, layout) = (Plan::new(&spec)?, ParameterLayout::new(&spec));
        let parameters = vec![0.0; layout.len()];
        Ok(Self { plan, layout, parameters, spec, ..self.clone() })
    }

    /// `self = decay · self + (1 - decay) · current`, for parameters and running statistics.
    ///
    /// # Panics
    /// When `current` has another spec.
    pub fn ema_update(&mut self, current: &Self, decay: f32) {
        ema_update(&mut self.parameters, &current.parameters, decay);
        for (average, current) in self.running.iter_mut().zip(&current.running) {
            if let (Some(average), Some(current)) = (average, current) {
                ema_update(&mut average.mean, &current.mean, decay);
                ema_update(&mut average.variance, &current.variance, decay);
            }
        }
    }

    /// The spec it was built from.
    pub fn spec(&self) -> &EncoderSpec {
        &self.spec
    }

    /// Name, shape, role and range of each parameter tensor.
    pub fn layout(&self) -> &[TensorInfo] {
        &self.layout.tensors
    }

    /// Converts a flat vector in the order of `parameters` (parameters, momentum, gradient) to named tensors.
    pub fn to_named(&self, flat: &[f32]) -> Vec<NamedTensor> {
        let named = |tensor: &TensorInfo| NamedTensor {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            data: to_torch(&tensor.shape, &flat[tensor.range.clone()]),
        };
        self.layout.tensors.iter().map(named).collect()
    }

    /// The inverse of [`Self::to_named`].
    ///
    /// # Errors
    /// A missing tensor or one of the wrong shape. Other tensors are ignored.
    pub fn from_named(&self, tensors: &[NamedTensor]) -> Result<Vec<f32>, TensorError> {
        let mut flat = vec![0.0; self.parameters.len()];
        for tensor in &self.layout.tensors {
            let found = NamedTensor::find(tensors, &tensor.name, &tensor.shape)?;
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

    /// Restores the running statistics from [`Self::statistics`].
    ///
    /// # Errors
    /// A missing tensor or one of the wrong shape; the network is then unchanged.
    pub fn set_statistics(&mut self, tensors: &[NamedTensor]) -> Result<(), TensorError> {
        let mut running = self.running.clone();
        for (node, running) in self.plan.nodes.iter().zip(&mut running) {
            if let (Node::Conv { conv, .. }, Some(running)) = (node, running) {
                let shape = [conv.channels_out];
                running
                    .mean
                    .clone_from(&NamedTensor::find(tensors, &format!("{}.running_mean", conv.norm), &shape)?.data);
                running
                    .variance
                    .clone_from(&NamedTensor::find(tensors, &format!("{}.running_var", conv.norm), &shape)?.data);
            }
        }
        self.running = running;
        Ok(())
    }

    /// The encoder for export: each batch norm folded into its convolution, with the running statistics.
    pub fn folded(&self) -> FoldedEncoder {
        let mut convs = Vec::new();
        for (tensors, norm) in self.layout.by_node.iter().zip(self.running_norms()) {
            let (Some(tensors), Some(norm)) = (tensors, norm) else { continue };
            let weight = self.layout.tensors.iter().find(|tensor| tensor.range == tensors.weight);
            let shape = &weight.expect("the range of a tensor").shape;
            let mut weight = to_torch(shape, &self.parameters[tensors.weight.clone()]);
            let filter = weight.len() / norm.scale.len();
            for (filter, scale) in weight.chunks_mut(filter).zip(&norm.scale) {
                filter.iter_mut().for_each(|weight| *weight *= scale);
            }
            convs.push(FoldedConv { weight, bias: norm.shift });
        }
        FoldedEncoder { spec: self.spec.clone(), convs, map: self.map.clone() }
    }

    /// Batch norm of each convolution node with the running statistics.
    pub(super) fn running_norms(&self) -> Vec<Option<Normalisation>> {
        let norm = |(tensors, running): (&Option<ConvTensors>, &Option<Running>)| {
            let (tensors, running) = (tensors.as_ref()?, running.as_ref()?);
            let [gamma, beta] = [&tensors.gamma, &tensors.beta].map(|range| &self.parameters[range.clone()]);
            Some(Normalisation::from_running(&running.mean, &running.variance, gamma, beta))
        };
        self.layout.by_node.iter().zip(&self.running).map(norm).collect()
    }

    /// Ranges of the parameters of node `index`; none for a sum.
    pub(super) fn conv_tensors(&self, index: usize) -> Option<&ConvTensors> {
        self.layout.by_node[index].as_ref()
    }

    /// The weights of each node; empty for a sum.
    pub(super) fn weights(&self) -> Vec<&[f32]> {
        let weight = |tensors: &Option<ConvTensors>| {
            tensors.as_ref().map_or(&[][..], |tensors| &self.parameters[tensors.weight.clone()])
        };
        self.layout.by_node.iter().map(weight).collect()
    }
}
