//! A device in memory of the caller: opened, used, closed.

use core::ffi::c_char;
use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;

use macula_edge::encoder::{Blob, Encoder, FeaturesOnly};
use macula_edge::feature::DIM_MAX;
use macula_edge::protocol::Endpoint;
use macula_edge::protocol::message::message_max;
use macula_edge::session::{Profile, Session};
use macula_edge::store::{Flash as _, Store, StoreError};
use macula_edge::support_set::{CLASSES_MAX, SupportSet};

use crate::encoder::AnyEncoder;
use crate::flash::{CallbackFlash, Flash};
use crate::memory::{Parts, Sizes};
use crate::pointer::{check, slice, slice_mut, text};
use crate::status::{Failure, Status};
use crate::types::MACULA_API_VERSION;

/// Words of 8 bytes of a device.
#[cfg(target_pointer_width = "64")]
pub const MACULA_DEVICE_WORDS: usize = 351;

/// Words of 8 bytes of a device.
#[cfg(target_pointer_width = "32")]
pub const MACULA_DEVICE_WORDS: usize = 266;

/// Most places for supports, so that no size overflows.
const SUPPORTS_MAX: u32 = u16::MAX as u32;

/// Longest program name and version in the protocol.
const PROGRAM_MAX: usize = 32;

/// A device. Make it static, zero it (as C does with static variables) and give it to `macula_open`; its content is
/// private. Several devices do not share anything. Do not copy an open device.
#[repr(C)]
pub struct Device {
    /// Private.
    pub words: [u64; MACULA_DEVICE_WORDS],
}

/// What a device is opened with. The texts and the blob must stay where they are, unchanged, until the device is closed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Config {
    /// `MACULA_API_VERSION`.
    pub api_version: u32,
    /// Name of your program, which hosts show; at most 32 bytes of UTF-8.
    pub program: *const c_char,
    /// Its version; the same.
    pub program_version: *const c_char,
    /// The encoder's blob at a multiple of 4 bytes, read in place; null for a device that takes features only.
    pub blob: *const u8,
    /// Bytes of the blob, or of the flash that it lies in.
    pub blob_size: usize,
    /// Without a blob: identity of the encoder that makes the features, the first 16 bytes of a SHA-256.
    pub identity: [u8; 16],
    /// Without a blob: dimensions of a feature, 1 to 4096.
    pub dim: u32,
    /// Class slots, 1 to 255.
    pub classes: u32,
    /// Places for supports (taught samples), 1 to 65535.
    pub supports: u32,
    /// Bytes of the largest image; 0 without a blob.
    pub image_size: u32,
    /// Words of 4 bytes between an image and its feature, from `macula_read_blob` or `macula_blob_work_words`; 0 without a
    /// blob.
    pub work_words: u32,
    /// Where classes and supports are stored.
    pub flash: Flash,
}

/// An open device.
pub(crate) struct Opened {
    pub session: Session<'static, AnyEncoder<'static>, CallbackFlash>,
    pub endpoint: Endpoint<'static>,
}

/// The content of a [`Device`].
#[repr(C)]
struct Context {
    state: u32,
    /// Of the last failure.
    found: u64,
    limit: u64,
    opened: MaybeUninit<Opened>,
}

/// States of a [`Context`]. Memory that was never opened rarely holds one of them.
const OPEN: u32 = 0x4d41_4331;
const BUSY: u32 = 0x4d41_4332;
const CLOSED: u32 = 0;

const _: () = assert!(size_of::<Context>() <= size_of::<Device>() && align_of::<Context>() <= align_of::<Device>());

/// Bytes of a device in this library. More than `sizeof(macula_device)` means that header and library do not belong together.
#[unsafe(no_mangle)]
pub extern "C" fn macula_device_size() -> usize {
    size_of::<Context>().next_multiple_of(8)
}

/// Opens a device: checks the blob, opens the store on the flash (erased flash becomes an empty store) and reads all
/// classes and supports.
///
/// * `memory`: at a multiple of 8 bytes. It belongs to the device until it is closed
/// * `memory_size`: at least `MACULA_MEMORY_SIZE` of the same sizes as in `config`
///
/// A device that could not be opened is closed. A device that is open is opened anew: what was acknowledged is in flash.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_open(
    device: *mut Device,
    config: *const Config,
    memory: *mut u8,
    memory_size: usize,
) -> Status {
    if let Err(failure) = check(device.cast_const()) {
        return failure.status;
    }
    let context = device.cast::<Context>();
    // SAFETY: the caller lends a device and memory that nobody else uses, and the rest of `config` as its description says.
    // A device is as large and as aligned as a context, and each field is written through `context`.
    unsafe {
        let state = addr_of_mut!((*context).state);
        if state.read() == BUSY {
            return finish(context, Err(Status::Busy.into()));
        }
        // A callback of the flash that opens this device meanwhile would lend the memory a second time.
        state.write(BUSY);
        let opened = check(config).and_then(|()| open(&*config, slice_mut(memory, memory_size)?));
        let (next, result) = match opened {
            Ok(opened) => {
                addr_of_mut!((*context).opened).write(MaybeUninit::new(opened));
                (OPEN, Ok(()))
            }
            Err(failure) => (CLOSED, Err(failure)),
        };
        state.write(next);
        finish(context, result)
    }
}

