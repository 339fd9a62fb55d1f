//! The caller's memory, divided into what a device works in.
//!
//! Each part begins at a multiple of 8 bytes. `MACULA_MEMORY_SIZE` of the header computes [`memory_size`]; a test compares
//! them.

use macula_edge::decide::Predictor;
use macula_edge::protocol::message::message_max;
use macula_edge::protocol::packet_max;
use macula_edge::session;
use macula_edge::store::{FlashSizes, buffer_len_of};
use macula_edge::support_set::{ClassName, SupportRecord};

use crate::status::{Failure, Status};

/// Every part begins at a multiple of this, the largest alignment of all parts.
const ALIGNMENT: usize = 8;

// The header has these numbers.
const _: () = assert!(size_of::<SupportRecord>() == 32 && size_of::<ClassName>() == 33);

/// What the sizes of all parts follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Feature dimensions D, at most 4096.
    pub dim: usize,
    /// Class slots C, at most 255.
    pub classes: usize,
    /// Places for supports S, at most 65535.
    pub supports: usize,
    /// Bytes of the largest image.
    pub image_size: u32,
    /// Words between an image and its feature.
    pub work_words: u32,
    /// Of the flash.
    pub flash: FlashSizes,
}

impl Sizes {
    fn scratch(&self) -> usize {
        Predictor::scratch_len(self.dim, self.classes, self.supports)
    }

    fn store_buffer(&self) -> usize {
        buffer_len_of(self.flash, self.dim)
    }

    fn packet(&self) -> usize {
        packet_max(message_max(self.dim))
    }
}

/// Bytes of memory that a device of these sizes works in.
pub fn memory_size(sizes: &Sizes) -> u64 {
    let (d, c, s) = (sizes.dim as u64, sizes.classes as u64, sizes.supports as u64);
    let parts = [
        8 * sizes.scratch() as u64,
        8 * c,
        size_of::<SupportRecord>() as u64 * s,
        4 * u64::from(sizes.work_words),
        2 * s * d,
        2 * d,
        size_of::<ClassName>() as u64 * c,
        2 * d,
        sizes.store_buffer() as u64,
        sizes.image_size.into(),
        sizes.packet() as u64,
        sizes.packet() as u64,
    ];
    parts.iter().map(|bytes| bytes.next_multiple_of(ALIGNMENT as u64)).sum()
}

/// The parts of the memory.
pub(crate) struct Parts {
    pub names: &'static mut [ClassName],
    pub records: &'static mut [SupportRecord],
    pub features: &'static mut [i16],
    pub store: &'static mut [u8],
    pub received: &'static mut [u8],
    pub kept: &'static mut [u8],
    pub session: session::Memory<'static>,
}

impl Parts {
    /// Divides `memory`, whose content becomes zero.
    pub fn of(memory: &'static mut [u8], sizes: &Sizes) -> Result<Self, Failure> {
        let (found, needed) = (memory.len() as u64, memory_size(sizes));
        if found < needed {
            return Err(Status::MemoryTooSmall.with(found, needed));
        }
        if !memory.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(Status::Misaligned.with(memory.as_ptr().addr() as u64, ALIGNMENT as u64));
        }
        memory.fill(0);
        let mut rest = memory;
        let Sizes { dim, classes, supports, image_size, work_words, .. } = *sizes;
        let scratch = take(&mut rest, sizes.scratch());
        let probabilities = take(&mut rest, classes);
        // SAFETY: zeros are a record of a support.
        let records = unsafe { take_zeroed(&mut rest, supports) };
        let work = take(&mut rest, work_words as usize);
        let features = take(&mut rest, supports * dim);
        let feature = take(&mut rest, dim);
        // SAFETY: zeros are `ClassName::FREE`.
        let names = unsafe { take_zeroed(&mut rest, classes) };
        let bytes = take(&mut rest, 2 * dim);
        let store = take(&mut rest, sizes.store_buffer());
        let image = take(&mut rest, image_size as usize);
        let received = take(&mut rest, sizes.packet());
        let kept = take(&mut rest, sizes.packet());
        let session = session::Memory { image, work, feature, bytes, scratch, probabilities };
        Ok(Self { names, records, features, store, received, kept, session })
    }
}

/// Takes `len` numbers off `rest`.
fn take<T: bytemuck::Zeroable>(rest: &mut &'static mut [u8], len: usize) -> &'static mut [T] {
    // SAFETY: zeros are a `T`.
    unsafe { take_zeroed(rest, len) }
}

/// Takes `len` values off `rest`, which is zero, aligned and, by [`memory_size`], long enough for all parts.
///
/// # Safety
/// Zeros are a valid `T`.
unsafe fn take_zeroed<T>(rest: &mut &'static mut [u8], len: usize) -> &'static mut [T] {
    const { assert!(align_of::<T>() <= ALIGNMENT) };
    let bytes = (size_of::<T>() * len).next_multiple_of(ALIGNMENT);
    let (part, behind) = core::mem::take(rest).split_at_mut(bytes);
    *rest = behind;
    // SAFETY: `part` is as long as `len` values, aligned because every part before it was a multiple of the alignment, zero,
    // and nobody else has it.
    unsafe { core::slice::from_raw_parts_mut(part.as_mut_ptr().cast(), len) }
}
