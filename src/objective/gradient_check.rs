//! Gradients compared with central differences, for tests.

use super::{Objective, Targets};
use crate::rng::Rng;

/// Checks `analytic`, the gradient of `loss` at `at`, by steps of `step` either way along every axis.
pub fn check_gradient(analytic: &[f32], at: &[f32], step: f32, tolerance: f64, loss: impl Fn(&[f32]) -> f64) {
    assert_eq!(analytic.len(), at.len());
    for (i, &found) in analytic.iter().enumerate() {
        let nudged = |by: f32| {
            let mut nudged = at.to_vec();
            nudged[i] += by;
            loss(&nudged)
        };
        let numeric = (nudged(step) - nudged(-step)) / f64::from(2.0 * step);
        assert!((numeric - f64::from(found)).abs() < tolerance, "{i}: {numeric} {found}");
    }
}

/// Checks both gradients of `objective` on `rows` random features.
pub fn check_objective(objective: &dyn Objective, rows: usize, labels: &[Option<usize>], step: f32, tolerance: f64) {
    check_objective_with(objective, rows, Targets::labels(labels), step, tolerance);
}

/// [`check_objective`] with any targets.
pub fn check_objective_with(objective: &dyn Objective, rows: usize, targets: Targets<'_>, step: f32, tolerance: f64) {
    let (feature_dim, mut rng) = (5, Rng::for_purpose(1, "test"));
    let head = objective.head().initialise(feature_dim, &mut rng);
    let features: Vec<f32> = (0..rows * feature_dim).map(|_| rng.normal()).collect();
    let output = objective.loss(&head, &features, targets);
    check_gradient(&output.dhead, &head, step, tolerance, |head| objective.loss(head, &features, targets).loss);
    check_gradient(&output.dfeatures, &features, step, tolerance, |features| {
        objective.loss(&head, features, targets).loss
    });
}
