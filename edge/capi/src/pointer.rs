//! Pointers of C, checked for null and alignment. Whether they point to what the header asks for is the caller's promise.

use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;

use crate::status::{Failure, Status};

/// Checks that `pointer` is neither null nor misaligned.
pub(crate) fn check<T>(pointer: *const T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Status::NullPointer.into());
    }
    if !pointer.is_aligned() {
        return Err(Status::Misaligned.with(pointer.addr() as u64, align_of::<T>() as u64));
    }
    Ok(())
}

/// `len` values at `pointer`, which may be null when there are none.
///
/// # Safety
/// A pointer that passes the checks points to `len` values that nobody changes during `'a`.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, len: usize) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    check(pointer)?;
    check_size::<T>(len)?;
    // SAFETY: neither null nor misaligned, of a size that fits, and valid by the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts(pointer, len) })
}

/// As [`slice`], for memory that is written.
///
/// # Safety
/// As for [`slice`], and nobody else reads it during `'a`.
pub(crate) unsafe fn slice_mut<'a, T>(pointer: *mut T, len: usize) -> Result<&'a mut [T], Failure> {
    if len == 0 {
        return Ok(&mut []);
    }
    check(pointer.cast_const())?;
    check_size::<T>(len)?;
    // SAFETY: as in `slice`.
    Ok(unsafe { core::slice::from_raw_parts_mut(pointer, len) })
}

/// A slice has at most `isize::MAX` bytes.
fn check_size<T>(len: usize) -> Result<(), Failure> {
    let limit = isize::MAX as usize / size_of::<T>();
    if len > limit { Err(Status::OutOfRange.with(len as u64, limit as u64)) } else { Ok(()) }
}

/// The place for a result. It is asked for before anything is done, so that a bad pointer changes nothing.
///
/// # Safety
/// A pointer that passes the checks points to memory for a `T` that nobody else uses during `'a`.
pub(crate) unsafe fn place<'a, T>(pointer: *mut T) -> Result<&'a mut MaybeUninit<T>, Failure> {
    check(pointer.cast_const())?;
    // SAFETY: neither null nor misaligned, and valid by the caller's promise.
    Ok(unsafe { &mut *pointer.cast::<MaybeUninit<T>>() })
}

/// A text of at most `max` bytes before its zero byte. At most one byte more is read, so a text without an end does no
/// harm.
///
/// * `wrong`: the status of a text that is longer or not UTF-8; found are its bytes, as far as they were read
///
/// # Safety
/// A pointer that is not null points to bytes up to a zero byte or to `max + 1` bytes; nobody changes them during `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, max: usize, wrong: Status) -> Result<&'a str, Failure> {
    check(pointer)?;
    // SAFETY: the bytes are read one by one up to the zero byte, at most `max + 1`.
    let len = (0..=max).find(|&at| unsafe { *pointer.add(at) } == 0);
    let len = len.ok_or(wrong.with(max as u64 + 1, max as u64))?;
    // SAFETY: these bytes were read just now, the zero byte among them.
    let bytes = unsafe { core::slice::from_raw_parts(pointer.cast::<u8>(), len + 1) };
    let text = CStr::from_bytes_until_nul(bytes).ok().and_then(|text| text.to_str().ok());
    text.ok_or(wrong.with(len as u64, max as u64))
}
