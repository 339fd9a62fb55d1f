//! Writes the seeds of every target to `corpus/`, and former findings to `regressions/`:
//! `cargo run -p macula-fuzz --example seeds`.

use std::path::Path;

use macula_fuzz::{TARGETS, samples};

fn main() -> std::io::Result<()> {
    for target in &TARGETS {
        write("corpus", target.name, "seed-", samples::seeds(target.name))?;
        write("regressions", target.name, "", samples::regressions(target.name))?;
    }
    Ok(())
}

fn write(kind: &str, target: &str, prefix: &str, inputs: Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target);
    for (name, input) in inputs {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{prefix}{name}")), input)?;
    }
    Ok(())
}
