//! A device in this process: the encoder that a store file needs, and the session on it.

use std::path::Path;

use anyhow::Context;
use macula_edge::bundle::TrustedKeys;
use macula_edge::session::Bundle;
use macula_edge::support_set::CLASSES_MAX;

use super::failure::Kind;
use super::trust::{KeyArgs, open_encoder};
use crate::data::Preprocessing;
use crate::device::{
    Device, DeviceEncoder, DeviceMemory, KeptImages, Loaded, SignedBundles, Site, StoreFile, StoreHeader,
};
use crate::encoder::HostEncoder;
use crate::encoders::{OpenOptions, Opened, Stated, is_bundle};
use crate::isolated::OnnxHost;
use crate::log::Log;
use crate::report::text::shown;

/// Places for supports in a store that is made.
pub const SUPPORTS_DEFAULT: u32 = 4096;

/// What becomes of a store that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is made, with places for so many supports.
    Create(u32),
    /// There is nothing to be asked.
    Refuse,
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
pub struct LocalOptions<'g> {
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
pub fn with_local_device<T>(
    given: LocalOptions<'_>,
    run: impl FnOnce(&mut Device<'_>, &Served<'_>) -> T,
) -> anyhow::Result<T> {
    let LocalOptions { store, encoder, missing, .. } = given;
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
        (Missing::Create(supports), None) => supports,
        (Missing::Refuse, None) => return Err(no_store(store, missing)),
    };
    open_device(store, &opened, supports, (given.keep_images, given.log), |device| run(device, &served(&opened)))
}

/// The preprocessing that a store's encoder was given when the store was made.
pub fn remembered(header: &StoreHeader) -> anyhow::Result<Option<Stated>> {
    let Some(json) = &header.preprocessing else { return Ok(None) };
    let recipe: Preprocessing = serde_json::from_str(json).context("the store's preprocessing cannot be read")?;
    Ok(Some(Stated::from(&recipe)))
}

/// As [`with_local_device`] for a device that has its encoder in a bundle.
fn with_bundles<T>(given: LocalOptions<'_>, run: impl FnOnce(&mut Device<'_>, &Served<'_>) -> T) -> anyhow::Result<T> {
    let LocalOptions { store, encoder, missing, .. } = given;
    let supports = match missing {
        Missing::Refuse if StoreFile::header(store)?.is_none() => return Err(no_store(store, missing)),
        Missing::Refuse => SUPPORTS_DEFAULT,
        Missing::Create(supports) => supports,
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

fn served(opened: &Opened) -> Served<'_> {
    Served { encoder: &*opened.encoder, name: &opened.name, bundle: None }
}

/// Switches on a device with `opened`, on the store at `path` or a new one with places for `supports`.
pub fn open_device<T>(
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

fn no_store(path: &Path, missing: Missing) -> anyhow::Error {
    let how = match missing {
        Missing::Create(_) => "--encoder names the encoder to make one for",
        Missing::Refuse => "`macula learn` makes one",
    };
    Kind::NotFound.error(format!("there is no store at {}: {how}", path.display()))
}
