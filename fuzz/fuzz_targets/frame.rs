#![no_main]
//! See `macula_fuzz::frame`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::frame::run(data);
});
