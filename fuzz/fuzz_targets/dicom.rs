#![no_main]
//! See `macula_fuzz::dicom`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::dicom::run(data);
});
