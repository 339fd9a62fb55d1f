//! The support set under any order of changes, and heads beside their textbook definitions.

mod common;

use common::{Task, Xorshift, distances, dot, members, unit};
use macula_edge::feature::UNIT;
use macula_edge::head::{Head, HeadError, HeadKind};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};
use proptest::prelude::*;

const DIM: usize = 7;
const CLASSES: usize = 4;

/// The canonical state of a support set after `changes`: a sample is learned, or the one of its source forgotten.
fn state(changes: impl Iterator<Item = (bool, SupportRecord, Vec<i16>)>) -> Vec<u8> {
    let (mut names, mut records) = ([ClassName::FREE; CLASSES], [SupportRecord::EMPTY; 40]);
    // Not 0, to expose a set that does not clear its memory.
    let mut features = [-5; 40 * DIM];
    let mut set = SupportSet::new(DIM, &mut names, &mut records, &mut features).unwrap();
    for class in 0..CLASSES as u8 {
        set.put_class(class, ClassName::new(&format!("class {class}")).unwrap()).unwrap();
    }
    for (learn, record, feature) in changes {
        if learn {
            assert_eq!(set.learn(record, &feature), Ok(true));
        } else {
            assert_eq!(set.forget(&record.source), Ok(record));
        }
    }
    let mut bytes = Vec::new();
    set.state(|piece| bytes.extend_from_slice(piece));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever the order of learning and forgetting, the remaining samples decide every byte.
    #[test]
    fn forgotten_samples_leave_no_trace(samples in prop::collection::vec(
        (0..CLASSES as u8, prop::collection::vec(-UNIT..=UNIT, DIM), any::<bool>(), any::<u16>()), 0..40)) {
        let mut samples: Vec<_> = samples.into_iter().zip(0u128..).map(|((class, feature, keep, order), index)| {
            (keep, order, SupportRecord { source: index.to_be_bytes(), class, ..SupportRecord::EMPTY }, feature)
        }).collect();
        let learned: Vec<_> = samples.iter().map(|(_, _, record, feature)| (true, *record, feature.clone())).collect();
        samples.sort_by_key(|sample| sample.1);
        let (kept, forgotten): (Vec<_>, Vec<_>) = samples.into_iter().partition(|sample| sample.0);
        let forgotten = forgotten.into_iter().map(|(_, _, record, feature)| (false, record, feature));
        let kept = kept.into_iter().map(|(_, _, record, feature)| (true, record, feature));
        prop_assert_eq!(state(learned.into_iter().chain(forgotten)), state(kept));
    }
}

/// Scores are minus squared distances to the class means in `M⁻¹`, up to a common factor and a common term, neither of
/// which moves a decision.
#[test]
fn discriminant_analysis_agrees_with_the_textbook() {
    let centred = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| value - mean).collect::<Vec<f64>>()
    };
    let mut generator = Xorshift(7);
    for (dim, counts, kappa) in
        [(1, [3, 2, 2, 2], 1.0), (6, [2; 4], 0.5), (6, [50; 4], 6.0), (33, [3; 4], 33.0), (33, [100; 4], 0.01)]
    {
        let mut task = Task::new(dim, &counts, &mut generator);
        // A repeated feature adds no dimension to the span.
        let repeated = task.features[..dim].to_vec();
        task.push(0, &repeated);
        let mut scratch = vec![f64::NAN; Head::scratch_len(dim, CLASSES, task.len())];
        let head = Head::fit_with_shrinkage(task.supports(), CLASSES, kappa, &mut scratch).unwrap();
        let mut common_factor = None;
        for class in 0..CLASSES {
            let query = generator.feature(dim, class);
            let x: Vec<f64> = query.iter().map(|&x| f64::from(x)).collect();
            let scores = head.weights().chunks(dim).zip(head.biases()).map(|(weight, bias)| dot(weight, &x) + bias);
            let scores = centred(&scores.collect::<Vec<f64>>());
            let squares = centred(&distances(&members(&task), CLASSES, kappa, &unit(&query)));
            let factor = *common_factor.get_or_insert_with(|| -dot(&scores, &squares) / dot(&squares, &squares));
            assert!(factor > 0.0, "D={dim} {counts:?}: {factor}");
            for (score, square) in scores.iter().zip(&squares) {
                let error = (score + factor * square).abs();
                assert!(error < 1e-9 * dot(&scores, &scores).sqrt(), "D={dim} {counts:?}: {scores:?} {squares:?}");
            }
            let mut probabilities = [f64::NAN; CLASSES];
            let decision = head.predict(&query, &mut probabilities).unwrap();
            assert_eq!(decision.probability, probabilities[usize::from(decision.class)] as f32);
            assert!(probabilities.iter().all(|&p| p <= probabilities[usize::from(decision.class)]));
        }
    }
}

