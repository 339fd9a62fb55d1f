//! What a device says of an image, as the page shows it.

use super::types::{Classification, Decision, Neighbour};
use crate::link::{self, Verdict};
use crate::report::text::hexadecimal;

/// The answer of a device with `taught` classes that have samples.
///
/// Without enough samples the set guarantees nothing, and the most probable class is the answer.
pub fn decision(verdict: &Verdict, taught: usize) -> Decision {
    match (taught, verdict.known, verdict.enough, verdict.set.len()) {
        (0 | 1, ..) => Decision::Untaught,
        (_, false, ..) | (_, _, true, 0) => Decision::Unknown,
        (_, _, true, 2..) => Decision::Several,
        _ => Decision::Class,
    }
}

/// The classification of the image of `source`.
///
/// * `learned`: slot of its class, if it is a sample
/// * `taught`: classes that have samples
pub fn classification(source: &str, learned: Option<u8>, verdict: &Verdict, taught: usize) -> Classification {
    let decision = decision(verdict, taught);
    let is_answered = matches!(decision, Decision::Class | Decision::Several);
    Classification {
        source: source.to_owned(),
        learned,
        decision,
        class: Some(verdict.slot),
        probability: (taught > 1).then_some(verdict.probability),
        known: verdict.known,
        set: verdict.set.clone(),
        enough: verdict.enough,
        shots_needed: verdict.shots_needed,
        positive: verdict.positive().filter(|_| is_answered),
        score: verdict.decision.map(|decision| decision.score),
    }
}

/// The classification of an image by a device without samples.
pub fn untaught(source: &str) -> Classification {
    Classification {
        source: source.to_owned(),
        learned: None,
        decision: Decision::Untaught,
        class: None,
        probability: None,
        known: false,
        set: Vec::new(),
        enough: false,
        shots_needed: 0,
        positive: None,
        score: None,
    }
}

/// A near sample.
pub fn neighbour(found: &link::Neighbour, has_image: impl Fn(&link::Neighbour) -> bool) -> Neighbour {
    Neighbour {
        source: hexadecimal(&found.from.source),
        class: found.slot,
        similarity: found.similarity,
        operator: found.from.operator,
        time_s: found.from.time_s,
        image: has_image(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_follows_from_the_set_only_with_enough_samples() {
        let verdict = |known, enough, set: &[u8]| Verdict {
            head: 0,
            slot: 1,
            probability: 0.9,
            set: set.to_vec(),
            known,
            enough,
            shots_needed: 9,
            nearest: Vec::new(),
            point: None,
            decision: None,
        };
        let cases = [
            (verdict(true, true, &[1]), 1, Decision::Untaught),
            (verdict(true, true, &[1]), 2, Decision::Class),
            (verdict(true, true, &[0, 1]), 2, Decision::Several),
            (verdict(true, true, &[]), 2, Decision::Unknown),
            (verdict(false, true, &[1]), 2, Decision::Unknown),
            (verdict(true, false, &[0, 1]), 2, Decision::Class),
            (verdict(false, false, &[0, 1]), 2, Decision::Unknown),
        ];
        for (verdict, taught, expected) in cases {
            assert_eq!(decision(&verdict, taught), expected, "{verdict:?}");
        }
        assert_eq!(classification("", None, &verdict(true, true, &[1]), 1).probability, None);
        let decided = |verdict: Verdict| {
            let decision = Some(link::Decision { score: 0.5, positive: true });
            classification("", None, &Verdict { decision, ..verdict }, 2).positive
        };
        assert_eq!(decided(verdict(true, true, &[0, 1])), Some(true));
        assert_eq!(
            (decided(verdict(true, true, &[])), decided(verdict(false, true, &[1]))),
            (None, None),
            "I don't know"
        );
    }
}
