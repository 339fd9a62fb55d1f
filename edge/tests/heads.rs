//! What heads promise: exactness, refusals, and agreement with the textbook.

mod common;

use common::{Memory, Xorshift, scratch, state};
use macula_edge::feature::UNIT;
use macula_edge::head::{ClassSums, Gaussian, HeadError, Prototype};
use proptest::prelude::*;

const DIM: usize = 7;
const CLASSES: usize = 4;

fn samples() -> impl Strategy<Value = Vec<(u8, Vec<i16>, bool, u16)>> {
    let sample = (0..CLASSES as u8, prop::collection::vec(-UNIT..=UNIT, DIM), any::<bool>(), any::<u16>());
    prop::collection::vec(sample, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever the order of learning and forgetting, the remaining samples decide every byte.
    #[test]
    fn what_is_forgotten_leaves_no_trace(samples in samples()) {
        let (mut memory, mut other) = (Memory::new(DIM, CLASSES), Memory::new(DIM, CLASSES));
        let (mut all, mut remaining) = (memory.empty(), other.empty());
        for (class, feature, _, _) in &samples {
            all.learn(*class, feature).unwrap();
        }
        let mut forgotten: Vec<_> = samples.iter().filter(|sample| !sample.2).collect();
        forgotten.sort_by_key(|sample| sample.3);
        for (class, feature, _, _) in forgotten {
            all.forget(*class, feature).unwrap();
        }
        let mut kept: Vec<_> = samples.iter().filter(|sample| sample.2).collect();
        kept.sort_by_key(|sample| sample.3);
        for (class, feature, _, _) in kept {
            remaining.learn(*class, feature).unwrap();
        }
        prop_assert_eq!(state(&all), state(&remaining));
    }

    /// Heads taught apart and merged are the head taught everything.
    #[test]
    fn parts_merge_to_the_whole(samples in samples()) {
        let mut memory = [(); 3].map(|()| Memory::new(DIM, CLASSES));
        let [mut left, mut right, mut whole] = memory.each_mut().map(Memory::empty);
        for (class, feature, in_left, _) in &samples {
            let part = if *in_left { &mut left } else { &mut right };
            part.learn(*class, feature).unwrap();
            whole.learn(*class, feature).unwrap();
        }
        left.merge(&right).unwrap();
        prop_assert_eq!(state(&left), state(&whole));
    }
}

/// Discriminant analysis as a textbook has it: centred samples, an explicit inverse, squared distances.
fn textbook(samples: &[(u8, Vec<i16>)], kappa: f64, query: &[i16]) -> Vec<f64> {
    let unit = |x: &[i16]| x.iter().map(|&v| f64::from(v) / f64::from(UNIT)).collect::<Vec<f64>>();
    let dim = query.len();
    let mut means = vec![vec![0.0; dim]; CLASSES];
    for (class, mean) in means.iter_mut().enumerate() {
        let own: Vec<_> = samples.iter().filter(|s| usize::from(s.0) == class).map(|s| unit(&s.1)).collect();
        (0..dim).for_each(|i| mean[i] = own.iter().map(|x| x[i]).sum::<f64>() / own.len() as f64);
    }
    let mut covariance = vec![vec![0.0; 2 * dim]; dim];
    for (class, feature) in samples {
        let x = unit(feature);
        let mean = &means[usize::from(*class)];
        for i in 0..dim {
            for j in 0..dim {
                covariance[i][j] += (x[i] - mean[i]) * (x[j] - mean[j]);
            }
        }
    }
    let freedom = samples.len() as f64 - CLASSES as f64 + kappa;
    for i in 0..dim {
        covariance[i][i] += kappa / dim as f64;
        covariance[i].iter_mut().for_each(|value| *value /= freedom);
        covariance[i][dim + i] = 1.0;
    }
    // Gauss and Jordan: the right half becomes the inverse.
    for i in 0..dim {
        let pivot = covariance[i][i];
        covariance[i].iter_mut().for_each(|value| *value /= pivot);
        let row = covariance[i].clone();
        for (_, other) in covariance.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            let factor = other[i];
            other.iter_mut().zip(&row).for_each(|(value, r)| *value -= factor * r);
        }
    }
    let certainty = samples.len() as f64 / (samples.len() + dim) as f64;
    let x = unit(query);
    let distances: Vec<f64> = means
        .iter()
        .map(|mean| {
            let d: Vec<f64> = x.iter().zip(mean).map(|(x, m)| x - m).collect();
            (0..dim).map(|i| (0..dim).map(|j| d[i] * covariance[i][dim + j] * d[j]).sum::<f64>()).sum()
        })
        .collect();
    let weights: Vec<f64> = distances.iter().map(|d| (-0.5 * d * certainty).exp()).collect();
    weights.iter().map(|w| w / weights.iter().sum::<f64>()).collect()
}

