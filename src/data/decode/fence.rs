//! A panic of a decoder is the fault of one image, not of the program.
//!
//! Where panics end the process at once (`panic = "abort"`, the program of a device) the fence is without effect: what
//! is known to make a decoder panic is refused before it runs.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use super::refusal::Refusal;

thread_local! {
    static IS_FENCED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `decode`; a panic in it is a refusal, and nothing of it is printed.
pub(super) fn fenced<T>(decode: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_FENCED.get() {
                usual(panic);
            }
        }));
    });
    let before = IS_FENCED.replace(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    IS_FENCED.set(before);
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
        let refusal = fenced::<()>(|| panic!("row {} is missing", 3)).unwrap_err();
        assert_eq!(refusal, Refusal::Reason("the decoder failed: row 3 is missing".to_owned()));
        assert_eq!(fenced(|| Ok(7)), Ok(7));
        assert!(!IS_FENCED.get());
    }
}
