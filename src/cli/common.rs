//! The options of every command, and JSON output.

use clap::Args;

use super::output;

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Print one JSON object for machines instead of text
    #[arg(long)]
    pub json: bool,
    /// No progress bar, no remarks
    #[arg(long, short)]
    pub quiet: bool,
    /// Seeds everything random: the same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Prints `value` as one line of JSON to standard output.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    output::raw(&(serde_json::to_string(value)? + "\n"));
    Ok(())
}
