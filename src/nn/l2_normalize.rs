//! L2 normalisation of rows, `z = u / |u|`.
//!
//! N rows, D columns.

/// Lower bound of the divisor: a row of zeros stays zero.
const LENGTH_MIN: f32 = 1e-12;

/// `z[n] = u[n] / |u[n]|`; returns `1 / |u[n]|` `[N]` for [`l2_normalize_backward`].
///
/// * `z`: `[N, D]`, overwritten
/// * `u`: `[N, D]`
pub fn l2_normalize(z: &mut [f32], u: &[f32], dim: usize) -> Vec<f32> {
    let normalise = |(z, u): (&mut [f32], &[f32])| {
        let length = u.iter().map(|u| f64::from(*u).powi(2)).sum::<f64>().sqrt() as f32;
        let inverse = 1.0 / length.max(LENGTH_MIN);
        z.iter_mut().zip(u).for_each(|(z, u)| *z = u * inverse);
        inverse
    };
    z.chunks_exact_mut(dim).zip(u.chunks_exact(dim)).map(normalise).collect()
}

/// `du = (dz - z (z · dz)) / |u|` per row, in place.
///
/// * `dz`: `[N, D]`, overwritten with `du`
/// * `z`: `[N, D]`
/// * `inverse_lengths`: `[N]`
pub fn l2_normalize_backward(dz: &mut [f32], z: &[f32], inverse_lengths: &[f32], dim: usize) {
    for ((dz, z), inverse) in dz.chunks_exact_mut(dim).zip(z.chunks_exact(dim)).zip(inverse_lengths) {
        let along = dz.iter().zip(z).map(|(d, z)| f64::from(*d) * f64::from(*z)).sum::<f64>() as f32;
        dz.iter_mut().zip(z).for_each(|(d, z)| *d = (*d - z * along) * inverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradient_agrees_with_central_differences() {
        let mut rng = crate::rng::Rng::for_purpose(1, "test");
        let (dim, u): (usize, Vec<f32>) = (5, (0..15).map(|_| 2.0 * rng.normal()).collect());
        let weights: Vec<f32> = (0..15).map(|_| rng.normal()).collect();
        let loss = |u: &[f32]| {
            let mut z = vec![0.0; u.len()];
            l2_normalize(&mut z, u, dim);
            z.iter().zip(&weights).map(|(z, w)| f64::from(*z) * f64::from(*w)).sum::<f64>()
        };
        let mut z = vec![0.0; 15];
        let inverse = l2_normalize(&mut z, &u, dim);
        assert!(z.chunks(dim).all(|row| (row.iter().map(|z| z * z).sum::<f32>() - 1.0).abs() < 1e-6));
        let mut gradient = weights.clone();
        l2_normalize_backward(&mut gradient, &z, &inverse, dim);
        for i in 0..u.len() {
            let at = |by: f32| {
                let mut shifted = u.clone();
                shifted[i] += by;
                loss(&shifted)
            };
            let numeric = (at(1.0 / 256.0) - at(-1.0 / 256.0)) * 128.0;
            assert!((numeric - f64::from(gradient[i])).abs() < 1e-4, "{i}: {numeric} {}", gradient[i]);
        }
    }

    #[test]
    fn a_row_of_zeros_stays_finite() {
        let mut z = [9.0; 2];
        let inverse = l2_normalize(&mut z, &[0.0; 2], 2);
        assert!(z == [0.0; 2] && inverse[0].is_finite());
    }
}
