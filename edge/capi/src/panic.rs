//! A panic, which is a bug of this library, ends the program.

unsafe extern "C" {
    /// Of the C library; a program without one defines it.
    fn abort() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: `abort` does not return, and needs nothing.
    unsafe { abort() }
}
