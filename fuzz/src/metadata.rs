//! Metadata of an ONNX file: format, preprocessing, provenance and corpus statistics, one text each.
//!
//! The texts are separated by the byte 0xFF, which does not occur in UTF-8. An empty text is a missing entry.

use macula::runtime::{Metadata, pb};

use crate::Outcome;

/// Keys of the texts, in their order.
const KEYS: [&str; 4] = ["macula.format", "macula.preprocessing", "macula.provenance", "macula.corpus"];

/// Reads metadata. Accepted metadata is usable, and equal after writing and reading it.
pub fn run(data: &[u8]) -> Outcome {
    let mut model = pb::ModelProto { producer_name: "macula".into(), ..Default::default() };
    for (key, text) in KEYS.into_iter().zip(data.split(|&byte| byte == 0xFF)) {
        if !text.is_empty() {
            let (key, value) = (key.to_owned(), String::from_utf8_lossy(text).into_owned());
            model.metadata_props.push(pb::StringStringEntryProto { key, value });
        }
    }
    let metadata = match Metadata::read_from(&model, "m.onnx") {
        Ok(metadata) => metadata.expect("a file with our format has metadata"),
        Err(error) => {
            assert!(error.to_string().contains("m.onnx"), "{error}");
            return Outcome::Refused;
        }
    };
    let recipe = &metadata.preprocessing;
    assert!(recipe.shape().is_ok(), "invalid image size");
    assert_eq!((recipe.mean.len(), recipe.std.len()), (recipe.channels, recipe.channels));
    let mut written = pb::ModelProto::default();
    metadata.write_to(&mut written).expect("metadata can be written");
    let again = Metadata::read_from(&written, "m.onnx");
    assert_eq!(again.expect("written metadata can be read"), Some(metadata));
    Outcome::Accepted
}