/// Closes a device. Its memory is the caller's again; the flash keeps what was acknowledged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_close(device: *mut Device) -> Status {
    // SAFETY: the caller gives a device. Nothing that it holds has a destructor.
    unsafe {
        let status = run(device, |_| Ok(()));
        if status == Status::Ok {
            addr_of_mut!((*device.cast::<Context>()).state).write(CLOSED);
        }
        status
    }
}

/// What was found and what is allowed, where the last call of this device failed; zeros after a call that did not fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_error_detail(device: *const Device, found: *mut u64, limit: *mut u64) -> Status {
    let checked = check(device).and_then(|()| check(found.cast_const())).and_then(|()| check(limit.cast_const()));
    if let Err(failure) = checked {
        return failure.status;
    }
    let context = device.cast::<Context>();
    // SAFETY: the pointers are neither null nor misaligned, and the caller gives what the header asks for. Calls write the
    // numbers of a device when they end.
    unsafe {
        found.write((*context).found);
        limit.write((*context).limit);
    }
    Status::Ok
}

/// Runs `act` on an open device.
///
/// # Safety
/// `device` is null, misaligned, or was given to [`macula_open`], and no other thread uses it.
pub(crate) unsafe fn run(device: *mut Device, act: impl FnOnce(&mut Opened) -> Result<(), Failure>) -> Status {
    if let Err(failure) = check(device.cast_const()) {
        return failure.status;
    }
    let context = device.cast::<Context>();
    // SAFETY: `context` lies in the caller's device. `opened` was written before the state became OPEN. A callback that calls
    // this device finds it BUSY, so the reference below stays the only one; the state lies outside it.
    unsafe {
        let state = addr_of_mut!((*context).state);
        match state.read() {
            OPEN => state.write(BUSY),
            BUSY => return finish(context, Err(Status::Busy.into())),
            _ => return finish(context, Err(Status::NotOpen.into())),
        }
        let result = act((&mut *addr_of_mut!((*context).opened)).assume_init_mut());
        state.write(OPEN);
        finish(context, result)
    }
}

/// Keeps the numbers of a failure; returns its status.
///
/// # Safety
/// `context` is that of a caller's device.
unsafe fn finish(context: *mut Context, result: Result<(), Failure>) -> Status {
    let Failure { status, found, limit } = result.err().unwrap_or(Status::Ok.into());
    // SAFETY: by the promise above.
    unsafe {
        addr_of_mut!((*context).found).write(found);
        addr_of_mut!((*context).limit).write(limit);
    }
    status
}

/// # Safety
/// Everything that `config` points to is as its description says, until the device is closed.
unsafe fn open(config: &Config, memory: &'static mut [u8]) -> Result<Opened, Failure> {
    if config.api_version != MACULA_API_VERSION {
        return Err(Status::ApiVersion.with(config.api_version.into(), MACULA_API_VERSION.into()));
    }
    // SAFETY: by the promise above.
    let (program, program_version, blob) = unsafe {
        let program = text(config.program, PROGRAM_MAX, Status::OutOfRange)?;
        let version = text(config.program_version, PROGRAM_MAX, Status::OutOfRange)?;
        (program, version, slice::<u8>(config.blob, if config.blob.is_null() { 0 } else { config.blob_size })?)
    };
    let encoder = match config.blob.is_null() {
        true => AnyEncoder::FeaturesOnly(FeaturesOnly { identity: config.identity, dim: config.dim as usize }),
        false => AnyEncoder::Blob(Blob::parse(blob)?),
    };
    let (dim, identity) = (encoder.info().dim, encoder.info().identity);
    let in_range = |value: u32, most: usize| match (1..=most as u64).contains(&value.into()) {
        true => Ok(value as usize),
        false => Err(Status::OutOfRange.with(value.into(), most as u64)),
    };
    let flash = CallbackFlash::new(config.flash)?;
    let sizes = Sizes {
        dim: in_range(dim as u32, DIM_MAX)?,
        classes: in_range(config.classes, CLASSES_MAX)?,
        supports: in_range(config.supports, SUPPORTS_MAX as usize)?,
        image_size: config.image_size,
        work_words: config.work_words,
        flash: flash.sizes(),
    };
    // The session checks this as well, but after the store was opened: a device that cannot be opened makes no store.
    let (found, needed) = (u64::from(config.work_words), encoder.info().work_words() as u64);
    if found < needed {
        return Err(Status::MemoryTooSmall.with(found, needed));
    }
    let Parts { names, records, features, store, received, kept, session } = Parts::of(memory, &sizes)?;
    let mut support_set = SupportSet::new(dim, names, records, features).map_err(StoreError::SupportSet)?;
    let range = flash.range();
    let store = Store::open(flash, range, identity, store, &mut support_set)?;
    let profile = Profile { program, program_version, message_max: message_max(dim) as u32 };
    let session = Session::new(profile, encoder, store, support_set, session, None)?;
    Ok(Opened { session, endpoint: Endpoint::new(received, kept) })
}
