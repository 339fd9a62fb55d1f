//! Starts a device: selects its bundle, confirms a pending one or rolls it back.
//!
//! The store says which slot to use. Its bundle is verified, its encoder loaded and tested with the golden images; only then
//! is it confirmed and served. A pending bundle that fails is rolled back at once, and the confirmed one is used. The
//! decisions are those of every device, in `edge/src/session/boot.rs`.

use std::path::{Path, PathBuf};

use macula_edge::bundle::{BUNDLE_LEN_MAX, PublicKey, TrustedKeys};
use macula_edge::protocol::message::RollbackReason;
use macula_edge::session::{Bundle, BundleSummary, Start, begin_start, roll_back, with_settings};
use macula_edge::store::StoreError;
use sha2::{Digest, Sha256};

use super::slot_file::SlotFile;
use super::{Bundled, Device, DeviceEncoder, DeviceError, DeviceMemory, KeptImages, StoreFile, StoreHeader};
use crate::encoder::HostEncoder;
use crate::files::{read_bounded, write_private};

/// The encoder name in a store whose encoder comes from a bundle.
const BUNDLE: &str = "its bundle";

/// The encoder of a bundle; it has passed the golden images.
pub struct Loaded {
    /// The encoder.
    pub encoder: Box<dyn HostEncoder>,
    /// Its name in messages.
    pub name: String,
    /// The bundle's anti-rollback counter.
    pub counter: u64,
    /// Most class slots and places for supports of its store.
    pub limits: [u32; 2],
}

/// A bundle cannot be used.
#[derive(Debug)]
pub struct UnusableBundle {
    /// The reason that the device reports.
    pub reason: RollbackReason,
    /// The reason in a sentence.
    pub message: String,
}

