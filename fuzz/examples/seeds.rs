//! Writes the seeds of every target to `corpus/`: `cargo run -p macula-fuzz --example seeds`.

use std::path::Path;

use macula_fuzz::{TARGETS, samples};

fn main() -> std::io::Result<()> {
    for target in &TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (name, seed) in samples::seeds(target.name) {
            std::fs::write(folder.join(format!("seed-{name}")), seed)?;
        }
    }
    Ok(())
}
