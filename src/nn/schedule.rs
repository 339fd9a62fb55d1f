//! Learning rate schedule: linear warm-up, then cosine decay to zero.

/// Learning rate of one step.
///
/// Step `s` of `w` warm-up steps has `r (s + 1) / w`, later steps have `r (1 + cos(π (s - w) / (S - w))) / 2`. The first
/// step after warm-up has the full rate, the last one a rate just above zero.
///
/// * `step`: `s`, counted from 0
/// * `steps`: `S`, steps of the whole run
/// * `warmup_steps`: `w`, may be 0
/// * `learning_rate_max`: `r`
///
/// Goyal et al. 2017, arXiv:1706.02677 (warm-up); Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5 (cosine).
pub fn learning_rate_at(step: u64, steps: u64, warmup_steps: u64, learning_rate_max: f32) -> f32 {
    let factor = if step < warmup_steps {
        (step + 1) as f64 / warmup_steps as f64
    } else if step < steps {
        let progress = (step - warmup_steps) as f64 / (steps - warmup_steps) as f64;
        0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    } else {
        0.0
    };
    (f64::from(learning_rate_max) * factor) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_linearly_then_falls_as_a_cosine() {
        let rate = |step| learning_rate_at(step, 108, 8, 0.4);
        assert_eq!([rate(0), rate(3), rate(7), rate(8)], [0.05, 0.2, 0.4, 0.4]);
        assert!((rate(58) - 0.2).abs() < 1e-7, "half of the decay: {}", rate(58));
        assert!((8..107).all(|step| rate(step + 1) < rate(step)), "decreases at each step");
        assert!(rate(107) > 0.0 && rate(107) < 0.4e-3, "the last rate is positive: {}", rate(107));
        assert_eq!(rate(108), 0.0);
    }

    #[test]
    fn runs_of_one_or_no_step_have_a_rate() {
        assert_eq!(learning_rate_at(0, 1, 0, 0.1), 0.1);
        assert_eq!(learning_rate_at(0, 1, 1, 0.1), 0.1);
        assert_eq!(learning_rate_at(0, 0, 0, 0.1), 0.0);
    }
}
