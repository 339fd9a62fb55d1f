#![no_main]
//! See `macula_fuzz::store`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::store::run(data);
});
