//! The options of every command, and JSON output.

use clap::Args;

use super::output;

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Print results and errors as JSON
    #[arg(long)]
    pub json: bool,
    /// Print no progress bar and no remarks
    #[arg(long, short)]
    pub quiet: bool,
    /// Random seed; the same seed gives the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// Prints `value` as one line of JSON to standard output.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    output::raw(&(serde_json::to_string(value)? + "\n"));
    Ok(())
}
