//! Receiving a bundle: written to the firmware slot that is not in use, checked, and made the candidate of the next start.
//!
//! 1. Before the first byte is written, no start uses the slot any more, and the incoming bundle with its hash is stored as a
//!    setting.
//! 2. A block is erased when its first byte comes. When it is full and synced, the setting says so: after a power cut the
//!    transfer continues from there, and the interrupted block is erased again.
//! 3. After the last byte the whole slot is read back and hashed, and `accept` checks the bundle. A bundle is refused when
//!    its counter is lower than the device's, when another bundle with the same counter is in use, or when it has another
//!    encoder for which supports would be forgotten, unless the host allowed that.
//! 4. Only then one atomic write of one setting makes it the candidate of the next start (`boot.rs`).

use sha2::{Digest, Sha256};

use super::boot_state::{BUNDLE_LEN, BootState, Bundle, CandidateBundle};
use super::refusal;
use crate::bundle::anti_rollback;
use crate::protocol::{Reason, Refusal, Reply};
use crate::store::{Flash, FlashSizes, SETTING_MAX, Store, StoreError};
use crate::support_set::{SourceId, SupportSet};

/// The setting of the incoming bundle: slot, length (`u32` little-endian), SHA-256, and the bytes that are durable (`u32`).
const INCOMING_KEY: u8 = 2;

/// The largest write size of flash with bundle slots, in bytes.
const WRITE_MAX: usize = 256;

/// Bytes that are read and hashed at once.
const READ_LEN: usize = 256;

/// Encoder and counter of a bundle that a device can start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleSummary {
    /// The identity of its encoder.
    pub identity: [u8; 16],
    /// Its anti-rollback counter.
    pub counter: u64,
}

/// Checks whether the device can start with a bundle, given its slot, its length and a function that reads it (offset in
/// the bundle, bytes; `false` when that fails). An `Err` carries the number of a
/// [`BundleError`](crate::bundle::BundleError).
pub type Accept<'a> = dyn Fn(u8, u32, &mut dyn FnMut(u32, &mut [u8]) -> bool) -> Result<BundleSummary, u32> + 'a;

/// The two firmware slots: outside the store's range, on whole erase blocks.
#[derive(Clone, Copy)]
pub struct BundleSlots<'m> {
    /// Address of each slot.
    pub starts: [u32; 2],
    /// Bytes of each slot.
    pub len: u32,
    /// The slot that this start uses, 0 or 1.
    pub in_use: u8,
    /// Decides whether a bundle is accepted.
    pub accept: &'m Accept<'m>,
    /// Whether the device can embed this source again with another encoder.
    pub keeps: &'m dyn Fn(&SourceId) -> bool,
}

/// The slots of a device and the transfer under way.
pub(super) struct Update<'m> {
    slots: Option<BundleSlots<'m>>,
    boot_state: BootState,
    /// The anti-rollback counter: a bundle needs at least this one.
    counter: u64,
    /// The incoming bundle, and its bytes that are on the flash.
    incoming: Option<(Bundle, u32)>,
    /// Bytes after those that do not fill a word of the flash yet.
    partial: Partial,
}

/// The beginning of a flash word.
#[derive(Clone, Copy)]
struct Partial {
    bytes: [u8; WRITE_MAX],
    len: usize,
}

impl Partial {
    const NOTHING: Self = Self { bytes: [0; WRITE_MAX], len: 0 };

    /// Takes bytes off `rest` until `word` of them are there.
    fn fill(&mut self, rest: &mut &[u8], word: usize) {
        let (now, later) = rest.split_at(rest.len().min(word - self.len));
        self.bytes[self.len..][..now.len()].copy_from_slice(now);
        (self.len, *rest) = (self.len + now.len(), later);
    }
}

