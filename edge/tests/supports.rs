//! Heads and predictions compared with slow versions that refit for every sample left out or added.

mod common;

use common::{Task, Xorshift, distances, dot, members, shrinkage_by_refitting, unit};
use macula_edge::decide::{OperatingPoint, Predictor, Target};
use macula_edge::feature::Length;
use macula_edge::head::{Head, HeadError, HeadKind};

fn nonconformity(distances: &[f64], class: usize) -> f64 {
    let others = distances.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, d)| *d);
    distances[class] - others.fold(f64::INFINITY, f64::min)
}

/// The p-value of `class` for `x` by definition: adds `x`, leaves out each member and refits to the rest.
fn p_value_by_refitting(task: &Task, classes: usize, kappa: f64, x: &[f64], class: usize) -> f64 {
    let mut all = members(task);
    all.push((class, x.to_vec()));
    let left_out = |index: usize| {
        let mut rest = all.clone();
        let (_, row) = rest.remove(index);
        nonconformity(&distances(&rest, classes, kappa, &row), class)
    };
    let own: Vec<usize> = (0..all.len()).filter(|&i| all[i].0 == class).collect();
    let of_x = left_out(all.len() - 1);
    own.iter().filter(|&&i| left_out(i) >= of_x).count() as f64 / own.len() as f64
}

fn scratch(task: &Task, classes: usize) -> Vec<f64> {
    // NaN exposes a head that reads before it writes.
    vec![f64::NAN; Predictor::scratch_len(task.dim, classes, task.len())]
}

#[test]
fn conformal_sets_equal_refitting_for_every_sample() {
    let mut generator = Xorshift(21);
    let (mut held, mut excluded) = (0, 0);
    for (dim, counts) in
        [(24, vec![5, 4, 6]), (5, vec![6, 5, 9]), (9, vec![4, 0, 5]), (12, vec![1, 3, 5]), (6, vec![6])]
    {
        let classes = counts.len();
        let task = Task::new(dim, &counts, &mut generator);
        let mut memory = scratch(&task, classes);
        let kappa = Predictor::fit(HeadKind::Auto, task.supports(), classes, None, 100, &mut memory).unwrap().kappa();
        for query in 0..8 {
            let feature = generator.feature(dim, query % classes);
            let p: Vec<f64> =
                (0..classes).map(|c| p_value_by_refitting(&task, classes, kappa, &unit(&feature), c)).collect();
            for permille in [150, 210, 350, 550, 800] {
                let mut predictor =
                    Predictor::fit(HeadKind::Auto, task.supports(), classes, None, permille, &mut memory).unwrap();
                let prediction = predictor.predict(task.supports(), &feature, None, &mut vec![0.0; classes]).unwrap();
                for class in (0..classes).filter(|&class| counts[class] > 0) {
                    let expected = p[class] > f64::from(permille) / 1000.0;
                    assert_eq!(
                        prediction.set.contains(class as u8),
                        expected,
                        "D={dim} {counts:?} {class} {permille}: {p:?}"
                    );
                    if expected { held += 1 } else { excluded += 1 }
                }
            }
        }
    }
    assert!(held > 100 && excluded > 100, "both must occur: {held} {excluded}");
}

#[test]
fn shrinkage_equals_refitting_without_each_support() {
    let mut generator = Xorshift(5);
    let mut found = Vec::new();
    for (dim, counts) in
        [(30, vec![3, 4, 3]), (4, vec![9, 8, 9]), (3, vec![40, 40]), (8, vec![1, 2, 9]), (5, vec![30, 0, 30])]
    {
        let classes = counts.len();
        let task = Task::new(dim, &counts, &mut generator);
        let mut memory = scratch(&task, classes);
        let predictor = Predictor::fit(HeadKind::Gaussian, task.supports(), classes, None, 100, &mut memory).unwrap();
        assert_eq!(predictor.kappa(), shrinkage_by_refitting(&task, classes).0, "D={dim} {counts:?}");
        found.push(predictor.kappa() / dim as f64);
    }
    assert!(found.iter().any(|&multiple| multiple != found[0]), "all choices are equal: {found:?}");
}

