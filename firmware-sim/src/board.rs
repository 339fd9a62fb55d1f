//! The board: flash, memory, session and endpoint, with a power cut at any flash operation.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;
use macula_edge::decide::Predictor;
use macula_edge::encoder::{Encoder, FeaturesOnly};
use macula_edge::protocol::message::RollbackReason;
use macula_edge::protocol::message::{chunk_max, message_max};
use macula_edge::protocol::{Endpoint, packet_max};
use macula_edge::session::{
    BundleSlots, BundleSummary, Memory, Profile, Session, Start, StartMemory, begin_start, open_and_confirm, roll_back,
    would_forget,
};
use macula_edge::store::{Flash, StoreError, buffer_len};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};

use crate::flash::{Cut, SimError, SimFlash};

/// Bytes of an erase block.
pub const BLOCK: usize = 4096;

/// The board's flash: reads of 4 bytes, writes of 8, as on an STM32.
pub type BoardFlash = SimFlash<4, 8, BLOCK>;

/// Decides whether a bundle is accepted.
pub type Accept = fn(slot: u8, len: u32, read: &mut dyn FnMut(u32, &mut [u8]) -> bool) -> Result<BundleSummary, u32>;

/// Accepts anything as a bundle for [`Shape::features`].
pub const ANY_BUNDLE: Accept = |_, _, _| Ok(BundleSummary { identity: FEATURES_ONLY, counter: 0 });

const FEATURES_ONLY: [u8; 16] = *b"features only\0\0\0";

/// The sizes of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Feature dimensions D.
    pub dim: usize,
    /// Class slots C.
    pub classes: usize,
    /// Places for supports S.
    pub supports: usize,
    /// Bytes of the largest image; 0 when the board takes features only.
    pub image_bytes: usize,
    /// Erase blocks of the store, at address 0.
    pub store_blocks: u32,
    /// Erase blocks of each of the two firmware slots behind the store; 0 when it accepts no bundles.
    pub slot_blocks: u32,
}

impl Shape {
    /// A board that takes features of `dim` dimensions: 8 classes, 64 supports, 64 blocks of store, two slots of 16.
    pub const fn features_only(dim: usize) -> Self {
        Self { dim, classes: 8, supports: 64, image_bytes: 0, store_blocks: 64, slot_blocks: 16 }
    }

    /// Bytes of the longest message.
    pub const fn message_max(&self) -> usize {
        message_max(self.dim)
    }

    /// Bytes of an image or a bundle in one request.
    pub const fn chunk_max(&self) -> usize {
        chunk_max(self.message_max())
    }

    /// Addresses of the firmware slots.
    pub const fn slot_starts(&self) -> [u32; 2] {
        let block = BLOCK as u32;
        [self.store_blocks * block, (self.store_blocks + self.slot_blocks) * block]
    }

    /// The encoder of a board that takes features only.
    pub const fn features(&self) -> FeaturesOnly {
        FeaturesOnly { identity: FEATURES_ONLY, dim: self.dim }
    }
}

/// A board without power; its flash keeps its content.
#[derive(Clone, Debug)]
pub struct Board {
    shape: Shape,
    accept: Accept,
    /// The flash, for tests that cut its power or read its counters.
    pub flash: BoardFlash,
    /// A planned power cut at this flash operation, also across starts.
    pub power_cut: Option<(u64, Cut)>,
    ram: Ram,
}

#[derive(Clone, Debug)]
struct Ram {
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

impl Ram {
    /// Memory at power-on, with arbitrary content.
    fn new(shape: &Shape) -> Self {
        let Shape { dim, classes, supports, .. } = *shape;
        Self {
            names: vec![ClassName::FREE; classes],
            records: vec![SupportRecord { source: [0xA5; 16], class: 0xA5, operator: 1, time_s: 1 }; supports],
            features: vec![0x5A5A; supports * dim],
            store: vec![0xA5; buffer_len::<BoardFlash>(dim)],
            image: vec![0xA5; shape.image_bytes],
            work: Vec::new(),
            feature: vec![0x5A5A; dim],
            bytes: vec![0xA5; 2 * dim],
            scratch: vec![f64::NAN; Predictor::scratch_len(dim, classes, supports)],
            probabilities: vec![f64::NAN; classes],
            received: vec![0xA5; packet_max(shape.message_max())],
            kept: vec![0xA5; packet_max(shape.message_max())],
        }
    }
}

impl Ram {
    /// The memory that a start needs before its encoder is known.
    fn lend(&mut self) -> StartMemory<'_> {
        let Self { names, records, features, store, .. } = self;
        StartMemory { names, records, features, buffer: store }
    }
}

impl Board {
    /// A factory-new board; `accept` decides on bundles.
    pub fn new(shape: Shape, accept: Accept) -> Self {
        let blocks = shape.store_blocks + 2 * shape.slot_blocks;
        Self { shape, accept, flash: BoardFlash::new(blocks as usize), power_cut: None, ram: Ram::new(&shape) }
    }

    /// Its sizes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The content of a firmware slot.
    pub fn slot(&self, slot: u8) -> &[u8] {
        let start = self.shape.slot_starts()[usize::from(slot)] as usize;
        &self.flash.bytes()[start..][..self.shape.slot_blocks as usize * BLOCK]
    }