#[test]
fn gaussian_agrees_with_the_textbook() {
    let mut generator = Xorshift(7);
    for (dim, count, kappa) in [(1, 9, 1.0), (6, 8, 0.5), (6, 200, 6.0), (33, 12, 33.0), (33, 400, 0.01)] {
        let mut memory = Memory::new(dim, CLASSES);
        let mut sums = memory.empty();
        let samples: Vec<(u8, Vec<i16>)> =
            (0..count).map(|i| ((i % CLASSES) as u8, generator.feature(dim, i % CLASSES))).collect();
        samples.iter().for_each(|(class, feature)| sums.learn(*class, feature).unwrap());
        let mut scratch = scratch(dim, CLASSES);
        let gaussian = Gaussian::fit_with_shrinkage(&sums, kappa, &mut scratch).unwrap();
        for class in 0..CLASSES {
            let query = generator.feature(dim, class);
            let mut probabilities = [f64::NAN; CLASSES];
            let decision = gaussian.predict(&query, &mut probabilities).unwrap();
            let expected = textbook(&samples, kappa, &query);
            for (found, expected) in probabilities.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-9, "D={dim} n={count}: {probabilities:?} {expected:?}");
            }
            assert_eq!(decision.probability, probabilities[usize::from(decision.class)] as f32);
            assert!(probabilities.iter().all(|&p| p <= probabilities[usize::from(decision.class)]));
        }
    }
}

#[test]
fn one_shot_heads_agree() {
    // Nothing is known of the covariance then, and all means have length 1.
    let mut generator = Xorshift(11);
    let mut memory = Memory::new(32, CLASSES);
    let mut sums = memory.empty();
    (0..CLASSES).for_each(|class| sums.learn(class as u8, &generator.feature(32, class)).unwrap());
    let mut scratch = scratch(32, CLASSES);
    let gaussian = Gaussian::fit(&sums, &mut scratch).unwrap();
    for i in 0..200 {
        let query = generator.feature(32, i % CLASSES);
        let mut probabilities = [0.0; CLASSES];
        let by_gaussian = gaussian.predict(&query, &mut probabilities).unwrap();
        let by_prototype = Prototype::new(&sums).predict(&query, &mut probabilities).unwrap();
        assert_eq!(by_gaussian.class, by_prototype.class, "query {i}");
    }
}

#[test]
fn prototype_by_hand() {
    let mut memory = Memory::new(2, 3);
    let mut sums = memory.empty();
    sums.learn(0, &[3000, 0]).unwrap();
    sums.learn(2, &[0, 100]).unwrap();
    sums.learn(2, &[0, 300]).unwrap();
    let mut probabilities = [0.5; 3];
    // Cosines 0.6 and 0.8, divided by 0.5; class 1 has no sample.
    let decision = Prototype::new(&sums).predict(&[600, 800], &mut probabilities).unwrap();
    let expected = 1.0 / (1.0 + (-0.4f64).exp());
    assert_eq!(decision.class, 2);
    assert!((probabilities[2] - expected).abs() < 1e-12 && probabilities[1] == 0.0, "{probabilities:?}");
    let tie = Prototype::new(&sums).predict(&[500, 500], &mut probabilities).unwrap();
    assert_eq!(tie.class, 0, "the lowest of those that tie");
}