impl<'m> Update<'m> {
    /// Reads boot state, counter and incoming bundle from the store.
    pub fn open<F: Flash>(slots: Option<BundleSlots<'m>>, store: &mut Store<'_, F>) -> Result<Self, StoreError> {
        let in_use = slots.map_or(0, |slots| slots.in_use);
        let mut update = Self {
            slots,
            boot_state: BootState::factory(in_use),
            counter: 0,
            incoming: None,
            partial: Partial::NOTHING,
        };
        let Some(slots) = slots else { return Ok(update) };
        let sizes = store.flash_mut().sizes();
        check_geometry(sizes, &slots)?;
        // A setting of another form, or of another division of the flash, counts as none.
        let boot_state = BootState::load(store)?.filter(|boot_state| boot_state.confirmed.slot == in_use);
        update.boot_state = boot_state.unwrap_or(update.boot_state);
        update.counter = anti_rollback::highest_used(store)?;
        update.incoming = read_incoming(store)?.filter(|&(bundle, received)| {
            bundle.slot == 1 - in_use
                && bundle.len <= slots.len
                && received <= bundle.len
                && received % sizes.erase as u32 == 0
        });
        Ok(update)
    }

    /// Bytes of the largest bundle.
    pub fn capacity(&self) -> u32 {
        self.slots.map_or(0, |slots| slots.len)
    }

    /// The slot in use and that of the next start; 255 when the device has no slots.
    pub fn slots(&self) -> [u8; 2] {
        self.slots.map_or([u8::MAX; 2], |_| [self.boot_state.confirmed.slot, self.boot_state.next().slot])
    }

    /// Bytes received of the incoming bundle, and its length.
    pub fn progress(&self) -> (u32, u32) {
        self.incoming.map_or((0, 0), |(bundle, received)| (received + self.partial.len as u32, bundle.len))
    }

    /// Sets the incoming bundle and its bytes on the flash; no partial word is left.
    fn set_incoming(&mut self, incoming: Option<(Bundle, u32)>) {
        (self.incoming, self.partial.len) = (incoming, 0);
    }

    /// Whether a candidate is pending for the next start.
    pub fn is_pending(&self) -> bool {
        matches!(self.boot_state.candidate, CandidateBundle::Pending { .. })
    }

