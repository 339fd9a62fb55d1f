//! Sets `cfg(macula_dsp)` for targets with the DSP instructions of Cortex-M4, M7 and armv7, for which stable Rust has no
//! target feature, and `cfg(macula_vfp)` for those of them that pass floats in registers, and so have single precision in
//! hardware.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(macula_dsp, macula_vfp)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv7em-") || target.starts_with("armv7-") {
        println!("cargo::rustc-cfg=macula_dsp");
        if target.ends_with("hf") {
            println!("cargo::rustc-cfg=macula_vfp");
        }
    }
}
