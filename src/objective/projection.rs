//! The projection head of contrastive objectives: feature → hidden, ReLU → projection.
//!
//! Contrast throws away what differs between views; with a head in between, the feature before it may keep it
//! (Chen et al. 2020, arXiv:2002.05709, section 4.2). The head is left behind at export.

use super::HeadTensor;
use crate::nn::linear::{linear_backward, linear_forward, linear_initialise};
use crate::rng::Rng;

/// Two linear layers with a ReLU between. M rows, D feature dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Projection {
    /// Outputs of the first layer.
    pub hidden: usize,
    /// Outputs of the second.
    pub dim: usize,
}

/// What a forward pass leaves for the backward one.
pub(super) struct Projected {
    /// After the ReLU, `[M, hidden]`.
    hidden: Vec<f32>,
    /// `[M, dim]`.
    pub out: Vec<f32>,
}

impl Projection {
    fn lens(self, feature_dim: usize) -> [usize; 4] {
        [self.hidden * feature_dim, self.hidden, self.dim * self.hidden, self.dim]
    }

    pub fn layout(self, feature_dim: usize) -> Vec<HeadTensor> {
        let names = ["projector.0.weight", "projector.0.bias", "projector.2.weight", "projector.2.bias"];
        let shapes = [vec![self.hidden, feature_dim], vec![self.hidden], vec![self.dim, self.hidden], vec![self.dim]];
        let mut start = 0;
        let tensor = |((name, shape), len): ((&'static str, Vec<usize>), usize)| {
            let range = start..start + len;
            start = range.end;
            HeadTensor { name, decayed: shape.len() == 2, shape, range }
        };
        names.into_iter().zip(shapes).zip(self.lens(feature_dim)).map(tensor).collect()
    }

    pub fn start(self, feature_dim: usize, rng: &mut Rng) -> Vec<f32> {
        let mut head = linear_initialise(feature_dim, self.hidden, rng);
        head.extend(linear_initialise(self.hidden, self.dim, rng));
        head
    }

    /// Projections of `features` `[M, D]`.
    pub fn forward(self, head: &[f32], features: &[f32], feature_dim: usize) -> Projected {
        let [first, first_bias, second, second_bias] = self.split(head, feature_dim);
        let rows = features.len() / feature_dim;
        let (mut hidden, mut out) = (vec![0.0; rows * self.hidden], vec![0.0; rows * self.dim]);
        linear_forward(&mut hidden, features, first, first_bias);
        hidden.iter_mut().for_each(|h| *h = h.max(0.0));
        linear_forward(&mut out, &hidden, second, second_bias);
        Projected { hidden, out }
    }

    /// Gradients of [`Self::forward`] from `dout` `[M, dim]`; `dhead` and `dfeatures` are overwritten.
    pub fn backward(
        self,
        head: &[f32],
        features: &[f32],
        projected: &Projected,
        dout: &[f32],
        dhead: &mut [f32],
        dfeatures: &mut [f32],
    ) {
        let feature_dim = features.len() / (dout.len() / self.dim);
        let [first, _, second, _] = self.split(head, feature_dim);
        let [first_len, bias_len, second_len, _] = self.lens(feature_dim);
        let (dfirst, rest) = dhead.split_at_mut(first_len);
        let (dfirst_bias, rest) = rest.split_at_mut(bias_len);
        let (dsecond, dsecond_bias) = rest.split_at_mut(second_len);
        let mut dhidden = vec![0.0; projected.hidden.len()];
        linear_backward(dsecond, dsecond_bias, &mut dhidden, &projected.hidden, second, dout);
        dhidden.iter_mut().zip(&projected.hidden).for_each(|(d, h)| *d = if *h > 0.0 { *d } else { 0.0 });
        linear_backward(dfirst, dfirst_bias, dfeatures, features, first, &dhidden);
    }

    fn split(self, head: &[f32], feature_dim: usize) -> [&[f32]; 4] {
        let [first, first_bias, second, _] = self.lens(feature_dim);
        let (a, rest) = head.split_at(first);
        let (b, rest) = rest.split_at(first_bias);
        let (c, d) = rest.split_at(second);
        [a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_agree_with_central_differences() {
        let projection = Projection { hidden: 6, dim: 3 };
        let (feature_dim, mut rng) = (4, Rng::for_purpose(1, "test"));
        let head = projection.start(feature_dim, &mut rng);
        let features: Vec<f32> = (0..5 * feature_dim).map(|_| rng.normal()).collect();
        let dout: Vec<f32> = (0..5 * 3).map(|_| rng.normal()).collect();
        let loss = |head: &[f32], features: &[f32]| {
            let out = projection.forward(head, features, feature_dim).out;
            out.iter().zip(&dout).map(|(y, g)| f64::from(*y) * f64::from(*g)).sum::<f64>()
        };
        let (mut dhead, mut dfeatures) = (vec![9.0; head.len()], vec![9.0; features.len()]);
        let projected = projection.forward(&head, &features, feature_dim);
        projection.backward(&head, &features, &projected, &dout, &mut dhead, &mut dfeatures);
        let check = |analytic: &[f32], at: &[f32], loss: &dyn Fn(&[f32]) -> f64| {
            for i in 0..at.len() {
                let nudged = |by: f32| {
                    let mut nudged = at.to_vec();
                    nudged[i] += by;
                    loss(&nudged)
                };
                let numeric = (nudged(1.0 / 1024.0) - nudged(-1.0 / 1024.0)) * 512.0;
                assert!((numeric - f64::from(analytic[i])).abs() < 2e-3, "{i}: {numeric} {}", analytic[i]);
            }
        };
        check(&dhead, &head, &|head| loss(head, &features));
        check(&dfeatures, &features, &|features| loss(&head, features));
    }

    #[test]
    fn the_layout_covers_the_head() {
        let projection = Projection { hidden: 6, dim: 3 };
        let layout = projection.layout(4);
        let head = projection.start(4, &mut Rng::for_purpose(1, "test"));
        assert_eq!(layout[0].range.start, 0);
        assert!(layout.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
        assert_eq!(layout[3].range.end, head.len());
        assert!(layout.iter().all(|tensor| tensor.range.len() == tensor.shape.iter().product::<usize>()));
    }
}
