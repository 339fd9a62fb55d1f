//! The head of an objective: linear layers with a ReLU between them.
//!
//! A contrastive loss discards what differs between views; with layers in between, the feature before them can keep it
//! (Chen et al. 2020, arXiv:2002.05709, section 4.2). M rows, D feature dimensions. All parameters are one flat vector,
//! weight then bias of each layer, so that optimiser and checkpoint treat all objectives alike.

use std::ops::Range;

use crate::encoder::{NamedTensor, TensorError};
use crate::nn::linear::{linear_backward, linear_forward, linear_initialise};
use crate::rng::Rng;

/// The layers of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    layers: Vec<Layer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Layer {
    /// Its name as PyTorch has it.
    name: String,
    outputs: usize,
    /// Whether it reads the feature; otherwise it reads the layer before it.
    is_first: bool,
}

/// One tensor of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadTensor {
    /// Its name in a checkpoint: `head.weight`.
    pub name: String,
    /// Its shape as PyTorch has it, row-major.
    pub shape: Vec<usize>,
    /// Its place in the flat parameters.
    pub range: Range<usize>,
    /// Whether weight decay applies to it.
    pub decayed: bool,
}

/// The activations of a forward pass, which the backward pass reads.
pub struct HeadPass {
    /// Inputs of each layer, the features first.
    inputs: Vec<Vec<f32>>,
    /// `[M, outputs]`.
    pub out: Vec<f32>,
}

impl Head {
    /// One linear layer.
    pub fn linear(name: &str, outputs: usize) -> Self {
        Self { layers: vec![Layer { name: name.to_owned(), outputs, is_first: true }] }
    }

    /// Hidden layers of these sizes, then a linear layer.
    pub fn mlp(name: &str, hidden: &[usize], outputs: usize) -> Self {
        // PyTorch's Sequential also numbers the ReLU modules.
        let layer = |(index, &outputs): (usize, &usize)| Layer {
            name: format!("{name}.{}", 2 * index),
            outputs,
            is_first: index == 0,
        };
        Self { layers: hidden.iter().chain([&outputs]).enumerate().map(layer).collect() }
    }

    /// Heads side by side, all on the same features. Their parameters follow each other; [`Self::parts`] separates them.
    pub fn side_by_side(heads: impl IntoIterator<Item = Self>) -> Self {
        Self { layers: heads.into_iter().flat_map(|head| head.layers).collect() }
    }

    /// The heads of [`Self::side_by_side`], each with its place in the flat parameters of `len` values.
    pub fn parts(&self, len: usize) -> Vec<(Self, Range<usize>)> {
        let (dim, mut start) = (self.feature_dim(len), 0);
        let heads = self.layers.chunk_by(|_, next| !next.is_first).map(|layers| Self { layers: layers.to_vec() });
        let part = |head: Self| {
            let end = start + head.sizes(dim).iter().map(|(inputs, outputs)| (inputs + 1) * outputs).sum::<usize>();
            let range = std::mem::replace(&mut start, end)..end;
            (head, range)
        };
        heads.map(part).collect()
    }

