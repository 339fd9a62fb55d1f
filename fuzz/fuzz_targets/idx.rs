#![no_main]
//! See `macula_fuzz::idx`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::idx::run(data);
});
