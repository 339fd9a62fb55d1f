//! The bytes of the store: version 1 is always read, a later version is refused by its number.

mod common;

use common::{CLASSES, DIM, IDENTITY, Memory, Request, carry_out, crc, seal_header, source, state, support};
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use macula_edge::store::format::{HEADER_LEN, header};
use macula_edge::store::{Store, StoreError};
use macula_firmware_sim::flash::SimFlash;

type Flash = SimFlash<1, 4, 1024>;

/// A store of version 1 on 3 blocks of 1024 bytes, as `written` makes it.
const VERSION_1: &[u8] = include_bytes!("vectors/store_v1.bin");

fn memory() -> Memory {
    Memory::new::<Flash>(DIM, CLASSES, 16)
}

/// Two classes, one renamed and one removed, supports learned and forgotten, two settings; the journal has used every block
/// and was compacted.
fn script() -> Vec<Request> {
    let mut script = vec![Request::PutClass(0, "nodule".into()), Request::PutClass(1, "vessel".into())];
    script.push(Request::PutSetting(0, b"kept".to_vec()));
    script.extend((0..4).map(|number| support(number, (number % 2) as u8, DIM)));
    script.extend((10..30).flat_map(|number| [support(number, 1, DIM), Request::Forget(source(number))]));
    script.extend([Request::PutClass(2, "cell".into()), support(50, 2, DIM), Request::RemoveClass(2)]);
    script.extend([Request::PutSetting(3, b"old".to_vec()), Request::PutSetting(3, b"new".to_vec())]);
    script.extend([Request::PutClass(1, "air way ü".into()), Request::Forget(source(2))]);
    script
}

fn written() -> Vec<u8> {
    let (mut flash, mut memory) = (Flash::new(3), memory());
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    script().iter().for_each(|request| carry_out(&mut store, &mut support_set, request).unwrap());
    flash.bytes().to_vec()
}

#[test]
fn version_1_is_read() {
    let (mut flash, mut memory) = (Flash::holding(VERSION_1.to_vec()), memory());
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    let names: Vec<_> = support_set.names().iter().map(|name| name.as_str().to_owned()).collect();
    assert_eq!(names, ["nodule", "air way ü", "", ""]);
    assert_eq!(support_set.supports().len(), 3);
    for number in [0, 1, 3] {
        let Request::Learn(record, feature) = support(number, (number % 2) as u8, DIM) else { unreachable!() };
        let index = support_set.find(&record.source).unwrap();
        assert_eq!(
            (support_set.supports().records[index], support_set.supports().feature(index)),
            (record, &feature[..])
        );
    }
    let (mut kept, mut new) = ([0; 4], [0; 3]);
    assert_eq!((store.get_setting(0, &mut kept), store.get_setting(3, &mut new)), (Ok(4), Ok(3)));
    assert_eq!((&kept, &new), (b"kept", b"new"));
    carry_out(&mut store, &mut support_set, &support(60, 0, DIM)).unwrap();
}

/// The bytes of `docs/store-format.md`, as numbers: the constants of the code must not move.
#[test]
fn version_1_is_written() {
    assert_eq!(written(), VERSION_1);
    let (mut flash, mut memory) = (Flash::new(2), memory());
    let (mut store, _) = memory.open(&mut flash).unwrap();
    store.put_setting(9, b"ab").unwrap();
    let bytes = flash.bytes();
    let mut header = [0; 52];
    header[..8].copy_from_slice(b"MCST\x01\x00\x01\x00");
    header[8..24].copy_from_slice(&IDENTITY);
    // Block number 1, oldest block 1, nothing before, one erase, nothing programmed before.
    header[24] = 1;
    header[28] = 1;
    header[36] = 1;
    let sum = crc(&header[..48]);
    header[48..].copy_from_slice(&sum.to_le_bytes());
    assert_eq!((&bytes[..52], &bytes[52..104]), (&header[..], &header[..]), "two copies");
    assert_eq!(bytes[104..108], [0; 4], "the opening is finished");
    assert_eq!(bytes[108..112], [0; 4], "the record counts");
    let mut record = *b"\x02\x00\x05\x09\0\0\0\0ab";
    let sum = crc(&[&[1, 0, 0, 0], &record[..4], &record[8..]].concat());
    record[4..8].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(bytes[112..122], record);
    assert!(bytes[122..].iter().all(|&byte| byte == 0xff));
}

