//! The board: receives requests over the UART and sends replies; the store lies in flash.
//!
//! For your own board, replace the UART and the flash in this file.
#![no_std]
#![no_main]

use board::clock::CLOCK_HZ;
use board::flash::Flash;
use board::uart::Uart;
use board::{device, limits};
use cortex_m_rt::entry;
use macula_edge::encoder::{Blob, Encoder, FeaturesOnly};

#[entry]
fn main() -> ! {
    match limits::blob() {
        Some(blob) => serve(Blob::parse(blob).expect("build.rs parsed it")),
        None => serve(FeaturesOnly { identity: *b"features only\0\0\0", dim: limits::DIM }),
    }
}

/// Answers requests for ever.
fn serve<E: Encoder>(encoder: E) -> ! {
    let mut session = device::open(encoder, Flash::take().expect("main runs once"));
    let mut endpoint = device::endpoint();
    let mut uart = Uart::take(CLOCK_HZ, 115_200).expect("main runs once");
    loop {
        let byte = uart.read();
        let answer = |request: &[u8], line, reply: &mut [u8]| {
            session.set_line(line);
            // This board has no real-time clock.
            session.handle(request, 0, reply)
        };
        endpoint.receive(byte, answer, &mut |bytes| uart.write(bytes));
    }
}
