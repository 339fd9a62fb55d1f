//! Requests of a host: bytes in, bytes out.

use core::ffi::c_void;

use crate::device::{Device, Opened, run};
use crate::pointer::{place, slice, slice_mut};
use crate::status::Status;

/// Sends bytes over the line. It must not call the device.
pub type SendBytes = Option<unsafe extern "C" fn(user: *mut c_void, bytes: *const u8, size: usize)>;

/// Takes bytes from the line of a host: a UART, USB, a socket. Each request that they complete is executed, and its reply
/// goes to `send` in pieces before this returns. A request that arrives twice is executed once.
///
/// * `now_s`: the clock in seconds since 1970; 0 without a clock
/// * `send`: called for each piece of a reply, 1 byte or more, with `user`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_receive(
    device: *mut Device,
    bytes: *const u8,
    bytes_size: usize,
    now_s: u64,
    send: SendBytes,
    user: *mut c_void,
) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |Opened { session, endpoint }| {
            let (bytes, send) = (slice(bytes, bytes_size)?, send.ok_or(Status::NullPointer)?);
            for &byte in bytes {
                let answer = |request: &[u8], line, reply: &mut [u8]| {
                    session.set_line(line);
                    session.handle(request, now_s, reply)
                };
                endpoint.receive(byte, answer, &mut |piece| {
                    // Drivers of a UART refuse to send nothing.
                    if !piece.is_empty() {
                        send(user, piece.as_ptr(), piece.len());
                    }
                });
            }
            Ok(())
        })
    }
}

/// Executes one message of the protocol without frame and session, for a transport that has its own.
///
/// * `reply`: receives the reply; at least `MACULA_MESSAGE_MAX` bytes hold any. A reply that does not fit becomes a refusal,
///   after the request was executed
/// * `reply_size`: receives its bytes
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_handle(
    device: *mut Device,
    request: *const u8,
    request_size: usize,
    now_s: u64,
    reply: *mut u8,
    reply_max: usize,
    reply_size: *mut usize,
) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let (size, reply) = (place(reply_size)?, slice_mut(reply, reply_max)?);
            if reply.len() < REFUSAL_MAX {
                return Err(Status::MemoryTooSmall.with(reply.len() as u64, REFUSAL_MAX as u64));
            }
            size.write(opened.session.handle(slice(request, request_size)?, now_s, reply));
            Ok(())
        })
    }
}

/// Bytes that hold any refusal.
const REFUSAL_MAX: usize = 32;
