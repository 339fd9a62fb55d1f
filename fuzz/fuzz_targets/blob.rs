#![no_main]
//! See `macula_fuzz::blob`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::blob::run(data);
});
