#![no_main]
//! See `macula_fuzz::metadata`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::metadata::run(data);
});
