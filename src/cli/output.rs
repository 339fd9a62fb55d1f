//! Printing: replacements of the standard library's macros.
//!
//! In `cli`, `println!` and `eprintln!` are those below. Their output is [`fenced`], so that control characters in foreign
//! text have no effect on a terminal, and they never panic. If the reader has gone, as with `head`, the program ends with
//! exit code 141, the code that shells report for SIGPIPE. A serving device continues ([`outlive_readers`]).

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::report::text::fenced;

/// Exit code if the reader of the output has gone.
const READER_GONE: i32 = 141;
/// Exit code if the output cannot be written, for example because the disk is full.
const CANNOT_PRINT: i32 = 2;

static OUTLIVES_READERS: AtomicBool = AtomicBool::new(false);

/// Output that cannot be printed does not end the program from now on.
pub fn outlive_readers() {
    OUTLIVES_READERS.store(true, Ordering::Relaxed);
}

/// Prints to standard output.
pub fn out(text: Arguments<'_>) {
    raw(&fenced(&text.to_string()));
}

/// Prints to standard output unchanged, for machines.
pub fn raw(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = stdout.write_all(text.as_bytes()) {
        drop(stdout);
        ended(error.kind(), || err(format_args!("macula: cannot print: {error}\n")));
    }
}

/// Prints to standard error.
pub fn err(text: Arguments<'_>) {
    let text = fenced(&text.to_string()).into_owned();
    if let Err(error) = std::io::stderr().lock().write_all(text.as_bytes())
        && error.kind() == ErrorKind::BrokenPipe
    {
        // Remarks that cannot be written, for example to a full disk, do not stop the work.
        ended(error.kind(), || ());
    }
}

fn ended(kind: ErrorKind, tell: impl FnOnce()) {
    if OUTLIVES_READERS.load(Ordering::Relaxed) {
        return;
    }
    if kind == ErrorKind::BrokenPipe {
        std::process::exit(READER_GONE);
    }
    tell();
    std::process::exit(CANNOT_PRINT);
}

/// As in the standard library, but fenced and without panics.
macro_rules! print {
    ($($text:tt)*) => { $crate::cli::output::out(format_args!($($text)*)) };
}

/// As in the standard library, but fenced and without panics.
macro_rules! println {
    () => { $crate::cli::output::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::output::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// As in the standard library, but fenced and without panics.
macro_rules! eprintln {
    () => { $crate::cli::output::err(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::output::err(format_args!("{}\n", format_args!($($text)*))) };
}
