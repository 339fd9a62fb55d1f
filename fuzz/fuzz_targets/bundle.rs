#![no_main]
//! See `macula_fuzz::bundle`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::bundle::run(data);
});