    pub fn report(&self) -> Result<Reply<'static>, Refusal> {
        self.slots.ok_or(Reason::NoBundles.with(0, 0))?;
        Ok(Reply::Bundles(self.boot_state.report(self.counter)))
    }

    pub fn begin<F: Flash>(
        &mut self,
        store: &mut Store<'_, F>,
        len: u32,
        sha256: [u8; 32],
    ) -> Result<Reply<'static>, Refusal> {
        let slots = self.slots.ok_or(Reason::NoBundles.with(0, 0))?;
        if len == 0 || len > slots.len {
            return Err(Reason::BundleBytes.with(len.into(), slots.len.into()));
        }
        let is_this = |bundle: &Bundle| bundle.len == len && bundle.sha256 == sha256;
        if let Some(bundle) = self.boot_state.candidate().filter(is_this) {
            // It is here already, perhaps from a commit whose reply a power cut lost.
            self.set_incoming(Some((bundle, len)));
        } else if !self.incoming.is_some_and(|(bundle, _)| is_this(&bundle)) {
            self.clear_candidate(store)?;
            let incoming = if is_this(&self.boot_state.confirmed) {
                (self.boot_state.confirmed, len)
            } else {
                let bundle = Bundle { slot: 1 - slots.in_use, len, sha256 };
                write_incoming(store, bundle, 0)?;
                (bundle, 0)
            };
            self.set_incoming(Some(incoming));
        }
        Ok(self.reply())
    }

    pub fn append<F: Flash>(
        &mut self,
        store: &mut Store<'_, F>,
        offset: u32,
        bytes: &[u8],
    ) -> Result<Reply<'static>, Refusal> {
        let missing = Reason::BundleMissing.with(0, 0);
        let slots = self.slots.ok_or(Reason::NoBundles.with(0, 0))?;
        let (bundle, _) = self.incoming.ok_or(missing)?;
        let (received, _) = self.progress();
        let end = u64::from(offset) + bytes.len() as u64;
        if end > bundle.len.into() {
            return Err(Reason::BundleOffset.with(end, bundle.len.into()));
        }
        if end <= received.into() {
            return Ok(self.reply());
        }
        if offset != received {
            return Err(Reason::BundleOffset.with(offset.into(), received.into()));
        }
        let start = slots.starts[usize::from(bundle.slot)];
        let mut rest = bytes;
        let sizes = store.flash_mut().sizes();
        // Flash takes whole words: a partial word waits for more bytes, or for the end of the bundle.
        if self.partial.len > 0 {
            self.partial.fill(&mut rest, sizes.write);
            if self.partial.len == sizes.write {
                self.write_partial(store, start)?;
            }
        }
        while rest.len() >= sizes.write {
            let (_, received) = self.incoming.ok_or(missing)?;
            let block_left = sizes.erase - received as usize % sizes.erase;
            let (piece, later) = rest.split_at((rest.len() - rest.len() % sizes.write).min(block_left));
            self.write(store, start, piece)?;
            rest = later;
        }
        self.partial.fill(&mut rest, sizes.write);
        if end == u64::from(bundle.len) && self.partial.len > 0 {
            self.write_partial(store, start)?;
        }
        Ok(self.reply())
    }

    fn write_partial<F: Flash>(&mut self, store: &mut Store<'_, F>, start: u32) -> Result<(), Refusal> {
        let Partial { bytes, len } = self.partial;
        self.partial.len = 0;
        self.write(store, start, &bytes[..len])
    }

    /// Writes bytes that lie in one erase block.
    fn write<F: Flash>(&mut self, store: &mut Store<'_, F>, start: u32, piece: &[u8]) -> Result<(), Refusal> {
        let Some((bundle, received)) = self.incoming else { return Ok(()) };
        let block = store.flash_mut().sizes().erase as u32;
        if program(store.flash_mut(), start + received, piece).is_err() {
            // The content of the block is unknown: it is sent again.
            self.set_incoming(Some((bundle, received - received % block)));
            return Err(Reason::BundleFault.with(0, 0));
        }
        let received = received + piece.len() as u32;
        if received.is_multiple_of(block) {
            write_incoming(store, bundle, received)?;
        }
        self.incoming = Some((bundle, received));
        Ok(())
    }

    /// Checks the received bundle and makes it the candidate of the next start.
    ///
    /// * `may_forget`: whether supports may be forgotten for it
    pub fn commit<F: Flash>(
        &mut self,
        store: &mut Store<'_, F>,
        support_set: &SupportSet<'_>,
        may_forget: bool,
    ) -> Result<Reply<'static>, Refusal> {
        let slots = self.slots.ok_or(Reason::NoBundles.with(0, 0))?;
        let (bundle, received) = self.incoming.ok_or(Reason::BundleMissing.with(0, 0))?;
        if received < bundle.len {
            return Err(Reason::BundleMissing.with(received.into(), bundle.len.into()));
        }
        if !self.boot_state.is_committed(bundle, may_forget) {
            let checked = check(store.flash_mut(), slots, bundle)
                .and_then(|summary| self.check_counter(store.flash_mut(), slots, (bundle, summary)));
            let summary = match checked {
                Ok(summary) => summary,
                Err(found) => {
                    self.drop_incoming(store)?;
                    return Err(found);
                }
            };
            // The bundle stays, so that the host can ask for confirmation and commit again.
            if !may_forget && summary.identity != store.identity() {
                check_kept(support_set, slots.keeps)?;
            }
            self.save(store, CandidateBundle::Pending { bundle, attempts: 0, may_forget })?;
            store.put_setting(INCOMING_KEY, &[]).map_err(refusal)?;
        }
        Ok(Reply::BundleTaken { slot: bundle.slot })
    }

    /// Refuses a bundle with a lower counter than the device's, and another bundle with the counter of the one in use.
    fn check_counter<F: Flash>(
        &self,
        flash: &mut F,
        slots: BundleSlots<'_>,
        (bundle, summary): (Bundle, BundleSummary),
    ) -> Result<BundleSummary, Refusal> {
        if summary.counter < self.counter {
            return Err(Reason::BundleOlder.with(summary.counter, self.counter));
        }
        if summary.counter > self.counter || self.is_in_use(flash, slots, bundle)? {
            return Ok(summary);
        }
        Err(Reason::BundleSameCounter.with(summary.counter, 0))
    }

    /// Whether `bundle` is, byte for byte, the one in use.
    fn is_in_use<F: Flash>(&self, flash: &mut F, slots: BundleSlots<'_>, bundle: Bundle) -> Result<bool, Refusal> {
        let confirmed = self.boot_state.confirmed;
        match confirmed.len {
            // The factory bundle: its length and hash are not recorded, so its bytes are hashed. Counter 0: there is none.
            0 if self.counter == 0 => Ok(true),
            0 => Ok(hash(flash, slots.starts[usize::from(slots.in_use)], bundle.len)? == bundle.sha256),
            _ => Ok((confirmed.len, confirmed.sha256) == (bundle.len, bundle.sha256)),
        }
    }

    fn drop_incoming<F: Flash>(&mut self, store: &mut Store<'_, F>) -> Result<(), Refusal> {
        // The slot counts as empty, also for a candidate that was rolled back there.
        self.clear_candidate(store)?;
        self.set_incoming(None);
        store.put_setting(INCOMING_KEY, &[]).map_err(refusal)
    }

    /// Makes the next start use the confirmed bundle.
    fn clear_candidate<F: Flash>(&mut self, store: &mut Store<'_, F>) -> Result<(), Refusal> {
        if self.boot_state.candidate == CandidateBundle::None {
            Ok(())
        } else {
            self.save(store, CandidateBundle::None)
        }
    }

    fn save<F: Flash>(&mut self, store: &mut Store<'_, F>, candidate: CandidateBundle) -> Result<(), Refusal> {
        let boot_state = BootState { candidate, ..self.boot_state };
        boot_state.save(store).map_err(refusal)?;
        self.boot_state = boot_state;
        Ok(())
    }

    fn reply(&self) -> Reply<'static> {
        Reply::Bundle { next: self.progress().0 }
    }
}

