//! The store alone: it restores its content, and refuses invalid changes.

mod common;

use common::{CLASSES, DIM, IDENTITY, Memory, Request, carry_out, source, state, support};
use macula_edge::store::{OPERATING_POINT_KEY, Store, StoreError};
use macula_edge::support_set::{ClassName, SupportSetError};
use macula_firmware_sim::flash::SimFlash;

type Flash = SimFlash<1, 4, 1024>;

fn memory() -> Memory {
    Memory::new::<Flash>(DIM, CLASSES, 32)
}

#[test]
fn a_store_restores_what_was_stored() {
    let mut flash = Flash::new(4);
    let mut memory = memory();
    let expected = {
        let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
        let mut script = vec![Request::PutClass(0, "nodule".into()), Request::PutClass(2, "vessel".into())];
        script.extend((0..6).map(|number| support(number, if number % 2 == 0 { 0 } else { 2 }, DIM)));
        script.push(Request::Forget(source(4)));
        script.push(Request::PutSetting(1, b"slot b".to_vec()));
        script.push(Request::PutClass(2, "airway".into()));
        script.iter().for_each(|request| carry_out(&mut store, &mut support_set, request).unwrap());
        assert_eq!(support_set.supports().len(), 5);
        state(&mut store, &support_set).unwrap()
    };
    flash.restart();
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    assert_eq!(state(&mut store, &support_set).unwrap(), expected);
    carry_out(&mut store, &mut support_set, &Request::RemoveClass(2)).unwrap();
    assert_eq!(support_set.supports().len(), 2);
    let expected = state(&mut store, &support_set).unwrap();
    flash.restart();
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    assert_eq!(state(&mut store, &support_set).unwrap(), expected);
    carry_out(&mut store, &mut support_set, &Request::EraseAll).unwrap();
    flash.restart();
    let (mut store, support_set) = memory.open(&mut flash).unwrap();
    assert_eq!((support_set.supports().len(), support_set.class_named("nodule")), (0, None));
    assert_eq!(store.get_setting(1, &mut [0; 8]), Ok(0));
}

/// The setting of a class goes with it, in the same record; any other class leaves it alone.
#[test]
fn the_setting_of_a_class_is_removed_with_it() {
    let mut flash = Flash::new(4);
    let mut memory = memory();
    let mut value = [0; 8];
    let (free, expected) = {
        let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
        let mut script = vec![Request::PutClass(0, "nodule".into()), Request::PutClass(2, "vessel".into())];
        script.push(Request::PutSetting(1, b"other".to_vec()));
        script.iter().for_each(|request| carry_out(&mut store, &mut support_set, request).unwrap());
        let free = store.wear().free_bytes;
        carry_out(&mut store, &mut support_set, &Request::PutSetting(OPERATING_POINT_KEY, vec![2, 1])).unwrap();
        carry_out(&mut store, &mut support_set, &Request::PutClass(2, "airway".into())).unwrap();
        carry_out(&mut store, &mut support_set, &Request::RemoveClass(0)).unwrap();
        assert_eq!(store.get_setting(OPERATING_POINT_KEY, &mut value), Ok(2), "of another class, renamed meanwhile");
        carry_out(&mut store, &mut support_set, &Request::RemoveClass(2)).unwrap();
        carry_out(&mut store, &mut support_set, &Request::PutClass(2, "cell".into())).unwrap();
        assert_eq!(store.get_setting(OPERATING_POINT_KEY, &mut value), Ok(0), "not that of a later class in this slot");
        assert_eq!(store.get_setting(1, &mut value), Ok(5));
        let free_now = store.wear().free_bytes;
        assert!(free_now > free, "the room of the class is free again: {free} {free_now}");
        (free_now, state(&mut store, &support_set).unwrap())
    };
    flash.restart();
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    assert_eq!((store.wear().free_bytes, state(&mut store, &support_set).unwrap()), (free, expected));
    // Compaction keeps it; a factory reset, which keeps other settings, removes it.
    carry_out(&mut store, &mut support_set, &Request::PutSetting(OPERATING_POINT_KEY, vec![2, 9])).unwrap();
    let erases = store.wear().erases;
    let mut number = 0;
    while store.wear().erases < erases + 8 {
        carry_out(&mut store, &mut support_set, &support(number, 2, DIM)).unwrap();
        carry_out(&mut store, &mut support_set, &Request::Forget(source(number))).unwrap();
        number += 1;
    }
    assert_eq!((store.get_setting(OPERATING_POINT_KEY, &mut value), &value[..2]), (Ok(2), &[2, 9][..]));
    carry_out(&mut store, &mut support_set, &Request::ForgetAll).unwrap();
    let settings = [1, OPERATING_POINT_KEY].map(|key| store.get_setting(key, &mut value));
    assert_eq!(settings, [Ok(5), Ok(0)]);
    flash.restart();
    let (mut store, _) = memory.open(&mut flash).unwrap();
    assert_eq!(store.get_setting(OPERATING_POINT_KEY, &mut value), Ok(0));
}