/// Softmax regression by plain gradient descent in all D dimensions.
fn softmax_by_descent(task: &Task, classes: usize, inverse_penalty: f64, query: &[f64]) -> Vec<f64> {
    let root = (task.dim as f64).sqrt();
    let widened = |row: Vec<f64>| row.iter().map(|x| x * root).chain([1.0]).collect::<Vec<f64>>();
    let rows: Vec<(usize, Vec<f64>)> = members(task).into_iter().map(|(class, row)| (class, widened(row))).collect();
    let present: Vec<bool> = (0..classes).map(|class| rows.iter().any(|row| row.0 == class)).collect();
    let doubled = if present.iter().filter(|&&is| is).count() == 2 { 2.0 } else { 1.0 };
    let penalty = doubled / inverse_penalty;
    let mut weights = vec![vec![0.0; task.dim + 1]; classes];
    let probabilities = |weights: &[Vec<f64>], row: &[f64]| {
        let exponentials: Vec<f64> =
            weights.iter().zip(&present).map(|(w, &is)| if is { dot(w, row).exp() } else { 0.0 }).collect();
        let sum: f64 = exponentials.iter().sum();
        exponentials.iter().map(|e| e / sum).collect::<Vec<f64>>()
    };
    // The largest curvature is at most half the squared length of all rows, and the penalty.
    let step = 1.0 / (0.5 * rows.iter().map(|(_, row)| dot(row, row)).sum::<f64>() + penalty);
    for _ in 0..20_000 {
        let mut gradient: Vec<Vec<f64>> =
            weights.iter().map(|w| w[..task.dim].iter().map(|w| penalty * w).chain([0.0]).collect()).collect();
        for (class, row) in &rows {
            for (k, p) in probabilities(&weights, row).iter().enumerate() {
                let excess = if k == *class { p - 1.0 } else { *p };
                gradient[k].iter_mut().zip(row).for_each(|(g, x)| *g += excess * x);
            }
        }
        weights.iter_mut().flatten().zip(gradient.iter().flatten()).for_each(|(w, g)| *w -= step * g);
    }
    probabilities(&weights, &widened(query.to_vec()))
}

#[test]
fn softmax_regression_equals_slow_gradient_descent() {
    let mut generator = Xorshift(3);
    for (dim, counts) in [(12, vec![2, 3, 2]), (3, vec![4, 5, 4]), (4, vec![3, 0, 4]), (6, vec![1, 1])] {
        let classes = counts.len();
        let task = Task::new(dim, &counts, &mut generator);
        let mut memory = vec![f64::NAN; Head::scratch_len(dim, classes, task.len())];
        let head = Head::fit(HeadKind::Logistic, task.supports(), classes, &mut memory).unwrap();
        for class in 0..classes {
            let query = generator.feature(dim, class);
            let mut found = vec![0.0; classes];
            head.predict(&query, &mut found).unwrap();
            let expected = softmax_by_descent(&task, classes, 0.1, &unit(&query));
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "D={dim} {counts:?}: {found} {expected}");
            }
        }
    }
}

#[test]
fn coverage_equals_the_nominal_rate() {
    let mut generator = Xorshift(77);
    let (classes, shots, episodes) = (3, 9, 400);
    for (permille, nominal) in [(100, 0.9), (250, 0.8), (330, 0.7)] {
        let (mut covered, mut total) = (0, 0);
        for _ in 0..episodes {
            let task = Task::new(10, &[shots; 3], &mut generator);
            let mut memory = scratch(&task, classes);
            let mut predictor =
                Predictor::fit(HeadKind::Auto, task.supports(), classes, None, permille, &mut memory).unwrap();
            for class in 0..classes {
                let query = generator.feature(10, class);
                let prediction = predictor.predict(task.supports(), &query, None, &mut vec![0.0; classes]).unwrap();
                covered += u32::from(prediction.set.contains(class as u8));
                total += 1;
                assert!(prediction.enough && prediction.shots_needed <= 9);
            }
        }
        let coverage = f64::from(covered) / f64::from(total);
        let error = (nominal * (1.0 - nominal) / f64::from(total)).sqrt();
        assert!((coverage - nominal).abs() < 4.0 * error, "{permille}: {coverage} is not {nominal}");
    }
}

#[test]
fn classes_with_too_few_shots_are_reported_and_never_excluded() {
    let mut generator = Xorshift(13);
    let task = Task::new(16, &[3, 9, 9], &mut generator);
    let mut memory = scratch(&task, 3);
    let mut prediction = |permille| {
        let mut predictor = Predictor::fit(HeadKind::Auto, task.supports(), 3, None, permille, &mut memory).unwrap();
        predictor.predict(task.supports(), &task.features[16..32], None, &mut [0.0; 3]).unwrap()
    };
    let at_10 = prediction(100);
    assert_eq!((at_10.enough, at_10.shots_needed), (false, 9));
    assert!(at_10.set.contains(0), "a class of three shots cannot be excluded at 10 %");
    assert_eq!((prediction(250).enough, prediction(250).shots_needed), (true, 3));
    assert_eq!(prediction(50).set.len(), 3);
    assert_eq!([1, 50, 100, 200, 333, 334, 999].map(Predictor::shots_needed), [999, 19, 9, 4, 3, 2, 1]);
}

/// `ln (p / (1 - p))` of class 0 by softmax.
fn log_odds(distances: &[f64], sharpness: f64) -> f64 {
    let power = |distance: &f64| (-0.5 * sharpness * distance).exp();
    -0.5 * sharpness * distances[0] - distances[1..].iter().map(power).sum::<f64>().ln()
}

