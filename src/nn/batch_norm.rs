//! Batch normalisation over `M = N H W` values of each channel (Ioffe and Szegedy 2015, arXiv:1502.03167).
//!
//! `y = gamma (z - mean) / sqrt(variance + epsilon) + beta`. It is no separate pass. Forward it is an affine map that
//! the next layer applies while it reads `z`; backward it is an affine map that the convolution before it applies while it
//! reads the gradient. This file computes both maps from sums over the batch.

/// Added to the variance; PyTorch's default.
pub const EPSILON: f64 = 1e-5;

/// Weight of a new batch in the running statistics; PyTorch's default.
pub const MOMENTUM: f32 = 0.1;

/// `Σ z` and `Σ z²`, or `Σ g` and `Σ g (z - mean)`, of each channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// First sum.
    pub first: Vec<f64>,
    /// Second sum.
    pub second: Vec<f64>,
}

impl Sums {
    /// Zeros for `channels`.
    pub fn zeros(channels: usize) -> Self {
        Self { first: vec![0.0; channels], second: vec![0.0; channels] }
    }

    /// Adds the sums of another part of the batch.
    pub fn add(&mut self, other: &Sums) {
        self.first.iter_mut().zip(&other.first).for_each(|(sum, value)| *sum += value);
        self.second.iter_mut().zip(&other.second).for_each(|(sum, value)| *sum += value);
    }
}

/// Mean and variance of a batch, and the affine map that follows from them, `gamma` and `beta`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalisation {
    /// Mean of `z`.
    pub mean: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub inverse_std: Vec<f32>,
    /// Biased variance, `Σ (z - mean)² / M`.
    pub variance: Vec<f32>,
    /// `gamma * inverse_std`: forward the factor of `z`, backward that of the gradient.
    pub scale: Vec<f32>,
    /// `beta - mean * scale`.
    pub shift: Vec<f32>,
}

impl Normalisation {
    /// From `Σ z` and `Σ z²` over `count` values of each channel.
    pub fn from_batch(sums: &Sums, count: usize, gamma: &[f32], beta: &[f32]) -> Self {
        let count = count as f64;
        let mean: Vec<f64> = sums.first.iter().map(|sum| sum / count).collect();
        // Rounding can make the variance of a constant channel slightly negative.
        let variance: Vec<f64> =
            sums.second.iter().zip(&mean).map(|(square, mean)| (square / count - mean * mean).max(0.0)).collect();
        Self::new(&mean, &variance, gamma, beta)
    }

    /// From running statistics.
    pub fn from_running(mean: &[f32], variance: &[f32], gamma: &[f32], beta: &[f32]) -> Self {
        let widen = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        Self::new(&widen(mean), &widen(variance), gamma, beta)
    }

    fn new(mean: &[f64], variance: &[f64], gamma: &[f32], beta: &[f32]) -> Self {
        let inverse_std: Vec<f64> = variance.iter().map(|variance| 1.0 / (variance + EPSILON).sqrt()).collect();
        let scale: Vec<f64> =
            inverse_std.iter().zip(gamma).map(|(inverse, gamma)| inverse * f64::from(*gamma)).collect();
        let shift =
            beta.iter().zip(mean).zip(&scale).map(|((beta, mean), scale)| (f64::from(*beta) - mean * scale) as f32);
        let narrow = |values: &[f64]| values.iter().map(|v| *v as f32).collect();
        Self {
            shift: shift.collect(),
            mean: narrow(mean),
            inverse_std: narrow(&inverse_std),
            variance: narrow(variance),
            scale: narrow(&scale),
        }
    }

    /// Moves the running mean and variance (unbiased, as in PyTorch) towards those of this batch.
    pub fn update_running(&self, count: usize, mean: &mut [f32], variance: &mut [f32]) {
        let unbiased = count as f32 / (count.max(2) - 1) as f32;
        for (running, batch) in mean.iter_mut().zip(&self.mean) {
            *running += MOMENTUM * (batch - *running);
        }
        for (running, batch) in variance.iter_mut().zip(&self.variance) {
            *running += MOMENTUM * (batch * unbiased - *running);
        }
    }

