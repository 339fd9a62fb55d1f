//! `macula device`: a device on this machine that others reach.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};

use super::connect::{Missing, OpenedEncoder, SUPPORTS_DEFAULT, with_store};
use super::trust::KeyArgs;
use super::{Common, DeviceFault, print_json};
use crate::device::{Device, Listener, fingerprint, serve};
use crate::link::Address;

/// Arguments of `macula device`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula device --bundle nano.macula --key maker.pub --store ward.store --listen tcp:localhost:7000\n  \
    macula device --bundle encoder.onnx --store ward.store --listen serial:ttyS1:115200\n\n\
    One client is served at a time; the others wait. Who reaches the device can teach it and make it forget, for there \
    is no password: without --allow-remote it listens to this machine only. Port 0 takes a free port, which is printed.")]
pub struct Args {
    /// The encoder: FILE.macula, FILE.onnx, FILE.blob, an export's or a run's folder, or raw-pixels; a store that was
    /// made remembers it
    #[arg(long, value_name = "ENCODER")]
    bundle: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
    /// The file of its store; made where there is none
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// Where clients reach it: tcp:HOST:PORT or serial:PATH[:BAUD]
    #[arg(long, value_name = "LINE")]
    listen: Address,
    /// Let other machines connect, too
    #[arg(long)]
    allow_remote: bool,
    /// Places for samples in a store that is made
    #[arg(long, value_name = "N", default_value_t = SUPPORTS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    supports: u32,
    #[command(flatten)]
    common: Common,
}

/// Told once it can be reached.
#[derive(serde::Serialize)]
struct Ready {
    listening: String,
    encoder: String,
    encoder_identity: String,
    /// In which precision it computes.
    arithmetic: String,
    feature_dim: usize,
    samples: usize,
    samples_limit: usize,
}

/// Runs it until Ctrl-C, which is no fault.
pub fn run(args: Args) -> anyhow::Result<()> {
    ensure!(
        !matches!(args.listen, Address::Store(_)),
        "--listen {}: tcp:HOST:PORT or serial:PATH is needed",
        args.listen
    );
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)).context("cannot watch for Ctrl-C")?;
    with_store(&args.store, args.bundle.as_deref(), &args.keys, Missing::Make(args.supports), |device, opened| {
        let fault = |error| DeviceFault(format!("cannot listen on {}: {error}", args.listen));
        let mut listener = Listener::open(&args.listen, args.allow_remote).map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied if !args.allow_remote => {
                anyhow::anyhow!("{} {error}; add --allow-remote if that is meant", args.listen)
            }
            _ => fault(error).into(),
        })?;
        announce(&args, device, opened, &listener.address(&args.listen).map_err(fault)?)?;
        let complain = |message: &str| eprintln!("macula: {message}");
        serve(device, &mut listener, &stop, &complain)
            .map_err(|error| DeviceFault(format!("the line {} failed: {error}", args.listen)))?;
        Ok(())
    })?
}

fn announce(args: &Args, device: &Device<'_>, opened: &OpenedEncoder, address: &Address) -> anyhow::Result<()> {
    let taught = device.taught();
    let ready = Ready {
        listening: address.to_string(),
        encoder: opened.name.clone(),
        encoder_identity: super::connect::hexadecimal(&fingerprint(&*opened.encoder)),
        arithmetic: opened.arithmetic.clone(),
        feature_dim: taught.dim(),
        samples: taught.supports().len(),
        samples_limit: taught.capacity(),
    };
    if args.common.json {
        print_json(&ready)?;
    } else if !args.common.quiet {
        let Ready { listening, encoder, encoder_identity, arithmetic, feature_dim, samples, samples_limit } = &ready;
        println!("encoder    {encoder} ({}…), {feature_dim} dimensions, in {arithmetic}", &encoder_identity[..8]);
        println!("store      {}: {samples} of {samples_limit} samples", args.store.display());
        println!("listening  {listening}");
    }
    // Whoever started us may be waiting for the port behind a pipe.
    std::io::stdout().flush().context("cannot print")?;
    Ok(())
}
