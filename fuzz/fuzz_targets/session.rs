#![no_main]
//! See `macula_fuzz::session`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::session::run(data);
});
