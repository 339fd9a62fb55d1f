//! Power cuts of every kind at every flash operation: after a restart the store holds the state before or after the request,
//! and works.
#![expect(clippy::print_stdout, reason = "measured figures, shown with --nocapture")]

mod common;

use common::{CLASSES, DIM, Memory, Request, carry_out, source, state, support};
use macula_edge::store::{OPERATING_POINT_KEY, StoreError};
use macula_firmware_sim::flash::{Cut, SimFlash};
use macula_firmware_sim::seed::Seed;

/// 50 learns and forgets, classes added, renamed and removed, settings, and a factory reset.
fn script() -> Vec<Request> {
    let mut seed = Seed::new(50);
    let mut requests = vec![Request::PutClass(0, "nodule".into()), Request::PutClass(1, "vessel".into())];
    let mut known: Vec<u64> = Vec::new();
    for number in 0..50 {
        let forget = known.len() > 6 || !known.is_empty() && seed.below(3) == 0;
        if forget {
            let index = seed.below(known.len() as u64) as usize;
            requests.push(Request::Forget(source(known.swap_remove(index))));
        } else {
            requests.push(support(number, (number % 2) as u8, DIM));
            known.push(number);
        }
        match number {
            10 => requests.push(Request::PutClass(2, "airway".into())),
            11 => requests.push(Request::PutSetting(OPERATING_POINT_KEY, vec![0, 1, 2])),
            13 => requests.push(Request::PutSetting(OPERATING_POINT_KEY, vec![2, 1, 2, 3, 4, 5])),
            12 => requests.extend((100..103).map(|number| support(number, 2, DIM))),
            15 => requests.push(Request::PutSetting(1, b"bundle slot b".to_vec())),
            20 => requests.push(Request::RemoveClass(2)),
            25 => requests.push(Request::PutClass(2, "cell".into())),
            27 => requests.push(Request::PutSetting(OPERATING_POINT_KEY, vec![1, 7])),
            26 => requests.push(support(101, 2, DIM)),
            30 => requests.push(Request::PutSetting(1, b"a".to_vec())),
            35 => requests.push(Request::PutClass(0, "opacity".into())),
            40 => requests.push(Request::PutSetting(1, Vec::new())),
            _ => {}
        }
    }
    requests.push(Request::PutSetting(2, vec![7; 5]));
    requests.push(Request::PutSetting(3, vec![9; 8]));
    requests.push(Request::ForgetAll);
    requests.push(Request::PutClass(0, "once more".into()));
    requests.push(support(150, 0, DIM));
    requests.push(Request::EraseAll);
    requests.push(Request::PutClass(3, "again".into()));
    requests.push(support(200, 3, DIM));
    requests
}

/// The state after each request, the first before any.
fn states<const R: usize, const W: usize, const E: usize>(blocks: usize, script: &[Request]) -> (Vec<Vec<u8>>, u64) {
    let mut flash = SimFlash::<R, W, E>::new(blocks);
    let mut memory = Memory::new::<SimFlash<R, W, E>>(DIM, CLASSES, 16);
    let (mut store, mut support_set) = memory.open(&mut flash).unwrap();
    let mut states = vec![state(&mut store, &support_set).unwrap()];
    for request in script {
        carry_out(&mut store, &mut support_set, request).unwrap();
        states.push(state(&mut store, &support_set).unwrap());
    }
    let erases: u32 = flash.erases.iter().sum();
    assert!(erases as usize > 2 * blocks, "{erases} erases: the script never filled the flash");
    (states, flash.operations)
}

/// Executes the script from request `from` on; returns the requests acknowledged before the power cut, `None` when the store
/// was not even opened.
fn run<const R: usize, const W: usize, const E: usize>(
    flash: &mut SimFlash<R, W, E>,
    memory: &mut Memory,
    script: &[Request],
    from: usize,
) -> Option<usize> {
    let (mut store, mut support_set) = match memory.open(&mut *flash) {
        Ok(opened) => opened,
        Err(StoreError::Flash { .. }) => return None,
        Err(error) => panic!("{error}"),
    };
    for (index, request) in script.iter().enumerate().skip(from) {
        match carry_out(&mut store, &mut support_set, request) {
            Ok(()) => {}
            Err(StoreError::Flash { .. }) => return Some(index),
            Err(error) => panic!("request {index}: {error}"),
        }
    }
    Some(script.len())
}

