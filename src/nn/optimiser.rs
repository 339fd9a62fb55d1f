//! SGD with momentum and AdamW with decoupled weight decay, and LARS.
//!
//! An optimiser updates one flat vector of parameters `p` from its gradient `g` with learning rate `r`. Weight decay `d` is
//! decoupled (Loshchilov and Hutter 2019, arXiv:1711.05101): first `p -= r d p` for the decayed parameters, then the step,
//! which does not depend on `d`. LARS defines its own.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Kind of optimiser, with its constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum OptimiserKind {
    /// `v = m v + g`, then `p -= r v`, or `p -= r (g + m v)` with Nesterov (Sutskever et al. 2013). As PyTorch's `SGD`.
    Sgd {
        /// `m`; 0.9 averages about ten steps.
        momentum: f32,
        /// Use Nesterov momentum.
        nesterov: bool,
    },
    /// `p -= r m̂ / (sqrt(v̂) + ε)` with bias-corrected moments of the gradient. As PyTorch's `AdamW`.
    AdamW {
        /// Decay of the first moment, usually 0.9.
        beta1: f32,
        /// Decay of the second moment, usually 0.999.
        beta2: f32,
        /// `ε`, usually 1e-8.
        epsilon: f32,
    },
    /// Layer-wise adaptive rates for large batches (You et al. 2017, arXiv:1708.03888, algorithm 1). For each decayed range,
    /// which is one tensor, `λ = η |p| / (|g| + β |p|)`, `v = m v + r λ (g + β p)`, `p -= v`, with `β = (1 - m) d`, so that
    /// `d` decays as with SGD. All other parameters (scales, shifts, biases) have `λ = 1` and `β = 0`.
    Lars {
        /// `m`, usually 0.9.
        momentum: f32,
        /// `η`, the trust coefficient, usually 0.001.
        trust: f32,
    },
}

impl OptimiserKind {
    /// SGD with momentum 0.9.
    pub const SGD: Self = Self::Sgd { momentum: 0.9, nesterov: false };
    /// AdamW with PyTorch's constants.
    pub const ADAM_W: Self = Self::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

    /// LARS with momentum 0.9 and trust coefficient 0.001.
    pub const LARS: Self = Self::Lars { momentum: 0.9, trust: 1e-3 };

    /// Names of the state vectors, in the order of [`Optimiser::state`].
    pub fn state_names(self) -> &'static [&'static str] {
        match self {
            Self::Sgd { .. } | Self::Lars { .. } => &["momentum"],
            Self::AdamW { .. } => &["first_moment", "second_moment"],
        }
    }
}

/// Optimiser state of one flat vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimiser {
    kind: OptimiserKind,
    weight_decay: f32,
    decayed: Vec<Range<usize>>,
    /// Steps taken.
    pub steps: u64,
    /// Vectors of the length of the parameters, initially zero; named by [`OptimiserKind::state_names`].
    pub state: Vec<Vec<f32>>,
}

impl Optimiser {
    /// For `len` parameters. `weight_decay` applies to the disjoint ranges `decayed`, one per tensor.
    pub fn new(kind: OptimiserKind, len: usize, weight_decay: f32, decayed: Vec<Range<usize>>) -> Self {
        let state = kind.state_names().iter().map(|_| vec![0.0; len]).collect();
        Self { kind, weight_decay, decayed, steps: 0, state }
    }