/// The scores of left-out supports, by refitting: each is an order statistic that some share selects.
#[test]
fn thresholds_equal_refitting_for_every_support() {
    let mut generator = Xorshift(33);
    for (dim, counts) in [(24, vec![5, 4, 6]), (5, vec![6, 9]), (9, vec![4, 0, 5]), (12, vec![3, 1, 5])] {
        let classes = counts.len();
        let task = Task::new(dim, &counts, &mut generator);
        let (mut memory, all) = (scratch(&task, classes), members(&task));
        let (kappa, temperature) = shrinkage_by_refitting(&task, classes);
        let present = counts.iter().filter(|&&count| count > 0).count() as f64;
        let mut predictor =
            Predictor::fit(HeadKind::Prototype, task.supports(), classes, None, 100, &mut memory).unwrap();
        let left_out = |index: usize| {
            let mut rest = all.clone();
            let (class, row) = rest.remove(index);
            let gone = if counts[class] == 1 { 1.0 } else { 0.0 };
            let sharpness = temperature * (rest.len() as f64 - (present - gone) + kappa);
            (class, log_odds(&distances(&rest, classes, kappa, &row), sharpness))
        };
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        (0..all.len())
            .map(left_out)
            .for_each(|(class, score)| if class == 0 { positives.push(score) } else { negatives.push(score) });
        for (scores, is_positive) in [(&mut positives, true), (&mut negatives, false)] {
            scores.sort_by(f64::total_cmp);
            let n = scores.len();
            for (place, expected) in scores.iter().enumerate() {
                // Of n + 1 places, `place + 1` lie below a positive, and are rejected for a negative.
                let share = |of: usize| (of * 1000 / (n + 1)) as u16;
                let target = match is_positive {
                    true => Target::Sensitivity { permille: share(n - place) },
                    false => Target::Specificity { permille: share(place + 1) },
                };
                let found = predictor.threshold(task.supports(), OperatingPoint { class: 0, target }).unwrap();
                let error = (f64::from(found.score) - expected).abs();
                assert!(error < 1e-5 * (1.0 + expected.abs()), "D={dim} {counts:?} {target:?}: {found:?} {expected}");
                assert_eq!((found.positives as usize, found.negatives as usize), (counts[0], task.len() - counts[0]));
            }
        }
        // A query has the score of the head of all supports, and the vectors of a threshold do not disturb it.
        let feature = generator.feature(dim, 0);
        predictor.predict(task.supports(), &feature, None, &mut vec![0.0; classes]).unwrap();
        let sharpness = temperature * (task.len() as f64 - present + kappa);
        let expected = log_odds(&distances(&all, classes, kappa, &unit(&feature)), sharpness);
        let point = OperatingPoint { class: 0, target: Target::Costs { missed: 2, false_alarm: 1 } };
        let before = predictor.score(0).unwrap();
        predictor.threshold(task.supports(), point).unwrap();
        assert_eq!(predictor.score(0), Some(before));
        assert!((f64::from(before) - expected).abs() < 1e-5 * (1.0 + expected.abs()), "D={dim}: {before} {expected}");
        assert_eq!(predictor.score(counts.len() as u8), None);
    }
    let task = Task::new(6, &[4], &mut generator);
    let mut memory = scratch(&task, 1);
    let mut predictor = Predictor::fit(HeadKind::Auto, task.supports(), 1, None, 100, &mut memory).unwrap();
    let target = Target::Sensitivity { permille: 500 };
    assert_eq!(
        predictor.threshold(task.supports(), OperatingPoint { class: 0, target }),
        None,
        "nothing to tell it from"
    );
}

/// New samples of the same distribution as the supports reach the share that was asked for.
#[test]
fn thresholds_keep_their_promise_for_new_samples() {
    let mut generator = Xorshift(77);
    for (dim, shots, permille) in [(24, 20, 950), (24, 20, 800), (6, 10, 900), (40, 20, 900)] {
        let [mut detected, mut rejected] = [0u32; 2];
        let (tasks, queries) = (150, 20);
        for _ in 0..tasks {
            let task = Task::new(dim, &[shots, shots], &mut generator);
            let mut memory = scratch(&task, 2);
            let mut predictor = Predictor::fit(HeadKind::Auto, task.supports(), 2, None, 100, &mut memory).unwrap();
            let mut threshold =
                |target| predictor.threshold(task.supports(), OperatingPoint { class: 1, target }).unwrap();
            let sensitive = threshold(Target::Sensitivity { permille });
            let specific = threshold(Target::Specificity { permille });
            for _ in 0..queries {
                let mut score = |class| {
                    let feature = generator.feature(dim, class);
                    predictor.predict(task.supports(), &feature, None, &mut [0.0; 2]).unwrap();
                    predictor.score(1).unwrap()
                };
                detected += u32::from(sensitive.is_positive(score(1)));
                rejected += u32::from(!specific.is_positive(score(0)));
            }
        }
        let share = |count: u32| f64::from(count) / f64::from(tasks * queries);
        let promised = f64::from(permille) / 1000.0;
        // Three standard errors of the mean over tasks, whose thresholds are Beta distributed.
        let slack = 3.0 * (promised * (1.0 - promised) / shots as f64 / f64::from(tasks)).sqrt();
        for share in [share(detected), share(rejected)] {
            assert!(share >= promised - slack, "D={dim}, {shots} shots: {share} of {promised}");
            // The order statistic may lie up to one place above the share.
            assert!(
                share <= promised + 1.0 / (shots as f64 + 1.0) + slack,
                "D={dim}, {shots} shots: {share} of {promised}"
            );
        }
    }
}