#[test]
fn a_refusal_changes_nothing() {
    let mut flash = Flash::new(4);
    let mut memory = memory();
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    carry_out(&mut store, &mut support_set, &Request::PutClass(0, "nodule".into())).unwrap();
    carry_out(&mut store, &mut support_set, &support(1, 0, DIM)).unwrap();
    carry_out(&mut store, &mut support_set, &Request::PutClass(1, "vessel".into())).unwrap();
    let before = state(&mut store, &support_set).unwrap();
    let refusals = [
        (Request::PutClass(CLASSES as u8, "cell".into()), SupportSetError::NoSuchClass { class: CLASSES as u8 }),
        (Request::PutClass(2, "nodule".into()), SupportSetError::NameTaken { class: 0 }),
        (Request::RemoveClass(3), SupportSetError::NoSuchClass { class: 3 }),
        (support(2, 3, DIM), SupportSetError::NoSuchClass { class: 3 }),
        (support(2, 0, DIM + 1), SupportSetError::Dimension { found: DIM + 1, expected: DIM }),
        (support(1, 1, DIM), SupportSetError::SourceTaken { class: 0 }),
        (Request::Forget(source(2)), SupportSetError::NoSuchSource),
    ];
    for (request, error) in refusals {
        assert_eq!(
            carry_out(&mut store, &mut support_set, &request),
            Err(StoreError::SupportSet(error)),
            "{request:?}"
        );
    }
    assert_eq!(store.put_setting(0, &[0; 129]), Err(StoreError::Length { found: 129, limit: 128 }));
    let programmed = store.wear().bytes_programmed;
    carry_out(&mut store, &mut support_set, &support(1, 0, DIM)).unwrap();
    assert_eq!(store.wear().bytes_programmed, programmed, "a repeated learn writes nothing");
    flash.restart();
    let (mut store, support_set) = memory.open(&mut flash).unwrap();
    assert_eq!(state(&mut store, &support_set).unwrap(), before);
}

#[test]
fn another_encoder_is_refused_until_formatted() {
    let mut flash = Flash::new(3);
    let mut memory = memory();
    {
        let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
        carry_out(&mut store, &mut support_set, &Request::PutClass(0, "nodule".into())).unwrap();
    }
    let other = *b"another encoder!";
    let (mut support_set, buffer) = memory.lend();
    let refused = Store::open(&mut flash, 0..3 * 1024, other, buffer, &mut support_set).err();
    assert_eq!(refused, Some(StoreError::Identity { found: IDENTITY, expected: other }));
    let mut store = Store::format(&mut flash, 0..3 * 1024, other, buffer, &mut support_set).unwrap();
    store.put_class(1, &ClassName::new("cell").unwrap()).unwrap();
    Store::open(&mut flash, 0..3 * 1024, other, buffer, &mut support_set).unwrap();
    assert_eq!((support_set.class_named("nodule"), support_set.class_named("cell")), (None, Some(1)));
    let message = refused.unwrap().to_string();
    assert!(message.contains("656e636f646572206f66207465737473"), "{message}");
}