    /// Outputs of the last layer.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.outputs)
    }

    /// Inputs and outputs of each layer.
    fn sizes(&self, feature_dim: usize) -> Vec<(usize, usize)> {
        let mut before = feature_dim;
        let size = |layer: &Layer| {
            let inputs = if layer.is_first { feature_dim } else { before };
            before = layer.outputs;
            (inputs, layer.outputs)
        };
        self.layers.iter().map(size).collect()
    }

    /// D, from the number of parameters: with D = 0 the layers have all but D weights for each output of a first layer.
    fn feature_dim(&self, len: usize) -> usize {
        let others: usize = self.sizes(0).iter().map(|(inputs, outputs)| (inputs + 1) * outputs).sum();
        let firsts: usize = self.layers.iter().filter(|layer| layer.is_first).map(|layer| layer.outputs).sum();
        (len - others) / firsts
    }

    /// The tensors of a head on features of `feature_dim` values, in the order of the flat parameters.
    pub fn layout(&self, feature_dim: usize) -> Vec<HeadTensor> {
        let mut start = 0;
        let mut tensor = |name: String, shape: Vec<usize>| {
            let range = start..start + shape.iter().product::<usize>();
            start = range.end;
            HeadTensor { name, decayed: shape.len() == 2, shape, range }
        };
        let layers = self.layers.iter().zip(self.sizes(feature_dim));
        let of_layer = |(Layer { name, .. }, (inputs, outputs)): (&Layer, (usize, usize))| {
            [tensor(format!("{name}.weight"), vec![outputs, inputs]), tensor(format!("{name}.bias"), vec![outputs])]
        };
        layers.flat_map(of_layer).collect()
    }

    /// Parameters at the start of a run.
    pub fn initialise(&self, feature_dim: usize, rng: &mut Rng) -> Vec<f32> {
        let sizes = self.sizes(feature_dim);
        sizes.into_iter().flat_map(|(inputs, outputs)| linear_initialise(inputs, outputs, rng)).collect()
    }

    /// Outputs for `features` `[M, D]`.
    ///
    /// # Panics
    /// For heads side by side, which have no common output.
    pub fn forward(&self, parameters: &[f32], features: &[f32]) -> HeadPass {
        let (mut rest, mut inputs, mut x) = (parameters, Vec::new(), features.to_vec());
        assert_eq!(self.layers.iter().filter(|layer| layer.is_first).count(), 1, "one head");
        let sizes = self.sizes(self.feature_dim(parameters.len()));
        for (layer, &(inputs_len, outputs)) in sizes.iter().enumerate() {
            let (weight, after) = rest.split_at(inputs_len * outputs);
            let (bias, after) = after.split_at(outputs);
            let mut y = vec![0.0; x.len() / inputs_len * outputs];
            linear_forward(&mut y, &x, weight, bias);
            if layer + 1 < sizes.len() {
                y.iter_mut().for_each(|y| *y = y.max(0.0));
            }
            inputs.push(std::mem::replace(&mut x, y));
            rest = after;
        }
        HeadPass { inputs, out: x }
    }

    /// Gradients of [`Self::forward`] with respect to parameters and features, from `dout` `[M, outputs]`.
    pub fn backward(&self, parameters: &[f32], pass: &HeadPass, dout: Vec<f32>) -> (Vec<f32>, Vec<f32>) {
        let (mut dparameters, mut dy, mut end) = (vec![0.0; parameters.len()], dout, parameters.len());
        let sizes = self.sizes(self.feature_dim(parameters.len()));
        for (&(inputs_len, outputs), x) in sizes.iter().zip(&pass.inputs).rev() {
            let start = end - (inputs_len + 1) * outputs;
            let (dweight, dbias) = dparameters[start..end].split_at_mut(inputs_len * outputs);
            let mut dx = vec![0.0; x.len()];
            linear_backward(dweight, dbias, &mut dx, x, &parameters[start..start + inputs_len * outputs], &dy);
            if start > 0 {
                // A ReLU passes the gradient where its output is above 0.
                dx.iter_mut().zip(x).for_each(|(d, x)| *d = if *x > 0.0 { *d } else { 0.0 });
            }
            (dy, end) = (dx, start);
        }
        (dparameters, dy)
    }

    /// Bytes of [`Self::forward`] and [`Self::backward`] together for `rows` features of `feature_dim` values: the inputs of each layer with
    /// their gradients, and the outputs with theirs.
    pub(super) fn pass_bytes(&self, feature_dim: usize, rows: usize) -> usize {
        let values = self.sizes(feature_dim).into_iter().map(|(inputs, outputs)| inputs + outputs);
        2 * size_of::<f32>() * rows * values.sum::<usize>()
    }

    /// The tensors of `flat`, by name.
    pub fn to_named(&self, flat: &[f32]) -> Vec<NamedTensor> {
        let named = |t: HeadTensor| NamedTensor { name: t.name, shape: t.shape, data: flat[t.range].to_vec() };
        self.layout(self.feature_dim(flat.len())).into_iter().map(named).collect()
    }

    /// Restores `flat` from the tensors of [`Self::to_named`].
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn read_named(&self, tensors: &[NamedTensor], flat: &mut [f32]) -> Result<(), TensorError> {
        for part in self.layout(self.feature_dim(flat.len())) {
            flat[part.range].copy_from_slice(&NamedTensor::find(tensors, &part.name, &part.shape)?.data);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::gradient_check::check_gradient;

    fn heads() -> [Head; 4] {
        let mlp = |layers: usize| Head::mlp("probe", &vec![6; layers], 3);
        [Head::linear("head", 3), mlp(0), mlp(1), mlp(3)]
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        for head in heads() {
            let (feature_dim, mut rng) = (4, Rng::for_purpose(1, "test"));
            let parameters = head.initialise(feature_dim, &mut rng);
            let features: Vec<f32> = (0..5 * feature_dim).map(|_| rng.normal()).collect();
            let dout: Vec<f32> = (0..5 * 3).map(|_| rng.normal()).collect();
            let loss = |parameters: &[f32], features: &[f32]| {
                let out = head.forward(parameters, features).out;
                out.iter().zip(&dout).map(|(y, g)| f64::from(*y) * f64::from(*g)).sum::<f64>()
            };
            let pass = head.forward(&parameters, &features);
            let (dparameters, dfeatures) = head.backward(&parameters, &pass, dout.clone());
            // A ReLU has a kink; the step is small enough to avoid it.
            check_gradient(&dparameters, &parameters, 1.0 / 4096.0, 4e-3, |at| loss(at, &features));
            check_gradient(&dfeatures, &features, 1.0 / 4096.0, 4e-3, |at| loss(&parameters, at));
        }
    }

    #[test]
    fn the_layout_covers_the_parameters_and_names_restore_them() {
        for head in heads() {
            let parameters = head.initialise(64, &mut Rng::for_purpose(1, "test"));
            let layout = head.layout(64);
            assert_eq!(layout[0].range.start, 0);
            assert!(layout.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
            assert_eq!(layout.last().unwrap().range.end, parameters.len());
            let named = head.to_named(&parameters);
            let mut read = vec![0.0; parameters.len()];
            head.read_named(&named, &mut read).unwrap();
            assert_eq!(read, parameters);
            assert!(matches!(head.read_named(&[], &mut read), Err(TensorError::Missing { .. })));
        }
        let [linear, _, mlp, _] = heads();
        let both = Head::side_by_side([mlp.clone(), linear.clone()]);
        let parameters = both.initialise(64, &mut Rng::for_purpose(1, "test"));
        let parts = both.parts(parameters.len());
        let [first, second] = [&mlp, &linear].map(|head| head.initialise(64, &mut Rng::for_purpose(1, "test")).len());
        assert_eq!(parts, [(mlp, 0..first), (linear, first..first + second)]);
        assert_eq!(parameters.len(), first + second);
        assert_eq!(both.to_named(&parameters).len(), 6);
        let names = |head: &Head| head.layout(4).into_iter().map(|tensor| tensor.name).collect::<Vec<_>>();
        assert_eq!(names(&heads()[0]), ["head.weight", "head.bias"]);
        assert_eq!(names(&heads()[2]), ["probe.0.weight", "probe.0.bias", "probe.2.weight", "probe.2.bias"]);
    }
}
