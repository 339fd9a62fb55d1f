//! A small device memory and a store on it, shared by the tests.
#![allow(dead_code, reason = "each test uses its own part of this")]

use macula_edge::store::{Flash, Store, StoreError, buffer_len};
use macula_edge::taught::{Name, Record, Source, Taught};

/// Feature dimension D of the small device.
pub const DIM: usize = 32;
/// Class slots.
pub const CLASSES: usize = 4;
/// The encoder whose features are kept.
pub const IDENTITY: [u8; 16] = *b"encoder of tests";

/// Memory that a device lends its `Taught` and its store.
pub struct Memory {
    dim: usize,
    names: Vec<Name>,
    records: Vec<Record>,
    features: Vec<i16>,
    buffer: Vec<u8>,
}

impl Memory {
    /// For `supports` supports of `dim` dimensions in `classes` classes, on flash `F`.
    pub fn new<F: Flash>(dim: usize, classes: usize, supports: usize) -> Self {
        Self {
            dim,
            names: vec![Name::FREE; classes],
            records: vec![Record::EMPTY; supports],
            features: vec![0; supports * dim],
            buffer: vec![0; buffer_len::<F>(dim)],
        }
    }

    /// The parts, to open a store with.
    pub fn lend(&mut self) -> (Taught<'_>, &mut [u8]) {
        let taught = Taught::new(self.dim, &mut self.names, &mut self.records, &mut self.features);
        (taught.expect("the sizes agree"), &mut self.buffer)
    }

    /// Opens the store that fills `flash` and gives it with what it was taught.
    pub fn open<F: Flash>(&mut self, flash: F) -> Result<(Store<'_, F>, Taught<'_>), StoreError> {
        let range = 0..flash.capacity() as u32;
        let (mut taught, buffer) = self.lend();
        // `lend` borrows all of the memory at once, as a device's session does.
        let store = Store::open(flash, range, IDENTITY, buffer, &mut taught)?;
        Ok((store, taught))
    }
}

/// What a device may be asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    PutClass(u8, String),
    RemoveClass(u8),
    Learn(Record, Vec<i16>),
    Forget(Source),
    PutSetting(u8, Vec<u8>),
    EraseAll,
    ForgetAll,
}

/// Carries out a request as a session does: durably first, then in memory.
pub fn carry_out<F: Flash>(
    store: &mut Store<'_, F>,
    taught: &mut Taught<'_>,
    request: &Request,
) -> Result<(), StoreError> {
    match request {
        Request::PutClass(class, name) => {
            let name = Name::new(name).expect("a name of the script is allowed");
            store.put_class(*class, &name)?;
            taught.put_class(*class, name).map_err(StoreError::Taught)
        }
        Request::RemoveClass(class) => {
            store.remove_class(*class, taught)?;
            taught.remove_class(*class).map_err(StoreError::Taught)
        }
        Request::Learn(record, feature) => {
            store.learn(record, feature)?;
            taught.learn(*record, feature).map_err(StoreError::Taught).map(|_| ())
        }
        Request::Forget(source) => {
            store.forget(source)?;
            taught.forget(source).map_err(StoreError::Taught).map(|_| ())
        }
        Request::PutSetting(key, value) => store.put_setting(*key, value),
        Request::EraseAll => {
            store.erase_all()?;
            taught.clear();
            Ok(())
        }
        Request::ForgetAll => {
            store.forget_all()?;
            taught.clear();
            Ok(())
        }
    }
}

/// The canonical bytes of what is known, and of the settings with keys below 4.
pub fn state<F: Flash>(store: &mut Store<'_, F>, taught: &Taught<'_>) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    taught.state(|piece| bytes.extend_from_slice(piece));
    for key in 0..4 {
        let mut value = [0; 128];
        let len = store.get_setting(key, &mut value)?;
        bytes.push(len as u8);
        bytes.extend_from_slice(&value[..len]);
    }
    Ok(bytes)
}

/// A support that its number tells everything about.
pub fn support(number: u64, class: u8, dim: usize) -> Request {
    let mut seed = macula_firmware_sim::seed::Seed::new(number);
    let mut source = [0; 16];
    source[..8].copy_from_slice(&seed.next_u64().to_le_bytes());
    source[8..].copy_from_slice(&seed.next_u64().to_le_bytes());
    let record = Record { source, class, operator: number as u32, time_s: 1_700_000_000 + number };
    Request::Learn(record, (0..dim).map(|_| seed.next_u64() as i16).collect())
}

/// The source of a support.
pub fn source(number: u64) -> Source {
    match support(number, 0, 1) {
        Request::Learn(record, _) => record.source,
        _ => unreachable!("a support is learned"),
    }
}
