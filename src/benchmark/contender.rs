//! An encoder of the table. `{task}` in its name stands for the name of each task.

use std::str::FromStr;

/// The part of a name that each task's name replaces.
const PLACE: &str = "{task}";

/// An encoder by name: `ENCODER`, or `LABEL=ENCODER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contender {
    /// Its name in tables.
    pub label: String,
    template: String,
}

impl Contender {
    /// The encoder `encoder` for every task.
    pub fn new(encoder: &str) -> Self {
        Self { label: encoder.to_owned(), template: encoder.to_owned() }
    }

    /// The name of its encoder for `task`.
    pub fn encoder(&self, task: &str) -> String {
        self.template.replace(PLACE, task)
    }
}

impl FromStr for Contender {
    type Err = std::convert::Infallible;

    /// A text without `=`, or with a path before it, is an encoder without label.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('=') {
            Some((label, encoder)) if !label.is_empty() && !label.contains(['/', '\\']) => {
                Self { label: label.to_owned(), template: encoder.to_owned() }
            }
            _ => Self::new(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contender_has_a_label_and_an_encoder_per_task() {
        let contender = |text: &str| text.parse::<Contender>().unwrap();
        let own = contender("own images=runs/own-{task}");
        assert_eq!((own.label.as_str(), own.encoder("busi")), ("own images", "runs/own-busi".to_owned()));
        let plain = contender("grey-64");
        assert_eq!((plain.label.as_str(), plain.encoder("busi")), ("grey-64", "grey-64".to_owned()));
        assert_eq!(contender("runs/a=b").encoder("x"), "runs/a=b", "a path");
        assert_eq!(contender("=b").label, "=b");
    }
}
