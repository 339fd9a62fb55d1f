//! A new bundle: written to the slot of flash that is not in use, checked whole, used from the next start.
//!
//! 1. Before the first byte is written, the setting that names the slot for the next start names the one in use, and
//!    the arriving bundle with its hash is a setting, too.
//! 2. A block is erased when its first byte comes. When it is full and synced, the setting tells so: after a power cut
//!    the bundle goes on from there, and the block that was under way is erased again.
//! 3. With the last byte the whole slot is read back and hashed, and whoever knows the form of a bundle is asked.
//! 4. Only then one setting, written atomically, names the new slot.

use core::ops::Range;

use sha2::{Digest, Sha256};

use super::refusal;
use crate::protocol::{Reason, Refusal, Reply};
use crate::store::{self, Flash, SETTING_MAX, Store, StoreError};

/// The setting that names the slot for the next start: slot, length (`u32` little-endian), SHA-256.
const NEXT_KEY: u8 = 1;

/// The setting of a bundle that is arriving: as [`NEXT_KEY`], and the bytes that are safe (`u32`).
const ARRIVING_KEY: u8 = 2;

const BUNDLE_LEN: usize = 1 + 4 + 32;

/// The widest write of a flash that can carry bundles, in bytes.
const WRITE_MAX: usize = 256;

/// Bytes read at once to be hashed.
const READ_LEN: usize = 256;

/// Asks whether a bundle is one that the device can start with: its slot, its length, and how to read it (offset in the
/// bundle, bytes; `false` where that fails). An `Err` carries the checker's own number for the reason.
pub type Accept = fn(slot: u8, len: u32, read: &mut dyn FnMut(u32, &mut [u8]) -> bool) -> Result<(), u32>;

/// Where bundles lie: outside the store's range, on whole erase blocks.
#[derive(Clone, Copy, Debug)]
pub struct BundleSlots {
    /// Where each slot begins.
    pub starts: [u32; 2],
    /// Bytes of each slot.
    pub len: u32,
    /// The slot this start uses, 0 or 1.
    pub in_use: u8,
    /// Decides whether a bundle is taken.
    pub accept: Accept,
}

/// The slot whose bundle this start uses, found before the store is opened, which takes the bundle's encoder.
///
/// The store names it. Where it names none, it is the one whose encoder the store goes with: the power may have failed
/// between [`Store::format`] for a new encoder and [`carry_over`]. Else it is slot 0, the one a device comes with.
///
/// * `range`, `buffer`: of the store
/// * `identity`: of the encoder in a slot, `None` where there is no bundle in it
///
/// # Errors
/// When the store cannot be read.
pub fn slot_to_start<F: Flash>(
    flash: &mut F,
    range: Range<u32>,
    buffer: &mut [u8],
    identity: impl Fn(u8) -> Option<[u8; 16]>,
) -> Result<u8, StoreError> {
    let mut value = [0; SETTING_MAX];
    let Some((kept, len)) = store::peek(flash, range, buffer, NEXT_KEY, &mut value)? else { return Ok(0) };
    let named = parse_bundle(&value[..len]).map(|(bundle, _)| bundle.slot);
    let fitting = || (0..2).find(|&slot| identity(slot) == Some(kept));
    Ok(named.or_else(fitting).unwrap_or(0))
}