    /// Updates `parameters` by one step; `gradient` has the same length.
    ///
    /// # Panics
    /// When a length differs from that of [`Self::new`].
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], learning_rate: f32) {
        assert!(
            parameters.len() == self.state[0].len() && gradient.len() == parameters.len(),
            "parameters, gradient and state have one length"
        );
        self.steps += 1;
        if !matches!(self.kind, OptimiserKind::Lars { .. }) {
            self.decay(parameters, learning_rate);
        }
        match self.kind {
            OptimiserKind::Sgd { momentum, nesterov } => {
                let state = &mut self.state[0];
                for ((p, v), g) in parameters.iter_mut().zip(state).zip(gradient) {
                    *v = momentum * *v + g;
                    *p -= learning_rate * if nesterov { g + momentum * *v } else { *v };
                }
            }
            OptimiserKind::AdamW { beta1, beta2, epsilon } => {
                // In f64: 1 - 0.999^t loses four digits in f32 at the first steps.
                let correction = |beta: f32| 1.0 - f64::from(beta).powf(self.steps as f64);
                let rate = (f64::from(learning_rate) / correction(beta1)) as f32;
                let root = correction(beta2).sqrt() as f32;
                let (first, second) = self.state.split_at_mut(1);
                for (((p, m), v), g) in parameters.iter_mut().zip(&mut first[0]).zip(&mut second[0]).zip(gradient) {
                    *m += (1.0 - beta1) * (g - *m);
                    *v = beta2 * *v + (1.0 - beta2) * g * g;
                    *p -= rate * *m / (v.sqrt() / root + epsilon);
                }
            }
            OptimiserKind::Lars { momentum, trust } => {
                self.lars_step(parameters, gradient, learning_rate, (momentum, trust));
            }
        }
    }

    /// Decoupled weight decay.
    fn decay(&self, parameters: &mut [f32], learning_rate: f32) {
        let factor = 1.0 - learning_rate * self.weight_decay;
        for range in &self.decayed {
            parameters[range.clone()].iter_mut().for_each(|p| *p *= factor);
        }
    }

    /// The step of LARS. `constants`: momentum and trust coefficient.
    fn lars_step(&mut self, parameters: &mut [f32], gradient: &[f32], learning_rate: f32, constants: (f32, f32)) {
        let (momentum, trust) = constants;
        let decay = (1.0 - momentum) * self.weight_decay;
        let velocity = &mut self.state[0];
        velocity.iter_mut().for_each(|v| *v *= momentum);
        let mut rates = vec![(learning_rate, 0.0); parameters.len()];
        for range in &self.decayed {
            let [p, g] = [&parameters[range.clone()], &gradient[range.clone()]].map(norm);
            let denominator = g + f64::from(decay) * p;
            // A tensor of zeros could never move; a gradient of zeros needs no rate.
            let adapted = if p > 0.0 && denominator > 0.0 { f64::from(trust) * p / denominator } else { 1.0 };
            rates[range.clone()].fill(((f64::from(learning_rate) * adapted) as f32, decay));
        }
        for (((p, v), g), (rate, decay)) in parameters.iter_mut().zip(velocity).zip(gradient).zip(rates) {
            *v += rate * (g + decay * *p);
            *p -= *v;
        }
    }
}

