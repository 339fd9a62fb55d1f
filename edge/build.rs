//! Sets `cfg(macula_dsp)` for targets with the DSP instructions of Cortex-M4, M7 and armv7, for which stable Rust has no
//! target feature, `cfg(macula_vfp)` for those targets that pass floats in registers, and so have single precision in
//! hardware, and `cfg(macula_mve)` for processors with integer Helium (MVE).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(macula_dsp, macula_vfp, macula_mve)");
    let target = std::env::var("TARGET").unwrap_or_default();
    let is_armv8m = target.starts_with("thumbv8m.main-");
    if target.starts_with("thumbv7em-") || target.starts_with("armv7-") {
        println!("cargo::rustc-cfg=macula_dsp");
        if target.ends_with("hf") {
            println!("cargo::rustc-cfg=macula_vfp");
        }
    }
    if is_armv8m && target.ends_with("hf") {
        println!("cargo::rustc-cfg=macula_vfp");
    }
    if is_armv8m && has_helium(&std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default()) {
        println!("cargo::rustc-cfg=macula_mve");
    }
}

/// Whether the compiler's flags name a processor with Helium. The compiler tells only its nightly builds of the feature.
///
/// Helium's floats flush subnormal numbers to 0. If the compiler may use them, features have other bits than elsewhere.
fn has_helium(flags: &str) -> bool {
    let has_helium =
        ["cortex-m52", "cortex-m55", "cortex-m85"].iter().any(|cpu| flags.contains(&format!("target-cpu={cpu}")));
    assert!(!has_helium || flags.contains("-mve.fp"), "add -Ctarget-feature=-mve.fp to the compiler's flags");
    has_helium
}
