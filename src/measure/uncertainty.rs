//! Which image to label next (active learning).
//!
//! Uncertainty sampling asks for the label of the image whose class is least certain (Lewis and Gale 1994, "A sequential
//! algorithm for training text classifiers"). A conformal prediction set says for how many classes the evidence is not
//! enough; the probability orders images with equally large sets, and all images while there are too few samples for sets.

/// How uncertain the class of an image is; larger is more. It has no unit, only an order.
///
/// * `set_len`: classes in its conformal prediction set. An empty set is as uncertain as two classes: no class fits
/// * `probability`: of its most probable class, 0 to 1
pub fn uncertainty(set_len: usize, probability: f64) -> f64 {
    let beyond_one = match set_len {
        1 => 0.0,
        0 => 1.0,
        more => more as f64 - 1.0,
    };
    beyond_one + 1.0 - probability.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_sets_come_first_then_lower_probabilities() {
        let order = [(3, 0.9), (2, 0.5), (0, 0.6), (2, 0.9), (1, 0.4), (1, 0.99)];
        let values: Vec<f64> = order.iter().map(|&(set_len, probability)| uncertainty(set_len, probability)).collect();
        assert!(values.is_sorted_by(|a, b| a > b), "{values:?}");
    }
}
