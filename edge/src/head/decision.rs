//! From scores to a decision.

use super::error::HeadError;

/// What a head says about one feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The most probable class; the lowest of those that tie.
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

/// Turns scores into probabilities in place, `exp(s_c) / Σ exp(s_k)`, and names the largest.
///
/// A class nobody has taught has the score `-∞` and the probability 0.
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
        // The largest is subtracted first, so that no exponential overflows.
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
