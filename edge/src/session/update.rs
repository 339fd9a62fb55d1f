//! A new bundle: written to the slot of flash that is not in use, checked whole, tried at the next start.
//!
//! 1. Before the first byte is written, no start uses the slot any more, and the arriving bundle with its hash is a
//!    setting.
//! 2. A block is erased when its first byte comes. When it is full and synced, the setting tells so: after a power cut
//!    the bundle goes on from there, and the block that was under way is erased again.
//! 3. With the last byte the whole slot is read back and hashed, and whoever knows the form of a bundle is asked. One
//!    of an older counter is refused, and another one of the same counter, and so is one of another encoder for which samples would be forgotten, unless the
//!    host said that they may.
//! 4. Only then one setting, written atomically, makes it the candidate of the next start (`boot_state.rs`).

use sha2::{Digest, Sha256};

use super::boot_state::{BUNDLE_LEN, BootState, Bundle, CandidateBundle};
use super::refusal;
use crate::bundle::anti_rollback;
use crate::protocol::{Reason, Refusal, Reply};
use crate::store::{Flash, SETTING_MAX, Store, StoreError};
use crate::support_set::{SourceId, SupportSet};

/// The setting of a bundle that is arriving: slot, length (`u32` little-endian), SHA-256, and the bytes that are safe
/// (`u32`).
const ARRIVING_KEY: u8 = 2;

/// The widest write of a flash that can carry bundles, in bytes.
const WRITE_MAX: usize = 256;

/// Bytes read at once to be hashed.
const READ_LEN: usize = 256;

/// What a bundle that a device can start with brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleSummary {
    /// The identity of its encoder.
    pub identity: [u8; 16],
    /// Its counter against roll-back: a device does not go back to a lower one.
    pub counter: u64,
}

/// Asks whether a bundle is one that the device can start with: its slot, its length, and how to read it (offset in the
/// bundle, bytes; `false` where that fails). An `Err` carries the checker's own number for the reason.
pub type Accept<'a> = dyn Fn(u8, u32, &mut dyn FnMut(u32, &mut [u8]) -> bool) -> Result<BundleSummary, u32> + 'a;

/// Where bundles lie: outside the store's range, on whole erase blocks.
#[derive(Clone, Copy)]
pub struct BundleSlots<'m> {
    /// Where each slot begins.
    pub starts: [u32; 2],
    /// Bytes of each slot.
    pub len: u32,
    /// The slot this start uses, 0 or 1.
    pub in_use: u8,
    /// Decides whether a bundle is taken.
    pub accept: &'m Accept<'m>,
    /// Whether the device can make the feature of this source anew when another encoder comes.
    pub keeps: &'m dyn Fn(&SourceId) -> bool,
}

/// Bundles of a device.
pub(super) struct Update<'m> {
    slots: Option<BundleSlots<'m>>,
    boot_state: BootState,
    /// The least counter that a bundle must have.
    counter: u64,
    /// The one that is arriving, and its bytes that are on the flash.
    arriving: Option<(Bundle, u32)>,
    /// Bytes that came after those and do not make a word of the flash yet: a part may be shorter than a word.
    held: Held,
}

/// The beginning of a word of the flash.
#[derive(Clone, Copy)]
struct Held {
    bytes: [u8; WRITE_MAX],
    len: usize,
}

impl Held {
    const NOTHING: Self = Self { bytes: [0; WRITE_MAX], len: 0 };

    /// Takes bytes off `rest` until there are `word` of them.
    fn fill(&mut self, rest: &mut &[u8], word: usize) {
        let (now, later) = rest.split_at(rest.len().min(word - self.len));
        self.bytes[self.len..][..now.len()].copy_from_slice(now);
        (self.len, *rest) = (self.len + now.len(), later);
    }
}

impl<'m> Update<'m> {
    /// Reads what the store knows of bundles.
    pub fn open<F: Flash>(slots: Option<BundleSlots<'m>>, store: &mut Store<'_, F>) -> Result<Self, StoreError> {
        let in_use = slots.map_or(0, |slots| slots.in_use);
        let mut update =
            Self { slots, boot_state: BootState::factory(in_use), counter: 0, arriving: None, held: Held::NOTHING };
        let Some(slots) = slots else { return Ok(update) };
        check_geometry::<F>(&slots)?;
        // A setting that is not ours, or of another division of the flash, is as good as none.
        let boot_state = BootState::load(store)?.filter(|boot_state| boot_state.confirmed.slot == in_use);
        update.boot_state = boot_state.unwrap_or(update.boot_state);
        update.counter = anti_rollback::highest_used(store)?;
        update.arriving = read_arriving(store)?.filter(|&(bundle, there)| {
            bundle.slot == 1 - in_use
                && bundle.len <= slots.len
                && there <= bundle.len
                && there % F::ERASE_SIZE as u32 == 0
        });
        Ok(update)
    }

    /// Bytes of the largest bundle.
    pub fn capacity(&self) -> u32 {
        self.slots.map_or(0, |slots| slots.len)
    }

