//! `macula device`: serves as a device on this machine, on a line or as a page.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;

use macula_edge::bundle::{BUNDLE_LEN_MAX, Header};
use sha2::{Digest, Sha256};

#[cfg(feature = "serve")]
use super::serve_page::{PageArgs, known, open_page, print_invitation};
use crate::cli::connect::with_client;
use crate::cli::ctrl_c::stop_on_ctrl_c;
use crate::cli::failure::{Kind, one_line};
use crate::cli::local_device::{LocalOptions, Missing, SUPPORTS_DEFAULT, Served, with_local_device};
use crate::cli::output::outlive_readers;
use crate::cli::preprocessing::PreprocessingArgs;
use crate::cli::trust::KeyArgs;
use crate::cli::{Common, print_json};
#[cfg(feature = "serve")]
use crate::data::decode::EncoderRange;
#[cfg(feature = "serve")]
use crate::device::KeptImages;
use crate::device::{Device, DeviceError, Ended, InProcess, ListenError, Listener, StoreFile, serve};
use crate::files::{path_beside, read_bounded, write_private};
use crate::link::Address;
use crate::log::Log;
use crate::report::text::{count, hexadecimal, shown, shown_path};
#[cfg(feature = "serve")]
use crate::serve::{Page, Pictures};
#[cfg(feature = "onnx")]
use crate::{encoders::OpenError, isolated::IsolatedError};

/// Arguments of `macula device`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula device --encoder nano.macula --trust maker.pub --store ward.store --listen tcp:localhost:7000\n  \
    macula device --encoder encoder.onnx --store ward.store --listen serial:/dev/ttyS1:115200\n  \
    macula device --encoder nano.macula --trust maker.pub --store ward.store --listen http:localhost:7001\n\n\
    On a line one client is served at a time; the others wait. There is no password: every client can teach the device and \
    remove samples, so without --allow-remote it accepts connections from this machine only. Port 0 selects a free port, \
    which is printed.\n\n\
    A device that is started with a bundle keeps a copy beside its store and accepts newer ones by `macula update`. A new \
    bundle is tried at once, and confirmed by its golden images or rolled back. Afterwards --encoder has an effect only if \
    its bundle is newer.")]
pub struct Args {
    /// Encoder: FILE.macula, FILE.onnx, FILE.blob, an export or run folder, a shipped model, raw-pixels or colour-statistics
    /// [default: as recorded in the store]
    #[arg(long, alias = "bundle", value_name = "ENCODER")]
    encoder: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    /// Store file; created if it does not exist
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// Address to serve on: tcp:HOST:PORT, serial:PATH[:BAUD], or http:HOST:PORT for a page to teach on
    #[arg(long, value_name = "LINE")]
    listen: Listen,
    /// Keep the images of samples beside the store, so that samples survive a bundle with another encoder
    #[arg(long)]
    keep_images: bool,
    /// Create the store in an existing file without content
    #[arg(long)]
    new: bool,
    /// Write the log to this file instead of standard error; at 1 MiB it is rotated to FILE.1
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Accept connections from other machines
    #[arg(long)]
    allow_remote: bool,
    /// Capacity of a new store in samples
    #[arg(long, alias = "supports", value_name = "N", default_value_t = SUPPORTS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_samples: u32,
    #[cfg(feature = "serve")]
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    common: Common,
}

/// Where a device serves.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listen {
    /// On a line.
    Line(Address),
    /// As a page, on this `HOST:PORT`.
    #[cfg(feature = "serve")]
    Page(String),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(socket) = text.strip_prefix("http:") {
            #[cfg(feature = "serve")]
            return Ok(Self::Page(socket.trim_start_matches("//").to_owned()));
            #[cfg(not(feature = "serve"))]
            return Err(format!("http:{socket}: this program was built without the page"));
        }
        match text.parse()? {
            Address::Store(_) => Err(format!("'{text}' is not tcp:HOST:PORT, serial:PATH[:BAUD] or http:HOST:PORT")),
            line => Ok(Self::Line(line)),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(address) => address.fmt(out),
            #[cfg(feature = "serve")]
            Self::Page(socket) => write!(out, "http:{socket}"),
        }
    }
}

/// What serves a device. It outlives restarts of the device.
enum Server {
    Line(Listener),
    #[cfg(feature = "serve")]
    Page(Box<Page>),
}

/// Printed once the device accepts connections.
#[derive(serde::Serialize)]
struct Ready {
    listening: String,
    encoder: String,
    encoder_identity: String,
    /// Precision of the encoder.
    arithmetic: String,
    feature_dim: usize,
    samples: usize,
    samples_limit: usize,
    /// Counter of the bundle, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle_counter: Option<u64>,
}

