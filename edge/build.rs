//! Tells the sources whether the target has the DSP instructions of Cortex-M4, M7 and armv7, whose name as a
//! target feature is not stable.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(macula_dsp)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv7em-") || target.starts_with("armv7-") {
        println!("cargo::rustc-cfg=macula_dsp");
    }
}
