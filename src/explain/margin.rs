//! How far a class is ahead of the others.

use macula_edge::head::Head;

/// The score of a class minus the mean score of all other classes that have samples.
///
/// Scores are those of the head before its softmax, so the margin is linear in the feature. With two classes it is the
/// logarithm of the ratio of their probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Margin {
    /// `[D]`, for a quantised feature.
    weights: Vec<f64>,
    bias: f64,
}

impl Margin {
    /// The margin of the class in `slot`; `None` if it has no samples, or no other class has.
    pub fn of(head: &Head<'_>, slot: u8) -> Option<Self> {
        let (all, biases, slot) = (head.weights(), head.biases(), usize::from(slot));
        let dim = all.len().checked_div(biases.len())?;
        let has_samples = |class: &usize| biases[*class].is_finite();
        let others: Vec<usize> = (0..biases.len()).filter(|class| *class != slot && has_samples(class)).collect();
        if others.is_empty() || !biases.get(slot)?.is_finite() {
            return None;
        }
        let share = 1.0 / others.len() as f64;
        let (mut weights, mut bias) = (all[slot * dim..][..dim].to_vec(), biases[slot]);
        for other in others {
            weights.iter_mut().zip(&all[other * dim..]).for_each(|(weight, other)| *weight -= share * other);
            bias -= share * biases[other];
        }
        Some(Self { weights, bias })
    }

    /// The weight of each dimension, `[D]`, for a quantised feature.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// What is added to the weighted feature.
    pub fn bias(&self) -> f64 {
        self.bias
    }

    /// The margin of a quantised feature, `[D]`.
    pub fn value(&self, feature: &[i16]) -> f64 {
        self.bias + self.weights.iter().zip(feature).map(|(weight, &value)| weight * f64::from(value)).sum::<f64>()
    }
}

/// A head of three classes, of which the middle has no samples, for tests.
#[cfg(test)]
pub(super) fn with_head<T>(run: impl FnOnce(&Head<'_>) -> T) -> T {
    use macula_edge::head::HeadKind;
    use macula_edge::support_set::{SupportRecord, Supports};

    let records: Vec<SupportRecord> =
        [0, 0, 2, 2].map(|class| SupportRecord { class, ..SupportRecord::EMPTY }).to_vec();
    let features: Vec<i16> = vec![32_000, 7_000, 31_000, 10_600, 9_000, 31_500, 3_000, 32_600];
    let supports = Supports { dim: 2, records: &records, features: &features };
    let mut scratch = vec![0.0; Head::scratch_len(2, 3, 4)];
    run(&Head::fit(HeadKind::Auto, supports, 3, &mut scratch).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_of_two_classes_is_the_logarithm_of_their_ratio() {
        with_head(|head| {
            let feature = [30_000, 13_000];
            let mut probabilities = [0.0; 3];
            head.predict(&feature, &mut probabilities).unwrap();
            let margin = Margin::of(head, 0).unwrap();
            assert!((margin.value(&feature) - (probabilities[0] / probabilities[2]).ln()).abs() < 1e-9);
            assert!((Margin::of(head, 2).unwrap().value(&feature) + margin.value(&feature)).abs() < 1e-9);
            assert_eq!((Margin::of(head, 1), Margin::of(head, 9)), (None, None), "classes without samples");
        });
    }
}
