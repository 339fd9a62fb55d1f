//! The board: receives requests over the UART and sends replies; the store lies in flash.
//!
//! For your own board, replace the UART and the flash in this file.
#![no_std]
#![no_main]

use board::clock::CLOCK_HZ;
use board::flash::Flash;
use board::limits::{self, CLASSES, DIM, PIXELS, SUPPORTS, WORK_WORDS};
use board::uart::Uart;
use cortex_m::singleton;
use cortex_m_rt::entry;
use macula_edge::decide::Predictor;
use macula_edge::encoder::{Blob, Encoder, FeaturesOnly};
use macula_edge::protocol::message::message_max;
use macula_edge::protocol::{Endpoint, packet_max};
use macula_edge::session::{Memory, Profile, Session};
use macula_edge::store::{Store, buffer_len};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};

/// Bytes of the store, at the beginning of the flash.
const STORE_BYTES: u32 = 256 * 1024;

const MESSAGE_MAX: usize = message_max(DIM);
const PACKET_MAX: usize = packet_max(MESSAGE_MAX);
const BUFFER_LEN: usize = buffer_len::<Flash>(DIM);
const SCRATCH_LEN: usize = Predictor::scratch_len(DIM, CLASSES, SUPPORTS);

/// Lends a static array once, under its own name in the memory map.
macro_rules! lend {
    ($name:ident: [$kind:ty; $len:expr] = $value:expr) => {
        singleton!($name: [$kind; $len] = [$value; $len]).expect("main runs once")
    };
}

#[entry]
fn main() -> ! {
    match limits::blob() {
        Some(blob) => serve(Blob::parse(blob).expect("build.rs parsed it")),
        None => serve(FeaturesOnly { identity: *b"features only\0\0\0", dim: DIM }),
    }
}

/// Answers requests for ever.
fn serve<E: Encoder>(encoder: E) -> ! {
    let flash = Flash::take().expect("main runs once");
    let mut support_set = SupportSet::new(
        DIM,
        lend!(NAMES: [ClassName; CLASSES] = ClassName::FREE),
        lend!(RECORDS: [SupportRecord; SUPPORTS] = SupportRecord::EMPTY),
        lend!(FEATURES: [i16; SUPPORTS * DIM] = 0),
    )
    .expect("the sizes above fit each other");
    let buffer = lend!(STORE: [u8; BUFFER_LEN] = 0);
    let store = match Store::open(flash, 0..STORE_BYTES, encoder.info().identity, buffer, &mut support_set) {
        Ok(store) => store,
        Err(error) => panic!("the store cannot be opened: {error}"),
    };
    let memory = Memory {
        image: lend!(IMAGE: [u8; PIXELS] = 0),
        work: lend!(WORK: [u32; WORK_WORDS] = 0),
        feature: lend!(FEATURE: [i16; DIM] = 0),
        bytes: lend!(BYTES: [u8; 2 * DIM] = 0),
        scratch: lend!(SCRATCH: [f64; SCRATCH_LEN] = 0.0),
        probabilities: lend!(PROBABILITIES: [f64; CLASSES] = 0.0),
    };
    let profile = Profile {
        program: env!("CARGO_PKG_NAME"),
        program_version: env!("CARGO_PKG_VERSION"),
        message_max: MESSAGE_MAX as u32,
    };
    let mut session = match Session::new(profile, encoder, store, support_set, memory, None) {
        Ok(session) => session,
        Err(error) => panic!("the session cannot begin: {error}"),
    };
    let mut endpoint = Endpoint::new(lend!(RECEIVED: [u8; PACKET_MAX] = 0), lend!(KEPT: [u8; PACKET_MAX] = 0));
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
