//! `macula self-test`: runs the self-test of a device.

use crate::cli::connect::DeviceArgs;
use crate::cli::failure::check_failed;
use crate::cli::local_device::Missing;
use crate::cli::{Common, print_json};
use crate::link::{Outcome, TestResult};

/// Arguments of `macula self-test`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula self-test --device tcp:ward-3.local:7000")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Row {
    test: &'static str,
    outcome: &'static str,
    found: u32,
    expected: u32,
}

/// Runs the command. Exit code 3 if a test failed.
pub fn run(args: Args) -> anyhow::Result<()> {
    let test = args.device.connect(Missing::Refuse, |client| Ok(client.self_test()?))?;
    let row = |name, TestResult { outcome, found, expected }| {
        let outcome = match outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Absent => "nothing to test",
        };
        Row { test: name, outcome, found, expected }
    };
    let rows = [
        row("store: samples read back", test.store),
        row("samples: valid", test.supports),
        row("encoder: values of the golden feature", test.encoder),
        row("memory: values of the heads", test.memory),
    ];
    match args.common.json {
        true => print_json(&rows)?,
        false => {
            for Row { test, outcome, found, expected } in &rows {
                println!("{test:<38} {outcome:<16} {found} of {expected}");
            }
        }
    }
    match rows.iter().find(|row| row.outcome == "failed") {
        None => Ok(()),
        Some(row) => Err(check_failed(format!("self-test: {} ({} of {})", row.test, row.found, row.expected))),
    }
}
