//! What the commands that speak to a device share: reaching it, and saying what it says.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use macula_edge::bundle::{BUNDLE_LEN_MAX, TrustedKeys};
use macula_edge::session::Bundle;
use macula_edge::support_set::CLASSES_MAX;
use sha2::{Digest, Sha256};

use super::failure::Kind;
use super::preprocessing::PreprocessingArgs;
use super::trust::{KeyArgs, check_counter, open_encoder};
#[cfg(feature = "host")]
use crate::bundle::PublicKey;
use crate::data::decode::EncoderRange;
use crate::data::{Image, Preprocessing, ValueRange};
use crate::device::{
    Device, DeviceEncoder, DeviceMemory, InProcess, KeptImages, Loaded, SignedBundles, Site, StoreFile, StoreHeader,
    feature_of,
};
use crate::encoder::HostEncoder;
use crate::encoders::{OpenOptions, Opened, Stated, is_bundle};
use crate::files::read_bounded;
use crate::isolated::OnnxHost;
use crate::link::{Address, Class, Client, ClientMemory, Embed, LinkError, Tcp, Transport};
use crate::log::Log;
use crate::report::text::{left, shown};
use crate::rng::Rng;

/// Where the device is.
#[derive(clap::Args, Clone, Debug)]
pub struct DeviceArgs {
    /// The file of a store, tcp:HOST:PORT or serial:PATH[:BAUD]
    #[arg(long, value_name = "DEVICE")]
    pub device: Address,
    /// The encoder of a store's file, which remembers it, or of a device without one: FILE.macula, FILE.onnx, FILE.blob,
    /// an export's or a run's folder, a shipped model, raw-pixels or colour-statistics
    #[arg(long, value_name = "ENCODER")]
    pub encoder: Option<String>,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
    /// The range of raw values that goes with stated preprocessing.
    #[arg(skip)]
    pub range: Option<ValueRange>,
}

/// Places for supports in a store that is made.
pub const SUPPORTS_DEFAULT: u32 = 4096;

/// What a device without an encoder calls itself where it takes the features of any.
const ANY_FEATURES: [u8; 16] = *b"features only\0\0\0";

/// What becomes of a store that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is made, with places for so many supports.
    Make(u32),
    /// There is nothing to be asked.
    Refuse,
}

impl DeviceArgs {
    /// Reaches the device and has `talk` speak with it.
    pub fn with<T>(
        &self,
        missing: Missing,
        talk: impl FnOnce(&mut Client<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let stated = self.preprocessing.stated()?.map(|stated| Stated { range: self.range, ..stated });
        let path = match &self.device {
            Address::Store(path) => path,
            line => {
                let trusted = self.keys.read()?;
                let host = self.preprocessing.values.limits.host(None);
                let options =
                    OpenOptions { host, trusted: &trusted, stated: stated.as_ref(), ..OpenOptions::default() };
                let opened = self.encoder.as_deref().map(|name| open_encoder(name, &options)).transpose()?;
                let embed = opened.as_ref().map(|opened| |image: &Image| feature_of(&*opened.encoder, image));
                let embed = embed.as_ref().map(|embed| embed as &Embed<'_>);
                return talk_over(&self.device, &mut *open_line(line)?, embed, |client| {
                    if let Some(opened) = &opened {
                        check_encoder(client, opened)?;
                        client.set_range(EncoderRange::Known(opened.encoder.preprocessing().range));
                    }
                    talk(client)
                });
            }
        };
        let (encoder, host) = (self.encoder.as_deref(), &self.preprocessing.values.limits.host(None));
        let given = Given {
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
            with_store(given, |device, served| bring(name, host, path, device, served))??;
        }
        with_store(given, |device, served| {
            let range = EncoderRange::Known(served.encoder.preprocessing().range);
            talk_over(&self.device, &mut InProcess::new(device), None, |client| {
                client.set_range(range);
                talk(client)
            })
        })?
    }
}

/// What a device of this process runs.
pub struct Served<'e> {
    /// Its encoder.
    pub encoder: &'e dyn HostEncoder,
    /// What people call it.
    pub name: &'e str,
    /// Its bundle, where it has one.
    pub bundle: Option<ServedBundle>,
}

/// The bundle of a device of this process.
#[derive(Clone, Copy)]
pub struct ServedBundle {
    /// Where it is and what it is.
    pub bundle: Bundle,
    /// Its counter.
    pub counter: u64,
    /// The keys whose bundles the device takes.
    pub trusted: TrustedKeys,
}

/// What a device of this process is made with.
#[derive(Clone, Copy)]
pub struct Given<'g> {
    /// The file of its store.
    pub store: &'g Path,
    /// The encoder that was named.
    pub encoder: Option<&'g str>,
    /// Whose bundles it takes.
    pub keys: &'g KeyArgs,
    /// Preprocessing of an ONNX encoder that does not state it itself.
    pub stated: Option<&'g Stated>,
    /// Where ONNX encoders run.
    pub host: &'g OnnxHost,
    /// What becomes of a store that is not there.
    pub missing: Missing,
    /// Whether it keeps images of what it is taught.
    pub keep_images: bool,
    /// Is told what goes wrong.
    pub log: &'g Log,
}