#[test]
fn refusals_change_nothing() {
    let mut memory = Memory::new(3, 2);
    let mut sums = memory.empty();
    let mut probabilities = [0.0; 2];
    assert_eq!(Prototype::new(&sums).predict(&[1, 2, 3], &mut probabilities), Err(HeadError::NothingLearned));
    assert_eq!(Gaussian::fit(&sums, &mut scratch(3, 2)).unwrap_err(), HeadError::NothingLearned);
    sums.learn(0, &[100, 200, -300]).unwrap();
    let before = state(&sums);
    assert_eq!(sums.learn(2, &[1, 2, 3]), Err(HeadError::ClassOutOfRange { class: 2, classes: 2 }));
    assert_eq!(sums.learn(0, &[1, 2]), Err(HeadError::FeatureDimension { found: 2, expected: 3 }));
    assert_eq!(sums.forget(1, &[100, 200, -300]), Err(HeadError::EmptyClass { class: 1 }));
    assert_eq!(sums.forget(0, &[100, 200, -301]), Err(HeadError::NeverLearned { class: 0 }));
    let mut wider = Memory::new(4, 2);
    assert_eq!(sums.merge(&wider.empty()), Err(HeadError::ShapeDiffers));
    let too_small = Gaussian::fit(&sums, &mut [0.0; 5]).unwrap_err();
    assert_eq!(too_small, HeadError::Memory { what: "scratch", found: 5, expected: 14 });
    assert_eq!(
        Prototype::new(&sums).predict(&[1, 2, 3], &mut [0.0]),
        Err(HeadError::Memory { what: "probabilities", found: 1, expected: 2 })
    );
    assert_eq!(state(&sums), before);
    sums.forget(0, &[100, 200, -300]).unwrap();
    assert_eq!(sums.total(), 0);
    assert!(state(&sums)[9..].iter().all(|&byte| byte == 0));
}

#[test]
fn memory_is_checked() {
    let sized = |dim, classes, sums, products| {
        ClassSums::empty(dim, &mut vec![0; classes], &mut vec![0; sums], &mut vec![0; products]).map(|_| ())
    };
    assert_eq!(sized(4, 2, 8, 10), Ok(()));
    assert_eq!(sized(4, 2, 8, 0), Ok(()), "a head that keeps no products");
    assert_eq!(sized(0, 2, 0, 0), Err(HeadError::DimensionOutOfRange { found: 0 }));
    assert_eq!(sized(4097, 1, 4097, 0), Err(HeadError::DimensionOutOfRange { found: 4097 }));
    assert_eq!(sized(4, 0, 0, 10), Err(HeadError::ClassesOutOfRange { found: 0 }));
    assert_eq!(sized(1, 256, 256, 1), Err(HeadError::ClassesOutOfRange { found: 256 }));
    assert_eq!(sized(4, 2, 7, 10), Err(HeadError::Memory { what: "sums", found: 7, expected: 8 }));
    assert_eq!(sized(4, 2, 8, 16), Err(HeadError::Memory { what: "products", found: 16, expected: 10 }));

    let restored =
        |count: u32, sum: i64| ClassSums::restore(1, &mut [count, 0], &mut [sum, 0], &mut [0]).map(|sums| sums.total());
    assert_eq!(restored(2, 65534), Ok(2));
    assert_eq!(restored(2, 65537), Err(HeadError::Inconsistent));
    assert_eq!(restored(0, 1), Err(HeadError::Inconsistent));
}

#[test]
fn counting_ends_before_a_sum_can_overflow() {
    // The largest head there can be: every sample is the most extreme feature of all.
    let (count, extreme) = (u32::MAX, i64::from(i16::MIN));
    let (mut counts, mut sums, mut products) =
        ([count], [i64::from(count) * extreme], [i64::from(count) * extreme * extreme]);
    let mut full = ClassSums::restore(1, &mut counts, &mut sums, &mut products).unwrap();
    let before = state(&full);
    assert_eq!(full.learn(0, &[i16::MIN]), Err(HeadError::Full));
    assert_eq!(state(&full), before);
    full.forget(0, &[i16::MIN]).unwrap();
    full.learn(0, &[i16::MIN]).unwrap();
    assert_eq!(state(&full), before);
    let mut probabilities = [0.0];
    assert_eq!(Prototype::new(&full).predict(&[-5], &mut probabilities).unwrap().probability, 1.0);
}

#[test]
fn without_products_only_the_prototype_head() {
    let (mut counts, mut sums) = ([0; 2], [0; 4]);
    let mut head = ClassSums::empty(2, &mut counts, &mut sums, &mut []).unwrap();
    head.learn(1, &[1, 2]).unwrap();
    assert_eq!(Gaussian::fit(&head, &mut scratch(2, 2)).unwrap_err(), HeadError::NoProducts);
    assert_eq!(Prototype::new(&head).predict(&[5, 5], &mut [0.0; 2]).unwrap().class, 1);
}