#[test]
fn out_of_distribution_features_are_detected_and_nearest_supports_found() {
    let mut generator = Xorshift(29);
    let task = Task::new(24, &[12, 12], &mut generator);
    let mut memory = scratch(&task, 2);
    let length_max = Some(Length(300));
    let mut predictor = Predictor::fit(HeadKind::Auto, task.supports(), 2, length_max, 200, &mut memory).unwrap();
    let own = &task.features[5 * 24..6 * 24];
    let prediction = predictor.predict(task.supports(), own, Some(Length(300)), &mut [0.0; 2]).unwrap();
    assert!(prediction.in_distribution);
    let first = prediction.nearest[0].unwrap();
    assert_eq!((first.support, first.similarity), (5, 1.0));
    let others = prediction.nearest.map(|nearest| nearest.unwrap().similarity);
    assert!(others[0] >= others[1] && others[1] >= others[2] && others[2] < 1.0, "{others:?}");
    assert!(!predictor.predict(task.supports(), own, Some(Length(301)), &mut [0.0; 2]).unwrap().in_distribution);
    // Length unknown: the negated mean of all supports is unlike every support.
    let opposite: Vec<i16> = (0..24)
        .map(|i| -task.features.iter().skip(i).step_by(24).map(|&x| i32::from(x) / 24).sum::<i32>() as i16)
        .collect();
    assert!(!predictor.predict(task.supports(), &opposite, None, &mut [0.0; 2]).unwrap().in_distribution);
    assert!(predictor.predict(task.supports(), own, None, &mut [0.0; 2]).unwrap().in_distribution);
}

#[test]
fn invalid_sizes_and_rates_are_errors() {
    let mut generator = Xorshift(2);
    let task = Task::new(4, &[2, 2], &mut generator);
    let fit = |task: &Task, classes, permille, length| {
        Predictor::fit(HeadKind::Auto, task.supports(), classes, None, permille, &mut vec![0.0; length]).map(drop)
    };
    let needed = Predictor::scratch_len(4, 2, 4);
    assert_eq!(fit(&task, 2, 100, needed), Ok(()));
    let memory = HeadError::Memory { what: "scratch", found: needed - 1, expected: needed };
    assert_eq!(fit(&task, 2, 100, needed - 1), Err(memory));
    assert_eq!(fit(&task, 2, 0, needed), Err(HeadError::ErrorRate { found: 0 }));
    assert_eq!(fit(&task, 2, 1000, needed), Err(HeadError::ErrorRate { found: 1000 }));
    assert_eq!(fit(&task, 1, 100, needed), Err(HeadError::ClassOutOfRange { class: 1, classes: 1 }));
    assert_eq!(fit(&task, 0, 100, needed), Err(HeadError::ClassesOutOfRange { found: 0 }));
    let empty = Task { dim: 4, records: Vec::new(), features: Vec::new() };
    assert_eq!(fit(&empty, 2, 100, needed), Err(HeadError::NothingLearned));
    let mut scratch = vec![0.0; Head::scratch_len(4, 2, 4)];
    // Features of length 0 give a head with equal probabilities, and no panic.
    let blank = Task { features: vec![0; 16], ..task.clone() };
    for kind in [HeadKind::Auto, HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Logistic] {
        let head = Head::fit(kind, blank.supports(), 2, &mut scratch).unwrap();
        let decision = head.predict(&[i16::MIN; 4], &mut [0.0; 2]).unwrap();
        assert_eq!((decision.class, decision.probability), (0, 0.5), "{kind:?}");
        assert_eq!(head.predict(&[0; 3], &mut [0.0; 2]), Err(HeadError::FeatureDimension { found: 3, expected: 4 }));
        assert_eq!(HeadKind::from_repr(kind as u8), Some(kind));
    }
    assert_eq!(HeadKind::from_repr(4), None);
}
