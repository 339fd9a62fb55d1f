//! The device itself: what a board has in its firmware, with the memory of a machine that has plenty.

use std::time::{SystemTime, UNIX_EPOCH};

use macula_edge::decide::Judge;
use macula_edge::protocol::message::message_max;
use macula_edge::protocol::{Endpoint, packet_max};
use macula_edge::session::{self, Profile, Session};
use macula_edge::store::{Store, buffer_len};
use macula_edge::taught::{Name, Record, Taught};

use super::{DeskEncoder, DeviceError, StoreFile};

/// Bytes of the largest image that is taken: 8192×5461 pixels in colour.
const IMAGE_BYTES_MAX: usize = 128 << 20;

/// Bytes of the longest message that we offer, so that an image comes in few parts.
const MESSAGE_MAX: usize = 32_768;

/// What a device says of itself.
const PROGRAM: &str = "macula device";

/// All memory of one device. Large parts are never touched where nothing large comes.
pub struct DeviceMemory {
    names: Vec<Name>,
    records: Vec<Record>,
    features: Vec<i16>,
    store: Vec<u8>,
    image: Vec<u8>,
    feature: Vec<i16>,
    bytes: Vec<u8>,
    scratch: Vec<f64>,
    probabilities: Vec<f64>,
    received: Vec<u8>,
    kept: Vec<u8>,
}

impl DeviceMemory {
    /// Enough for `dim` feature dimensions, `classes` slots and `supports` supports.
    pub fn new(dim: usize, classes: usize, supports: usize) -> Self {
        let packet = packet_max(message_len(dim));
        Self {
            names: vec![Name::FREE; classes],
            records: vec![Record::EMPTY; supports],
            features: vec![0; supports * dim],
            store: vec![0; buffer_len::<StoreFile>(dim)],
            image: vec![0; IMAGE_BYTES_MAX],
            feature: vec![0; dim],
            bytes: vec![0; 2 * dim],
            scratch: vec![0.0; Judge::scratch_len(dim, classes, supports)],
            probabilities: vec![0.0; classes],
            received: vec![0; packet],
            kept: vec![0; packet],
        }
    }
}

fn message_len(dim: usize) -> usize {
    message_max(dim).max(MESSAGE_MAX)
}

/// A device on this machine: the session of a board over a store in a file.
pub struct Device<'m> {
    endpoint: Endpoint<'m>,
    session: Session<'m, DeskEncoder<'m>, StoreFile>,
}

impl<'m> Device<'m> {
    /// Switches it on: the store is read and checked.
    ///
    /// * `memory`: of the encoder's dimension and the store's limits
    ///
    /// # Errors
    /// When the store is damaged, or was taught with another encoder.
    pub fn new(encoder: DeskEncoder<'m>, file: StoreFile, memory: &'m mut DeviceMemory) -> Result<Self, DeviceError> {
        use macula_edge::encoder::Embedder;
        let DeviceMemory { names, records, features, store, image, feature, bytes, scratch, probabilities, .. } =
            memory;
        let path = file.path().to_owned();
        let failed = |source| DeviceError::Store { path: path.display().to_string(), source };
        let (dim, range) = (encoder.dim(), file.range());
        let memory_wrong = |error| failed(macula_edge::store::StoreError::Taught(error));
        let mut taught = Taught::new(dim, names, records, features).map_err(memory_wrong)?;
        let store = Store::open(file, range, encoder.identity(), store, &mut taught).map_err(failed)?;
        let message_max = message_len(dim);
        let profile = Profile {
            program: PROGRAM,
            program_version: env!("CARGO_PKG_VERSION"),
            message_max: message_max as u32,
            channels: encoder.channels(),
        };
        let memory_lent = session::Memory { image, feature, bytes, scratch, probabilities };
        let session = Session::new(profile, encoder, store, taught, memory_lent, None).map_err(failed)?;
        let endpoint = Endpoint::new(&mut memory.received, &mut memory.kept);
        Ok(Self { endpoint, session })
    }

    /// Takes bytes off a line and adds what is answered to `out`.
    pub fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let now_s = now_s();
        let Self { endpoint, session } = self;
        for &byte in bytes {
            let answer = |message: &[u8], counters, reply: &mut [u8]| {
                session.set_line(counters);
                session.handle(message, now_s, reply)
            };
            endpoint.receive(byte, answer, &mut |piece| out.extend_from_slice(piece));
        }
    }

    /// What it knows.
    pub fn taught(&self) -> &Taught<'m> {
        self.session.taught()
    }
}

/// This machine's clock in seconds since 1970; 0 where it stands before that.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
