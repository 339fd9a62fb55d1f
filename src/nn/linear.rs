//! Fully connected layer, `y = x Wᵀ + b`.
//!
//! N batch size, D input features, C outputs; all arrays row-major, `W` is `[C, D]` as PyTorch has it.
//! With few outputs (a classifier) plain loops in a fixed order are fast enough; with many outputs (a projection head) a
//! matrix product is used.

use super::matrix::{matmul, matmul_at, matmul_bt};
use crate::rng::Rng;

/// Number of outputs from which the blocked matrix product is faster.
const PRODUCT_OUTPUTS_MIN: usize = 32;

/// `y[n, c] = b[c] + sum over d of x[n, d] W[c, d]`.
///
/// * `y`: `[N, C]`, overwritten
/// * `x`: `[N, D]`
/// * `weight`: `[C, D]`
/// * `bias`: `[C]`, at least one
///
/// # Panics
/// When the lengths do not fit each other.
pub fn linear_forward(y: &mut [f32], x: &[f32], weight: &[f32], bias: &[f32]) {
    let (inputs, outputs) = (weight.len() / bias.len(), bias.len());
    check_shapes(y, x, weight, bias.len());
    if outputs >= PRODUCT_OUTPUTS_MIN {
        matmul_bt(x, weight, inputs, y);
        y.chunks_exact_mut(outputs).for_each(|y| y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias));
        return;
    }
    for (y, x) in y.chunks_exact_mut(outputs).zip(x.chunks_exact(inputs)) {
        for ((y, row), bias) in y.iter_mut().zip(weight.chunks_exact(inputs)).zip(bias) {
            *y = bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
        }
    }
}

/// Gradients of [`linear_forward`]; `dweight`, `dbias` and `dx` are overwritten.
///
/// `dW[c, d] = sum over n of dy[n, c] x[n, d]`, `db[c] = sum over n of dy[n, c]`,
/// `dx[n, d] = sum over c of dy[n, c] W[c, d]`.
///
/// # Panics
/// When the lengths do not fit each other.
pub fn linear_backward(dweight: &mut [f32], dbias: &mut [f32], dx: &mut [f32], x: &[f32], weight: &[f32], dy: &[f32]) {
    let (inputs, outputs) = (weight.len() / dbias.len(), dbias.len());
    check_shapes(dy, x, weight, outputs);
    assert!(dweight.len() == weight.len() && dx.len() == x.len(), "a gradient has the length of its tensor");
    dbias.fill(0.0);
    if outputs >= PRODUCT_OUTPUTS_MIN {
        matmul_at(dy, x, outputs, inputs, dweight);
        matmul(dy, weight, outputs, inputs, dx);
        dy.chunks_exact(outputs).for_each(|dy| dbias.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy));
        return;
    }
    dweight.fill(0.0);
    dx.fill(0.0);
    for ((dx, x), dy) in dx.chunks_exact_mut(inputs).zip(x.chunks_exact(inputs)).zip(dy.chunks_exact(outputs)) {
        for (c, &dy) in dy.iter().enumerate() {
            let row = c * inputs..(c + 1) * inputs;
            dbias[c] += dy;
            dweight[row.clone()].iter_mut().zip(x).for_each(|(dw, x)| *dw += dy * x);
            dx.iter_mut().zip(&weight[row]).for_each(|(dx, w)| *dx += dy * w);
        }
    }
}

/// Initial weights `[C, D]` followed by the bias `[C]`, all uniform in `±1 / sqrt(D)` as in PyTorch's `Linear`.
pub fn linear_initialise(inputs: usize, outputs: usize, rng: &mut Rng) -> Vec<f32> {
    let bound = 1.0 / (inputs as f32).sqrt();
    (0..(inputs + 1) * outputs).map(|_| rng.uniform_in(-bound, bound)).collect()
}

fn check_shapes(y: &[f32], x: &[f32], weight: &[f32], outputs: usize) {
    let inputs = weight.len() / outputs;
    assert_eq!(weight.len(), inputs * outputs, "the weight is [C, D]");
    assert_eq!(x.len() * outputs, y.len() * inputs, "x is [N, D] and y is [N, C]");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64, len: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(seed, "test");
        (0..len).map(|_| rng.normal()).collect()
    }

    #[test]
    fn forward_matches_a_product_by_hand() {
        let mut y = [0.0; 4];
        linear_forward(&mut y, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1.0, 0.0, -1.0, 2.0, 2.0, 2.0], &[0.5, -1.0]);
        assert_eq!(y, [-1.5, 11.0, -1.5, 29.0]);
    }

    /// The loss `sum(y * g)` is linear in each argument, so its central difference is exact up to rounding.
    #[test]
    fn gradients_agree_with_central_differences() {
        [4, PRODUCT_OUTPUTS_MIN + 1].into_iter().for_each(agree_with_central_differences);
    }

    fn agree_with_central_differences(c: usize) {
        let (n, d) = (3, 5);
        let (x, weight, bias, dy) = (random(1, n * d), random(2, c * d), random(3, c), random(4, n * c));
        let loss = |x: &[f32], weight: &[f32], bias: &[f32]| {
            let mut y = vec![0.0; n * c];
            linear_forward(&mut y, x, weight, bias);
            y.iter().zip(&dy).map(|(y, g)| f64::from(*y) * f64::from(*g)).sum::<f64>()
        };
        let (mut dweight, mut dbias, mut dx) = (vec![9.0; c * d], vec![9.0; c], vec![9.0; n * d]);
        linear_backward(&mut dweight, &mut dbias, &mut dx, &x, &weight, &dy);
        let check = |name: &str, analytic: &[f32], at: &[f32], loss: &dyn Fn(&[f32]) -> f64| {
            for i in 0..at.len() {
                let (mut up, mut down) = (at.to_vec(), at.to_vec());
                up[i] += 0.5;
                down[i] -= 0.5;
                let numeric = loss(&up) - loss(&down);
                assert!((numeric - f64::from(analytic[i])).abs() < 1e-4, "{name}[{i}]: {numeric} {}", analytic[i]);
            }
        };
        check("dweight", &dweight, &weight, &|weight| loss(&x, weight, &bias));
        check("dbias", &dbias, &bias, &|bias| loss(&x, &weight, bias));
        check("dx", &dx, &x, &|x| loss(x, &weight, &bias));
    }
}
