//! Encodes one image several times: `int8_runs BLOB RUNS [ISA]`, and prints the time of the fastest run and of planning.
//!
//! It asks for its parent's number before each run, which a counter of emulated instructions takes as a mark.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use macula_edge::encoder::Blob;
use macula_engine::Isa;
use macula_engine::int8::Int8Network;

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: int8_runs BLOB RUNS [ISA]";
    let mut arguments = std::env::args().skip(1);
    let bytes = std::fs::read(arguments.next().ok_or(usage)?)?;
    let runs: usize = arguments.next().ok_or(usage)?.parse()?;
    let isa = match arguments.next() {
        Some(name) => Isa::available().into_iter().find(|isa| isa.name() == name).ok_or("no such instruction set")?,
        None => Isa::best(),
    };
    let words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let blob = Blob::parse(bytemuck::cast_slice(&words))?;
    let start = Instant::now();
    let mut network = Int8Network::new(&blob, isa)?;
    let planned = start.elapsed();
    let pixels: Vec<u8> =
        (0..network.pixels_len() as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut feature = vec![0.0; network.dim()];
    let mut fastest = Duration::MAX;
    for _ in 0..runs {
        #[cfg(unix)]
        let _ = std::os::unix::process::parent_id();
        let start = Instant::now();
        network.encode(&pixels, &mut feature)?;
        fastest = fastest.min(start.elapsed());
    }
    #[cfg(unix)]
    let _ = std::os::unix::process::parent_id();
    let (sum, sizes) = (feature.iter().sum::<f32>(), network.sizes());
    writeln!(
        std::io::stdout(),
        "runs {runs}, {}, {fastest:?}, planned in {planned:.1?}, sum {sum}, {sizes:?}",
        isa.name()
    )?;
    Ok(())
}
