//! A device in this process: a store file and its encoder.

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

/// Capacity of a new store in samples.
pub const SUPPORTS_DEFAULT: u32 = 4096;

/// What to do if the store does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Create it with this capacity in samples.
    Create(u32),
    /// Fail.
    Refuse,
}

/// A running device of this process.
pub struct Served<'e> {
    /// Its encoder.
    pub encoder: &'e dyn HostEncoder,
    /// Its name.
    pub name: &'e str,
    /// Its bundle, if there is one.
    pub bundle: Option<ServedBundle>,
}

/// The bundle of a device of this process.
#[derive(Clone, Copy)]
pub struct ServedBundle {
    /// Slot and hash.
    pub bundle: Bundle,
    /// Its counter.
    pub counter: u64,
    /// Keys that the device trusts.
    pub trusted: TrustedKeys,
}

/// Options of a device of this process.
#[derive(Clone, Copy)]
pub struct LocalOptions<'g> {
    /// Store file.
    pub store: &'g Path,
    /// Encoder given by the user.
    pub encoder: Option<&'g str>,
    /// Trusted keys given by the user.
    pub keys: &'g KeyArgs,
    /// Preprocessing of an ONNX encoder that does not state it.
    pub stated: Option<&'g Stated>,
    /// Where ONNX encoders run.
    pub host: &'g OnnxHost,
    /// What to do if the store does not exist.
    pub missing: Missing,
    /// Whether to keep the images of samples.
    pub keep_images: bool,
    /// Receives warnings.
    pub log: &'g Log,
}

/// Opens a device of this process and hands it to `run`.
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
    // A store records the preprocessing that was stated when it was created.
    let remembered = found.as_ref().filter(|_| encoder.is_none()).map(remembered).transpose()?.flatten();
    let (stated, trusted) = (given.stated.or(remembered.as_ref()), given.keys.read()?);
    let opened = open_encoder(
        name,
        &OpenOptions { host: given.host.clone(), trusted: &trusted, stated, ..OpenOptions::default() },
    );
    let opened = match encoder {
        Some(_) => opened?,
        None => opened.with_context(|| {
            format!("store {}: cannot open its recorded encoder; pass --encoder if it was moved", store.display())
        })?,
    };
    let supports = match (missing, &found) {
        (_, Some(header)) => header.supports,
        (Missing::Create(supports), None) => supports,
        (Missing::Refuse, None) => return Err(no_store(store, missing)),
    };
    open_device(store, &opened, supports, (given.keep_images, given.log), |device| run(device, &served(&opened)))
}

/// The preprocessing recorded in a store, if the encoder does not state it.
pub fn remembered(header: &StoreHeader) -> anyhow::Result<Option<Stated>> {
    let Some(json) = &header.preprocessing else { return Ok(None) };
    let recipe: Preprocessing =
        serde_json::from_str(json).context("cannot read the preprocessing recorded in the store")?;
    Ok(Some(Stated::from(&recipe)))
}

/// As [`with_local_device`] for a device with a bundle.
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

/// Opens a device with the encoder `opened` on the store at `path`, which is created with a capacity of `supports`.
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
        Missing::Create(_) => "pass --encoder to create it",
        Missing::Refuse => "create it with `macula learn`",
    };
    Kind::NotFound.error(format!("store {} does not exist; {how}", path.display()))
}
