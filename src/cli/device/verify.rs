//! `macula verify`: checks whether a device would accept a bundle.

use std::path::PathBuf;

use crate::bundle::{Bundle, PartKind};
use crate::cli::isolation::LimitArgs;
use crate::cli::trust::{KeyArgs, refused};
use crate::cli::{Common, print_json};
use crate::encoder::HostEncoder;
use crate::report::text::{count, shown, shown_path};

/// Arguments of `macula verify`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula verify nano.macula --trust maker.pub\n\n\
    Checks the signature and the SHA-256 of every part, then runs the encoder on the golden images on this machine. \
    Exit code 3: the bundle was changed, another key signed it, or its encoder gives other features here than where the \
    bundle was made.")]
pub struct Args {
    /// Bundle
    #[arg(value_name = "FILE.macula")]
    bundle: PathBuf,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    bundle: PathBuf,
    bytes: usize,
    signer: String,
    counter: u64,
    name: String,
    encoder_identity: String,
    arithmetic: String,
    golden_images: usize,
    golden_error: f64,
    golden_tolerance: f64,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    anyhow::ensure!(!args.keys.keys.is_empty(), "pass --trust NAME.pub, the public key that verifies the signature");
    let bundle = Bundle::open(&args.bundle, &args.keys.read()?).map_err(refused)?;
    let (encoder, golden_error) = bundle.encoder_on(&args.limits.host(None)).map_err(refused)?;
    let manifest = bundle.manifest();
    let report = Report {
        bytes: bundle.bytes().len(),
        signer: bundle.header().signer.to_string(),
        counter: bundle.header().counter,
        name: manifest.name.clone(),
        encoder_identity: manifest.encoder.identity.clone(),
        arithmetic: encoder.info().arithmetic.clone(),
        golden_images: bundle.golden().map_err(refused)?.count(),
        golden_error,
        golden_tolerance: manifest.golden.tolerance,
        bundle: args.bundle,
    };
    if args.common.json {
        return print_json(&report);
    }
    if !args.common.quiet {
        println!("bundle   {} ({:.1} KB)", shown_path(&report.bundle), report.bytes as f64 / 1e3);
        println!("signed   by {}, counter {}", report.signer, report.counter);
        let parts = bundle.header().parts().iter().map(|part| PartKind::from_repr(part.kind));
        let names = parts.map(|kind| kind.map_or("unknown part", PartKind::name)).collect::<Vec<_>>();
        println!("parts    {}: all as signed", names.join(", "));
        println!(
            "encoder  {}, {}: {} within {:.1e} of the feature length, {:.0e} allowed",
            shown(&report.name),
            report.arithmetic,
            count(report.golden_images, "golden image"),
            report.golden_error,
            report.golden_tolerance
        );
    }
    Ok(())
}
