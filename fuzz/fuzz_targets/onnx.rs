#![no_main]
//! See `macula_fuzz::onnx`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    macula_fuzz::onnx::run(data);
});