    /// The slot in use and the one for the next start; 255 where there are none.
    pub fn slots(&self) -> [u8; 2] {
        self.slots.map_or([u8::MAX; 2], |_| [self.boot_state.confirmed.slot, self.boot_state.next().slot])
    }

    /// Bytes there are of a bundle under way, and its length.
    pub fn progress(&self) -> (u32, u32) {
        self.arriving.map_or((0, 0), |(bundle, there)| (there + self.held.len as u32, bundle.len))
    }

    /// What is on the flash of a bundle; nothing is held of it.
    fn arrive(&mut self, arriving: Option<(Bundle, u32)>) {
        (self.arriving, self.held.len) = (arriving, 0);
    }

    /// Whether another bundle waits for the next start.
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
            // Here already, perhaps of a commit whose reply was lost in a power cut.
            self.arrive(Some((bundle, len)));
        } else if !self.arriving.is_some_and(|(bundle, _)| is_this(&bundle)) {
            self.clear_candidate(store)?;
            let arriving = if is_this(&self.boot_state.confirmed) {
                (self.boot_state.confirmed, len)
            } else {
                let bundle = Bundle { slot: 1 - slots.in_use, len, sha256 };
                write_arriving(store, bundle, 0)?;
                (bundle, 0)
            };
            self.arrive(Some(arriving));
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
        let (bundle, _) = self.arriving.ok_or(missing)?;
        let (there, _) = self.progress();
        let end = u64::from(offset) + bytes.len() as u64;
        if end > bundle.len.into() {
            return Err(Reason::BundleOffset.with(end, bundle.len.into()));
        }
        if end <= there.into() {
            return Ok(self.reply());
        }
        if offset != there {
            return Err(Reason::BundleOffset.with(offset.into(), there.into()));
        }
        let start = slots.starts[usize::from(bundle.slot)];
        let mut rest = bytes;
        // Flash takes whole words: what does not make one waits for more, or for the end of the bundle.
        if self.held.len > 0 {
            self.held.fill(&mut rest, F::WRITE_SIZE);
            if self.held.len == F::WRITE_SIZE {
                self.write_held(store, start)?;
            }
        }
        while rest.len() >= F::WRITE_SIZE {
            let (_, there) = self.arriving.ok_or(missing)?;
            let block_left = F::ERASE_SIZE - there as usize % F::ERASE_SIZE;
            let (piece, later) = rest.split_at((rest.len() - rest.len() % F::WRITE_SIZE).min(block_left));
            self.write(store, start, piece)?;
            rest = later;
        }
        self.held.fill(&mut rest, F::WRITE_SIZE);
        if end == u64::from(bundle.len) && self.held.len > 0 {
            self.write_held(store, start)?;
        }
        Ok(self.reply())
    }

    fn write_held<F: Flash>(&mut self, store: &mut Store<'_, F>, start: u32) -> Result<(), Refusal> {
        let Held { bytes, len } = self.held;
        self.held.len = 0;
        self.write(store, start, &bytes[..len])
    }

    /// Writes bytes that lie in one erase block.
    fn write<F: Flash>(&mut self, store: &mut Store<'_, F>, start: u32, piece: &[u8]) -> Result<(), Refusal> {
        let Some((bundle, there)) = self.arriving else { return Ok(()) };
        let block = F::ERASE_SIZE as u32;
        if program(store.flash_mut(), start + there, piece).is_err() {
            // What the block holds is unknown: it begins anew.
            self.arrive(Some((bundle, there - there % block)));
            return Err(Reason::BundleFault.with(0, 0));
        }
        let there = there + piece.len() as u32;
        if there.is_multiple_of(block) {
            write_arriving(store, bundle, there)?;
        }
        self.arriving = Some((bundle, there));
        Ok(())
    }

    /// Makes the bundle that is there the candidate of the next start.
    ///
    /// * `may_forget`: whether samples may be forgotten for it
    pub fn commit<F: Flash>(
        &mut self,
        store: &mut Store<'_, F>,
        support_set: &SupportSet<'_>,
        may_forget: bool,
    ) -> Result<Reply<'static>, Refusal> {
        let slots = self.slots.ok_or(Reason::NoBundles.with(0, 0))?;
        let (bundle, there) = self.arriving.ok_or(Reason::BundleMissing.with(0, 0))?;
        if there < bundle.len {
            return Err(Reason::BundleMissing.with(there.into(), bundle.len.into()));
        }
        if !self.boot_state.is_committed(bundle, may_forget) {
            let checked = check(store.flash_mut(), slots, bundle)
                .and_then(|summary| self.check_counter(store.flash_mut(), slots, (bundle, summary)));
            let summary = match checked {
                Ok(summary) => summary,
                Err(found) => {
                    self.drop_arriving(store)?;
                    return Err(found);
                }
            };
            // The bundle stays: the host may ask its person, and say that it is meant.
            if !may_forget && summary.identity != store.identity() {
                check_kept(support_set, slots.keeps)?;
            }
            self.save(store, CandidateBundle::Pending { bundle, attempts: 0, may_forget })?;
            store.put_setting(ARRIVING_KEY, &[]).map_err(refusal)?;
        }
        Ok(Reply::BundleTaken { slot: bundle.slot })
    }

    /// Refuses a bundle that is older than one that was in use, and another one of the same counter: which of the two
    /// is the later nobody could tell.
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
            // It came with the device: its length and hash are not known, its bytes are. Without a counter none did.
            0 if self.counter == 0 => Ok(true),
            0 => Ok(hash(flash, slots.starts[usize::from(slots.in_use)], bundle.len)? == bundle.sha256),
            _ => Ok((confirmed.len, confirmed.sha256) == (bundle.len, bundle.sha256)),
        }
    }

    fn drop_arriving<F: Flash>(&mut self, store: &mut Store<'_, F>) -> Result<(), Refusal> {
        // Its slot is as good as empty, also for whoever was rolled back there.
        self.clear_candidate(store)?;
        self.arrive(None);
        store.put_setting(ARRIVING_KEY, &[]).map_err(refusal)
    }

    /// The next start uses what this one does.
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