/// Serves until Ctrl-C, which is no error.
pub fn run(args: Args) -> anyhow::Result<()> {
    outlive_readers();
    let stop = stop_on_ctrl_c()?;
    let log = match &args.log {
        Some(path) => Log::to_file(path).with_context(|| format!("cannot write the log {}", path.display()))?,
        None => Log::to_stderr(),
    };
    if args.new {
        StoreFile::remove_blank(&args.store)?;
    }
    let (mut server, mut offered) = (None, false);
    let (stated, host) = (args.preprocessing.stated()?, args.preprocessing.values.limits.host(Some(&stop)));
    let given = LocalOptions {
        store: &args.store,
        encoder: args.encoder.as_deref(),
        keys: &args.keys,
        stated: stated.as_ref(),
        host: &host,
        missing: Missing::Create(args.max_samples),
        keep_images: args.keep_images,
        log: &log,
    };
    // A new bundle is tried by restarting the device; clients stay connected.
    let mut run = || {
        with_local_device(given, |device, served| -> anyhow::Result<Ended> {
            if !std::mem::replace(&mut offered, true) && is_offered((&args, &log), device, served)? {
                return Ok(Ended::UpdatePending);
            }
            let is_start = server.is_none();
            let server = match &mut server {
                Some(server) => {
                    remark((&args, &log), &format!("keeps running bundle {}", describe(served)));
                    server
                }
                none => none.insert(open_server(&args)?),
            };
            if is_start {
                let address = server.address(&args)?;
                prove_start(&args.store, &address)?;
                announce(&args, device, served, &address)?;
                server.print_invitation(&args)?;
            }
            server.serve(&args, &log, device, served, &stop)
        })?
    };
    loop {
        match run() {
            Ok(Ended::UpdatePending) => {}
            Err(error) if !is_stop(&error) => return Err(error),
            _ => return Ok(()),
        }
    }
}

/// Whether the device was stopped while it was starting, which is no error.
fn is_stop(error: &anyhow::Error) -> bool {
    #[cfg(feature = "onnx")]
    if let Some(OpenError::Isolated(IsolatedError::Stopped { .. })) = error.downcast_ref() {
        return true;
    }
    matches!(error.downcast_ref(), Some(DeviceError::Stopped))
}

fn open_server(args: &Args) -> anyhow::Result<Server> {
    match &args.listen {
        Listen::Line(address) => {
            Ok(Server::Line(Listener::open(address, args.allow_remote).map_err(|error| match error {
                ListenError::Remote => anyhow::anyhow!("{} {error}; pass --allow-remote to accept them", args.listen),
                ListenError::Io(error) => fault(args, error),
            })?))
        }
        #[cfg(feature = "serve")]
        Listen::Page(socket) => {
            Ok(Server::Page(Box::new(open_page(&args.page, Some(&args.store), socket, args.allow_remote)?)))
        }
    }
}

impl Server {
    /// The address to reach it at.
    fn address(&self, args: &Args) -> anyhow::Result<String> {
        match (self, &args.listen) {
            (Self::Line(listener), Listen::Line(requested)) => {
                Ok(listener.address(requested).map_err(|error| fault(args, error))?.to_string())
            }
            #[cfg(feature = "serve")]
            (Self::Page(page), _) => Ok(page.url()),
            #[cfg(feature = "serve")]
            (Self::Line(_), Listen::Page(socket)) => Ok(socket.clone()),
        }
    }

    /// Prints how other machines pair with a page.
    #[cfg_attr(not(feature = "serve"), expect(unused_variables, reason = "only a page has them"))]
    fn print_invitation(&self, args: &Args) -> anyhow::Result<()> {
        match self {
            #[cfg(feature = "serve")]
            Self::Page(page) if !args.common.json && !args.common.quiet => print_invitation(page),
            _ => Ok(()),
        }
    }

    /// Serves `device` until `stop` is set or the device must be restarted.
    #[cfg_attr(not(feature = "serve"), expect(unused_variables, reason = "only a page needs the encoder"))]
    fn serve(
        &mut self,
        args: &Args,
        log: &Log,
        device: &mut Device<'_>,
        served: &Served<'_>,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Ended> {
        match self {
            Self::Line(listener) => {
                let warn = |message: &str| log.line(&shown(message));
                let ended = serve(device, listener, stop, &warn);
                ended.map_err(|error| Kind::DeviceFault.error(format!("the line {} failed: {error}", args.listen)))
            }
            #[cfg(feature = "serve")]
            Self::Page(page) => {
                let pictures = KeptImages::beside(&args.store).map_or(Pictures::None, Pictures::OfDevice);
                let address = Address::Store(args.store.clone());
                with_client(&address, &mut InProcess::new(device), None, |client| {
                    client.set_range(EncoderRange::Known(served.encoder.preprocessing().range));
                    Ok(page.serve(client, Some(known(served.encoder)), pictures, stop)?)
                })?;
                Ok(Ended::Stopped)
            }
        }
    }
}

