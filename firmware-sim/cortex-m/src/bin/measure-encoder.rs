//! Counts instructions of the encoder, node by node, and of learning; prints them and ends.
//!
//! Run under QEMU with `-icount shift=6`; see `board::clock::instructions` for the limits of the counts.
#![no_std]
#![no_main]

use core::fmt::Write;

use board::clock::{self, Clock};
use board::limits::{self, DIM, PIXELS, WORK_WORDS};
use board::semihosting::{self, Console};
use cortex_m_rt::entry;
use macula_edge::encoder::{Blob, Op};

#[entry]
fn main() -> ! {
    let peripherals = cortex_m::Peripherals::take().expect("main runs once");
    let clock = Clock::start(peripherals.SYST);
    if let Some(blob) = limits::blob() {
        encoder(&clock, Blob::parse(blob).expect("build.rs parsed it"));
    }
    semihosting::exit(0)
}

/// One image through the encoder.
fn encoder(clock: &Clock, blob: Blob<'static>) {
    let arena = cortex_m::singleton!(ARENA: [u32; WORK_WORDS] = [0; WORK_WORDS]).expect("main runs once");
    let macs: [u64; 64] =
        core::array::from_fn(|node| if node < blob.node_count() { node_macs(&blob, node) } else { 0 });
    let pixels = cortex_m::singleton!(IMAGE: [u8; PIXELS] = [0; PIXELS]).expect("main runs once");
    for (index, pixel) in pixels.iter_mut().enumerate() {
        *pixel = (index * 31 % 251) as u8;
    }
    let (mut marks, mut feature) = ([0; 65], [0.0; DIM]);
    let start = clock.ticks();
    blob.encode_observed(pixels, arena, &mut feature, &mut |value, _| marks[value] = clock.ticks())
        .expect("the image has the network's size");
    let total = clock.ticks() - start;
    for node in 0..blob.node_count() {
        report("node", node, clock::instructions(marks[node + 1] - marks[node]), macs[node]);
    }
    let pooling = blob.readout();
    let map_macs = pooling.map().map_or(0, |_| pooling.pooled() * DIM);
    report("encoder", 0, clock::instructions(total), macs.iter().sum::<u64>() + map_macs as u64);
    // Outside the count. An output error cannot be reported.
    blob.encode_observed(pixels, arena, &mut feature, &mut |value, words| {
        let _ = writeln!(Console, "value {value} {}", hash(words.iter().copied()));
    })
    .expect("the image has the network's size");
    let _ = writeln!(Console, "feature 0 {}", hash(feature.iter().map(|number| number.to_bits())));
}

fn hash(words: impl Iterator<Item = u32>) -> u32 {
    words.fold(0, |hash: u32, word| (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9))
}

fn node_macs(blob: &Blob<'_>, node: usize) -> u64 {
    let step = blob.node(node);
    let (from, to) = (blob.value(step.input), blob.value(node + 1));
    let per_value = match step.op {
        Op::Conv { kernel, .. } => kernel * kernel * usize::from(from.channels),
        Op::Depthwise { .. } => 9,
        Op::Add { .. } => 0,
    };
    (per_value * to.values()) as u64
}

/// One line: name, number, instructions, multiply-accumulates, thousandths of an instruction per multiply-accumulate.
fn report(what: &str, number: usize, instructions: u64, macs: u64) {
    let permille = (instructions * 1000).checked_div(macs).unwrap_or(0);
    // An output error cannot be reported.
    let _ = writeln!(Console, "{what} {number} {instructions} {macs} {permille}");
}
