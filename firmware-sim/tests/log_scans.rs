//! What it costs to read the log, and logs that no program writes though their checksums are right.

mod common;

use common::{DIM, IDENTITY, Memory, Request, carry_out, source, support};
use macula_edge::store::{Store, StoreError, peek};
use macula_edge::support_set::ClassName;
use macula_firmware_sim::flash::SimFlash;

type Flash = SimFlash<1, 4, 4096>;

/// Reads of flash for one record of a log that is read once: its mark, what it is about, its payload.
const READS_A_RECORD: u64 = 3;

/// Flash with `records` supports in two classes.
fn filled(records: u64) -> (Flash, Memory) {
    let blocks = records as usize * 160 / 4096 * 5 / 4 + 8;
    let (mut flash, mut memory) = (Flash::new(blocks), Memory::new::<Flash>(DIM, 4, records as usize));
    {
        let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
        for (class, name) in [(0, "nodule"), (1, "vessel")] {
            carry_out(&mut store, &mut support_set, &Request::PutClass(class, name.into())).unwrap();
        }
        for number in 0..records {
            carry_out(&mut store, &mut support_set, &support(number, (number % 2) as u8, DIM)).unwrap();
        }
    }
    (flash, memory)
}

#[test]
fn the_log_is_read_a_fixed_number_of_times() {
    for records in [500, 2000] {
        let (mut flash, mut memory) = filled(records);
        flash.reads = 0;
        let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
        let mut before = 0;
        let mut expect = |store: &mut Store<'_, &mut Flash>, what, times| {
            let reads = store.flash_mut().reads - before;
            let limit = times * READS_A_RECORD * records + 2_000;
            assert!(reads <= limit, "{records} records: {reads} reads to {what}, {limit} are enough");
            before += reads;
        };
        // To find its end, classes, supports, settings.
        expect(&mut store, "open it", 4);
        assert_eq!(store.verify(&support_set), Ok(records as usize));
        expect(&mut store, "verify it", 4);
        let (range, mut buffer) = (0..store.flash_mut().bytes().len() as u32, vec![0; 4096]);
        let peeked = peek(store.flash_mut(), range, &mut buffer, 1, &mut [0; 128]).unwrap().unwrap();
        assert!(peeked.has_supports && peeked.dim == Some(DIM));
        expect(&mut store, "peek", 4);
        store.put_class(2, &ClassName::new("cell").unwrap()).unwrap();
        expect(&mut store, "name a class", 3);
        store.put_setting(1, b"value").unwrap();
        expect(&mut store, "keep a setting", 2);
        carry_out(&mut store, &mut support_set, &Request::Forget(source(0))).unwrap();
        expect(&mut store, "forget a support", 2);
        store.remove_class(1, &support_set).unwrap();
        expect(&mut store, "remove a class", 2);
    }
}

/// A block whose header and records are whole: `records` are kind, slot and payload.
fn image(records: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0xff; 3 * 4096];
    let mut header = [0; 52];
    header[..8].copy_from_slice(b"MCST\x01\x00\x01\x00");
    header[8..24].copy_from_slice(&IDENTITY);
    (header[24], header[28], header[36]) = (1, 1, 1);
    let sum = crc(&header[..48]);
    header[48..].copy_from_slice(&sum.to_le_bytes());
    bytes[..52].copy_from_slice(&header);
    bytes[52..104].copy_from_slice(&header);
    bytes[104..108].fill(0);
    let mut at = 108;
    for (kind, slot, payload) in records {
        let mut head = [(payload.len() as u16).to_le_bytes().as_slice(), &[*kind, *slot]].concat();
        let sum = crc(&[&[1, 0, 0, 0], head.as_slice(), payload].concat());
        head.extend(sum.to_le_bytes());
        bytes[at..at + 4].fill(0);
        bytes[at + 4..at + 12].copy_from_slice(&head);
        bytes[at + 12..at + 12 + payload.len()].copy_from_slice(payload);
        at += 12 + payload.len().next_multiple_of(4);
    }
    bytes
}

/// CRC-32 of ISO-HDLC, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

const CLASS: u8 = 1;
const REMOVE: u8 = 2;
const LEARN: u8 = 3;
const FORGET: u8 = 4;
const SETTING: u8 = 5;

fn learned(number: u64, slot: u8) -> (u8, u8, Vec<u8>) {
    (LEARN, slot, [source(number).as_slice(), &[0; 12], &[1; 2 * DIM]].concat())
}

fn named(slot: u8, name: &str) -> (u8, u8, Vec<u8>) {
    (CLASS, slot, name.as_bytes().to_vec())
}

/// Everything that can be asked of a store of this content, in an order that frees the most; the first error of opening.
fn used(records: &[(u8, u8, Vec<u8>)]) -> Result<(), StoreError> {
    let (mut flash, mut memory) = (Flash::holding(image(records)), Memory::new::<Flash>(DIM, 4, 8));
    let (mut store, mut support_set) = memory.open(&mut flash)?;
    let mut requests: Vec<_> = (0..4).map(|number| Request::Forget(source(number))).collect();
    requests.extend((0..4).map(|key| Request::PutSetting(key, Vec::new())));
    requests.extend((0..4).map(Request::RemoveClass));
    requests.extend([Request::PutClass(0, "a".into()), support(9, 0, DIM), Request::EraseAll]);
    for request in &requests {
        // What is not there is refused; what is there goes, and its room is free again.
        let _ = carry_out(&mut store, &mut support_set, request);
        store.verify(&support_set).unwrap();
    }
    Ok(())
}

#[test]
fn a_support_without_a_class_is_damage() {
    let gone = |slot| (REMOVE, slot, Vec::new());
    let whole = [named(0, "a"), learned(0, 0), learned(1, 0), (SETTING, 1, b"v".to_vec())];
    assert_eq!(used(&whole), Ok(()));
    // Removed, and taught anew under a name of its own; forgotten before it was removed.
    assert_eq!(used(&[named(0, "a"), learned(0, 0), gone(0), named(0, "b"), learned(0, 0)]), Ok(()));
    assert_eq!(used(&[named(1, "a"), learned(0, 1), (FORGET, 0, source(0).to_vec()), gone(1)]), Ok(()));
    // What a removal removed may have left the log before it.
    assert_eq!(used(&[gone(0), (FORGET, 0, source(0).to_vec()), (SETTING, 1, Vec::new())]), Ok(()));
    for (records, expected) in [
        (vec![learned(0, 0)], 108),
        (vec![learned(0, 200)], 108),
        (vec![named(0, "a"), gone(0), learned(0, 0)], 108 + 16 + 12),
        (vec![named(0, "a"), learned(0, 0), learned(0, 1)], 108 + 16 + 104),
        // One source of two classes, of which one was removed later: memory held a support that the log did not.
        (vec![named(0, "a"), learned(0, 0), learned(0, 1), gone(1)], 108 + 16 + 104),
        // Counted nowhere, and freed when it was forgotten: room came out of nothing.
        (vec![named(0, "a"), learned(0, 2), learned(1, 2), learned(2, 2)], 108 + 16 + 2 * 104),
    ] {
        assert_eq!(used(&records), Err(StoreError::Damaged { at: expected }), "{records:?}");
    }
}