/// Refuses when supports would be forgotten. Found: how many; limit: how many there are.
fn check_kept(support_set: &SupportSet<'_>, keeps: &dyn Fn(&SourceId) -> bool) -> Result<(), Refusal> {
    let records = support_set.supports().records;
    match records.iter().filter(|record| !keeps(&record.source)).count() {
        0 => Ok(()),
        lost => Err(Reason::WouldForget.with(lost as u64, records.len() as u64)),
    }
}

fn check_geometry(sizes: FlashSizes, slots: &BundleSlots<'_>) -> Result<(), StoreError> {
    if sizes.write > WRITE_MAX {
        return Err(StoreError::Geometry { what: "bytes of a write", found: sizes.write, needed: WRITE_MAX });
    }
    for found in [slots.starts[0], slots.starts[1], slots.len] {
        if !(found as usize).is_multiple_of(sizes.erase) {
            let what = "place of a bundle slot";
            return Err(StoreError::Geometry { what, found: found as usize, needed: sizes.erase });
        }
    }
    match slots.in_use {
        0 | 1 => Ok(()),
        other => Err(StoreError::Geometry { what: "bundle slot in use", found: other.into(), needed: 1 }),
    }
}

/// Programs bytes within one erase block, which is erased first when they begin it.
fn program<F: Flash>(flash: &mut F, at: u32, piece: &[u8]) -> Result<(), F::Error> {
    let sizes = flash.sizes();
    let block = sizes.erase as u32;
    if at.is_multiple_of(block) {
        flash.erase(at, at + block)?;
    }
    let (whole, tail) = piece.split_at(piece.len() - piece.len() % sizes.write);
    if !whole.is_empty() {
        flash.write(at, whole)?;
    }
    if !tail.is_empty() {
        let mut word = [0xff; WRITE_MAX];
        word[..tail.len()].copy_from_slice(tail);
        flash.write(at + whole.len() as u32, &word[..sizes.write])?;
    }
    flash.sync()
}

