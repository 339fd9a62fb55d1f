//! The device in this image: memory for its session, and its store in flash.

use cortex_m::singleton;
use macula_edge::decide::Predictor;
use macula_edge::encoder::Encoder;
use macula_edge::protocol::message::message_max;
use macula_edge::protocol::{Endpoint, packet_max};
use macula_edge::session::{Memory, Profile, Session};
use macula_edge::store::{Store, buffer_len};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};

use crate::flash::Flash;
use crate::limits::{CLASSES, DIM, PIXELS, SUPPORTS, WORK_WORDS};

/// Bytes of the store, at the beginning of the flash.
const STORE_BYTES: u32 = 256 * 1024;

const MESSAGE_MAX: usize = message_max(DIM);
/// Bytes of a request or reply on the line at most, without its framing.
pub const PACKET_MAX: usize = packet_max(MESSAGE_MAX);
const BUFFER_LEN: usize = buffer_len::<Flash>(DIM);
const SCRATCH_LEN: usize = Predictor::scratch_len(DIM, CLASSES, SUPPORTS);

/// Lends a static array once, under its own name in the memory map.
macro_rules! lend {
    ($name:ident: [$kind:ty; $len:expr] = $value:expr) => {
        singleton!($name: [$kind; $len] = [$value; $len]).expect("a device is opened once")
    };
}

/// Opens the store in `flash` and begins a session. A program does so once.
///
/// # Panics
/// If the store cannot be opened, or a device was opened before.
pub fn open<E: Encoder>(encoder: E, flash: Flash) -> Session<'static, E, Flash> {
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
    match Session::new(profile, encoder, store, support_set, memory, None) {
        Ok(session) => session,
        Err(error) => panic!("the session cannot begin: {error}"),
    }
}

/// The device's end of its line. A program takes it once.
///
/// # Panics
/// If it was taken before.
pub fn endpoint() -> Endpoint<'static> {
    Endpoint::new(lend!(RECEIVED: [u8; PACKET_MAX] = 0), lend!(KEPT: [u8; PACKET_MAX] = 0))
}
