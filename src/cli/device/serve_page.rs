//! `macula serve`: serves a page to teach a device on.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use crate::cli::byte_size::byte_size;
use crate::cli::connect::DeviceArgs;
use crate::cli::ctrl_c::stop_on_ctrl_c;
use crate::cli::failure::Kind;
use crate::cli::local_device::{Missing, SUPPORTS_DEFAULT};
use crate::cli::output::outlive_readers;
use crate::cli::{Common, print_json};
use crate::device::{self, KeptImages, ListenError};
use crate::encoder::HostEncoder;
use crate::files::path_beside;
use crate::link::Address;
use crate::log::Log;
use crate::report::text::shown;
use crate::serve::{KnownEncoder, Page, PageOptions, Pictures, TlsFiles};

/// Arguments of `macula serve`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula serve --device ward.store --encoder nano.macula --trust maker.pub\n  \
    macula serve --device tcp:ward-3.local:7000 --files ward-3.page\n  \
    macula serve --device ward.store --listen 0.0.0.0:7443 --allow-remote --tls-cert ward.pem --tls-key ward.key\n\n\
    Without --allow-remote only this machine can open the page, and needs no token. With it every client needs a token, \
    which it gets for the pairing code that is printed, as text and as a QR code. docs/page.md describes the page, its API \
    and what protects them.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    page: PageArgs,
    /// Capacity of a new store in samples
    #[arg(long, value_name = "N", default_value_t = SUPPORTS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_samples: u32,
    /// Keep no pictures of samples: `why` then shows no pictures, and samples do not survive another encoder
    #[arg(long)]
    no_pictures: bool,
    /// Address to listen on; port 0 selects a free port, which is printed
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:7001")]
    listen: String,
    /// Accept connections from other machines
    #[arg(long)]
    allow_remote: bool,
    #[command(flatten)]
    common: Common,
}

/// Options of a page.
#[derive(clap::Args)]
pub struct PageArgs {
    /// Folder of the page's files: queue, settings, audit log, token [default: STORE.page]
    #[arg(long, value_name = "FOLDER")]
    files: Option<PathBuf>,
    /// Certificate for TLS, a PEM file with the certificates of its authorities
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Most bytes of an image file
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = byte_size)]
    max_upload: usize,
}

/// Printed once the page is served.
#[derive(serde::Serialize)]
struct Ready {
    /// Address of the page.
    page: String,
    /// Address with a pairing code, for other machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<String>,
}

/// Serves until Ctrl-C, which is no error.
pub fn run(args: Args) -> anyhow::Result<()> {
    outlive_readers();
    let stop = stop_on_ctrl_c()?;
    let store = match &args.device.device {
        Address::Store(path) => Some(path.as_path()),
        _ => None,
    };
    if let Some(store) = store.filter(|_| !args.no_pictures) {
        // The device keeps pictures where it finds this folder.
        KeptImages::make_beside(store)?;
    }
    let mut page = open_page(&args.page, store, &args.listen, args.allow_remote)?;
    let served = args.device.connect_with_encoder(Missing::Create(args.max_samples), |client, encoder| {
        let pictures = pictures(&args, store)?;
        announce(&page, &args.common)?;
        Ok(page.serve(client, encoder.map(known), pictures, &stop)?)
    });
    page.end();
    served
}

/// What the page knows of an encoder.
pub fn known(encoder: &dyn HostEncoder) -> KnownEncoder<'_> {
    KnownEncoder { name: encoder.name().to_owned(), preprocessing: encoder.preprocessing().clone(), encoder }
}

/// Listens, and opens the page's files.
///
/// * `store`: of a device in this process
pub fn open_page(args: &PageArgs, store: Option<&Path>, listen: &str, remote: bool) -> anyhow::Result<Page> {
    let folder = match (&args.files, store) {
        (Some(folder), _) => folder.clone(),
        (None, Some(store)) => path_beside(store, ".page"),
        (None, None) => bail!("--files: a device on a line needs a folder for the files of its page"),
    };
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
    let log = Log::to_stderr();
    let options = PageOptions { folder: &folder, remote, tls: tls.as_ref(), upload_bytes_max: args.max_upload };
    let listener = device::listen(listen, remote).map_err(|error| match error {
        ListenError::Remote => anyhow!("--listen {listen}: {error}; pass --allow-remote to accept them"),
        ListenError::Io(error) if error.kind() == io::ErrorKind::InvalidInput => {
            anyhow!("--listen {listen}: expected HOST:PORT: {error}")
        }
        ListenError::Io(error) => Kind::DeviceFault.error(format!("--listen {listen}: {error}")),
    })?;
    let page = Page::open(listener, &options, move |message| log.line(&shown(message)));
    page.map_err(|error| Kind::DeviceFault.error(format!("cannot serve the page on {listen}: {error}")))
}

/// Where pictures of samples are kept.
fn pictures(args: &Args, store: Option<&Path>) -> anyhow::Result<Pictures> {
    Ok(match (store, args.no_pictures, &args.page.files) {
        // The folder beside a store decides whether the device keeps them.
        (Some(store), ..) => KeptImages::beside(store).map_or(Pictures::None, Pictures::OfDevice),
        (None, false, Some(folder)) => Pictures::OfPage(KeptImages::in_folder(folder.join("images"))?),
        (None, ..) => Pictures::None,
    })
}

/// Prints the address, and how other machines pair.
fn announce(page: &Page, common: &Common) -> anyhow::Result<()> {
    if common.json {
        let (page, pair) = (page.url(), page.invitation()?.map(|(url, _)| url));
        print_json(&Ready { page, pair })?;
    } else if !common.quiet {
        println!("page       {}", page.url());
        print_invitation(page)?;
    }
    // The parent may wait for the address behind a pipe.
    let _ = io::stdout().flush();
    Ok(())
}

/// Prints how other machines pair, if they may connect.
pub fn print_invitation(page: &Page) -> anyhow::Result<()> {
    if let Some((url, qr)) = page.invitation()? {
        println!("to pair    {url}");
        // A QR code consists of lines, which `println!` would escape.
        qr.unwrap_or_default().lines().for_each(|line| println!("{line}"));
    }
    Ok(())
}