/// Euclidean length.
fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        learning_rates: Vec<f32>,
        weight_decay: f32,
        decayed: usize,
        start: Vec<f32>,
        gradients: Vec<Vec<f32>>,
        trajectories: std::collections::BTreeMap<String, Vec<Vec<f32>>>,
    }

    /// `tests/vectors/optimiser.py` made these with PyTorch.
    #[test]
    fn every_step_agrees_with_pytorch() {
        let vectors: Vectors = serde_json::from_str(include_str!("../../tests/vectors/optimiser.json")).unwrap();
        let kinds = [
            ("sgd", OptimiserKind::SGD),
            ("nesterov", OptimiserKind::Sgd { momentum: 0.9, nesterov: true }),
            ("adamw", OptimiserKind::ADAM_W),
        ];
        for (name, kind) in kinds {
            let mut parameters = vectors.start.clone();
            // One range split in two, to check that all ranges are visited.
            let decayed = vec![0..1, 1..vectors.decayed];
            let mut optimiser = Optimiser::new(kind, parameters.len(), vectors.weight_decay, decayed);
            let steps = vectors.gradients.iter().zip(&vectors.learning_rates).zip(&vectors.trajectories[name]);
            for (step, ((gradient, &rate), expected)) in steps.enumerate() {
                optimiser.step(&mut parameters, gradient, rate);
                for (p, e) in parameters.iter().zip(expected) {
                    assert!((p - e).abs() <= 2e-6 * e.abs().max(0.1), "{name} step {step}: {p} {e}");
                }
            }
        }
    }

    /// Constant gradient: velocity is a geometric sum, so after t steps the distance is
    /// `r g (t - m (1 - m^t) / (1 - m)) / (1 - m)`.
    #[test]
    fn momentum_sums_geometrically() {
        let mut optimiser = Optimiser::new(OptimiserKind::SGD, 1, 0.0, Vec::new());
        let (mut p, t, m) = ([0.0f32], 30, 0.9f64);
        (0..t).for_each(|_| optimiser.step(&mut p, &[2.0], 0.01));
        let expected = -0.01 * 2.0 * (f64::from(t) - m * (1.0 - m.powi(t)) / (1.0 - m)) / (1.0 - m);
        assert!((f64::from(p[0]) - expected).abs() < 1e-5, "{} {expected}", p[0]);
    }

    /// Under a constant gradient both corrected moments are exact: each AdamW step has length r.
    #[test]
    fn adam_steps_have_the_length_of_the_rate() {
        let mut optimiser = Optimiser::new(OptimiserKind::ADAM_W, 2, 0.0, Vec::new());
        let mut p = [0.0, 0.0];
        (0..10).for_each(|_| optimiser.step(&mut p, &[1e-3, -50.0], 0.01));
        assert!((p[0] + 0.1).abs() < 1e-5 && (p[1] - 0.1).abs() < 1e-5, "{p:?}");
    }

    /// Two steps on a weight `[3, 4]`, a bias 1 and a weight of zeros, by hand: rate 0.1, η = 0.01, m = 0.5, β = 0.5 · 0.2.
    #[test]
    fn lars_by_hand() {
        let kind = OptimiserKind::Lars { momentum: 0.5, trust: 0.01 };
        let mut optimiser = Optimiser::new(kind, 4, 0.2, vec![0..2, 3..4]);
        let mut p = [3.0, 4.0, 1.0, 0.0];
        optimiser.step(&mut p, &[0.6, 0.8, 2.0, 0.5], 0.1);
        // |p| = 5, |g| = 1: λ = 0.01 · 5 / (1 + 0.1 · 5) = 1/30; v = 0.1 / 30 · (g + 0.1 p) = 0.1 / 30 · [0.9, 1.2].
        let expected = [3.0 - 0.003, 4.0 - 0.004, 1.0 - 0.2, -0.05];
        assert!(p.iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-6), "{p:?} {expected:?}");
        optimiser.step(&mut p, &[0.0; 4], 0.1);
        // Without a gradient λ = η / β = 0.1; v = 0.5 v + 0.1 · 0.1 · 0.1 · p.
        let expected = [2.997 - 0.0015 - 0.002997, 3.996 - 0.002 - 0.003996, 0.8 - 0.1, -0.05 - 0.025];
        // The weight that was zero has λ = 0.1 as well.
        let expected = [expected[0], expected[1], expected[2], expected[3] + 0.001 * 0.05];
        assert!(p.iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-6), "{p:?} {expected:?}");
    }

    /// A gradient of any scale gives the same step: without decay and momentum its length is `r η |p|`.
    #[test]
    fn lars_does_not_depend_on_the_scale_of_the_gradient() {
        let kind = OptimiserKind::Lars { momentum: 0.0, trust: 0.001 };
        for scale in [1e-6, 1.0, 1e6] {
            let mut optimiser = Optimiser::new(kind, 2, 0.0, std::iter::once(0..2).collect());
            let mut p = [30.0, 40.0];
            optimiser.step(&mut p, &[3.0 * scale, 4.0 * scale], 0.5);
            assert!((p[0] - 29.985).abs() < 1e-4 && (p[1] - 39.98).abs() < 1e-4, "{scale}: {p:?}");
        }
    }

    #[test]
    fn decay_is_decoupled_and_limited_to_the_ranges() {
        for kind in [OptimiserKind::SGD, OptimiserKind::ADAM_W] {
            let mut optimiser = Optimiser::new(kind, 3, 0.5, vec![0..1, 2..3]);
            let mut p = [1.0, 1.0, -4.0];
            (0..2).for_each(|_| optimiser.step(&mut p, &[0.0; 3], 0.1));
            let expected = [0.95f32 * 0.95, 1.0, -4.0 * 0.95 * 0.95];
            assert!(p.iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-6), "{kind:?}: {p:?}");
        }
    }
}
