//! The commands to run next.

use super::advice::Advice;
use super::recommendation::{GoOn, Start};
use crate::encoder::InputShape;

/// Commands in order: training if it is advised, then export and bundle of the encoder.
pub fn commands(advice: &Advice) -> Vec<String> {
    let data = quoted(&advice.data);
    let Some(encoder) = advice.recommendation.start.encoder() else { return Vec::new() };
    let trains = match advice.recommendation.go_on {
        GoOn::Worthwhile | GoOn::Open => true,
        GoOn::Untried => !matches!(advice.recommendation.start, Start::Nothing),
        GoOn::Harmful | GoOn::TooFewImages => false,
    };
    let mut commands = Vec::new();
    let mut export = format!("macula export {encoder} --out exported --data {data}");
    if trains {
        // Without a batch and epochs, `pretrain` fits them to the images.
        commands.push(format!("macula pretrain --data {data} --method simclr --init {encoder} --out own"));
        if !advice.shots.is_empty() {
            let shots = advice.shots.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            for name in [encoder, "own"] {
                commands.push(format!("macula eval few-shot --encoder {name} --data {data} --shots {shots}"));
            }
        }
        export = format!("macula export own --out exported --data {data}");
    } else if let Some((name, input)) = InputShape::split_from(encoder) {
        export = format!("macula export {name} --input {input} --out exported --data {data}");
    }
    commands.push(export);
    commands.push("macula keygen --out maker".to_owned());
    commands.push("macula bundle exported --signing-key maker.key --out encoder.macula".to_owned());
    commands
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_only_if_needed() {
        for (text, expected) in
            [("a/b-1.csv", "a/b-1.csv"), ("my scans", "'my scans'"), ("it's", "'it'\\''s'"), ("", "''")]
        {
            assert_eq!(quoted(text), expected);
        }
    }
}