/// Cuts the power at operation `at`, restarts and continues. Returns whether the interrupted request took effect.
fn cut_once<const R: usize, const W: usize, const E: usize>(
    (start, at, cut): (&SimFlash<R, W, E>, u64, Cut),
    memory: &mut Memory,
    script: &[Request],
    states: &[Vec<u8>],
    first: usize,
) -> bool {
    let what = || format!("operation {at}, {cut:?}");
    let mut flash = start.clone();
    flash.cut_at(at, cut);
    let done = run(&mut flash, memory, script, first).unwrap_or(first);
    assert!(flash.is_off(), "{}: the power never failed", what());
    flash.restart();
    let found = {
        let (mut store, support_set) = memory.open(&mut flash).unwrap_or_else(|error| panic!("{}: {error}", what()));
        state(&mut store, &support_set).unwrap()
    };
    let after = states.get(done + 1) == Some(&found);
    assert!(after || states[done] == found, "{}: neither the state before request {done} nor after it", what());
    flash.restart();
    let next = if after { done + 1 } else { done };
    assert_eq!(run(&mut flash, memory, script, next), Some(script.len()), "{}", what());
    let (mut store, support_set) = memory.open(&mut flash).unwrap();
    assert_eq!(state(&mut store, &support_set).unwrap(), states[script.len()], "{}: the end of the script", what());
    after
}

#[derive(Default, Debug)]
struct Counts {
    operations: u64,
    clean: u64,
    torn: u64,
    subsets: u64,
    torn_subsets: u64,
    found_before: u64,
    found_after: u64,
    unsynced_max: usize,
}

fn cut_everywhere<const R: usize, const W: usize, const E: usize>(blocks: usize, replaces: bool) -> Counts {
    let script = script();
    let (states, operations) = states::<R, W, E>(blocks, &script);
    let mut memory = Memory::new::<SimFlash<R, W, E>>(DIM, CLASSES, 16);
    let mut counts = Counts { operations, ..Counts::default() };
    let mut seed = Seed::new(7);
    // The flash and the number of requests done before each operation: no cut has to begin at the first request.
    let mut done = 0;
    let mut start = SimFlash::<R, W, E>::new(blocks);
    start.replaces = replaces;
    for at in 0..operations {
        // Continue from the last request that ends before this operation.
        loop {
            let mut next = start.clone();
            {
                let Ok((mut store, mut support_set)) = memory.open(&mut next) else { break };
                if done >= script.len() || carry_out(&mut store, &mut support_set, &script[done]).is_err() {
                    break;
                }
            }
            if next.operations > at {
                break;
            }
            (start, done) = (next, done + 1);
        }
        let mut pending = start.clone();
        pending.cut_at(at, Cut::Clean);
        run(&mut pending, &mut memory, &script, done);
        let lost = pending.lost();
        counts.unsynced_max = counts.unsynced_max.max(lost);
        let mut cuts = vec![Cut::Clean];
        cuts.extend((0..6).map(|_| Cut::Torn(seed.next_u64())));
        match lost {
            0 => {}
            1..=4 => cuts.extend((0..1 << lost).map(Cut::Subset)),
            _ => cuts.extend((0..24).map(|_| Cut::Subset(seed.next_u64()))),
        }
        if lost > 0 {
            cuts.extend((0..4).map(|_| Cut::TornSubset(seed.next_u64(), seed.next_u64())));
        }
        for cut in cuts {
            match cut {
                Cut::Clean => counts.clean += 1,
                Cut::Torn(_) => counts.torn += 1,
                Cut::Subset(_) => counts.subsets += 1,
                Cut::TornSubset(..) => counts.torn_subsets += 1,
            }
            match cut_once((&start, at, cut), &mut memory, &script, &states, done) {
                true => counts.found_after += 1,
                false => counts.found_before += 1,
            }
        }
    }
    assert!(counts.found_after > 0 && counts.found_before > 0, "{counts:?}");
    println!("power cuts with writes of {W} bytes, {blocks} blocks of {E}: {counts:?}");
    counts
}

#[test]
fn words_of_4_bytes() {
    let counts = cut_everywhere::<1, 4, 1024>(3, false);
    assert!(counts.operations > 300 && counts.unsynced_max > 4, "{counts:?}");
}

#[test]
fn single_bytes() {
    cut_everywhere::<1, 1, 512>(6, false);
}

#[test]
fn words_of_32_bytes() {
    cut_everywhere::<4, 32, 2048>(3, false);
}

#[test]
fn two_blocks() {
    cut_everywhere::<1, 8, 2048>(2, false);
}

/// As in a file, where a write does not need an erase before it.
#[test]
fn a_file() {
    cut_everywhere::<1, 4, 1024>(4, true);
}
