//! Progress bars.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::report::text::rate;

/// A bar by `template` (see [`style`]), or none if `hidden`.
pub fn bar(hidden: bool, len: u64, template: &str) -> ProgressBar {
    if hidden { ProgressBar::hidden() } else { ProgressBar::new(len).with_style(style(template)) }
}

/// A style by indicatif's template language, with `{rate}` for the rate per second to three digits.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
        // A bar that cannot be drawn does not stop the work.
        let _ = write!(out, "{}/s", rate(state.per_sec()));
    })
}
