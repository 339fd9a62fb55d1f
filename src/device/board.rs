//! The device and its memory: what a board has in its firmware, sized for a large machine.

use std::time::{SystemTime, UNIX_EPOCH};

use macula_edge::bundle::TrustedKeys;
use macula_edge::decide::Predictor;
use macula_edge::encoder::Encoder as _;
use macula_edge::protocol::message::{Input, message_max};
use macula_edge::protocol::{Endpoint, Reason, Reply, Request, packet_max};
use macula_edge::session::{self, Accept, BundleSlots, BundleSummary, Profile, Session, Start, StartMemory};
use macula_edge::store::{Store, StoreError, buffer_len};
use macula_edge::support_set::{ClassName, SourceId, SupportRecord, SupportSet};

use super::slot_file::{SLOT_LEN, SLOT_STARTS};
use super::{DeviceEncoder, DeviceError, KeptImageError, KeptImages, StoreFile, StoreHeader};
use crate::data::decode::PIXELS_MAX;

/// Bytes of the largest image that decoding allows, in colour: a smaller limit would shrink it before it is cut into tiles.
const IMAGE_BYTES_MAX: usize = 3 * PIXELS_MAX as usize;

/// Bytes of the longest message, so that an image comes in few parts.
const MESSAGE_MAX: usize = 32_768;

/// The number of [`Reason::StoreFault`] for images that cannot be written: the medium failed.
const IMAGES_FAULT: u64 = 9;

/// The program name that a device reports.
const PROGRAM: &str = "macula device";

/// All memory of one device. Large parts are touched only for large messages.
pub struct DeviceMemory {
    names: Vec<ClassName>,
    records: Vec<SupportRecord>,
    features: Vec<i16>,
    store: Vec<u8>,
    image: Vec<u8>,
    work: Vec<u32>,
    feature: Vec<i16>,
    bytes: Vec<u8>,
    scratch: Vec<f64>,
    probabilities: Vec<f64>,
    received: Vec<u8>,
    kept: Vec<u8>,
}

impl DeviceMemory {
    /// Memory for `dim` feature dimensions, `classes` slots and `supports` supports.
    pub fn new(dim: usize, classes: usize, supports: usize) -> Self {
        let packet = packet_max(message_len(dim));
        Self {
            names: vec![ClassName::FREE; classes],
            records: vec![SupportRecord::EMPTY; supports],
            features: vec![0; supports * dim],
            store: vec![0; buffer_len::<StoreFile>(dim)],
            image: vec![0; IMAGE_BYTES_MAX],
            work: Vec::new(),
            feature: vec![0; dim],
            bytes: vec![0; 2 * dim],
            scratch: vec![0.0; Predictor::scratch_len(dim, classes, supports)],
            probabilities: vec![0.0; classes],
            received: vec![0; packet],
            kept: vec![0; packet],
        }
    }
}

/// A store without a session.
pub(super) struct Opened<'m, 'f> {
    pub store: Store<'m, &'f mut StoreFile>,
    pub support_set: SupportSet<'m>,
}

impl DeviceMemory {
    /// Opens the store of `header`.
    pub(super) fn open<'m, 'f>(
        &'m mut self,
        file: &'f mut StoreFile,
        header: &StoreHeader,
    ) -> Result<Opened<'m, 'f>, StoreError> {
        let Self { names, records, features, store, .. } = self;
        let mut support_set =
            SupportSet::new(header.dim as usize, names, records, features).map_err(StoreError::SupportSet)?;
        let range = file.range();
        let store = Store::open(file, range, header.identity.short(), store, &mut support_set)?;
        Ok(Opened { store, support_set })
    }

    /// The memory that a start needs before its encoder is known.
    pub(super) fn lend(&mut self) -> StartMemory<'_> {
        let Self { names, records, features, store, .. } = self;
        StartMemory { names, records, features, buffer: store }
    }
}

fn message_len(dim: usize) -> usize {
    message_max(dim).max(MESSAGE_MAX)
}

/// A device on this machine: a session over a store in a file.
pub struct Device<'m> {
    endpoint: Endpoint<'m>,
    session: Session<'m, DeviceEncoder<'m>, StoreFile>,
    images: Option<&'m KeptImages>,
    warn: &'m dyn Fn(&str),
}

/// The bundle of a device that accepts bundles.
pub struct Bundled<'m> {
    /// The bundle of this start, whose golden images have passed.
    pub start: Start,
    /// Its counter.
    pub counter: u64,
    /// The trusted keys.
    pub trusted: TrustedKeys,
    /// Decides whether another bundle is accepted.
    pub accept: &'m Accept<'m>,
    /// Whether a source can be embedded again.
    pub keeps: &'m dyn Fn(&SourceId) -> bool,
}

impl<'m> Device<'m> {
    /// Starts a device without bundles: reads and checks its store.
    ///
    /// * `memory`: of the encoder's dimension and the store's limits
    /// * `warn`: receives errors as text; replies carry only their numbers
    ///
    /// # Errors
    /// When the store is damaged or belongs to another encoder.
    pub fn new(
        encoder: DeviceEncoder<'m>,
        file: StoreFile,
        memory: &'m mut DeviceMemory,
        warn: &'m dyn Fn(&str),
    ) -> Result<Self, DeviceError> {
        Self::open(encoder, file, memory, warn, None)
    }