/// Reads bundles.
pub trait BundleReader {
    /// Encoder identity and counter of a bundle; runs nothing of it. An `Err` is a number of `docs/bundle-format.md`.
    ///
    /// # Errors
    /// When no trusted key signed the bundle, or it is not intact.
    fn summary(&self, bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<BundleSummary, u32>;

    /// Loads the encoder of a bundle and tests it with the golden images.
    ///
    /// * `name`: of the bundle, for errors
    ///
    /// # Errors
    /// As [`Self::summary`], and when the encoder cannot be run or gives other features.
    fn load(&self, name: &str, bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<Loaded, UnusableBundle>;

    /// Whether a stop was requested. A failure after that says nothing about the bundle.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// The files of a device and the options of its start.
#[derive(Clone, Copy)]
pub struct Site<'s> {
    /// The file of its store; its bundles lie beside it.
    pub store: &'s Path,
    /// Reads its bundles.
    pub reader: &'s dyn BundleReader,
    /// Keys to trust, in addition to those in the store.
    pub keys: &'s [PublicKey],
    /// Whether it keeps images of its supports from now on; a device that already does continues to.
    pub keep_images: bool,
    /// Class slots and places for supports of a new store.
    pub limits: [u32; 2],
    /// Receives warnings, one sentence each.
    pub warn: &'s dyn Fn(&str),
}

/// A start whose bundle is loaded.
struct Ready {
    file: StoreFile,
    header: StoreHeader,
    start: Start,
    loaded: Loaded,
    trusted: TrustedKeys,
}

impl Site<'_> {
    /// Whether the device of the store at `path` was ever started with a bundle.
    pub fn has_bundles(path: &Path) -> bool {
        [0, 1].iter().any(|&slot| SlotFile::beside(path, slot).path().exists())
    }

    /// Where the bundle of a slot lies.
    pub fn slot_path(store: &Path, slot: u8) -> PathBuf {
        SlotFile::beside(store, slot).path().to_owned()
    }

    /// Starts the device and passes it to `run`, with its encoder, its bundle and the keys that it trusts.
    ///
    /// * `first`: the path of a bundle, for a device that has none yet
    ///
    /// # Errors
    /// When there is no bundle, the confirmed one cannot be used, or the store cannot be read or written.
    pub fn run<T>(
        &self,
        first: Option<&Path>,
        run: impl FnOnce(&mut Device<'_>, &Loaded, (Bundle, TrustedKeys)) -> T,
    ) -> Result<T, DeviceError> {
        let Ready { file, header, start, loaded, trusted } = match StoreFile::header(self.store)? {
            Some(header) => self.resume(header, first)?,
            None => self.first_start(first)?,
        };
        let mut memory = DeviceMemory::new(header.dim as usize, header.classes as usize, header.supports as usize);
        let (reader, images) = (self.reader, self.images()?);
        let images = images.as_ref();
        let accept = |_, len: u32, read: &mut dyn FnMut(u32, &mut [u8]) -> bool| {
            let mut bytes = vec![0; len as usize];
            if !read(0, &mut bytes) {
                return Err(macula_edge::bundle::BundleError::Read { at: 0 }.code());
            }
            reader.summary(bytes, trusted.keys())
        };
        let keeps = |source: &_| images.is_some_and(|images| images.has(source));
        let bundled = Bundled { start, counter: loaded.counter, trusted, accept: &accept, keeps: &keeps };
        let encoder = DeviceEncoder::new(&*loaded.encoder);
        let mut device = Device::with_bundles(encoder, file, &mut memory, self.warn, bundled)?;
        if let Some(images) = images {
            device.keep_images(images)?;
        }
        Ok(run(&mut device, &loaded, (start.bundle, trusted)))
    }

    /// The kept images, if the device keeps any.
    pub(super) fn images(&self) -> Result<Option<KeptImages>, DeviceError> {
        Ok(if self.keep_images { Some(KeptImages::make_beside(self.store)?) } else { KeptImages::beside(self.store) })
    }

    /// The first start: puts the bundle into slot 0, then makes the store for it.
    fn first_start(&self, first: Option<&Path>) -> Result<Ready, DeviceError> {
        let trusted = self.with_keys(TrustedKeys::NONE);
        let (bytes, name) = self.first_bundle(first)?;
        let loaded = self.load(&name, bytes.clone(), &trusted)?;
        let encoder = &*loaded.encoder;
        let [classes, supports] = [0, 1].map(|which| self.limits[which].min(loaded.limits[which]));
        let dim = encoder.feature_dim() as u32;
        let (encoder, identity) = (BUNDLE.to_owned(), encoder.id());
        let header = StoreHeader { encoder, identity, dim, classes, supports, preprocessing: None };
        self.install(&bytes)?;
        let file = StoreFile::open(self.store, &header)?;
        Ok(Ready { file, header, start: start_of(&bytes), loaded, trusted })
    }

    /// A later start.
    fn resume(&self, mut header: StoreHeader, first: Option<&Path>) -> Result<Ready, DeviceError> {
        let mut file = StoreFile::open(self.store, &header)?;
        let mut memory = DeviceMemory::new(header.dim as usize, header.classes as usize, header.supports as usize);
        let (range, failed) = (file.range(), |source| self.store_failed(source));
        let trusted = with_settings(&mut file, range.clone(), memory.lend(), |store| {
            TrustedKeys::load(store).map(|known| self.with_keys(known))
        });
        let trusted = trusted.map_err(failed)?.unwrap_or_else(|| self.with_keys(TrustedKeys::NONE));
        self.remove_temporary();
        let mut start = begin_start(&mut file, range.clone(), memory.lend()).map_err(failed)?;
        // The bundle in slot 0 when the store has no boot state.
        let mut unknown = None;
        loop {
            let slot = start.bundle.slot;
            let loaded = match self.read_slot(&file, start, first) {
                Ok((bytes, name)) => {
                    if start.bundle.len == 0 {
                        start = start_of(&bytes);
                        unknown = Some(bytes.clone());
                    }
                    self.reader.load(&name, bytes, trusted.keys())
                }
                // The confirmed bundle: there is nothing to roll back to.
                Err(error) if !start.is_pending => return Err(error),
                Err(error) => Err(UnusableBundle { reason: RollbackReason::Unreadable, message: error.to_string() }),
            };
            let unusable = match loaded {
                Ok(loaded) if loaded.encoder.id() == header.identity => {
                    unknown.map_or(Ok(()), |bytes| self.install(&bytes))?;
                    return Ok(Ready { file, header, start, loaded, trusted });
                }
                Ok(loaded) if start.is_pending => match self.reembed(&mut file, &header, start, &loaded, trusted)? {
                    Ok(reembedded) => {
                        (file, header) = reembedded;
                        return Ok(Ready { file, header, start, loaded, trusted });
                    }
                    Err(unusable) => unusable,
                },
                Ok(loaded) => {
                    let (encoder, identity) = (loaded.name, loaded.encoder.id());
                    let dim = loaded.encoder.feature_dim() as u32;
                    return Err(header.other(&StoreHeader { encoder, identity, dim, ..header.clone() }, self.store));
                }
                Err(unusable) => unusable,
            };
            let UnusableBundle { reason, message } = unusable;
            if self.reader.is_stopped() {
                return Err(DeviceError::Stopped);
            }
            if !start.is_pending {
                let path = file.slot_path(slot).display().to_string();
                return Err(DeviceError::Bundle { path, message });
            }
            start = roll_back(&mut file, range.clone(), memory.lend(), reason).map_err(failed)?;
            (self.warn)(&format!("the new bundle was rolled back, and the confirmed one is used: {message}"));
        }
    }

    /// Reads the bundle of a start. Without a boot state it is the one in slot 0, or `first`.
    fn read_slot(
        &self,
        file: &StoreFile,
        start: Start,
        first: Option<&Path>,
    ) -> Result<(Vec<u8>, String), DeviceError> {
        let path = file.slot_path(start.bundle.slot);
        let name = path.display().to_string();
        let found = read_bounded(path, BUNDLE_LEN_MAX.into());
        if start.bundle.len == 0 {
            return found.map_or_else(|_| self.first_bundle(first), |bytes| Ok((bytes, name)));
        }
        let mut bytes = found.map_err(|error| DeviceError::Read { path: error.path, source: error.source })?;
        // Flash is written in whole words; the file must end with the bundle, for other programs.
        let len = start.bundle.len as usize;
        if bytes.len() > len {
            bytes.truncate(len);
            let cut = std::fs::OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(len as u64));
            cut.map_err(|source| DeviceError::Write { path: name.clone(), source })?;
        }
        match Sha256::digest(&bytes)[..] == start.bundle.sha256 {
            true => Ok((bytes, name)),
            false => {
                let message = "its SHA-256 is not that of the bundle that was committed there".to_owned();
                Err(DeviceError::Bundle { path: name, message })
            }
        }
    }

    fn first_bundle(&self, first: Option<&Path>) -> Result<(Vec<u8>, String), DeviceError> {
        let path = first.ok_or_else(|| DeviceError::NoBundle { path: self.store.display().to_string() })?;
        let name = path.display().to_string();
        let bytes = read_bounded(path, BUNDLE_LEN_MAX.into())
            .map_err(|error| DeviceError::Read { path: error.path, source: error.source })?;
        Ok((bytes, name))
    }

    fn load(&self, name: &str, bytes: Vec<u8>, trusted: &TrustedKeys) -> Result<Loaded, DeviceError> {
        let unusable = |UnusableBundle { message, .. }| match self.reader.is_stopped() {
            true => DeviceError::Stopped,
            false => DeviceError::Bundle { path: name.to_owned(), message },
        };
        self.reader.load(name, bytes, trusted.keys()).map_err(unusable)
    }

    /// Writes the first bundle into slot 0.
    fn install(&self, bytes: &[u8]) -> Result<(), DeviceError> {
        let slot = SlotFile::beside(self.store, 0);
        if read_bounded(slot.path(), BUNDLE_LEN_MAX.into()).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        write_private(slot.path(), bytes).map_err(|error| DeviceError::Write { path: error.path, source: error.source })
    }

    fn with_keys(&self, known: TrustedKeys) -> TrustedKeys {
        let is_new = |key: &&PublicKey| !known.keys().contains(key);
        self.keys.iter().filter(is_new).fold(known, |trusted, &key| trusted.with(key))
    }

    pub(super) fn store_failed(&self, source: StoreError) -> DeviceError {
        DeviceError::Store { path: self.store.display().to_string(), source }
    }
}

fn start_of(bytes: &[u8]) -> Start {
    let (len, sha256) = (bytes.len() as u32, Sha256::digest(bytes).into());
    Start { bundle: Bundle { slot: 0, len, sha256 }, is_pending: false, may_forget: false }
}
