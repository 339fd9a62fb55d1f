//! Global average pooling: the feature is the mean over pixels of the last activations.
//!
//! P pixels, C channels.

/// `feature[c] = mean over pixels of x[p][c]`; `x` is `[P, C]`, `feature` `[C]`.
pub fn global_average_pool_forward(x: &[f32], feature: &mut [f32]) {
    let channels = feature.len();
    let scale = 1.0 / (x.len() / channels) as f32;
    feature.fill(0.0);
    for pixel in x.chunks_exact(channels) {
        feature.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
    }
    feature.iter_mut().for_each(|sum| *sum *= scale);
}

/// `dx[p][c] = dfeature[c] / P`.
pub fn global_average_pool_backward(dfeature: &[f32], dx: &mut [f32]) {
    let channels = dfeature.len();
    let scale = 1.0 / (dx.len() / channels) as f32;
    for pixel in dx.chunks_exact_mut(channels) {
        pixel.iter_mut().zip(dfeature).for_each(|(d, value)| *d = value * scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_average_pool_and_its_gradient_match_by_hand() {
        let mut feature = [0.0; 2];
        global_average_pool_forward(&[1.0, 10.0, 3.0, 30.0], &mut feature);
        assert_eq!(feature, [2.0, 20.0]);
        let mut dx = [0.0; 4];
        global_average_pool_backward(&[4.0, 8.0], &mut dx);
        assert_eq!(dx, [2.0, 4.0, 2.0, 4.0]);
    }
}