/// Switches on a device of this process and hands it to `run`.
pub fn with_store<T>(given: Given<'_>, run: impl FnOnce(&mut Device<'_>, &Served<'_>) -> T) -> anyhow::Result<T> {
    let Given { store, encoder, missing, .. } = given;
    let is_bundled = encoder.map_or(Site::has_bundles(store), is_bundle);
    if is_bundled {
        return with_bundles(given, run);
    }
    let found = StoreFile::header(store)?;
    let name = encoder.or(found.as_ref().map(|header| header.encoder.as_str()));
    let Some(name) = name else { return Err(no_store(store, missing)) };
    // A store remembers what was stated when it was made.
    let remembered = found.as_ref().filter(|_| encoder.is_none()).map(remembered).transpose()?.flatten();
    let (stated, trusted) = (given.stated.or(remembered.as_ref()), given.keys.read()?);
    let opened = open_encoder(
        name,
        &OpenOptions { host: given.host.clone(), trusted: &trusted, stated, ..OpenOptions::default() },
    );
    let opened = match encoder {
        Some(_) => opened?,
        None => opened.with_context(|| {
            format!("store {} remembers its encoder, which --encoder can name anew", store.display())
        })?,
    };
    let supports = match (missing, &found) {
        (_, Some(header)) => header.supports,
        (Missing::Make(supports), None) => supports,
        (Missing::Refuse, None) => return Err(no_store(store, missing)),
    };
    switch_on(store, &opened, supports, (given.keep_images, given.log), |device| run(device, &served(&opened)))
}

/// The preprocessing that a store's encoder was given when the store was made.
pub fn remembered(header: &StoreHeader) -> anyhow::Result<Option<Stated>> {
    let Some(json) = &header.preprocessing else { return Ok(None) };
    let recipe: Preprocessing = serde_json::from_str(json).context("the store's preprocessing cannot be read")?;
    Ok(Some(Stated::from(&recipe)))
}

/// As [`with_store`] for a device that has its encoder in a bundle.
fn with_bundles<T>(given: Given<'_>, run: impl FnOnce(&mut Device<'_>, &Served<'_>) -> T) -> anyhow::Result<T> {
    let Given { store, encoder, missing, .. } = given;
    let supports = match missing {
        Missing::Refuse if StoreFile::header(store)?.is_none() => return Err(no_store(store, missing)),
        Missing::Refuse => SUPPORTS_DEFAULT,
        Missing::Make(supports) => supports,
    };
    let keys = given.keys.read()?;
    let warn = |message: &str| given.log.line(&shown(message));
    let site = Site {
        store,
        reader: &SignedBundles { host: given.host.clone() },
        keys: &keys,
        keep_images: given.keep_images,
        limits: [CLASSES_MAX as u32, supports],
        warn: &warn,
    };
    Ok(site.run(encoder.map(Path::new), |device, loaded, (bundle, trusted)| {
        let Loaded { encoder, name, counter, .. } = loaded;
        let bundle = Some(ServedBundle { bundle, counter: *counter, trusted });
        run(device, &Served { encoder: &**encoder, name, bundle })
    })?)
}

/// Where the bundle lies that a device of this process uses, and the keys whose bundles it takes.
#[cfg(feature = "host")]
pub fn bundle_in_use(store: &Path, device: &DeviceArgs) -> anyhow::Result<(Option<String>, Vec<PublicKey>)> {
    let given = Given {
        store,
        encoder: None,
        keys: &device.keys,
        stated: None,
        host: &device.preprocessing.values.limits.host(None),
        missing: Missing::Refuse,
        keep_images: false,
        log: &Log::to_stderr(),
    };
    with_store(given, |_, served| match &served.bundle {
        None => (None, Vec::new()),
        Some(used) => {
            let path = Site::slot_path(store, used.bundle.slot);
            (Some(path.to_string_lossy().into_owned()), used.trusted.keys().to_vec())
        }
    })
}

