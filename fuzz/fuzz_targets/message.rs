#![no_main]
//! See `macula_fuzz::message`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::message::run(data);
});
