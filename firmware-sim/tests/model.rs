//! Compares the store with a plain map over random requests and restarts.
#![expect(clippy::print_stdout, reason = "measured figures, shown with --nocapture")]

mod common;

use std::collections::BTreeMap;

use common::{CLASSES, DIM, Memory, Request, SETTINGS, carry_out, source, state, support};
use macula_edge::store::{OPERATING_POINT_KEY, StoreError};
use macula_edge::support_set::{SourceId, SupportRecord};
use macula_firmware_sim::flash::{Cut, SimFlash};
use macula_firmware_sim::seed::Seed;
use proptest::prelude::*;

type Flash = SimFlash<1, 8, 1024>;
const BLOCKS: usize = 4;
const SUPPORTS: usize = 16;

/// The expected state, without flash.
#[derive(Clone, Default)]
struct Model {
    names: BTreeMap<u8, String>,
    supports: BTreeMap<SourceId, (SupportRecord, Vec<i16>)>,
    settings: BTreeMap<u8, Vec<u8>>,
}

impl Model {
    /// Applies a request if it is allowed; returns whether it is.
    fn take(&mut self, request: &Request) -> bool {
        match request {
            Request::PutClass(class, name) => {
                let taken = self.names.iter().any(|(other, known)| other != class && known == name);
                if !taken {
                    self.names.insert(*class, name.clone());
                }
                !taken
            }
            Request::RemoveClass(class) => {
                self.supports.retain(|_, (record, _)| record.class != *class);
                let is_named = self.names.remove(class).is_some();
                if is_named && self.settings.get(&OPERATING_POINT_KEY).is_some_and(|value| value[0] == *class) {
                    self.settings.remove(&OPERATING_POINT_KEY);
                }
                is_named
            }
            Request::Learn(record, feature) => {
                let named = self.names.contains_key(&record.class);
                match self.supports.get(&record.source) {
                    Some((known, _)) => named && known.class == record.class,
                    None if named => {
                        self.supports.insert(record.source, (*record, feature.clone()));
                        true
                    }
                    None => false,
                }
            }
            Request::Forget(source) => self.supports.remove(source).is_some(),
            Request::PutSetting(key, value) => {
                self.settings.remove(key);
                if !value.is_empty() {
                    self.settings.insert(*key, value.clone());
                }
                true
            }
            Request::EraseAll => {
                *self = Self::default();
                true
            }
            Request::ForgetAll => {
                self.settings.remove(&OPERATING_POINT_KEY);
                *self = Self { settings: std::mem::take(&mut self.settings), ..Self::default() };
                true
            }
        }
    }

    /// The canonical bytes, by their definition.
    fn state(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [DIM, CLASSES, self.supports.len()] {
            bytes.extend((number as u32).to_le_bytes());
        }
        for class in 0..CLASSES as u8 {
            let name = self.names.get(&class).map_or("", String::as_str);
            bytes.push(name.len() as u8);
            bytes.extend(name.as_bytes());
        }
        for (source, (record, feature)) in &self.supports {
            bytes.extend(source);
            bytes.push(record.class);
            bytes.extend(record.operator.to_le_bytes());
            bytes.extend(record.time_s.to_le_bytes());
            bytes.extend(feature.iter().flat_map(|value| value.to_le_bytes()));
        }
        for key in 0..SETTINGS {
            let value = self.settings.get(&key).map_or(&[][..], Vec::as_slice);
            bytes.push(value.len() as u8);
            bytes.extend(value);
        }
        bytes
    }
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        8 => (0..24u64, 0..CLASSES as u8).prop_map(|(number, class)| support(number, class, DIM)),
        6 => (0..24u64).prop_map(|number| Request::Forget(source(number))),
        3 => (0..CLASSES as u8, "[a-d]{1,3}").prop_map(|(class, name)| Request::PutClass(class, name)),
        1 => (0..CLASSES as u8).prop_map(Request::RemoveClass),
        2 => (0..SETTINGS, proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(key, value)| Request::PutSetting(key, value)),
        2 => (0..CLASSES as u8).prop_map(|class| Request::PutSetting(OPERATING_POINT_KEY, vec![class, 1, 2])),
    ]
}

