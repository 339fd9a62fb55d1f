#![no_main]
//! See `macula_fuzz::npz`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::npz::run(data);
});
