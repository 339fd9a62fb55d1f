//! Metadata of a model file, in ONNX's `metadata_props`.
//!
//! | key                   | value                                                                     |
//! |-----------------------|---------------------------------------------------------------------------|
//! | `macula.preprocessing`| JSON [`Preprocessing`]: channels, height, width, filter, mean, std, range? |
//! | `macula.provenance`   | JSON [`Provenance`]                                                       |
//! | `macula.corpus`       | JSON [`CorpusStatistics`]: mean, std, length of features; may be absent    |
//! | `macula.format`       | the version of this table, `1`; last, so that truncation is noticed       |
//!
//! Resizing and `(value / 255 - mean) / std` are not part of the graph. Other runtimes must do them first, as
//! `macula.preprocessing` says.

use super::error::RuntimeError;
use super::limits::METADATA_BYTES_MAX;
use super::model_file::pb;
use crate::data::{Preprocessing, ValueRange};
use crate::encoder::{CorpusStatistics, EncoderSpec, TeacherId};

/// Version of the metadata that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// `producer_name` of the files that this program writes.
const PRODUCER: &str = "macula";
const PREPROCESSING: &str = "macula.preprocessing";
const PROVENANCE: &str = "macula.provenance";
const CORPUS: &str = "macula.corpus";
const FORMAT: &str = "macula.format";

/// Provenance of an encoder.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Provenance {
    /// Version of the program that exported it.
    pub program_version: String,
    /// The pretraining objective, for instance `rotation`.
    pub method: String,
    /// Seed of the pretraining.
    pub seed: u64,
    /// Name of the data it was pretrained on, never a path.
    pub data: String,
    /// The network.
    pub encoder: EncoderSpec,
    /// SHA-256 of the resolved configuration of the pretraining, in hexadecimal.
    pub config_sha256: String,
    /// The encoders that taught it, if it was distilled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teachers: Vec<TeacherId>,
}

/// The metadata of a file that `export` wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// How an image becomes network input.
    pub preprocessing: Preprocessing,
    /// Provenance of the encoder.
    pub provenance: Provenance,
    /// Statistics of its features over the images it was pretrained on.
    pub corpus: Option<CorpusStatistics>,
}

impl Metadata {
    /// Writes the entries and the producer into `model`.
    ///
    /// # Errors
    /// When a value has no JSON form.
    pub fn write_to(&self, model: &mut pb::ModelProto) -> Result<(), serde_json::Error> {
        let mut add = |key: &str, value| {
            model.metadata_props.push(pb::StringStringEntryProto { key: key.to_owned(), value });
        };
        add(PREPROCESSING, serde_json::to_string(&self.preprocessing)?);
        add(PROVENANCE, serde_json::to_string(&self.provenance)?);
        if let Some(corpus) = &self.corpus {
            add(CORPUS, serde_json::to_string(corpus)?);
        }
        add(FORMAT, FORMAT_VERSION.to_string());
        model.producer_name = PRODUCER.to_owned();
        model.producer_version = self.provenance.program_version.clone();
        Ok(())
    }

    /// Reads the entries that [`Self::write_to`] wrote; `None` for a foreign file.
    ///
    /// # Errors
    /// When an entry is missing or invalid, or of a newer version.
    pub fn read_from(model: &pb::ModelProto, path: &str) -> Result<Option<Self>, RuntimeError> {
        let fail = |key, message| RuntimeError::Metadata { path: path.to_owned(), key, message };
        let Some(version) = value_of(model, FORMAT) else {
            if model.producer_name == PRODUCER {
                return Err(fail(FORMAT, "is missing; the file was truncated or rewritten".to_owned()));
            }
            return Ok(None);
        };
        match version.parse::<u32>() {
            Ok(version) if (1..=FORMAT_VERSION).contains(&version) => {}
            _ => {
                return Err(fail(FORMAT, format!("is '{version}'; this program reads 1 to {FORMAT_VERSION}")));
            }
        }
        let preprocessing: Preprocessing = entry(model, path, PREPROCESSING)?;
        check_preprocessing(&preprocessing).map_err(|message| fail(PREPROCESSING, message))?;
        let corpus = match value_of(model, CORPUS) {
            Some(_) => Some(entry::<CorpusStatistics>(model, path, CORPUS)?),
            None => None,
        };
        Ok(Some(Self { preprocessing, provenance: entry(model, path, PROVENANCE)?, corpus }))
    }
}

