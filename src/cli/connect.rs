//! Connects a command to the device named by `--device`: a store file of this machine, a socket or a serial line.

use std::path::Path;

use anyhow::{bail, ensure};
use macula_edge::bundle::BUNDLE_LEN_MAX;
use sha2::{Digest, Sha256};

use super::failure::Kind;
use super::local_device::{LocalOptions, Missing, Served, with_local_device};
use super::preprocessing::PreprocessingArgs;
use super::trust::{KeyArgs, check_counter, open_encoder};
use crate::data::decode::EncoderRange;
use crate::data::{Image, TileSpec, ValueRange};
use crate::device::{Device, InProcess, Site, feature_of};
use crate::encoder::HostEncoder;
use crate::encoders::{OpenOptions, Opened, Stated, is_bundle, tiled_name};
use crate::files::read_bounded;
use crate::isolated::OnnxHost;
use crate::link::{Address, Client, ClientMemory, Embed, Transport, open_line, session_numbers};
use crate::log::Log;
use crate::report::text::hexadecimal;

/// The device that a command uses.
#[derive(clap::Args, Clone, Debug)]
pub struct DeviceArgs {
    /// Device: a store file, tcp:HOST:PORT or serial:PATH[:BAUD]
    #[arg(long, value_name = "DEVICE")]
    pub device: Address,
    /// Encoder of a store file, or for a device without one: FILE.macula, FILE.onnx, FILE.blob, an export or run folder, a
    /// shipped model, raw-pixels or colour-statistics [default: as recorded in the store]
    #[arg(long, value_name = "ENCODER")]
    pub encoder: Option<String>,
    /// Read images in tiles at this scale, in pixels of the image per pixel of a tile; the store records it with its encoder:
    /// SCALE[+SCALE…][,overlap=SHARE][,empty=LEVELS][,max=N]
    #[arg(long, value_name = "TILES", requires = "encoder")]
    pub tiles: Option<TileSpec>,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
    /// Range of raw values, to go with the stated preprocessing.
    #[arg(skip)]
    pub range: Option<ValueRange>,
}

impl DeviceArgs {
    /// The name of the given encoder, with its tiles.
    fn encoder_name(&self) -> Option<String> {
        let encoder = self.encoder.as_ref()?;
        Some(self.tiles.as_ref().map_or_else(|| encoder.clone(), |spec| tiled_name(spec, encoder)))
    }

    /// Connects to the device and runs `talk`.
    pub fn connect<T>(
        &self,
        missing: Missing,
        talk: impl FnOnce(&mut Client<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.connect_with_encoder(missing, |client, _| talk(client))
    }

    /// As [`Self::connect`], with the encoder if it runs in this process.
    pub fn connect_with_encoder<T>(
        &self,
        missing: Missing,
        talk: impl FnOnce(&mut Client<'_>, Option<&dyn HostEncoder>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let stated = self.preprocessing.stated()?.map(|stated| Stated { range: self.range, ..stated });
        let encoder = self.encoder_name();
        let path = match &self.device {
            Address::Store(path) => path,
            line => {
                let trusted = self.keys.read()?;
                let host = self.preprocessing.values.limits.host(None);
                let options =
                    OpenOptions { host, trusted: &trusted, stated: stated.as_ref(), ..OpenOptions::default() };
                let opened = encoder.as_deref().map(|name| open_encoder(name, &options)).transpose()?;
                let embed = opened.as_ref().map(|opened| |image: &Image| feature_of(&*opened.encoder, image));
                let embed = embed.as_ref().map(|embed| embed as &Embed<'_>);
                return with_client(&self.device, &mut *open_line(line)?, embed, |client| {
                    if let Some(opened) = &opened {
                        check_encoder(client, opened)?;
                        client.set_range(EncoderRange::Known(opened.encoder.preprocessing().range));
                    }
                    talk(client, opened.as_ref().map(|opened| &*opened.encoder as &dyn HostEncoder))
                });
            }
        };
        let (encoder, host) = (encoder.as_deref(), &self.preprocessing.values.limits.host(None));
        let given = LocalOptions {
            store: path,
            encoder,
            keys: &self.keys,
            stated: stated.as_ref(),
            host,
            missing,
            keep_images: false,
            log: &Log::to_stderr(),
        };
        if let Some(name) = encoder.filter(|name| is_bundle(name) && Site::has_bundles(path)) {
            with_local_device(given, |device, served| install_bundle(name, host, path, device, served))??;
        }
        with_local_device(given, |device, served| {
            let range = EncoderRange::Known(served.encoder.preprocessing().range);
            with_client(&self.device, &mut InProcess::new(device), None, |client| {
                client.set_range(range);
                talk(client, Some(served.encoder))
            })
        })?
    }
}

/// Installs the bundle `name` on a device of this process that has another one. The key must be trusted, the counter not
/// lower, and the encoder the same.
fn install_bundle(
    name: &str,
    host: &OnnxHost,
    store: &Path,
    device: &mut Device<'_>,
    served: &Served<'_>,
) -> anyhow::Result<()> {
    let Some(used) = &served.bundle else { return Ok(()) };
    let bytes = read_bounded(Path::new(name), BUNDLE_LEN_MAX.into())?;
    if Sha256::digest(&bytes)[..] == used.bundle.sha256 {
        return Ok(());
    }
    let options = OpenOptions { host: host.clone(), trusted: used.trusted.keys(), ..OpenOptions::default() };
    let opened = open_encoder(name, &options)?;
    check_counter(name, &bytes, used.counter)?;
    if opened.encoder.id() != served.encoder.id() {
        bail!(Kind::OtherEncoder.error(format!(
            "store {} has samples of encoder {}…, {name} has encoder {}…; use `macula update` to change the encoder",
            store.display(),
            hexadecimal(&served.encoder.id().0[..8]),
            hexadecimal(&opened.encoder.id().0[..8])
        )));
    }
    let address = Address::Store(store.to_owned());
    with_client(&address, &mut InProcess::new(device), None, |client| {
        client.send_bundle(&bytes, false, &|_| ())?;
        Ok(())
    })
}

/// Refuses an encoder for a device that has a built-in one, or that accepts features of another.
fn check_encoder(client: &Client<'_>, opened: &Opened) -> anyhow::Result<()> {
    let (device, given) = (client.device(), opened.encoder.id().short());
    let (address, name) = (client.address(), &opened.name);
    ensure!(
        device.channels == 0,
        Kind::OtherEncoder.error(format!(
            "the device at {address} has a built-in encoder ({}…); leave --encoder out",
            hexadecimal(&device.identity[..4])
        ))
    );
    ensure!(
        device.accepts_features_of(given),
        Kind::OtherEncoder.error(format!(
            "the device at {address} accepts features of encoder {}, '{name}' is encoder {}",
            hexadecimal(&device.identity),
            hexadecimal(&given)
        ))
    );
    let dim = opened.encoder.feature_dim();
    ensure!(
        device.dim == dim,
        Kind::OtherEncoder.error(format!(
            "the device at {address} accepts features of {} dimensions, '{name}' has {dim}",
            device.dim
        ))
    );
    Ok(())
}

/// Opens a session over `line` and runs `talk`; `embed` computes features for a device without encoder.
pub fn with_client<T>(
    address: &Address,
    line: &mut dyn Transport,
    embed: Option<&Embed<'_>>,
    talk: impl FnOnce(&mut Client<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut memory = ClientMemory::new();
    let mut client = Client::new(address, line, &mut memory, session_numbers())?;
    if let Some(embed) = embed {
        client.set_local_encoder(embed);
    }
    talk(&mut client)
}