/// Checks that the slot holds the announced bundle and that the device can start with it.
fn check<F: Flash>(flash: &mut F, slots: BundleSlots<'_>, bundle: Bundle) -> Result<BundleSummary, Refusal> {
    let start = slots.starts[usize::from(bundle.slot)];
    if hash(flash, start, bundle.len)? != bundle.sha256 {
        return Err(Reason::BundleHash.with(0, 0));
    }
    let mut read = |offset: u32, bytes: &mut [u8]| {
        let inside = u64::from(offset) + bytes.len() as u64 <= bundle.len.into();
        inside && read(flash, start, offset, bytes).is_ok()
    };
    (slots.accept)(bundle.slot, bundle.len, &mut read).map_err(|code| Reason::BundleRefused.with(code.into(), 0))
}

/// SHA-256 of `len` bytes from `start` on.
fn hash<F: Flash>(flash: &mut F, start: u32, len: u32) -> Result<[u8; 32], Refusal> {
    let (mut hash, mut at) = (Sha256::new(), 0);
    while at < len {
        let mut bytes = [0; READ_LEN];
        let piece = &mut bytes[..READ_LEN.min((len - at) as usize)];
        read(flash, start, at, piece).map_err(|_| Reason::BundleFault.with(0, 0))?;
        hash.update(&*piece);
        at += piece.len() as u32;
    }
    Ok(hash.finalize().into())
}

/// Reads at any offset from flash that may read only whole words.
fn read<F: Flash>(flash: &mut F, start: u32, offset: u32, mut bytes: &mut [u8]) -> Result<(), F::Error> {
    let mut at = start + offset;
    let size = flash.sizes().read;
    while !bytes.is_empty() {
        let mut words = [0; READ_LEN];
        let skipped = at as usize % size;
        let wanted = bytes.len().min(READ_LEN - size.min(READ_LEN / 2));
        let len = (skipped + wanted).next_multiple_of(size).min(READ_LEN);
        flash.read(at - skipped as u32, &mut words[..len])?;
        let wanted = wanted.min(len - skipped);
        let (now, later) = bytes.split_at_mut(wanted);
        now.copy_from_slice(&words[skipped..][..wanted]);
        (bytes, at) = (later, at + wanted as u32);
    }
    Ok(())
}

fn write_incoming<F: Flash>(store: &mut Store<'_, F>, bundle: Bundle, received: u32) -> Result<(), Refusal> {
    let mut value = [0; BUNDLE_LEN + 4];
    bundle.write(&mut value);
    value[BUNDLE_LEN..].copy_from_slice(&received.to_le_bytes());
    store.put_setting(INCOMING_KEY, &value).map_err(refusal)
}

/// The incoming bundle and its durable bytes; `None` when there is none or the setting has another form.
fn read_incoming<F: Flash>(store: &mut Store<'_, F>) -> Result<Option<(Bundle, u32)>, StoreError> {
    let mut value = [0; SETTING_MAX];
    let len = store.get_setting(INCOMING_KEY, &mut value)?;
    let found = Bundle::read(&value[..len]);
    Ok(found.and_then(|(bundle, received)| Some((bundle, u32::from_le_bytes(received.try_into().ok()?)))))
}