/// Checks that `preprocessing` is valid.
///
/// # Errors
/// The reason in words.
pub(super) fn check_preprocessing(preprocessing: &Preprocessing) -> Result<(), String> {
    let Preprocessing { channels, mean, std, range, .. } = preprocessing;
    preprocessing.shape().map_err(|error| format!("is invalid: {error}"))?;
    if mean.len() != *channels || std.len() != *channels {
        return Err(format!("has {} means and {} stds for {channels} channels", mean.len(), std.len()));
    }
    if let Some(bad) = mean.iter().find(|value| !value.is_finite()) {
        return Err(format!("has a mean of {bad}"));
    }
    if let Some(bad) = std.iter().find(|value| !(value.is_finite() && **value > 0.0)) {
        return Err(format!("has a std of {bad}; it must be greater than 0"));
    }
    range.as_ref().map_or(Ok(()), ValueRange::check).map_err(|error| format!("has a bad range: {error}"))
}

fn value_of<'a>(model: &'a pb::ModelProto, key: &str) -> Option<&'a str> {
    model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

fn entry<T: serde::de::DeserializeOwned>(
    model: &pb::ModelProto,
    path: &str,
    key: &'static str,
) -> Result<T, RuntimeError> {
    let fail = |message| RuntimeError::Metadata { path: path.to_owned(), key, message };
    let text = value_of(model, key).ok_or_else(|| fail("is missing".to_owned()))?;
    if text.len() as u64 > METADATA_BYTES_MAX {
        return Err(fail(format!("has {} bytes; at most {METADATA_BYTES_MAX} are allowed", text.len())));
    }
    serde_json::from_str(text).map_err(|error| fail(format!("cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ResizeFilter;
    use crate::encoder::{InputShape, Preset};

    fn metadata() -> Metadata {
        let input = InputShape { channels: 1, height: 28, width: 28 };
        Metadata {
            preprocessing: Preprocessing {
                channels: 1,
                height: 28,
                width: 28,
                filter: ResizeFilter::Triangle,
                mean: vec![0.1],
                std: vec![1.0 / 3.0],
                range: None,
            },
            provenance: Provenance {
                program_version: "0.1.0".into(),
                method: "rotation".into(),
                seed: u64::MAX,
                data: "phantoms".into(),
                encoder: EncoderSpec::preset(Preset::Pico, input).unwrap(),
                config_sha256: "00".repeat(32),
                teachers: vec![TeacherId { name: "t.onnx".into(), sha256: "11".repeat(32) }],
            },
            corpus: Some(CorpusStatistics { mean: vec![0.25; 32], std: vec![1e-7; 32], length_max: Some(301) }),
        }
    }

    #[test]
    fn metadata_is_read_back() {
        for corpus in [metadata().corpus, None] {
            let written = Metadata { corpus, ..metadata() };
            let mut model = pb::ModelProto::default();
            written.write_to(&mut model).unwrap();
            assert_eq!(Metadata::read_from(&model, "m").unwrap(), Some(written));
        }
        assert_eq!(Metadata::read_from(&pb::ModelProto::default(), "m").unwrap(), None);
    }

    #[test]
    fn invalid_entries_are_refused() {
        let spoil = |key: &str, value: Option<&str>| {
            let mut model = pb::ModelProto::default();
            metadata().write_to(&mut model).unwrap();
            let place = model.metadata_props.iter().position(|entry| entry.key == key).unwrap();
            match value {
                Some(value) => model.metadata_props[place].value = value.to_owned(),
                None => _ = model.metadata_props.remove(place),
            }
            Metadata::read_from(&model, "m.onnx").unwrap_err()
        };
        let bad_std = r#"{"channels":1,"height":8,"width":8,"filter":"triangle","mean":[0.5],"std":[0.0]}"#;
        let bad_size = r#"{"channels":1,"height":8,"width":65536,"filter":"triangle","mean":[0.5],"std":[1.0]}"#;
        for (spoiled, value) in [
            (FORMAT, Some("2")),
            (FORMAT, None),
            (PREPROCESSING, None),
            (PREPROCESSING, Some("{")),
            (PREPROCESSING, Some(bad_std)),
            (PREPROCESSING, Some(bad_size)),
            (PROVENANCE, None),
            (CORPUS, Some("[]")),
        ] {
            let error = spoil(spoiled, value);
            assert!(matches!(error, RuntimeError::Metadata { key, .. } if key == spoiled), "{spoiled}: {error}");
        }
    }
}
