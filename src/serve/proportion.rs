//! Proportions as the API has them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::measure::wilson;

/// A proportion with its 95 % Wilson interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Proportion {
    /// 0 to 1.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Trials.
    pub of: u64,
}

impl Proportion {
    /// `count` of `of` trials; none without a trial.
    pub fn of(count: u64, of: u64) -> Option<Self> {
        let [low, high] = wilson(count, of)?;
        Some(Self { value: count as f64 / of as f64, low, high, of })
    }
}