fn served(opened: &Opened) -> Served<'_> {
    Served { encoder: &*opened.encoder, name: &opened.name, bundle: None }
}

/// Switches on a device with `opened`, on the store at `path` or a new one with places for `supports`.
fn switch_on<T>(
    path: &Path,
    opened: &Opened,
    supports: u32,
    (keep_images, log): (bool, &Log),
    run: impl FnOnce(&mut Device<'_>) -> T,
) -> anyhow::Result<T> {
    let encoder = &*opened.encoder;
    let found = StoreFile::header(path)?;
    let (classes, supports) =
        found.as_ref().map_or((CLASSES_MAX as u32, supports), |header| (header.classes, header.supports));
    let (dim, identity) = (encoder.feature_dim() as u32, encoder.id());
    let preprocessing = opened.stated.as_ref().map(serde_json::to_string).transpose()?;
    let given = StoreHeader { encoder: opened.name.clone(), identity, dim, classes, supports, preprocessing };
    if let Some(header) = &found {
        header.check(&given, path)?;
    }
    let file = StoreFile::open(path, &given)?;
    let warn = |message: &str| log.line(&shown(message));
    let images = if keep_images { Some(KeptImages::make_beside(path)?) } else { KeptImages::beside(path) };
    let mut memory = DeviceMemory::new(dim as usize, classes as usize, supports as usize);
    let mut device = Device::new(DeviceEncoder::new(encoder), file, &mut memory, &warn)?;
    if let Some(images) = &images {
        device.keep_images(images)?;
    }
    Ok(run(&mut device))
}

/// As [`DeviceArgs::with`] for the file of a store whose encoder is at hand.
#[cfg(feature = "host")]
pub fn with_encoder<T>(
    path: &Path,
    opened: &Opened,
    talk: impl FnOnce(&mut Client<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let address = Address::Store(path.to_owned());
    switch_on(path, opened, SUPPORTS_DEFAULT, (false, &Log::to_stderr()), |device| {
        talk_over(&address, &mut InProcess::new(device), None, talk)
    })?
}

fn no_store(path: &Path, missing: Missing) -> anyhow::Error {
    let how = match missing {
        Missing::Make(_) => "--encoder names the encoder to make one for",
        Missing::Refuse => "`macula learn` makes one",
    };
    Kind::NotFound.error(format!("there is no store at {}: {how}", path.display()))
}

/// Opens the line to a device elsewhere.
pub fn open_line(address: &Address) -> Result<Box<dyn Transport>, LinkError> {
    let line: std::io::Result<Box<dyn Transport>> = match address {
        Address::Tcp { socket } => Tcp::connect(socket).map(|line| Box::new(line) as _),
        #[cfg(unix)]
        Address::Serial { path, baud } => crate::link::Serial::open(path, *baud).map(|line| Box::new(line) as _),
        other => Err(std::io::Error::new(std::io::ErrorKind::Unsupported, format!("'{other}' is no line"))),
    };
    line.map_err(|source| LinkError::Unreachable { address: address.to_string(), source })
}

/// Brings a device of this process the bundle that is named for it, where it has another one. It must be one that the
/// device would take: of a key it trusts, not older, and with the encoder that its store was taught on.
fn bring(
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
            "store {} was taught on encoder {}…, not on that of {name} ({}…); `macula update` brings it another one",
            store.display(),
            hexadecimal(&served.encoder.id().0[..8]),
            hexadecimal(&opened.encoder.id().0[..8])
        )));
    }
    let address = Address::Store(store.to_owned());
    talk_over(&address, &mut InProcess::new(device), None, |client| {
        client.send_bundle(&bytes, false, &|_| ())?;
        Ok(())
    })
}

