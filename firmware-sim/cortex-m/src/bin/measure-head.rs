//! Counts instructions of learning and predicting: 5 classes of 10 shots, features of 128 dimensions.
//!
//! Run under QEMU with `-icount shift=6`; see `board::clock::instructions` for the limits of the counts.
#![no_std]
#![no_main]

use core::fmt::Write;

use board::clock::{self, Clock};
use board::semihosting::{self, Console};
use cortex_m::singleton;
use cortex_m_rt::entry;
use macula_edge::decide::Predictor;
use macula_edge::feature::quantise;
use macula_edge::head::{Head, HeadKind};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};

const DIM: usize = 128;
const CLASSES: usize = 5;
const SUPPORTS: usize = 50;
const HEAD_LEN: usize = Head::scratch_len(DIM, CLASSES, SUPPORTS);
const PREDICTOR_LEN: usize = Predictor::scratch_len(DIM, CLASSES, SUPPORTS);
const SCRATCH_LEN: usize = if HEAD_LEN > PREDICTOR_LEN { HEAD_LEN } else { PREDICTOR_LEN };

/// Error rate of the prediction sets, in thousandths.
const ERROR_PERMILLE: u16 = 200;

/// A feature near `class`, from its own generator.
fn draw(state: &mut u32, class: usize, feature: &mut [i16; DIM]) {
    let mut values = [0.0_f32; DIM];
    for (index, value) in values.iter_mut().enumerate() {
        // Numerical Recipes' generator: any will do, a fixed one makes the counts repeat.
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (*state >> 8) as f32 / (1 << 24) as f32 - 0.5;
        *value = noise + if index % CLASSES == class { 0.3 } else { 0.0 };
    }
    quantise(&values, None, feature).expect("random numbers have a direction");
}

#[entry]
fn main() -> ! {
    let peripherals = cortex_m::Peripherals::take().expect("main runs once");
    let clock = Clock::start(peripherals.SYST);
    let names = singleton!(NAMES: [ClassName; CLASSES] = [ClassName::FREE; CLASSES]).expect("main runs once");
    let records =
        singleton!(RECORDS: [SupportRecord; SUPPORTS] = [SupportRecord::EMPTY; SUPPORTS]).expect("main runs once");
    let features = singleton!(FEATURES: [i16; SUPPORTS * DIM] = [0; SUPPORTS * DIM]).expect("main runs once");
    let scratch = singleton!(SCRATCH: [f64; SCRATCH_LEN] = [0.0; SCRATCH_LEN]).expect("main runs once");
    let mut support_set = SupportSet::new(DIM, names, records, features).expect("the sizes above fit each other");
    learn(&clock, &mut support_set);
    for kind in [HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Logistic] {
        solve(&clock, &support_set, kind, scratch);
    }
    predict(&clock, &support_set, scratch);
    semihosting::exit(0)
}

fn learn(clock: &Clock, support_set: &mut SupportSet<'_>) {
    for (class, name) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        let name = ClassName::new(name).expect("a letter is a name");
        support_set.put_class(class as u8, name).expect("there is a slot for it");
    }
    let (mut state, mut feature, mut ticks) = (1, [0; DIM], 0);
    for shot in 0..SUPPORTS {
        let class = shot % CLASSES;
        draw(&mut state, class, &mut feature);
        let mut source = [0; 16];
        // Scattered, so that some supports make room in front of others.
        source[0] = (shot as u8).wrapping_mul(151);
        let record = SupportRecord { source, class: class as u8, operator: 1, time_s: 1 };
        let before = clock.ticks();
        support_set.learn(record, &feature).expect("there is room for it");
        ticks += clock.ticks() - before;
    }
    report("learn", clock::instructions(ticks));
}

fn solve(clock: &Clock, support_set: &SupportSet<'_>, kind: HeadKind, scratch: &mut [f64]) {
    let (mut state, mut feature, mut probabilities) = (7, [0; DIM], [0.0; CLASSES]);
    let before = clock.ticks();
    let head = Head::fit(kind, support_set.supports(), CLASSES, scratch).expect("the supports make a head");
    let solved = clock.ticks();
    draw(&mut state, 3, &mut feature);
    let drawn = clock.ticks();
    let decision = head.predict(&feature, &mut probabilities).expect("the sizes above fit each other");
    let predicted = clock.ticks();
    // The counts of a wrong head would be meaningless.
    assert_eq!(decision.class, 3, "the {} head is wrong", kind.name());
    report(kind.name(), clock::instructions(solved - before));
    report("predict", clock::instructions(predicted - drawn));
}

fn predict(clock: &Clock, support_set: &SupportSet<'_>, scratch: &mut [f64]) {
    let (mut state, mut feature, mut probabilities) = (7, [0; DIM], [0.0; CLASSES]);
    draw(&mut state, 3, &mut feature);
    let before = clock.ticks();
    let supports = support_set.supports();
    let mut predictor = Predictor::fit(HeadKind::Auto, supports, CLASSES, None, ERROR_PERMILLE, scratch)
        .expect("the supports make a head");
    let solved = clock.ticks();
    let prediction =
        predictor.predict(supports, &feature, None, &mut probabilities).expect("the sizes above fit each other");
    let judged = clock.ticks();
    assert_eq!(prediction.class, 3, "the prediction is wrong");
    report("judge", clock::instructions(solved - before));
    report("verdict", clock::instructions(judged - solved));
}

fn report(what: &str, instructions: u64) {
    // An output error cannot be reported.
    let _ = writeln!(Console, "{what} {instructions}");
}
