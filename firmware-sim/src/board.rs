//! The whole board: flash, memory, session and the end of its line, with power that may fail at any flash operation.

use embedded_storage::nor_flash::NorFlash;
use macula_edge::decide::Judge;
use macula_edge::encoder::{Embedder, FeaturesOnly};
use macula_edge::protocol::message::{chunk_max, message_max};
use macula_edge::protocol::{Endpoint, packet_max};
use macula_edge::session::{Accept, BundleSlots, Memory, Profile, Session, carry_over, slot_to_start};
use macula_edge::store::{Flash, Store, StoreError, buffer_len};
use macula_edge::taught::{Name, Record, Taught};

use crate::flash::{SimError, SimFlash};

/// Bytes of an erase block.
pub const BLOCK: usize = 4096;

/// The board's flash: reads of 4 bytes, writes of 8, as an STM32's.
pub type BoardFlash = SimFlash<4, 8, BLOCK>;

/// How large everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Feature dimensions D.
    pub dim: usize,
    /// Class slots C.
    pub classes: usize,
    /// Places for supports S.
    pub supports: usize,
    /// Bytes of the largest image; 0 where the board takes features only.
    pub image_bytes: usize,
    /// Channels its encoder sees; 0 where it takes features only.
    pub channels: u8,
    /// Erase blocks of the store, which lies at 0.
    pub store_blocks: u32,
    /// Erase blocks of each of the two slots for bundles, which lie behind the store; 0 where it takes none.
    pub slot_blocks: u32,
}

impl Shape {
    /// A board that takes features of `dim` dimensions: 8 classes, 64 supports, 64 blocks of store, two slots of 16.
    pub const fn features_only(dim: usize) -> Self {
        Self { dim, classes: 8, supports: 64, image_bytes: 0, channels: 0, store_blocks: 64, slot_blocks: 16 }
    }

    /// Bytes of the longest message.
    pub const fn message_max(&self) -> usize {
        message_max(self.dim)
    }

    /// Bytes of an image or a bundle in one request.
    pub const fn chunk_max(&self) -> usize {
        chunk_max(self.message_max())
    }

    /// Where the bundles' slots begin.
    pub const fn slot_starts(&self) -> [u32; 2] {
        let block = BLOCK as u32;
        [self.store_blocks * block, (self.store_blocks + self.slot_blocks) * block]
    }

    /// The encoder of a board that has none.
    pub const fn features(&self) -> FeaturesOnly {
        FeaturesOnly { identity: *b"features only\0\0\0", dim: self.dim }
    }
}

/// A board without power: what is in its flash stays.
#[derive(Debug)]
pub struct Board {
    shape: Shape,
    accept: Accept,
    /// The flash, for whoever cuts its power or reads its counters.
    pub flash: BoardFlash,
    ram: Ram,
}

#[derive(Debug)]
struct Ram {
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

impl Ram {
    /// What memory holds when power comes: nothing to rely on.
    fn new(shape: &Shape) -> Self {
        let Shape { dim, classes, supports, .. } = *shape;
        Self {
            names: vec![Name::FREE; classes],
            records: vec![Record { source: [0xA5; 16], class: 0xA5, operator: 1, time_s: 1 }; supports],
            features: vec![0x5A5A; supports * dim],
            store: vec![0xA5; buffer_len::<BoardFlash>(dim)],
            image: vec![0xA5; shape.image_bytes],
            feature: vec![0x5A5A; dim],
            bytes: vec![0xA5; 2 * dim],
            scratch: vec![f64::NAN; Judge::scratch_len(dim, classes, supports)],
            probabilities: vec![f64::NAN; classes],
            received: vec![0xA5; packet_max(shape.message_max())],
            kept: vec![0xA5; packet_max(shape.message_max())],
        }
    }
}

impl Board {
    /// A board fresh from the factory; `accept` decides on bundles.
    pub fn new(shape: Shape, accept: Accept) -> Self {
        let blocks = shape.store_blocks + 2 * shape.slot_blocks;
        Self { shape, accept, flash: BoardFlash::new(blocks as usize), ram: Ram::new(&shape) }
    }

    /// Its sizes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What lies in a slot for bundles.
    pub fn slot(&self, slot: u8) -> &[u8] {
        let start = self.shape.slot_starts()[usize::from(slot)] as usize;
        &self.flash.bytes()[start..][..self.shape.slot_blocks as usize * BLOCK]
    }

    /// The factory programs the bundle that the board comes with into slot 0.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn program(&mut self, bundle: &[u8]) -> Result<(), SimError> {
        let mut words = bundle.to_vec();
        words.resize(bundle.len().next_multiple_of(BoardFlash::WRITE_SIZE), 0xFF);
        self.flash.write(self.shape.slot_starts()[0], &words)?;
        self.flash.sync()
    }

