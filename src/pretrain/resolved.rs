//! Settings that are resolved to others when the images of a run are known. A stored configuration of a run that has begun has
//! none of them.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A setting that is fitted to the number of training images, because nobody stated it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fitted {
    /// `batch_size`
    BatchSize,
    /// `learning_rate`, as the default for the batch size
    LearningRate,
    /// `epochs`
    Epochs,
}

/// The time that a run may take on this machine, such as `2h` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Budget(Duration);

/// A budget is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a time of at least one second, such as 90s, 20m, 2h or 1h 30m")]
pub struct BudgetError {
    /// The text.
    text: String,
}

impl Budget {
    /// The time.
    pub fn time(self) -> Duration {
        self.0
    }
}

impl FromStr for Budget {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let time = humantime::parse_duration(text).ok().filter(|time| time.as_secs() > 0);
        time.map(Self).ok_or_else(|| BudgetError { text: text.to_owned() })
    }
}

impl TryFrom<String> for Budget {
    type Error = BudgetError;

    fn try_from(text: String) -> Result<Self, BudgetError> {
        text.parse()
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> Self {
        humantime::format_duration(budget.0).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_durations_of_at_least_a_second() {
        let seconds = |text: &str| text.parse().map(|budget: Budget| budget.time().as_secs());
        assert_eq!((seconds("2h"), seconds("1h 30m"), seconds("90s")), (Ok(7200), Ok(5400), Ok(90)));
        for text in ["", "2", "0s", "20ms", "-1h", "long"] {
            assert_eq!(seconds(text), Err(BudgetError { text: text.into() }));
        }
        let budget: Budget = "5400s".parse().unwrap();
        assert_eq!(String::from(budget), "1h 30m");
    }
}
