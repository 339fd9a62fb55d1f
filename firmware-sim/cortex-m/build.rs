//! Configures the image: the encoder and its memory limits, and `cfg(an547)` for the board with a Cortex-M55.
//!
//! | variable          | meaning                                                    | without it            |
//! |-------------------|------------------------------------------------------------|-----------------------|
//! | `MACULA_BLOB`     | file of the encoder's blob, put into flash                 | features only         |
//! | `MACULA_DIM`      | feature dimensions of a board that takes features only     | 32                    |
//! | `MACULA_SUPPORTS` | places for supports                                        | 128                   |
//! | `MACULA_CLASSES`  | class slots                                                | 8                     |
//! | `MACULA_FLASH_KB` | flash; an image that does not fit it does not link         | 1024                  |
//! | `MACULA_RAM_KB`   | RAM; the same                                              | 256                   |

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs};

use macula_edge::encoder::{Blob, Encoder};

/// Least room for the stack: twice the peak in the tests.
const STACK_LEAST_KB: usize = 24;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names OUT_DIR"));
    let write = |name: &str, text: String| fs::write(out.join(name), text).expect("OUT_DIR can be written");

    let (flash_kb, ram_kb) = (number("MACULA_FLASH_KB", 1024), number("MACULA_RAM_KB", 256));
    write("memory.x", memory_map(flash_kb, ram_kb));
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-check-cfg=cfg(an547)");
    if env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m.")) {
        println!("cargo::rustc-cfg=an547");
    }

    let mut limits = String::new();
    let mut limit = |name: &str, meaning: &str, value: usize| {
        writeln!(limits, "/// {meaning}\npub const {name}: usize = {value};").expect("a string can be written");
    };
    limit("SUPPORTS", "Places for supports S.", number("MACULA_SUPPORTS", 128));
    limit("CLASSES", "Class slots C.", number("MACULA_CLASSES", 8));
    let blob = read_blob();
    let (dim, work_words, pixels) = match &blob {
        Some(bytes) => measures(bytes),
        None => (number("MACULA_DIM", 32), 0, 0),
    };
    limit("DIM", "Feature dimensions D.", dim);
    limit("WORK_WORDS", "Words of memory between an image and its feature.", work_words);
    limit("PIXELS", "Values of an image that the encoder reads.", pixels);
    limit(
        "BLOB_BYTES",
        "Bytes of the encoder's blob; 0 on a board that takes features only.",
        blob.as_deref().map_or(0, <[u8]>::len),
    );
    write("limits.rs", limits);
    fs::write(out.join("encoder.blob"), blob.unwrap_or_default()).expect("OUT_DIR can be written");
}

/// The memory map. An image that does not fit does not link; the stack, which has no guard, gets its room.
fn memory_map(flash_kb: usize, ram_kb: usize) -> String {
    format!(
        "MEMORY
{{
  FLASH : ORIGIN = 0x00000000, LENGTH = {flash_kb}K
  RAM : ORIGIN = 0x20000000, LENGTH = {ram_kb}K
}}
ASSERT(ORIGIN(RAM) + LENGTH(RAM) - __sheap >= {STACK_LEAST_KB}K, \"RAM: less than {STACK_LEAST_KB} KB are left for the stack\");
"
    )
}

fn number(variable: &str, default: usize) -> usize {
    println!("cargo::rerun-if-env-changed={variable}");
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text}: a number is needed")),
        Err(_) => default,
    }
}

fn read_blob() -> Option<Vec<u8>> {
    println!("cargo::rerun-if-env-changed=MACULA_BLOB");
    let path = env::var("MACULA_BLOB").ok()?;
    println!("cargo::rerun-if-changed={path}");
    Some(fs::read(&path).unwrap_or_else(|error| panic!("MACULA_BLOB={path}: {error}")))
}

/// Feature dimensions of a blob, words of memory to encode in, with those that make it faster, values of its input.
fn measures(blob: &[u8]) -> (usize, usize, usize) {
    // A blob is read in place, at a multiple of 4.
    let mut words = vec![0_u32; blob.len().div_ceil(4)];
    for (word, bytes) in words.iter_mut().zip(blob.chunks(4)) {
        let mut four = [0; 4];
        four[..bytes.len()].copy_from_slice(bytes);
        *word = u32::from_ne_bytes(four);
    }
    let aligned = bytemuck::cast_slice(&words);
    let parsed = Blob::parse(aligned).unwrap_or_else(|error| panic!("MACULA_BLOB: {error}"));
    (parsed.dim(), parsed.info().work_words() + parsed.extra_words(), parsed.input().values())
}
