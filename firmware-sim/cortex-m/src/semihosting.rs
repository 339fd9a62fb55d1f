//! Text output and exit of the emulator.
//!
//! A real board without a debugger has neither: there, `panic` should reset the chip (`cortex_m::peripheral::SCB::sys_reset`).
//!
//! Arm, *Semihosting for AArch32 and AArch64*, release 3.0.

use core::fmt::{self, Write};

const SYS_WRITE0: u32 = 0x04;
const SYS_EXIT_EXTENDED: u32 = 0x20;
const APPLICATION_EXIT: u32 = 0x20026;

/// The emulator's console, its standard output or error.
pub struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The call needs a zero byte at the end.
        for piece in text.as_bytes().chunks(63) {
            let mut line = [0_u8; 64];
            line[..piece.len()].copy_from_slice(piece);
            call(SYS_WRITE0, line.as_ptr().cast());
        }
        Ok(())
    }
}

/// Ends the emulation; `code` becomes its exit status.
pub fn exit(code: u32) -> ! {
    let block = [APPLICATION_EXIT, code];
    loop {
        call(SYS_EXIT_EXTENDED, block.as_ptr().cast());
    }
}

#[allow(unsafe_code)]
fn call(operation: u32, argument: *const ()) {
    // SAFETY: both operations only read the block that `argument` points to, which the callers above keep alive.
    unsafe { cortex_m::asm::semihosting_syscall(operation, argument as u32) };
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    cortex_m::interrupt::disable();
    // An error of the console cannot be reported.
    let _ = writeln!(Console, "{info}");
    exit(101)
}
