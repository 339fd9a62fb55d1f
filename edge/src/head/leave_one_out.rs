//! Leave-one-out cross-validation of a discriminant analysis: the distances of a left-out support, and the log loss of
//! its scores over a grid of temperatures.

use super::exponential::exponentials;

/// Temperatures `certainty / 8 · √2^step` for the steps 0 to 12, as pairs of an even and an odd step; the last is unused.
const PAIRS: usize = 7;

/// Replaces `a(z, μ_k)` by the squared distance of `z` to class k after `z` is left out of `class`.
///
/// * `own`: `a(z, z)`
/// * `squares`: `a(μ_k, μ_k)`, `[C]`
/// * `to_class`: `a(μ_k, μ_class)`, `[C]`
/// * `counts`: `[C]`, at least 2 of `class`
/// * `scores`: `[C]`; `∞` for a class without supports
pub(crate) fn write_left_out(
    own: f64,
    class: usize,
    squares: &[f64],
    to_class: &[f64],
    counts: &[f64],
    scores: &mut [f64],
) {
    let beta = counts[class] / (counts[class] - 1.0);
    let own_to_class = scores[class];
    let of_d = own - 2.0 * own_to_class + squares[class];
    let remaining = 1.0 - beta * of_d;
    // Exactly, this is above 0, because `M⁻` is at least `κ I`; rounding may make it 0 or less.
    let gain = beta / if remaining > 1e-12 { remaining } else { 1e-12 };
    for (k, score) in scores.iter_mut().enumerate() {
        let (square, with_d) = if k == class {
            (beta * beta * of_d, beta * of_d)
        } else {
            (own - 2.0 * *score + squares[k], own - own_to_class - *score + to_class[k])
        };
        *score = if counts[k] > 0.0 { square + gain * with_d * with_d } else { f64::INFINITY };
    }
}

/// Log losses of left-out supports, `Σ -log softmax(t s)[y]`, for each temperature of the grid.
///
/// A temperature of the grid is half of the next but one, so its exponentials are the squares of two sets of
/// exponentials. A sum of exponentials is 1 to the number of classes, so the logarithm of the product of a few is that of
/// each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    /// Temperatures of the first pair.
    temperatures: [f64; 2],
    /// `Σ max_k s_k - s_y`.
    largest: f64,
    logarithms: [[f64; 2]; PAIRS],
    products: [[f64; 2]; PAIRS],
}

impl Losses {
    /// No support yet. The grid has `certainty` in its middle.
    pub fn new(certainty: f64) -> Self {
        let temperatures = [certainty / 8.0, certainty / 8.0 * core::f64::consts::SQRT_2];
        Self { temperatures, largest: 0.0, logarithms: [[0.0; 2]; PAIRS], products: [[1.0; 2]; PAIRS] }
    }

    /// Adds a support of `class` with the squared distances `scores`, whose scores are these times `-sharpness / 2`.
    pub fn add(&mut self, scores: &[f64], class: usize, sharpness: f64) {
        let own = scores[class];
        let mut least = own;
        for &score in scores {
            least = if score < least { score } else { least };
        }
        self.largest += 0.5 * sharpness * (own - least);
        let mut sums = [[0.0; 2]; PAIRS];
        for scores in scores.chunks(4) {
            let mut exponents = [[f64::NEG_INFINITY; 2]; 4];
            for (exponents, &score) in exponents.iter_mut().zip(scores) {
                let margin = 0.5 * sharpness * (least - score);
                *exponents = self.temperatures.map(|temperature| temperature * margin);
            }
            let [a, b, c, d] = exponents;
            let mut powers = exponentials([a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]]);
            for sums in &mut sums {
                for pair in powers.as_chunks::<2>().0 {
                    sums[0] += pair[0];
                    sums[1] += pair[1];
                }
                powers.iter_mut().for_each(|power| *power *= *power);
            }
        }
        for (product, sum) in self.products.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
            *product *= sum;
        }
    }

    /// Takes the logarithms of the products. To be called after 64 supports at most, as the sum of 256 classes is 2⁸.
    pub fn settle(&mut self) {
        let products = self.products.as_flattened_mut();
        for (logarithm, product) in self.logarithms.as_flattened_mut().iter_mut().zip(products) {
            *logarithm += libm::log(*product);
            *product = 1.0;
        }
    }

    /// The smallest loss, with a penalty for the distance from the middle of the grid, and its temperature.
    pub fn best(&self) -> (f64, f64) {
        let mut best = (f64::INFINITY, 8.0 * self.temperatures[0]);
        let mut temperatures = self.temperatures;
        for (step, &logarithm) in self.logarithms.as_flattened()[..2 * PAIRS - 1].iter().enumerate() {
            let temperature = temperatures[step % 2];
            let apart = step as f64 / 2.0 - 3.0;
            let loss = logarithm + temperature * self.largest + apart * apart;
            if loss < best.0 {
                best = (loss, temperature);
            }
            temperatures[step % 2] *= 2.0;
        }
        best
    }
}