    /// Programs the factory bundle into slot 0.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn program(&mut self, bundle: &[u8]) -> Result<(), SimError> {
        let mut words = bundle.to_vec();
        words.resize(bundle.len().next_multiple_of(BoardFlash::WRITE_SIZE), 0xFF);
        self.flash.write(self.shape.slot_starts()[0], &words)?;
        self.flash.sync()
    }

    /// Switches the power on and selects the bundle of this start.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn begin_start(&mut self) -> Result<Start, StoreError> {
        self.flash.restart();
        if let Some((at, cut)) = self.power_cut.filter(|&(at, _)| at >= self.flash.operations) {
            self.flash.cut_at(at, cut);
        }
        let range = self.store_range();
        begin_start(&mut self.flash, range, self.ram.lend())
    }

    /// Rolls back the pending bundle; returns the start with the confirmed one.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn roll_back(&mut self, reason: RollbackReason) -> Result<Start, StoreError> {
        let range = self.store_range();
        roll_back(&mut self.flash, range, self.ram.lend(), reason)
    }

    /// Whether a start with this encoder would forget supports that must not be forgotten.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn would_forget(&mut self, start: Start, identity: [u8; 16]) -> Result<bool, StoreError> {
        let range = self.store_range();
        would_forget(&mut self.flash, range, start, identity, &mut self.ram.store)
    }

    /// Switches the power on, for a board that keeps its encoder. Memory starts empty.
    ///
    /// # Errors
    /// When the store cannot be opened, or the power fails again meanwhile.
    pub fn start<E: Encoder>(&mut self, encoder: E) -> Result<Running<'_, E>, StoreError> {
        let start = self.begin_start()?;
        self.start_with(start, encoder, 0)
    }

    /// Completes a start whose bundle has passed its golden images; a pending bundle is confirmed.
    ///
    /// * `encoder`, `counter`: of the bundle of `start`
    ///
    /// # Errors
    /// When the store cannot be opened or goes with another encoder ([`Self::would_forget`]), or the power fails.
    pub fn start_with<E: Encoder>(
        &mut self,
        start: Start,
        encoder: E,
        counter: u64,
    ) -> Result<Running<'_, E>, StoreError> {
        let info = encoder.info();
        let summary = BundleSummary { identity: info.identity, counter };
        // A chip has memory for the larger of two encoders.
        let (store_len, features_len) = (self.ram.store.len(), self.ram.features.len());
        self.shape.dim = info.dim;
        self.ram = Ram::new(&self.shape);
        self.ram.work.resize(info.work_words(), 0xA5A5_A5A5);
        self.ram.store.resize(store_len.max(self.ram.store.len()), 0xA5);
        self.ram.features.resize(features_len.max(self.ram.features.len()), 0x5A5A);
        let (shape, range) = (self.shape, self.store_range());
        let (ram, flash) = (&mut self.ram, &mut self.flash);
        let mut support_set = SupportSet::new(
            shape.dim,
            &mut ram.names,
            &mut ram.records,
            &mut ram.features[..shape.supports * shape.dim],
        )
        .map_err(StoreError::SupportSet)?;
        let store = open_and_confirm(flash, range, start, summary, &mut ram.store, &mut support_set)?;
        let (starts, len) = (shape.slot_starts(), shape.slot_blocks * BLOCK as u32);
        let slots = BundleSlots { starts, len, in_use: start.bundle.slot, accept: &self.accept, keeps: &|_| false };
        let memory = Memory {
            image: &mut ram.image,
            work: &mut ram.work,
            feature: &mut ram.feature,
            bytes: &mut ram.bytes,
            scratch: &mut ram.scratch,
            probabilities: &mut ram.probabilities,
        };
        let profile = Profile {
            program: "macula-board",
            program_version: env!("CARGO_PKG_VERSION"),
            message_max: shape.message_max() as u32,
        };
        let session = Session::new(profile, encoder, store, support_set, memory, (len > 0).then_some(slots))?;
        Ok(Running { session, endpoint: Endpoint::new(&mut ram.received, &mut ram.kept), now_s: 0 })
    }

    fn store_range(&self) -> Range<u32> {
        0..self.shape.store_blocks * BLOCK as u32
    }
}

/// A running board.
pub struct Running<'b, E> {
    /// The session.
    pub session: Session<'b, E, &'b mut BoardFlash>,
    endpoint: Endpoint<'b>,
    /// Its clock, in seconds since 1970.
    pub now_s: u64,
}

impl<E: Encoder> Running<'_, E> {
    /// Receives bytes; returns what the board sends, up to a power cut.
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

    /// Answers one request, without a line.
    pub fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let mut reply = vec![0; message_max(self.session.support_set().dim())];
        let len = self.session.handle(request, self.now_s, &mut reply);
        reply.truncate(len);
        reply
    }

    /// Whether the power failed.
    pub fn is_off(&mut self) -> bool {
        self.session.flash_mut().is_off()
    }

    /// The bytes of the canonical state.
    pub fn state(&self) -> Vec<u8> {
        let mut state = Vec::new();
        self.session.support_set().state(|piece| state.extend_from_slice(piece));
        state
    }
}