    /// The backward map `dz = g * scale + (z * by_value + constant)`, `dgamma` and `dbeta`; derived in `encoder/backward.rs`.
    ///
    /// `sums` are `Σ g` and `Σ g (z - mean)` over the `count` values of each channel, `g` the gradient of the loss with
    /// respect to `y`.
    pub fn backward(&self, sums: &Sums, count: usize) -> NormGradient {
        let count = count as f64;
        let mut gradient = NormGradient::default();
        for channel in 0..self.mean.len() {
            let [mean, inverse_std, scale] =
                [&self.mean, &self.inverse_std, &self.scale].map(|v| f64::from(v[channel]));
            let (sum, product) = (sums.first[channel], sums.second[channel]);
            let slope = scale * inverse_std * inverse_std * product / count;
            gradient.by_value.push(-slope as f32);
            gradient.constant.push((slope * mean - scale * sum / count) as f32);
            gradient.dgamma.push((product * inverse_std) as f32);
            gradient.dbeta.push(sum as f32);
        }
        gradient
    }
}

/// Result of [`Normalisation::backward`], one value per channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NormGradient {
    /// Factor of `z` in `dz`.
    pub by_value: Vec<f32>,
    /// Constant in `dz`.
    pub constant: Vec<f32>,
    /// Gradient with respect to `gamma`.
    pub dgamma: Vec<f32>,
    /// Gradient with respect to `beta`.
    pub dbeta: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// `loss = Σ w y` for one channel, in f64.
    fn loss(z: &[f64], w: &[f64], gamma: f64, beta: f64) -> f64 {
        let m = z.len() as f64;
        let mean = z.iter().sum::<f64>() / m;
        let variance = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / m;
        z.iter().zip(w).map(|(z, w)| w * (gamma * (z - mean) / (variance + EPSILON).sqrt() + beta)).sum()
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        let mut rng = Rng::for_purpose(1, "norm");
        let z: Vec<f64> = (0..40).map(|_| f64::from(rng.normal()) * 3.0 + 5.0).collect();
        let w: Vec<f64> = (0..40).map(|_| f64::from(rng.normal())).collect();
        let (gamma, beta, h) = (1.3, -0.4, 1e-5);
        let sums = Sums { first: vec![z.iter().sum()], second: vec![z.iter().map(|z| z * z).sum()] };
        let norm = Normalisation::from_batch(&sums, 40, &[gamma as f32], &[beta as f32]);
        let mean = f64::from(norm.mean[0]);
        let products = z.iter().zip(&w).map(|(z, w)| w * (z - mean)).sum();
        let gradient = norm.backward(&Sums { first: vec![w.iter().sum()], second: vec![products] }, 40);
        for i in 0..40 {
            let shifted =
                |by: f64| z.iter().enumerate().map(|(j, z)| if i == j { z + by } else { *z }).collect::<Vec<_>>();
            let expected = (loss(&shifted(h), &w, gamma, beta) - loss(&shifted(-h), &w, gamma, beta)) / (2.0 * h);
            let found = w[i] as f32 * norm.scale[0] + (z[i] as f32 * gradient.by_value[0] + gradient.constant[0]);
            assert!((f64::from(found) - expected).abs() < 1e-4, "dz[{i}] {found} against {expected}");
        }
        let dgamma = (loss(&z, &w, gamma + h, beta) - loss(&z, &w, gamma - h, beta)) / (2.0 * h);
        let dbeta = (loss(&z, &w, gamma, beta + h) - loss(&z, &w, gamma, beta - h)) / (2.0 * h);
        assert!(
            (f64::from(gradient.dgamma[0]) - dgamma).abs() < 1e-4
                && (f64::from(gradient.dbeta[0]) - dbeta).abs() < 1e-4
        );
    }

    #[test]
    fn a_constant_channel_stays_finite() {
        let norm = Normalisation::from_batch(&Sums { first: vec![40.0], second: vec![40.0] }, 40, &[1.0], &[0.5]);
        assert_eq!((norm.variance[0], norm.mean[0]), (0.0, 1.0));
        assert!((norm.scale[0] + norm.shift[0] - 0.5).abs() < 1e-4);
    }
}
