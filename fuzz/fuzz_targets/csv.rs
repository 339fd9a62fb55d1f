#![no_main]
//! See `macula_fuzz::csv`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::csv::run(data);
});
