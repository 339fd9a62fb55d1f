//! A small device memory and a store on it, shared by the tests.
#![allow(dead_code, reason = "each test uses its own part of this")]

use macula_edge::store::format::{HEADER_LEN, header};
use macula_edge::store::{Flash, Store, StoreError, buffer_len};
use macula_edge::support_set::{ClassName, SourceId, SupportRecord, SupportSet};

/// Feature dimension D of the small device.
pub const DIM: usize = 32;
/// Class slots.
pub const CLASSES: usize = 4;
/// Keys of settings that the tests use, from 0. Setting 5 belongs to the class in its first byte.
pub const SETTINGS: u8 = 6;
/// The encoder whose features are kept.
pub const IDENTITY: [u8; 16] = *b"encoder of tests";

/// Memory that a device lends its `SupportSet` and its store.
pub struct Memory {
    dim: usize,
    names: Vec<ClassName>,
    records: Vec<SupportRecord>,
    features: Vec<i16>,
    buffer: Vec<u8>,
}

impl Memory {
    /// Memory for `supports` supports of `dim` dimensions in `classes` classes, on flash `F`.
    pub fn new<F: Flash>(dim: usize, classes: usize, supports: usize) -> Self {
        Self {
            dim,
            names: vec![ClassName::FREE; classes],
            records: vec![SupportRecord::EMPTY; supports],
            features: vec![0; supports * dim],
            buffer: vec![0; buffer_len::<F>(dim)],
        }
    }

    /// The parts, to open a store with.
    pub fn lend(&mut self) -> (SupportSet<'_>, &mut [u8]) {
        let support_set = SupportSet::new(self.dim, &mut self.names, &mut self.records, &mut self.features);
        (support_set.expect("the sizes agree"), &mut self.buffer)
    }

    /// Opens the store that fills `flash`; returns it with its support set.
    pub fn open<F: Flash>(&mut self, flash: F) -> Result<(Store<'_, F>, SupportSet<'_>), StoreError> {
        let range = 0..flash.capacity() as u32;
        let (mut support_set, buffer) = self.lend();
        // `lend` borrows all memory at once, as a session does.
        let store = Store::open(flash, range, IDENTITY, buffer, &mut support_set)?;
        Ok((store, support_set))
    }
}

/// A change of the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    PutClass(u8, String),
    RemoveClass(u8),
    Learn(SupportRecord, Vec<i16>),
    Forget(SourceId),
    PutSetting(u8, Vec<u8>),
    EraseAll,
    ForgetAll,
}

/// Executes a request as a session does: durably first, then in memory.
pub fn carry_out<F: Flash>(
    store: &mut Store<'_, F>,
    support_set: &mut SupportSet<'_>,
    request: &Request,
) -> Result<(), StoreError> {
    match request {
        Request::PutClass(class, name) => {
            let name = ClassName::new(name).expect("a name of the script is allowed");
            store.put_class(*class, &name)?;
            support_set.put_class(*class, name).map_err(StoreError::SupportSet)
        }
        Request::RemoveClass(class) => {
            store.remove_class(*class, support_set)?;
            support_set.remove_class(*class).map_err(StoreError::SupportSet)
        }
        Request::Learn(record, feature) => {
            store.learn(record, feature)?;
            support_set.learn(*record, feature).map_err(StoreError::SupportSet).map(|_| ())
        }
        Request::Forget(source) => {
            store.forget(source)?;
            support_set.forget(source).map_err(StoreError::SupportSet).map(|_| ())
        }
        Request::PutSetting(key, value) => store.put_setting(*key, value),
        Request::EraseAll => {
            store.erase_all()?;
            support_set.clear();
            Ok(())
        }
        Request::ForgetAll => {
            store.forget_all()?;
            support_set.clear();
            Ok(())
        }
    }
}

/// The bytes of the canonical state and of the settings with keys below [`SETTINGS`].
pub fn state<F: Flash>(store: &mut Store<'_, F>, support_set: &SupportSet<'_>) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    support_set.state(|piece| bytes.extend_from_slice(piece));
    for key in 0..SETTINGS {
        let mut value = [0; 128];
        let len = store.get_setting(key, &mut value)?;
        bytes.push(len as u8);
        bytes.extend_from_slice(&value[..len]);
    }
    Ok(bytes)
}

/// The support of a number: all its fields depend on it.
pub fn support(number: u64, class: u8, dim: usize) -> Request {
    let mut seed = macula_firmware_sim::seed::Seed::new(number);
    let mut source = [0; 16];
    source[..8].copy_from_slice(&seed.next_u64().to_le_bytes());
    source[8..].copy_from_slice(&seed.next_u64().to_le_bytes());
    let record = SupportRecord { source, class, operator: number as u32, time_s: 1_700_000_000 + number };
    Request::Learn(record, (0..dim).map(|_| seed.next_u64() as i16).collect())
}

/// The source of a support.
pub fn source(number: u64) -> SourceId {
    match support(number, 0, 1) {
        Request::Learn(record, _) => record.source,
        _ => unreachable!("a support is learned"),
    }
}

/// CRC-32 of ISO-HDLC, bit by bit.
pub fn crc(bytes: &[u8]) -> u32 {
    assert!(bytes == b"123456789" || crc(b"123456789") == 0xcbf4_3926, "the published check value");
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1)))
    })
}

/// Computes the checksum of a header again.
pub fn seal_header(header: &mut [u8]) {
    let sum = crc(&header[..header::CRC]);
    header[header::CRC..HEADER_LEN].copy_from_slice(&sum.to_le_bytes());
}
