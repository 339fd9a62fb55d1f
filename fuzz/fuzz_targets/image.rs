#![no_main]
//! See `macula_fuzz::image`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::image::run(data);
});
