//! Encodes one image N times with random weights, for profiles and counts of instructions:
//! `encode_n nano|micro|mobile f32|f16 ISA N`. It asks for its parent's id before each image and after the last, which a
//! counter of instructions can take as a mark.

#![allow(clippy::print_stdout)] // A program for the terminal.

use macula_engine::Isa;
use macula_engine::float::{FloatNetwork, Precision};

#[allow(dead_code, unreachable_pub)]
#[path = "../tests/common/graphs.rs"]
mod graphs;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [network, precision, isa, runs] = &arguments[..] else {
        return Err("usage: encode_n nano|micro|mobile f32|f16 ISA N".into());
    };
    let graph = graphs::encoder(network).ok_or("no such encoder")?;
    let isa = Isa::available().into_iter().find(|each| each.name() == isa).ok_or("this processor lacks the set")?;
    let precision = if precision == "f16" { Precision::F16 } else { Precision::F32 };
    let start = std::time::Instant::now();
    let network = FloatNetwork::new(&graph, isa, precision)?.ok_or("no kernels of this precision")?;
    let planned = start.elapsed();
    let (mut arena, mut feature) = (network.arena(), vec![0.0; network.dim()]);
    let pixels = graphs::pixels(64 * 64 * 3);
    let runs: usize = runs.parse()?;
    let start = std::time::Instant::now();
    for _ in 0..runs {
        let _mark = std::os::unix::process::parent_id();
        network.encode(&pixels, &mut arena, &mut feature)?;
    }
    let _mark = std::os::unix::process::parent_id();
    let each = start.elapsed().as_secs_f64() * 1e3 / runs as f64;
    let sum: f32 = feature.iter().sum();
    println!("{each:.3} ms an image, planned in {planned:.1?}, arena {} bytes, sum {sum}", network.arena_bytes());
    Ok(())
}