/// With one shot nothing is known of the covariance, and all means have length 1.
#[test]
fn one_shot_heads_agree() {
    let mut generator = Xorshift(11);
    let task = Task::new(32, &[1; CLASSES], &mut generator);
    let queries: Vec<Vec<i16>> = (0..200).map(|i| generator.feature(32, i % CLASSES)).collect();
    let mut scratch = vec![f64::NAN; Head::scratch_len(32, CLASSES, CLASSES)];
    let mut classes = |kind| {
        let head = Head::fit(kind, task.supports(), CLASSES, &mut scratch).unwrap();
        queries.iter().map(|query| head.predict(query, &mut [0.0; CLASSES]).unwrap().class).collect::<Vec<u8>>()
    };
    assert_eq!(classes(HeadKind::Gaussian), classes(HeadKind::Prototype));
}

#[test]
fn prototype_by_hand() {
    let mut task = Task { dim: 2, records: Vec::new(), features: Vec::new() };
    task.push(0, &[3000, 0]);
    task.push(2, &[0, 100]);
    task.push(2, &[0, 300]);
    let mut scratch = vec![f64::NAN; Head::scratch_len(2, 3, 3)];
    let head = Head::fit(HeadKind::Prototype, task.supports(), 3, &mut scratch).unwrap();
    let mut probabilities = [0.5; 3];
    // A feature of length 1 has cosines 0.6 and 0.8, which are divided by 0.5; class 1 has no support.
    let query = [0.6, 0.8].map(|x| (x * f64::from(UNIT)) as i16);
    let decision = head.predict(&query, &mut probabilities).unwrap();
    let expected = 1.0 / (1.0 + (-0.4f64).exp());
    assert_eq!(decision.class, 2);
    assert!((probabilities[2] - expected).abs() < 1e-4 && probabilities[1] == 0.0, "{probabilities:?}");
    assert_eq!(head.predict(&[500, 500], &mut probabilities).unwrap().class, 0, "the lowest class of a tie");
    let wrong = HeadError::Memory { what: "probabilities", found: 1, expected: 3 };
    assert_eq!(head.predict(&[1, 2], &mut [0.0]), Err(wrong));
}

#[test]
fn a_head_from_its_weights_predicts_the_same() {
    let mut generator = Xorshift(5);
    let task = Task::new(16, &[3; CLASSES], &mut generator);
    let mut scratch = vec![f64::NAN; Head::scratch_len(16, CLASSES, 3 * CLASSES)];
    let head = Head::fit(HeadKind::Auto, task.supports(), CLASSES, &mut scratch).unwrap();
    let weights = [head.weights(), head.biases()].concat();
    let again = Head::from_weights(16, CLASSES, &weights).unwrap();
    let (mut expected, mut found) = ([0.0; CLASSES], [0.0; CLASSES]);
    for class in 0..CLASSES {
        let query = generator.feature(16, class);
        assert_eq!(again.predict(&query, &mut found), head.predict(&query, &mut expected));
        assert_eq!(found, expected);
    }
    let wrong = HeadError::Memory { what: "weights", found: weights.len() - 1, expected: weights.len() };
    assert_eq!(Head::from_weights(16, CLASSES, &weights[1..]).unwrap_err(), wrong);
    assert_eq!(Head::from_weights(0, 1, &[0.0]).unwrap_err(), HeadError::DimensionOutOfRange { found: 0 });
    assert_eq!(Head::from_weights(1, 256, &[]).unwrap_err(), HeadError::ClassesOutOfRange { found: 256 });
}
