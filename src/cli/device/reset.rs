//! `macula reset`: removes all classes and samples from a device.

use anyhow::ensure;

use crate::cli::connect::DeviceArgs;
use crate::cli::failure::Kind;
use crate::cli::local_device::Missing;
use crate::cli::{Common, print_json};
use crate::report::text::count;

/// Arguments of `macula reset`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula reset --device clinic.store --yes")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Confirm that all classes and samples are removed for good
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    forgotten: u32,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    args.device.connect(Missing::Refuse, |client| {
        let forgotten = client.status()?.supports;
        ensure!(
            args.yes,
            Kind::ConfirmationNeeded.error(format!(
                "{} would lose {} for good; confirm with --yes",
                client.address(),
                count(forgotten, "sample")
            ))
        );
        client.factory_reset()?;
        if args.common.json {
            return print_json(&Report { device: client.address().to_owned(), forgotten });
        }
        println!("removed all classes and {}", count(forgotten, "sample"));
        Ok(())
    })
}
