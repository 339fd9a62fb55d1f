//! Writes the linker script: how much flash and RAM the image may take.
//!
//! `MACULA_FLASH_KB` and `MACULA_RAM_KB` change the limits; what does not fit them does not link.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names OUT_DIR"));
    let flash_kb = limit_kb("MACULA_FLASH_KB", 1024);
    let ram_kb = limit_kb("MACULA_RAM_KB", 256);
    let script = format!(
        "MEMORY\n{{\n  FLASH : ORIGIN = 0x00000000, LENGTH = {flash_kb}K\n  RAM : ORIGIN = 0x20000000, LENGTH = {ram_kb}K\n}}\n"
    );
    fs::write(out.join("memory.x"), script).expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rerun-if-changed=build.rs");
}

fn limit_kb(variable: &str, default: u32) -> u32 {
    println!("cargo::rerun-if-env-changed={variable}");
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text}: a number of kilobytes is needed")),
        Err(_) => default,
    }
}