fn fault(args: &Args, error: std::io::Error) -> anyhow::Error {
    Kind::DeviceFault.error(format!("cannot listen on {}: {error}", args.listen))
}

/// Sends the device the bundle of `--encoder` if it is newer. Returns whether the device is to try it.
fn is_offered((args, log): (&Args, &Log), device: &mut Device<'_>, served: &Served<'_>) -> anyhow::Result<bool> {
    let (Some(name), Some(used)) = (&args.encoder, served.bundle) else { return Ok(false) };
    // The device has its own copy of its first bundle, so the file may be gone.
    let Ok(bytes) = read_bounded(Path::new(name), BUNDLE_LEN_MAX.into()) else { return Ok(false) };
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    if sha256 == used.bundle.sha256 {
        return Ok(false);
    }
    let address = Address::Store(args.store.clone());
    let talked = with_client(&address, &mut InProcess::new(device), None, |client| {
        let candidate = client.bundles()?.and_then(|report| report.candidate);
        let was_tried = candidate.is_some_and(|candidate| candidate.sha256 == sha256);
        let is_newer = Header::claimed_counter(&bytes).is_some_and(|given| given > used.counter);
        if was_tried || !is_newer {
            remark((args, log), &format!("keeps its bundle {} instead of {name}", describe(served)));
            return Ok(());
        }
        client.send_bundle(&bytes, false, &|_| ())?;
        Ok(())
    });
    // The device keeps its bundle.
    if let Err(error) = talked {
        log.line(&shown(&format!("{name} is refused: {}", one_line(&error))));
    }
    Ok(device.is_update_pending())
}

/// The bundle in use, as text.
fn describe(served: &Served<'_>) -> String {
    match served.bundle {
        Some(used) => {
            let sha256 = hexadecimal(&used.bundle.sha256[..4]);
            format!("{} ({sha256}…, counter {})", served.name, used.counter)
        }
        None => served.name.to_owned(),
    }
}

fn remark((args, log): (&Args, &Log), message: &str) {
    if !args.common.quiet {
        log.line(&format!("the device {}", shown(message)));
    }
}

/// Variable that names this start of the device. The device writes it to `STORE.started` once it listens, which proves that
/// this process, and no other, answers on the line.
const START: &str = "MACULA_START";

/// Writes the name of this start, the process id and the address, one per line.
fn prove_start(store: &Path, address: &str) -> anyhow::Result<()> {
    let Some(start) = std::env::var(START).ok().filter(|start| !start.is_empty()) else { return Ok(()) };
    let text = format!("start {}\npid {}\nlistening {address}\n", shown(&start), std::process::id());
    write_private(&path_beside(store, ".started"), text.as_bytes()).map_err(|error| Kind::DeviceFault.error(error))
}

fn announce(args: &Args, device: &Device<'_>, served: &Served<'_>, address: &str) -> anyhow::Result<()> {
    let support_set = device.support_set();
    let ready = Ready {
        listening: address.to_string(),
        encoder: served.name.to_owned(),
        encoder_identity: hexadecimal(&served.encoder.id().short()),
        arithmetic: served.encoder.info().arithmetic.clone(),
        feature_dim: support_set.dim(),
        samples: support_set.supports().len(),
        samples_limit: support_set.capacity(),
        bundle_counter: served.bundle.map(|used| used.counter),
    };
    if args.common.json {
        print_json(&ready)?;
    } else if !args.common.quiet {
        let Ready { listening, encoder, encoder_identity, arithmetic, feature_dim, samples, samples_limit, .. } =
            &ready;
        println!(
            "encoder    {} ({}…), {feature_dim} dimensions, in {arithmetic}",
            shown(encoder),
            &encoder_identity[..8]
        );
        println!("store      {}: {samples} of {}", shown_path(&args.store), count(*samples_limit, "sample"));
        println!("listening  {listening}");
    }
    // The parent may wait for the port behind a pipe. The device also serves without a reader.
    let _ = std::io::stdout().flush();
    Ok(())
}
