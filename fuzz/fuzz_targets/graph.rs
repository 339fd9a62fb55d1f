#![no_main]
//! See `macula_fuzz::graph`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::graph::run(data);
});
