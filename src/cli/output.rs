//! What is printed, in the place of the standard library's macros.
//!
//! `println!` and `eprintln!` in this module mean those below: what they print is [`fenced`], so that text from outside
//! moves no cursor and hides nothing, and they never panic. A reader that has seen enough, such as `head`, ends the
//! program with exit code 141, as shells have it of a program that SIGPIPE ended. A serving device prints on
//! ([`outlive_readers`]): nobody's reading is no reason to end it.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::report::text::fenced;

/// Exit code where nobody reads what is printed any more.
const NOBODY_READS: i32 = 141;
/// Exit code where it cannot be written, to a full disk for example.
const CANNOT_PRINT: i32 = 2;

static OUTLIVES_READERS: AtomicBool = AtomicBool::new(false);

/// From now on nothing that cannot be printed ends the program.
pub fn outlive_readers() {
    OUTLIVES_READERS.store(true, Ordering::Relaxed);
}

/// Prints to standard output.
pub fn out(text: Arguments<'_>) {
    raw(&fenced(&text.to_string()));
}

/// Prints to standard output as it is, for machines.
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
        // A full disk is no reason to stop: what is told here is beside the work.
        ended(error.kind(), || ());
    }
}

fn ended(kind: ErrorKind, tell: impl FnOnce()) {
    if OUTLIVES_READERS.load(Ordering::Relaxed) {
        return;
    }
    if kind == ErrorKind::BrokenPipe {
        std::process::exit(NOBODY_READS);
    }
    tell();
    std::process::exit(CANNOT_PRINT);
}

/// As the standard library's, fenced and without panics.
macro_rules! print {
    ($($text:tt)*) => { $crate::cli::output::out(format_args!($($text)*)) };
}

/// As the standard library's, fenced and without panics.
macro_rules! println {
    () => { $crate::cli::output::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::output::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// As the standard library's, fenced and without panics.
macro_rules! eprintln {
    () => { $crate::cli::output::err(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::output::err(format_args!("{}\n", format_args!($($text)*))) };
}
