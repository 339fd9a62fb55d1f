//! Finds out whether the kernels for 32-bit Arm can be compiled.

/// Rust's vector instructions of 32-bit Arm are unstable. `RUSTC_BOOTSTRAP` with the name of this crate opens unstable features
/// for it alone; without, the crate builds for such processors with kernels in plain Rust only.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_BOOTSTRAP");
    println!("cargo::rustc-check-cfg=cfg(neon_a32)");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let opened = variable("RUSTC_BOOTSTRAP");
    let is_open = opened == "1" || opened.split(',').any(|name| name == "macula_engine");
    if is_open && variable("CARGO_CFG_TARGET_ARCH") == "arm" && variable("CARGO_CFG_TARGET_OS") == "linux" {
        println!("cargo::rustc-cfg=neon_a32");
    }
}
