//! Classes and supports: learned, renamed, forgotten.

use core::ffi::c_char;

use macula_edge::protocol::message::RESET_CONFIRMATION;
use macula_edge::protocol::{Reply, Request};

use crate::device::{Device, run};
use crate::input::sample;
use crate::pointer::{check, place, slice, text};
use crate::status::{Failure, Status, UNEXPECTED};
use crate::types::{Class, Input, Learned, MACULA_NAME_MAX, MACULA_NAME_SIZE, MACULA_SOURCE_SIZE};

/// Adds a class, or finds the class of this name.
///
/// * `name`: 1 to 32 bytes of UTF-8 without control characters
/// * `slot`: receives its slot
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_add_class(device: *mut Device, name: *const c_char, slot: *mut u8) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let (slot, name) = (place(slot)?, text(name, MACULA_NAME_MAX, Status::Name)?);
            let Reply::ClassAdded { class, .. } = opened.session.execute(Request::AddClass { name }, 0)? else {
                return Err(UNEXPECTED);
            };
            slot.write(class);
            Ok(())
        })
    }
}

/// Renames the class in `slot`.
///
/// * `name`: as for `macula_add_class`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_rename_class(device: *mut Device, slot: u8, name: *const c_char) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let name = text(name, MACULA_NAME_MAX, Status::Name)?;
            opened.session.execute(Request::RenameClass { class: slot, name }, 0)?;
            Ok(())
        })
    }
}

/// Removes the class in `slot` with all its supports.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_remove_class(device: *mut Device, slot: u8) -> Status {
    // SAFETY: `device` is null or what the header asks for.
    unsafe {
        run(device, |opened| {
            opened.session.execute(Request::RemoveClass { class: slot }, 0)?;
            Ok(())
        })
    }
}

/// Gives the first class in slot `from` or above.
///
/// * `found`: receives whether there is one
/// * `result`: receives the class, if there is one
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_class_at(
    device: *mut Device,
    from: u8,
    found: *mut bool,
    result: *mut Class,
) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let (found, result) = (place(found)?, place(result)?);
            match opened.session.execute(Request::Classes { from }, 0)? {
                Reply::Class { class, name, supports } => {
                    let mut bytes = [0; MACULA_NAME_SIZE];
                    bytes[..name.len()].copy_from_slice(name.as_bytes());
                    result.write(Class { slot: class, name: bytes, supports });
                    found.write(true);
                }
                Reply::NoMoreClasses => {
                    found.write(false);
                }
                _ => return Err(UNEXPECTED),
            }
            Ok(())
        })
    }
}

/// Learns a sample. It is in flash when this returns `MACULA_STATUS_OK`. A second call with the same class and source
/// changes nothing.
///
/// * `source`: any 16 bytes that identify the sample. Hosts forget by them: docs/protocol.md says which ones ours take
/// * `teacher`: number of the person who teaches
/// * `time_s`: seconds since 1970; 0 unknown
/// * `input`: null for the image
/// * `learned`: receives what was learned; may be null
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_learn(
    device: *mut Device,
    slot: u8,
    source: *const u8,
    teacher: u32,
    time_s: u64,
    input: *const Input,
    learned: *mut Learned,
) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let result = if learned.is_null() { None } else { Some(place(learned)?) };
            let (source, input) = (identifier(source)?, sample(input)?);
            let request = Request::Learn { class: slot, source, operator: teacher, time_s, input };
            let Reply::Learned { class, new, supports } = opened.session.execute(request, 0)? else {
                return Err(UNEXPECTED);
            };
            if let Some(result) = result {
                result.write(Learned { slot: class, is_new: new, supports });
            }
            Ok(())
        })
    }
}

/// Forgets the sample of this source, exactly as if it had never been learned.
///
/// * `source`: 16 bytes
/// * `was_known`: receives whether there was one; may be null
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_forget(device: *mut Device, source: *const u8, was_known: *mut bool) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let result = if was_known.is_null() { None } else { Some(place(was_known)?) };
            let source = identifier(source)?;
            let Reply::Forgotten { record } = opened.session.execute(Request::Forget { source }, 0)? else {
                return Err(UNEXPECTED);
            };
            if let Some(result) = result {
                result.write(record.is_some());
            }
            Ok(())
        })
    }
}

/// Forgets all classes and supports and erases them from the flash.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_forget_all(device: *mut Device) -> Status {
    // SAFETY: `device` is null or what the header asks for.
    unsafe {
        run(device, |opened| {
            opened.session.execute(Request::FactoryReset { confirmation: RESET_CONFIRMATION }, 0)?;
            Ok(())
        })
    }
}

/// # Safety
/// A pointer that is not null points to 16 bytes.
unsafe fn identifier(source: *const u8) -> Result<[u8; MACULA_SOURCE_SIZE], Failure> {
    check(source)?;
    // SAFETY: by the promise above.
    let bytes = unsafe { slice(source, MACULA_SOURCE_SIZE) }?;
    bytes.try_into().map_err(|_| UNEXPECTED)
}