    /// As [`Self::new`] with the encoder of a bundle, which is confirmed if it was pending. It accepts other bundles.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_bundles(
        encoder: DeviceEncoder<'m>,
        file: StoreFile,
        memory: &'m mut DeviceMemory,
        warn: &'m dyn Fn(&str),
        bundled: Bundled<'m>,
    ) -> Result<Self, DeviceError> {
        Self::open(encoder, file, memory, warn, Some(bundled))
    }

    /// Makes the device keep the images of its supports, and removes images without a support.
    ///
    /// # Errors
    /// When an image cannot be removed.
    pub fn keep_images(&mut self, images: &'m KeptImages) -> Result<(), KeptImageError> {
        self.images = Some(images);
        images.retain(|source| self.session.support_set().find(source).is_some())
    }

    fn open(
        encoder: DeviceEncoder<'m>,
        file: StoreFile,
        memory: &'m mut DeviceMemory,
        warn: &'m dyn Fn(&str),
        bundled: Option<Bundled<'m>>,
    ) -> Result<Self, DeviceError> {
        memory.work = vec![0; encoder.work_words_max()];
        let DeviceMemory {
            names, records, features, store, image, work, feature, bytes, scratch, probabilities, ..
        } = memory;
        let path = file.path().to_owned();
        let failed = |source| DeviceError::Store { path: path.display().to_string(), source };
        let (info, range) = (encoder.info(), file.range());
        let (dim, identity, mut slots) = (info.dim, info.identity, None);
        let memory_wrong = |error| failed(StoreError::SupportSet(error));
        let mut support_set = SupportSet::new(dim, names, records, features).map_err(memory_wrong)?;
        let store = match bundled {
            None => Store::open(file, range, identity, store, &mut support_set).map_err(failed)?,
            Some(Bundled { start, counter, trusted, accept, keeps }) => {
                let (starts, len, in_use) = (SLOT_STARTS, SLOT_LEN, start.bundle.slot);
                slots = Some(BundleSlots { starts, len, in_use, accept, keeps });
                let summary = BundleSummary { identity, counter };
                let mut store =
                    session::open_and_confirm(file, range, start, summary, store, &mut support_set).map_err(failed)?;
                save_keys(&mut store, trusted).map_err(failed)?;
                store
            }
        };
        let message_max = message_len(dim);
        let profile =
            Profile { program: PROGRAM, program_version: env!("CARGO_PKG_VERSION"), message_max: message_max as u32 };
        let memory_lent = session::Memory { image, work, feature, bytes, scratch, probabilities };
        let session = Session::new(profile, encoder, store, support_set, memory_lent, slots).map_err(failed)?;
        let endpoint = Endpoint::new(&mut memory.received, &mut memory.kept);
        Ok(Self { endpoint, session, images: None, warn })
    }

    /// Processes bytes from a line and appends the replies to `out`.
    pub fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let now_s = now_s();
        let Self { endpoint, session, images, warn } = self;
        for &byte in bytes {
            let answer = |message: &[u8], counters, reply: &mut [u8]| {
                session.set_line(counters);
                let len = match images {
                    None => session.handle(message, now_s, reply),
                    Some(images) => handle_keeping(session, images, *warn, (message, now_s), reply),
                };
                if let Some(fault) = session.take_fault() {
                    warn(&session.encoder().describe(fault));
                }
                len
            };
            endpoint.receive(byte, answer, &mut |piece| out.extend_from_slice(piece));
        }
    }

    /// Whether a bundle is pending: the device must be restarted.
    pub fn is_update_pending(&self) -> bool {
        self.session.is_update_pending()
    }

    /// Its classes and supports.
    pub fn support_set(&self) -> &SupportSet<'m> {
        self.session.support_set()
    }
}

/// Writes the trusted keys to the store, if they differ.
fn save_keys(store: &mut Store<'_, StoreFile>, trusted: TrustedKeys) -> Result<(), StoreError> {
    if TrustedKeys::load(store)? == trusted { Ok(()) } else { trusted.save(store) }
}

/// Answers a request. The image of a sample is stored before the sample is acknowledged.
fn handle_keeping(
    session: &mut Session<'_, DeviceEncoder<'_>, StoreFile>,
    images: &KeptImages,
    warn: &dyn Fn(&str),
    (message, now_s): (&[u8], u64),
    reply: &mut [u8],
) -> usize {
    let request = Request::parse(message);
    if let (Ok(Request::Learn { source, input: Input::Image, .. }), Some(image)) = (request, session.staged_image())
        && !images.has(&source)
        && let Err(error) = images.put(&source, &image)
    {
        warn(&error.to_string());
        return Reply::Refused(Reason::StoreFault.with(IMAGES_FAULT, 0)).write(reply).unwrap_or(0);
    }
    let before = session.support_set().supports().len();
    let len = session.handle(message, now_s, reply);
    let changes = matches!(
        request,
        Ok(Request::Learn { .. } | Request::Forget { .. } | Request::RemoveClass { .. } | Request::FactoryReset { .. })
    );
    // Remove images of samples that were refused or forgotten.
    if changes && session.support_set().supports().len() <= before {
        let retained = images.retain(|source| session.support_set().find(source).is_some());
        // The request is done; the next start removes them.
        retained.unwrap_or_else(|error| warn(&error.to_string()));
    }
    len
}

/// This machine's clock in seconds since 1970; 0 when it is before 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