/// Refuses an encoder for a device that has one, or takes the features of another.
fn check_encoder(client: &Client<'_>, opened: &Opened) -> anyhow::Result<()> {
    let (device, given) = (client.device(), opened.encoder.id().short());
    let (address, name) = (client.address(), &opened.name);
    ensure!(
        device.channels == 0,
        Kind::OtherEncoder.error(format!(
            "the device at {address} has an encoder of its own ({}…); --encoder is for one without",
            hexadecimal(&device.identity[..4])
        ))
    );
    ensure!(
        device.identity == given || device.identity == ANY_FEATURES,
        Kind::OtherEncoder.error(format!(
            "the device at {address} takes features of encoder {}, not of '{name}' ({})",
            hexadecimal(&device.identity),
            hexadecimal(&given)
        ))
    );
    let dim = opened.encoder.feature_dim();
    ensure!(
        device.dim == dim,
        Kind::OtherEncoder.error(format!(
            "the device at {address} takes features of {} dimensions, '{name}' makes {dim}",
            device.dim
        ))
    );
    Ok(())
}

/// Says hello over `line` and has `talk` speak with the device; `embed` makes features for one that has no encoder.
pub fn talk_over<T>(
    address: &Address,
    line: &mut dyn Transport,
    embed: Option<&Embed<'_>>,
    talk: impl FnOnce(&mut Client<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut memory = ClientMemory::new();
    let mut client = Client::new(address, line, &mut memory, sessions())?;
    if let Some(embed) = embed {
        client.set_local_encoder(embed);
    }
    talk(&mut client)
}

/// Two hosts of one device must not draw the same session number: time and process tell them apart.
fn sessions() -> Rng {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Rng::for_item(since.as_nanos() as u64, "session numbers", 0, std::process::id().into())
}

/// Classes by slot.
pub struct Names(pub Vec<Class>);

impl Names {
    /// Asks for them.
    pub fn of(client: &mut Client<'_>) -> anyhow::Result<Self> {
        Ok(Self(client.classes()?))
    }

    /// The name of the class in `slot`.
    pub fn name(&self, slot: u8) -> String {
        let found = self.0.iter().find(|class| class.slot == slot);
        found.map_or_else(|| format!("slot {slot}"), |class| class.name.clone())
    }

    /// The slot of the class called `name`.
    pub fn slot(&self, name: &str) -> anyhow::Result<u8> {
        let known = || match self.0.is_empty() {
            true => "none".to_owned(),
            false => self.0.iter().map(|class| class.name.as_str()).collect::<Vec<_>>().join(", "),
        };
        let found = self.0.iter().find(|class| class.name == name);
        found
            .map(|class| class.slot)
            .ok_or_else(|| Kind::UnknownClass.error(format!("the device has no class '{name}'; it has {}", known())))
    }

    /// Whether a class is called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|class| class.name == name)
    }

    /// The class that was taught, where it is the only one: every image that is known is of that class, with a
    /// probability of 1 that says nothing.
    pub fn only_class(&self) -> Option<&str> {
        let mut taught = self.0.iter().filter(|class| class.supports > 0);
        match (taught.next(), taught.next()) {
            (Some(class), None) => Some(&class.name),
            _ => None,
        }
    }

    /// Classes and their samples, as `--json` gives them.
    pub fn counts(&self) -> Vec<ClassCount> {
        self.0.iter().map(|class| ClassCount { name: class.name.clone(), samples: class.supports }).collect()
    }

    /// Prints classes and their samples.
    pub fn print(&self) {
        println!("{:<24} {:>8}", "class", "samples");
        self.0.iter().for_each(|class| println!("{} {:>8}", left(&class.name, 24), class.supports));
    }
}

/// A class and its number of samples.
#[derive(serde::Serialize)]
pub struct ClassCount {
    name: String,
    samples: u32,
}

/// Bytes as hexadecimal digits.
pub use base16ct::lower::encode_string as hexadecimal;

/// The last second of the year 9999: no later date has four digits.
const TIME_MAX_S: u64 = 253_402_300_799;

/// Date and time in UTC, to the minute, of seconds since 1970; 0 is `unknown`.
pub fn date(time_s: u64) -> String {
    if time_s == 0 {
        return "unknown".to_owned();
    }
    let time = UNIX_EPOCH + Duration::from_secs(time_s.min(TIME_MAX_S));
    let rfc3339 = humantime::format_rfc3339_seconds(time).to_string();
    format!("{} {} UTC", &rfc3339[..10], &rfc3339[11..16])
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (time_s, expected) in [
            (1, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_709_210_096, "2024-02-29 12:34 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (u64::MAX, "9999-12-31 23:59 UTC"),
            (0, "unknown"),
        ] {
            assert_eq!(date(time_s), expected);
        }
    }
}
