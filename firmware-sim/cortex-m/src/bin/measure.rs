//! Counts instructions; prints a line each and ends.
#![no_std]
#![no_main]

use core::fmt::Write;

use board::clock::{self, Clock};
use board::semihosting::{self, Console};
use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    let peripherals = cortex_m::Peripherals::take().expect("main runs once");
    let clock = Clock::start(peripherals.SYST);
    let before = clock.ticks();
    for _ in 0..1_000_000 {
        core::hint::black_box(0);
    }
    let _ = writeln!(Console, "{}", clock::instructions(clock.ticks() - before));
    semihosting::exit(0)
}