/// Refuses where samples would be forgotten. Found: how many; limit: how many there are.
fn check_kept(support_set: &SupportSet<'_>, keeps: &dyn Fn(&SourceId) -> bool) -> Result<(), Refusal> {
    let records = support_set.supports().records;
    match records.iter().filter(|record| !keeps(&record.source)).count() {
        0 => Ok(()),
        lost => Err(Reason::WouldForget.with(lost as u64, records.len() as u64)),
    }
}

fn check_geometry<F: Flash>(slots: &BundleSlots<'_>) -> Result<(), StoreError> {
    if F::WRITE_SIZE > WRITE_MAX {
        return Err(StoreError::Geometry { what: "bytes of a write", found: F::WRITE_SIZE, needed: WRITE_MAX });
    }
    for found in [slots.starts[0], slots.starts[1], slots.len] {
        if !(found as usize).is_multiple_of(F::ERASE_SIZE) {
            let what = "place of a bundle slot";
            return Err(StoreError::Geometry { what, found: found as usize, needed: F::ERASE_SIZE });
        }
    }
    match slots.in_use {
        0 | 1 => Ok(()),
        other => Err(StoreError::Geometry { what: "bundle slot in use", found: other.into(), needed: 1 }),
    }
}

/// Programs bytes within one erase block, which is erased first where they begin it.
fn program<F: Flash>(flash: &mut F, at: u32, piece: &[u8]) -> Result<(), F::Error> {
    let block = F::ERASE_SIZE as u32;
    if at.is_multiple_of(block) {
        flash.erase(at, at + block)?;
    }
    let (whole, tail) = piece.split_at(piece.len() - piece.len() % F::WRITE_SIZE);
    if !whole.is_empty() {
        flash.write(at, whole)?;
    }
    if !tail.is_empty() {
        let mut word = [0xff; WRITE_MAX];
        word[..tail.len()].copy_from_slice(tail);
        flash.write(at + whole.len() as u32, &word[..F::WRITE_SIZE])?;
    }
    flash.sync()
}

/// Whether what lies in the slot is what was announced and can be started with.
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

/// SHA-256 of the `len` bytes from `start` on.
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

/// Reads from anywhere of flash that may read whole words only.
fn read<F: Flash>(flash: &mut F, start: u32, offset: u32, mut bytes: &mut [u8]) -> Result<(), F::Error> {
    let mut at = start + offset;
    while !bytes.is_empty() {
        let mut words = [0; READ_LEN];
        let skipped = at as usize % F::READ_SIZE;
        let wanted = bytes.len().min(READ_LEN - F::READ_SIZE.min(READ_LEN / 2));
        let len = (skipped + wanted).next_multiple_of(F::READ_SIZE).min(READ_LEN);
        flash.read(at - skipped as u32, &mut words[..len])?;
        let wanted = wanted.min(len - skipped);
        let (now, later) = bytes.split_at_mut(wanted);
        now.copy_from_slice(&words[skipped..][..wanted]);
        (bytes, at) = (later, at + wanted as u32);
    }
    Ok(())
}

fn write_arriving<F: Flash>(store: &mut Store<'_, F>, bundle: Bundle, there: u32) -> Result<(), Refusal> {
    let mut value = [0; BUNDLE_LEN + 4];
    bundle.write(&mut value);
    value[BUNDLE_LEN..].copy_from_slice(&there.to_le_bytes());
    store.put_setting(ARRIVING_KEY, &value).map_err(refusal)
}

/// The bundle that is arriving and the bytes that are there; `None` where none is, or the setting has another form.
fn read_arriving<F: Flash>(store: &mut Store<'_, F>) -> Result<Option<(Bundle, u32)>, StoreError> {
    let mut value = [0; SETTING_MAX];
    let len = store.get_setting(ARRIVING_KEY, &mut value)?;
    let found = Bundle::read(&value[..len]);
    Ok(found.and_then(|(bundle, there)| Some((bundle, u32::from_le_bytes(there.try_into().ok()?)))))
}
