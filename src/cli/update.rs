//! `macula update`: sends a device a new bundle.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use super::connect::{DeviceArgs, Missing};
use super::{Common, print_json};

/// Arguments of `macula update`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula update --device serial:ttyACM0 encoder.blob\n\n\
    An upload that was cut off goes on where it stopped. The device uses the bundle from its next start.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// What to send
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    bytes: usize,
    slot: u8,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bundle = std::fs::read(&args.bundle).with_context(|| format!("cannot read {}", args.bundle.display()))?;
    args.device.with(Missing::Refuse, |client| {
        let limit = client.device().bundle_bytes_max;
        ensure!(limit > 0, "the device at {} takes no bundles: it is given one when it is started", client.address());
        let bar = if args.common.quiet { ProgressBar::hidden() } else { ProgressBar::new(bundle.len() as u64) };
        let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left");
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let slot = client.send_bundle(&bundle, &|sent| bar.set_position(sent as u64))?;
        bar.finish_and_clear();
        if args.common.json {
            return print_json(&Report { device: client.address().to_owned(), bytes: bundle.len(), slot });
        }
        println!("sent {} bytes to slot {slot}; the device uses them from its next start", bundle.len());
        Ok(())
    })
}