#[test]
fn a_later_version_is_refused_by_its_number() {
    let mut bytes = VERSION_1.to_vec();
    let newest = (0..3).max_by_key(|block| bytes[block * 1024 + header::SEQ]).unwrap() * 1024;
    for copy in [newest, newest + HEADER_LEN] {
        bytes[copy + header::VERSION] = 2;
        seal_header(&mut bytes[copy..copy + HEADER_LEN]);
    }
    let mut memory = memory();
    let refused = memory.open(Flash::holding(bytes)).err();
    assert_eq!(refused, Some(StoreError::NewerVersion { found: 2, limit: 1 }));
}

#[test]
fn a_store_uses_only_its_part_of_the_flash() {
    let (mut flash, mut memory) = (Flash::new(8), memory());
    flash.write(0, b"boot").unwrap();
    flash.write(7 * 1024, b"logs").unwrap();
    let mut expected = Vec::new();
    for _ in 0..2 {
        let (mut support_set, buffer) = memory.lend();
        let mut store = Store::open(&mut flash, 1024..5 * 1024, IDENTITY, buffer, &mut support_set).unwrap();
        if expected.is_empty() {
            script().iter().for_each(|request| carry_out(&mut store, &mut support_set, request).unwrap());
            expected = state(&mut store, &support_set).unwrap();
        }
        assert_eq!(state(&mut store, &support_set).unwrap(), expected);
    }
    assert_eq!(flash.bytes()[..8], *b"boot\xff\xff\xff\xff");
    assert_eq!(flash.erases[5..], [0; 3]);
    assert_eq!(&flash.bytes()[7 * 1024..][..4], b"logs");
}

#[test]
fn unsuitable_flash_is_refused() {
    fn refused<const R: usize, const W: usize, const E: usize>(
        range: std::ops::Range<u32>,
        buffer: usize,
    ) -> StoreError {
        let (mut flash, mut memory) = (SimFlash::<R, W, E>::new(4), memory());
        let (mut support_set, lent) = memory.lend();
        Store::open(&mut flash, range, IDENTITY, &mut lent[..buffer], &mut support_set).err().unwrap()
    }
    let geometry = |error| match error {
        StoreError::Geometry { found, needed, .. } => (found, needed),
        error => panic!("{error}"),
    };
    assert_eq!(geometry(refused::<1, 4, 1024>(0..1024, 140)), (1, 2), "erase blocks");
    assert_eq!(geometry(refused::<1, 4, 1024>(0..1000, 140)), (1000, 1024), "the edge of the range");
    assert_eq!(geometry(refused::<1, 4, 1024>(0..5 * 1024, 140)), (5 * 1024, 4 * 1024), "the end of the range");
    assert_eq!(geometry(refused::<1, 4, 256>(0..1024, 140)), (256, 458), "the erase size");
    assert_eq!(geometry(refused::<1, 3, 1023>(0..2046, 140)), (3, 4), "a power of two");
    assert_eq!(refused::<1, 4, 1024>(0..4096, 100), StoreError::Buffer { found: 100, needed: 140 });
    let bytes = vec![0x5a; 4096];
    assert_eq!(memory().open(Flash::holding(bytes)).err(), Some(StoreError::NotAStore));
}

/// A factory reset leaves no byte of a feature, also after a power cut.
#[test]
fn a_reset_erases_the_flash() {
    let mut memory = memory();
    let used = Flash::holding(VERSION_1.to_vec());
    for cut in 0.. {
        let mut flash = used.clone();
        flash.cut_at(cut, macula_firmware_sim::flash::Cut::Clean);
        let (mut store, support_set) = memory.open(&mut flash).unwrap();
        let before = state(&mut store, &support_set).unwrap();
        let erased = store.erase_all();
        flash.restart();
        let (mut store, support_set) = memory.open(&mut flash).unwrap();
        let kept = state(&mut store, &support_set).unwrap() == before;
        if !kept {
            let written = flash.bytes().iter().filter(|&&byte| byte != 0xff).count();
            assert!(written <= 2 * 52 + 4, "cut {cut}: {written} bytes are left");
        }
        if erased.is_ok() {
            assert!(!kept && cut > 6 && flash.capacity() == 3 * 1024);
            break;
        }
        assert!(kept || cut > 1, "cut {cut}");
    }
}