    /// The slot whose bundle the next start uses, if it starts with bundles at all.
    ///
    /// * `identity`: of the encoder in a bundle, given what lies in its slot
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn slot_to_start(&mut self, identity: impl Fn(&[u8]) -> Option<[u8; 16]>) -> Result<u8, StoreError> {
        self.flash.restart();
        let slots = [0, 1].map(|slot| identity(self.slot(slot)));
        let range = 0..self.shape.store_blocks * BLOCK as u32;
        slot_to_start(&mut self.flash, range, &mut self.ram.store, |slot| slots[usize::from(slot)])
    }

    /// Power comes. Whatever was in memory is not there any more.
    ///
    /// # Errors
    /// When the store cannot be opened, or the power fails again meanwhile.
    pub fn start<E: Embedder>(&mut self, embedder: E) -> Result<Running<'_, E>, StoreError> {
        let slot = self.slot_to_start(|_| None)?;
        self.start_in(slot, embedder)
    }

    /// As [`Self::start`], with the encoder of the bundle in `slot`. What was taught with another one is forgotten: it
    /// means nothing to this one.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_in<E: Embedder>(&mut self, in_use: u8, embedder: E) -> Result<Running<'_, E>, StoreError> {
        self.shape.dim = embedder.dim();
        self.ram = Ram::new(&self.shape);
        let (shape, ram, flash) = (self.shape, &mut self.ram, &mut self.flash);
        let mut taught =
            Taught::new(shape.dim, &mut ram.names, &mut ram.records, &mut ram.features).map_err(StoreError::Taught)?;
        let (range, identity) = (0..shape.store_blocks * BLOCK as u32, embedder.identity());
        let is_another = Store::open(&mut *flash, range.clone(), identity, &mut ram.store, &mut taught)
            .is_err_and(|error| matches!(error, StoreError::Identity { .. }));
        let store = if is_another && shape.slot_blocks > 0 {
            let mut store = Store::format(flash, range, identity, &mut ram.store, &mut taught)?;
            carry_over(&mut store, in_use)?;
            store
        } else {
            Store::open(flash, range, identity, &mut ram.store, &mut taught)?
        };
        let (starts, len) = (shape.slot_starts(), shape.slot_blocks * BLOCK as u32);
        let slots = BundleSlots { starts, len, in_use, accept: self.accept };
        let memory = Memory {
            image: &mut ram.image,
            feature: &mut ram.feature,
            bytes: &mut ram.bytes,
            scratch: &mut ram.scratch,
            probabilities: &mut ram.probabilities,
        };
        let profile = Profile {
            program: "macula-board",
            program_version: env!("CARGO_PKG_VERSION"),
            message_max: shape.message_max() as u32,
            channels: shape.channels,
        };
        let session = Session::new(profile, embedder, store, taught, memory, (len > 0).then_some(slots))?;
        Ok(Running { session, endpoint: Endpoint::new(&mut ram.received, &mut ram.kept), now_s: 0 })
    }
}

/// A board that runs.
pub struct Running<'b, E> {
    /// What it does.
    pub session: Session<'b, E, &'b mut BoardFlash>,
    endpoint: Endpoint<'b>,
    /// Its clock, in seconds since 1970.
    pub now_s: u64,
}

impl<E: Embedder> Running<'_, E> {
    /// Bytes arrive; gives what it sends. When the power fails meanwhile, it sends nothing from then on.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        for &byte in bytes {
            let before = sent.len();
            let (session, now_s) = (&mut self.session, self.now_s);
            let answer = |request: &[u8], line, reply: &mut [u8]| {
                session.set_line(line);
                session.handle(request, now_s, reply)
            };
            self.endpoint.receive(byte, answer, &mut |piece| sent.extend_from_slice(piece));
            if self.is_off() {
                sent.truncate(before);
                return sent;
            }
        }
        sent
    }

    /// Answers one request without a line.
    pub fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let mut reply = vec![0; message_max(self.session.taught().dim())];
        let len = self.session.handle(request, self.now_s, &mut reply);
        reply.truncate(len);
        reply
    }

    /// Whether the power failed.
    pub fn is_off(&mut self) -> bool {
        self.session.flash_mut().is_off()
    }

    /// The canonical state: what it knows, byte by byte.
    pub fn state(&self) -> Vec<u8> {
        let mut state = Vec::new();
        self.session.taught().state(|piece| state.extend_from_slice(piece));
        state
    }
}
