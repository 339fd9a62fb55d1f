//! Flash with flipped bits, wear, no room, or something else than a store.
#![expect(clippy::print_stdout, reason = "measured figures, shown with --nocapture")]

mod common;

use common::{CLASSES, DIM, Memory, Request, carry_out, seal_header, source, state, support};
use macula_edge::store::format::{HEADER_LEN, header};
use macula_edge::store::{Store, StoreError};
use macula_firmware_sim::flash::{SimFlash, WearOut};
use macula_firmware_sim::seed::Seed;

type Flash = SimFlash<1, 4, 1024>;

fn memory() -> Memory {
    Memory::new::<Flash>(DIM, CLASSES, 64)
}

/// A store that has used every block, and its state.
fn well_used(memory: &mut Memory) -> (Flash, Vec<u8>) {
    let mut flash = Flash::new(3);
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    let mut script = vec![Request::PutClass(0, "nodule".into()), Request::PutClass(1, "vessel".into())];
    script.extend((0..30).flat_map(|number| [support(number, 0, DIM), Request::Forget(source(number))]));
    script.extend((100..105).map(|number| support(number, (number % 2) as u8, DIM)));
    script.extend([Request::PutSetting(1, b"slot b".to_vec()), Request::Forget(source(102))]);
    script.iter().for_each(|request| carry_out(&mut store, &mut support_set, request).unwrap());
    let expected = state(&mut store, &support_set).unwrap();
    assert!(flash.erases.iter().all(|&erases| erases > 1));
    (flash, expected)
}

