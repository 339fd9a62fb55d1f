//! The cost of reading the journal, and journals with valid checksums that no device writes.

mod common;

use common::{DIM, IDENTITY, Memory, Request, carry_out, crc, seal_header, source, support};
use macula_edge::store::format::{HEADER_LEN, MAGIC, RECORD_HEAD, SUPPORT_HEAD, VERSION, header};
use macula_edge::store::{Store, StoreError, peek};
use macula_edge::support_set::ClassName;
use macula_firmware_sim::flash::SimFlash;

type Flash = SimFlash<1, 4, 4096>;

/// Flash reads per record in one pass: its mark, its head, its payload.
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
fn the_journal_is_read_a_fixed_number_of_times() {
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
        // One pass each for the end, classes, supports, settings.
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
        // The class and the setting that may belong to it.
        expect(&mut store, "remove a class", 3);
    }
}

/// Address of the first record: two headers and a mark lie before it.
const RECORDS: usize = 2 * HEADER_LEN + MARK;
const MARK: usize = 4;
/// Bytes of a record before its payload.
const HEAD: usize = MARK + RECORD_HEAD;

/// A block with valid checksums: `records` are kind, slot and payload.
fn image(records: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0xff; 3 * 4096];
    let mut first = [0; HEADER_LEN];
    first[..header::VERSION].copy_from_slice(&MAGIC);
    (first[header::VERSION], first[header::OPENING]) = (VERSION as u8, 1);
    first[header::IDENTITY..header::SEQ].copy_from_slice(&IDENTITY);
    (first[header::SEQ], first[header::TAIL], first[header::ERASES]) = (1, 1, 1);
    seal_header(&mut first);
    bytes[..2 * HEADER_LEN].copy_from_slice(&first.repeat(2));
    bytes[2 * HEADER_LEN..RECORDS].fill(0);
    let mut at = RECORDS;
    for (kind, slot, payload) in records {
        let mut head = [(payload.len() as u16).to_le_bytes().as_slice(), &[*kind, *slot]].concat();
        let sum = crc(&[&[1, 0, 0, 0], head.as_slice(), payload].concat());
        head.extend(sum.to_le_bytes());
        bytes[at..at + MARK].fill(0);
        bytes[at + MARK..at + HEAD].copy_from_slice(&head);
        bytes[at + HEAD..][..payload.len()].copy_from_slice(payload);
        at += HEAD + payload.len().next_multiple_of(4);
    }
    bytes
}

const CLASS: u8 = 1;
const REMOVE: u8 = 2;
const LEARN: u8 = 3;
const FORGET: u8 = 4;
const SETTING: u8 = 5;

fn learned(number: u64, slot: u8) -> (u8, u8, Vec<u8>) {
    (LEARN, slot, [source(number).as_slice(), &[0; SUPPORT_HEAD - 16], &[1; 2 * DIM]].concat())
}

fn named(slot: u8, name: &str) -> (u8, u8, Vec<u8>) {
    (CLASS, slot, name.as_bytes().to_vec())
}

/// Opens a store with this content and makes every kind of change; returns the error of opening.
fn used(records: &[(u8, u8, Vec<u8>)]) -> Result<(), StoreError> {
    let (mut flash, mut memory) = (Flash::holding(image(records)), Memory::new::<Flash>(DIM, 4, 8));
    let (mut store, mut support_set) = memory.open(&mut flash)?;
    let mut requests: Vec<_> = (0..4).map(|number| Request::Forget(source(number))).collect();
    requests.extend((0..4).map(|key| Request::PutSetting(key, Vec::new())));
    requests.extend((0..4).map(Request::RemoveClass));
    requests.extend([Request::PutClass(0, "a".into()), support(9, 0, DIM), Request::EraseAll]);
    for request in &requests {
        // A removal of something that is missing is refused.
        let _ = carry_out(&mut store, &mut support_set, request);
        store.verify(&support_set).unwrap();
    }
    Ok(())
}

#[test]
fn supports_that_no_device_writes_are_damage() {
    let gone = |slot| (REMOVE, slot, Vec::new());
    let whole = [named(0, "a"), learned(0, 0), learned(1, 0), (SETTING, 1, b"v".to_vec())];
    assert_eq!(used(&whole), Ok(()));
    // Removed, and learned again in a new class; forgotten before the class was removed.
    assert_eq!(used(&[named(0, "a"), learned(0, 0), gone(0), named(0, "b"), learned(0, 0)]), Ok(()));
    assert_eq!(used(&[named(1, "a"), learned(0, 1), (FORGET, 0, source(0).to_vec()), gone(1)]), Ok(()));
    // The same source in a removed class first, then forgotten or removed with its class.
    let forgotten = (FORGET, 0, source(0).to_vec());
    assert_eq!(used(&[named(0, "a"), learned(0, 1), forgotten, learned(0, 0), gone(1)]), Ok(()));
    assert_eq!(used(&[named(0, "a"), learned(0, 1), gone(1), learned(0, 0)]), Ok(()));
    // Compaction may have dropped the records that a removal supersedes.
    assert_eq!(used(&[gone(0), (FORGET, 0, source(0).to_vec()), (SETTING, 1, Vec::new())]), Ok(()));
    let (class, support) = (HEAD + 4, HEAD + SUPPORT_HEAD + 2 * DIM);
    for (records, offset) in [
        (vec![learned(0, 0)], 0),
        (vec![learned(0, 200)], 0),
        (vec![named(0, "a"), gone(0), learned(0, 0)], class + HEAD),
        (vec![named(0, "a"), learned(0, 0), learned(0, 1)], class + support),
        // One source in two classes, of which the second or the first was removed later.
        (vec![named(0, "a"), learned(0, 0), learned(0, 1), gone(1)], class + support),
        (vec![named(0, "a"), learned(0, 1), learned(0, 0), gone(1)], class + support),
        (vec![named(0, "a"), named(1, "b"), learned(0, 1), learned(0, 0)], 2 * class + support),
        // These would be counted nowhere and freed when forgotten.
        (vec![named(0, "a"), learned(0, 2), learned(1, 2), learned(2, 2)], class + 2 * support),
    ] {
        assert_eq!(used(&records), Err(StoreError::Damaged { at: (RECORDS + offset) as u32 }), "{records:?}");
    }
}
