//! Softmax: scores to probabilities and the most probable class.

use super::error::HeadError;

/// A head's answer for one feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The most probable class, the lowest of a tie.
    pub class: u8,
    /// Its probability, 0 to 1.
    pub probability: f32,
}

impl Decision {
    /// Its bytes as a store or a wire carries them: the class, then the probability little-endian.
    pub fn to_bytes(self) -> [u8; 5] {
        let [a, b, c, d] = self.probability.to_le_bytes();
        [self.class, a, b, c, d]
    }
}

/// Replaces scores by probabilities, `exp(s_c) / Σ exp(s_k)`, and returns the largest.
///
/// A class without supports has the score `-∞` and the probability 0.
pub(super) fn softmax(scores: &mut [f64]) -> Result<Decision, HeadError> {
    let mut class = 0;
    for (candidate, &score) in scores.iter().enumerate() {
        if score > scores[class] {
            class = candidate;
        }
    }
    let largest = scores[class];
    if !largest.is_finite() {
        return Err(HeadError::NothingLearned);
    }
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        // Subtracting the largest keeps the exponential from overflowing.
        *score = if score.is_finite() { libm::exp(*score - largest) } else { 0.0 };
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
    Ok(Decision { class: class as u8, probability: scores[class] as f32 })
}

pub(super) fn check_probabilities(found: usize, expected: usize) -> Result<(), HeadError> {
    match found == expected {
        true => Ok(()),
        false => Err(HeadError::Memory { what: "probabilities", found, expected }),
    }
}
