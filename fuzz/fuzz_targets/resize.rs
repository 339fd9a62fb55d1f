#![no_main]
//! See `macula_fuzz::resize`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::resize::run(data);
});