/// Names `slot` in a store that was just made anew for its encoder.
///
/// # Errors
/// As [`Store::put_setting`].
pub fn carry_over<F: Flash>(store: &mut Store<'_, F>, slot: u8) -> Result<(), StoreError> {
    store.put_setting(NEXT_KEY, &bundle_bytes(came_with_device(slot), 0)[..BUNDLE_LEN])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bundle {
    slot: u8,
    len: u32,
    sha256: [u8; 32],
}

/// Bundles of a device.
#[derive(Debug)]
pub(super) struct Update {
    slots: Option<BundleSlots>,
    /// The one for the next start, and the one of this start; without length where it came with the device.
    next: Bundle,
    used: Bundle,
    /// The one that is arriving, and the bytes that are there.
    arriving: Option<(Bundle, u32)>,
}

impl Update {
    /// Reads what the store knows of bundles.
    pub fn open<F: Flash>(slots: Option<BundleSlots>, store: &mut Store<'_, F>) -> Result<Self, StoreError> {
        let in_use = slots.map_or(0, |slots| slots.in_use);
        let mut update = Self { slots, next: came_with_device(in_use), used: came_with_device(in_use), arriving: None };
        let Some(slots) = slots else { return Ok(update) };
        check_geometry::<F>(&slots)?;
        if let Some((next, _)) = read_bundle(store, NEXT_KEY)? {
            update.next = next;
            update.used = if next.slot == in_use { next } else { update.used };
        }
        let arriving = read_bundle(store, ARRIVING_KEY)?;
        // A setting that is not ours, or of another division of the flash, is as good as none.
        update.arriving = arriving.filter(|&(bundle, there)| {
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
        self.slots.map_or([u8::MAX; 2], |_| [self.used.slot, self.next.slot])
    }

    /// Bytes there are of a bundle under way, and its length.
    pub fn progress(&self) -> (u32, u32) {
        self.arriving.map_or((0, 0), |(bundle, there)| (there, bundle.len))
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
        if is_this(&self.next) {
            // Here already, perhaps of a commit whose reply was lost in a power cut.
            self.arriving = Some((self.next, len));
        } else if !self.arriving.is_some_and(|(bundle, _)| is_this(&bundle)) {
            let bundle = Bundle { slot: 1 - slots.in_use, len, sha256 };
            self.next_is(store, self.used)?;
            write_bundle(store, ARRIVING_KEY, bundle, Some(0))?;
            self.arriving = Some((bundle, 0));
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
        let (bundle, there) = self.arriving.ok_or(missing)?;
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
        // Flash takes whole words: of a part that ends within one, the rest is asked for again.
        let is_last = end == u64::from(bundle.len);
        let taken = if is_last { bytes.len() } else { bytes.len() - bytes.len() % F::WRITE_SIZE };
        let mut rest = &bytes[..taken];
        while !rest.is_empty() {
            let (_, there) = self.arriving.ok_or(missing)?;
            let block_left = F::ERASE_SIZE - there as usize % F::ERASE_SIZE;
            let (piece, later) = rest.split_at(rest.len().min(block_left));
            self.write(store, slots.starts[usize::from(bundle.slot)], piece)?;
            rest = later;
        }
        Ok(self.reply())
    }

    /// Writes bytes that lie in one erase block.
    fn write<F: Flash>(&mut self, store: &mut Store<'_, F>, start: u32, piece: &[u8]) -> Result<(), Refusal> {
        let Some((bundle, there)) = self.arriving else { return Ok(()) };
        let block = F::ERASE_SIZE as u32;
        if program(store.flash_mut(), start + there, piece).is_err() {
            // What the block holds is unknown: it begins anew.
            self.arriving = Some((bundle, there - there % block));
            return Err(Reason::BundleFault.with(0, 0));
        }
        let there = there + piece.len() as u32;
        if there.is_multiple_of(block) {
            write_bundle(store, ARRIVING_KEY, bundle, Some(there))?;
        }
        self.arriving = Some((bundle, there));
        Ok(())
    }

    pub fn commit<F: Flash>(&mut self, store: &mut Store<'_, F>) -> Result<Reply<'static>, Refusal> {
        let slots = self.slots.ok_or(Reason::NoBundles.with(0, 0))?;
        let (bundle, there) = self.arriving.ok_or(Reason::BundleMissing.with(0, 0))?;
        if there < bundle.len {
            return Err(Reason::BundleMissing.with(there.into(), bundle.len.into()));
        }
        if bundle != self.next {
            if let Err(found) = check(store.flash_mut(), slots, bundle) {
                self.drop_arriving(store)?;
                return Err(found);
            }
            self.next_is(store, bundle)?;
            store.put_setting(ARRIVING_KEY, &[]).map_err(refusal)?;
        }
        Ok(Reply::BundleTaken { slot: bundle.slot })
    }

    /// After a factory reset, which forgets all settings: the slots are what they were.
    pub fn keep<F: Flash>(&mut self, store: &mut Store<'_, F>) -> Result<(), Refusal> {
        self.arriving = None;
        if self.next.len == 0 { Ok(()) } else { write_bundle(store, NEXT_KEY, self.next, None) }
    }

    fn drop_arriving<F: Flash>(&mut self, store: &mut Store<'_, F>) -> Result<(), Refusal> {
        self.arriving = None;
        store.put_setting(ARRIVING_KEY, &[]).map_err(refusal)
    }

    fn next_is<F: Flash>(&mut self, store: &mut Store<'_, F>, bundle: Bundle) -> Result<(), Refusal> {
        if bundle != self.next {
            write_bundle(store, NEXT_KEY, bundle, None)?;
            self.next = bundle;
        }
        Ok(())
    }

    fn reply(&self) -> Reply<'static> {
        Reply::Bundle { next: self.progress().0 }
    }
}

fn came_with_device(slot: u8) -> Bundle {
    Bundle { slot, len: 0, sha256: [0; 32] }
}

fn check_geometry<F: Flash>(slots: &BundleSlots) -> Result<(), StoreError> {
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
fn check<F: Flash>(flash: &mut F, slots: BundleSlots, bundle: Bundle) -> Result<(), Refusal> {
    let start = slots.starts[usize::from(bundle.slot)];
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < bundle.len {
        let mut bytes = [0; READ_LEN];
        let piece = &mut bytes[..READ_LEN.min((bundle.len - at) as usize)];
        read(flash, start, at, piece).map_err(|_| Reason::BundleFault.with(0, 0))?;
        hash.update(&*piece);
        at += piece.len() as u32;
    }
    if hash.finalize()[..] != bundle.sha256 {
        return Err(Reason::BundleHash.with(0, 0));
    }
    let mut read = |offset: u32, bytes: &mut [u8]| {
        let inside = u64::from(offset) + bytes.len() as u64 <= bundle.len.into();
        inside && read(flash, start, offset, bytes).is_ok()
    };
    (slots.accept)(bundle.slot, bundle.len, &mut read).map_err(|code| Reason::BundleRefused.with(code.into(), 0))
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

fn write_bundle<F: Flash>(
    store: &mut Store<'_, F>,
    key: u8,
    bundle: Bundle,
    there: Option<u32>,
) -> Result<(), Refusal> {
    let value = bundle_bytes(bundle, there.unwrap_or(0));
    let value = if there.is_some() { &value[..] } else { &value[..BUNDLE_LEN] };
    store.put_setting(key, value).map_err(refusal)
}

fn bundle_bytes(bundle: Bundle, there: u32) -> [u8; BUNDLE_LEN + 4] {
    let mut value = [0; BUNDLE_LEN + 4];
    value[0] = bundle.slot;
    value[1..5].copy_from_slice(&bundle.len.to_le_bytes());
    value[5..BUNDLE_LEN].copy_from_slice(&bundle.sha256);
    value[BUNDLE_LEN..].copy_from_slice(&there.to_le_bytes());
    value
}

/// A bundle's setting and the bytes that are there; `None` where there is none or it has another form.
fn read_bundle<F: Flash>(store: &mut Store<'_, F>, key: u8) -> Result<Option<(Bundle, u32)>, StoreError> {
    let mut value = [0; SETTING_MAX];
    let len = store.get_setting(key, &mut value)?;
    Ok(parse_bundle(&value[..len]))
}

fn parse_bundle(value: &[u8]) -> Option<(Bundle, u32)> {
    let (&[slot, l0, l1, l2, l3], rest) = value.split_first_chunk::<5>()?;
    let (&sha256, rest) = rest.split_first_chunk::<32>()?;
    let there = rest.first_chunk::<4>().map_or(0, |&bytes| u32::from_le_bytes(bytes));
    let bundle = Bundle { slot, len: u32::from_le_bytes([l0, l1, l2, l3]), sha256 };
    (slot <= 1).then_some((bundle, there))
}