#[test]
fn every_flipped_bit_is_detected_or_harmless() {
    let mut memory = memory();
    let (flash, expected) = well_used(&mut memory);
    let (mut detected, mut harmless) = (0, 0);
    for bit in 0..flash.bytes().len() * 8 {
        let mut rotten = flash.clone();
        rotten.rot(bit);
        match memory.open(&mut rotten) {
            Ok((mut store, support_set)) => {
                assert_eq!(state(&mut store, &support_set).unwrap(), expected, "bit {bit} changed the state");
                harmless += 1;
            }
            Err(StoreError::Damaged { .. }) => detected += 1,
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    println!("{detected} flipped bits detected, {harmless} harmless");
    assert!(detected > 1000 && harmless > 1000);
}

#[test]
fn a_store_works_after_a_harmless_flipped_bit() {
    let mut memory = memory();
    let (flash, _) = well_used(&mut memory);
    let mut went_on = 0;
    for bit in (0..flash.bytes().len() * 8).step_by(61) {
        let mut rotten = flash.clone();
        rotten.rot(bit);
        rotten.restart();
        let Ok((mut store, mut support_set)) = memory.open(&mut rotten) else { continue };
        for number in 200..204 {
            carry_out(&mut store, &mut support_set, &support(number, 0, DIM)).unwrap();
        }
        let expected = state(&mut store, &support_set).unwrap();
        rotten.restart();
        let (mut store, support_set) = memory.open(&mut rotten).unwrap_or_else(|error| panic!("bit {bit}: {error}"));
        assert_eq!(state(&mut store, &support_set).unwrap(), expected, "bit {bit}");
        went_on += 1;
    }
    assert!(went_on > 100);
}

#[test]
fn a_full_store_refuses_and_keeps_everything() {
    let mut flash = Flash::new(3);
    let mut memory = memory();
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    carry_out(&mut store, &mut support_set, &Request::PutClass(0, "nodule".into())).unwrap();
    carry_out(&mut store, &mut support_set, &Request::PutSetting(3, vec![0; 40])).unwrap();
    let mut learned = 0;
    let refused = loop {
        match carry_out(&mut store, &mut support_set, &support(learned, 0, DIM)) {
            Ok(()) => learned += 1,
            Err(error) => break error,
        }
    };
    let StoreError::Full { needed, free } = refused else { panic!("{refused}") };
    assert!(needed == store.support_bytes() && free < needed && learned >= 8, "{refused} after {learned}");
    let wear = store.wear();
    assert!(carry_out(&mut store, &mut support_set, &support(learned, 0, DIM)).is_err());
    assert_eq!(store.wear(), wear, "a refusal causes no wear");
    // Settings still change, and forgetting makes room.
    for number in 0..200u8 {
        carry_out(&mut store, &mut support_set, &Request::PutSetting(3, vec![number; 40])).unwrap();
    }
    for number in 0..200 {
        carry_out(&mut store, &mut support_set, &Request::Forget(source(number))).unwrap();
        carry_out(&mut store, &mut support_set, &support(number + learned, 0, DIM)).unwrap();
    }
    assert_eq!(support_set.supports().len() as u64, learned);
    let expected = state(&mut store, &support_set).unwrap();
    flash.restart();
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    assert_eq!(state(&mut store, &support_set).unwrap(), expected);
    assert!(carry_out(&mut store, &mut support_set, &support(999, 0, DIM)).is_err());
}

#[test]
fn worn_flash_is_detected_and_acknowledged_supports_stay() {
    for wear_out in [WearOut::Refuses, WearOut::Sticks] {
        let mut flash = Flash::new(3);
        flash.erase_limit = Some((20, wear_out));
        let mut memory = memory();
        let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
        carry_out(&mut store, &mut support_set, &Request::PutClass(0, "nodule".into())).unwrap();
        let failure = (0..10_000).find_map(|number| {
            let learned = carry_out(&mut store, &mut support_set, &support(number, 0, DIM));
            learned.and_then(|()| carry_out(&mut store, &mut support_set, &Request::Forget(source(number)))).err()
        });
        assert!(matches!(failure, Some(StoreError::Flash { .. } | StoreError::Worn { .. })), "{failure:?}");
        let known: Vec<_> = support_set.supports().records.iter().map(|record| record.source).collect();
        flash.restart();
        let (_, support_set) = memory.open(&mut flash).unwrap();
        let found: Vec<_> = support_set.supports().records.iter().map(|record| record.source).collect();
        // The failed request may have taken effect or not.
        assert!(known.len().abs_diff(found.len()) <= 1, "{wear_out:?}: {known:?} {found:?}");
    }
}

/// Opening terminates for any content of the flash.
#[test]
fn arbitrary_bytes_are_opened_or_refused() {
    let mut memory = memory();
    let (flash, _) = well_used(&mut memory);
    let mut seed = Seed::new(11);
    let (mut opened, mut refused) = (0, 0);
    for round in 0..20_000 {
        let mut bytes = flash.bytes().to_vec();
        match round % 4 {
            // Noise, throughout or between long runs of erased bytes.
            0 => bytes.iter_mut().for_each(|byte| *byte = seed.next_u64() as u8),
            1 => {
                bytes.fill(0xff);
                for _ in 0..seed.below(40) {
                    let at = seed.below(bytes.len() as u64) as usize;
                    bytes[at] = seed.next_u64() as u8;
                }
            }
            // A store with changed bytes, or with exchanged blocks.
            2 => {
                for _ in 0..1 + seed.below(20) {
                    let at = seed.below(bytes.len() as u64) as usize;
                    bytes[at] = seed.next_u64() as u8;
                }
            }
            _ => {
                let (from, to) = (seed.below(3) as usize * 1024, seed.below(3) as usize * 1024);
                bytes.copy_within(from..from + 1024, to);
                let at = seed.below(3 * 1024 / 4) as usize * 4;
                bytes[at..at + 4].copy_from_slice(&(seed.next_u64() as u32).to_le_bytes());
            }
        }
        let mut flash = Flash::holding(bytes);
        let usable = match memory.open(&mut flash) {
            Ok((mut store, mut support_set)) => {
                opened += 1;
                // A store that opens can be used without a panic.
                for number in 0..3 {
                    let _ = carry_out(&mut store, &mut support_set, &support(number, 0, DIM));
                }
                let _ = carry_out(&mut store, &mut support_set, &Request::RemoveClass(0));
                state(&mut store, &support_set).is_ok()
            }
            Err(_) => {
                refused += 1;
                let (mut support_set, buffer) = memory.lend();
                Store::format(&mut flash, 0..3 * 1024, common::IDENTITY, buffer, &mut support_set).is_ok()
            }
        };
        assert!(usable, "round {round}");
    }
    println!("{opened} opened, {refused} refused");
    assert!(opened > 100 && refused > 1000);
}

/// Header fields out of range, with valid checksums.
#[test]
fn invalid_headers_with_valid_checksums_are_refused() {
    let mut memory = memory();
    let (flash, _) = well_used(&mut memory);
    let mut seed = Seed::new(5);
    let mut refused = 0;
    for round in 0..4000 {
        let mut bytes = flash.bytes().to_vec();
        let block = seed.below(3) as usize * 1024;
        for copy in [block, block + HEADER_LEN] {
            let field = [header::SEQ, header::TAIL, header::PREVIOUS_END, header::ERASES][round % 4];
            let value = if round % 8 < 4 { u32::MAX - seed.below(3) as u32 } else { seed.below(40) as u32 };
            bytes[copy + field..][..4].copy_from_slice(&value.to_le_bytes());
            seal_header(&mut bytes[copy..copy + HEADER_LEN]);
        }
        let mut flash = Flash::holding(bytes);
        match memory.open(&mut flash) {
            Ok((mut store, mut support_set)) => {
                let _ = carry_out(&mut store, &mut support_set, &support(1, 0, DIM));
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged { .. } | StoreError::Worn { .. }), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 500, "{refused}");
}
