//! ONNX files as bytes: admitted, prepared, and run on two images.

use macula::data::Preprocessing;
use macula::encoder::HostEncoder;
use macula::runtime::{Declared, OnnxEncoder, OpenOptions, RuntimeError, decode};

use crate::Outcome;

/// Values of an input at most.
const INPUT_MAX: usize = 1 << 14;

/// Opens `data` as an encoder, with stated preprocessing if the file has none, and computes two features.
pub fn run(data: &[u8]) -> Outcome {
    let declared = decode(data, "m.onnx").and_then(|model| Declared::of(&model, "m.onnx"));
    let Ok(declared) = declared else { return Outcome::Refused };
    let Declared { channels, height, width, preprocessing, .. } = declared;
    let (height, width) = (height.unwrap_or(8), width.unwrap_or(8));
    let stated = preprocessing.is_none().then(|| Preprocessing::unit(channels, height, width));
    let options = OpenOptions { preprocessing: stated, ..Default::default() };
    let encoder = match OnnxEncoder::from_bytes("m.onnx", data, &options) {
        Ok(encoder) => encoder,
        Err(error) => {
            // A caught panic here would abort a program without unwinding.
            assert!(!matches!(error, RuntimeError::Fault { .. }), "{error}");
            return Outcome::Refused;
        }
    };
    let len = encoder.preprocessing().input_len();
    if len > INPUT_MAX {
        return Outcome::Accepted;
    }
    let images = [vec![0.0; len], (0..len).map(|index| (index % 251) as f32 / 251.0).collect()];
    for image in images {
        match encoder.encode_normalised(&image) {
            Ok(feature) => {
                assert_eq!(feature.len(), encoder.feature_dim());
                assert!(feature.iter().all(|value| value.is_finite()), "a feature that is not finite");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    Outcome::Accepted
}
