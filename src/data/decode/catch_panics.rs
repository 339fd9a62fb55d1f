//! Turns a panic of a decoder into an error of one image.
//!
//! This has no effect where panics abort (`panic = "abort"`, in device programs). Files that are known to make a decoder
//! panic are therefore refused before it runs.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use super::refusal::Refusal;

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `decode` and returns a panic in it as a refusal, without printing it.
pub(super) fn catch_panics<T>(decode: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_CAUGHT.get() {
                usual(panic);
            }
        }));
    });
    let before = IS_CAUGHT.replace(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    IS_CAUGHT.set(before);
    decoded.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("for an unknown reason");
        Err(format!("the decoder failed: {text}").into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_refusal() {
        let refusal = catch_panics::<()>(|| panic!("row {} is missing", 3)).unwrap_err();
        assert_eq!(refusal, Refusal::Reason("the decoder failed: row 3 is missing".to_owned()));
        assert_eq!(catch_panics(|| Ok(7)), Ok(7));
        assert!(!IS_CAUGHT.get());
    }
}