/// A step: a request, a restart, a power cut some operations later, or, rarely, a factory reset.
#[derive(Clone, Debug)]
enum Step {
    Request(Request),
    Restart,
    Cut(u64, Cut),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => request().prop_map(Step::Request),
        2 => Just(Step::Restart),
        3 => (0..12u64, any::<u64>()).prop_map(|(after, seed)| Step::Cut(after, Cut::Torn(seed))),
        3 => (0..12u64, any::<u64>()).prop_map(|(after, mask)| Step::Cut(after, Cut::Subset(mask))),
        1 => Just(Step::Request(Request::EraseAll)),
        1 => Just(Step::Request(Request::ForgetAll)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Repeated power cuts, also while the store is opened.
    #[test]
    fn like_a_plain_map(steps in proptest::collection::vec(step(), 1..160)) {
        let mut flash = Flash::new(BLOCKS);
        let mut memory = Memory::new::<Flash>(DIM, CLASSES, SUPPORTS);
        let mut model = Model::default();
        let mut at = 0;
        // Each pass takes a step or restarts after one.
        while at < steps.len() {
            let mut before_and_after = None;
            if let Ok((mut store, mut support_set)) = memory.open(&mut flash) {
                prop_assert_eq!(state(&mut store, &support_set).unwrap(), model.state());
                while let Some(step) = steps.get(at) {
                    at += 1;
                    let request = match step {
                        Step::Request(request) => request,
                        Step::Restart => break,
                        Step::Cut(after, cut) => {
                            let operations = store.flash_mut().operations;
                            store.flash_mut().cut_at(operations + after, *cut);
                            continue;
                        }
                    };
                    let mut next = model.clone();
                    let allowed = next.take(request) && next.supports.len() <= SUPPORTS;
                    match carry_out(&mut store, &mut support_set, request) {
                        Ok(()) => {
                            prop_assert!(allowed, "{:?} was taken", request);
                            model = next;
                        }
                        Err(StoreError::Flash { .. } | StoreError::Unknown) => {
                            prop_assert!(store.flash_mut().is_off());
                            before_and_after = Some((model.clone(), if allowed { next } else { model.clone() }));
                            break;
                        }
                        Err(StoreError::Full { .. }) => {}
                        Err(error) => prop_assert!(!allowed, "{:?}: {}", request, error),
                    }
                    prop_assert_eq!(state(&mut store, &support_set).unwrap(), model.state());
                }
            } else {
                prop_assert!(flash.is_off(), "the store does not open");
            }
            flash.restart();
            if let Some((before, after)) = before_and_after {
                let (mut store, support_set) = memory.open(&mut flash).unwrap();
                let found = state(&mut store, &support_set).unwrap();
                prop_assert!(found == before.state() || found == after.state());
                model = if found == after.state() { after } else { before };
            }
        }
    }
}

/// Learning and forgetting continue on a nearly full store, with even wear of all blocks.
#[test]
fn wear_is_even() {
    let mut flash = Flash::new(6);
    let mut memory = Memory::new::<Flash>(DIM, CLASSES, 64);
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    carry_out(&mut store, &mut support_set, &Request::PutClass(0, "nodule".into())).unwrap();
    let (mut seed, mut known, mut learned) = (Seed::new(3), Vec::new(), 0u64);
    for number in 0..3000 {
        if known.len() > 20 {
            let forgotten = known.swap_remove(seed.below(known.len() as u64) as usize);
            carry_out(&mut store, &mut support_set, &Request::Forget(source(forgotten))).unwrap();
        }
        carry_out(&mut store, &mut support_set, &support(number, 0, DIM)).unwrap();
        known.push(number);
        learned += 1;
    }
    let wear = store.wear();
    let expected = state(&mut store, &support_set).unwrap();
    let (least, most) = (flash.erases.iter().min().unwrap(), flash.erases.iter().max().unwrap());
    assert!(most - least <= 1, "{:?}", flash.erases);
    assert_eq!(wear.erases, flash.erases.iter().sum::<u32>());
    assert_eq!(wear.bytes_programmed, flash.bytes_programmed.iter().sum::<u64>());
    println!("{learned} learned and forgotten with {} kept: {wear:?}", known.len());
    flash.restart();
    let (mut store, support_set) = memory.open(&mut flash).unwrap();
    assert_eq!(state(&mut store, &support_set).unwrap(), expected);
    assert_eq!(store.wear(), wear, "the counts outlive a restart");
}

/// Wear per learned sample of 128 dimensions on 16 blocks of 4 KiB.
#[test]
fn wear_of_a_learned_sample() {
    type Chip = SimFlash<1, 8, 4096>;
    const SAMPLES: u64 = 2000;
    let dim = 128;
    println!("| kept | bytes programmed per sample | erases per sample |");
    for kept in [10, 80, 120, 150] {
        let mut flash = Chip::new(16);
        let mut memory = Memory::new::<Chip>(dim, CLASSES, 200);
        let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
        carry_out(&mut store, &mut support_set, &Request::PutClass(0, "nodule".into())).unwrap();
        (0..kept).for_each(|number| carry_out(&mut store, &mut support_set, &support(number, 0, dim)).unwrap());
        let before = store.wear();
        let mut seed = Seed::new(kept);
        let mut known: Vec<u64> = (0..kept).collect();
        for number in kept..kept + SAMPLES {
            let index = seed.below(kept) as usize;
            let forgotten = std::mem::replace(&mut known[index], number);
            carry_out(&mut store, &mut support_set, &Request::Forget(source(forgotten))).unwrap();
            carry_out(&mut store, &mut support_set, &support(number, 0, dim)).unwrap();
        }
        let after = store.wear();
        let bytes = (after.bytes_programmed - before.bytes_programmed) as f64 / SAMPLES as f64;
        let erases = f64::from(after.erases - before.erases) / SAMPLES as f64;
        println!("| {kept} | {bytes:.0} | {erases:.3} |");
        // The sample and its removal alone, and at most ten times that when seven eighths of the room are used.
        let alone = f64::from(store.support_bytes()) + 40.0;
        assert!(bytes >= alone && bytes < 10.0 * alone, "{kept} kept: {bytes}");
    }
}
