//! The state of a device as a ZIP archive: `state.json`, and the kept pictures as `images/SOURCE.png`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use macula_edge::support_set::SourceId;
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::error::{ApiError, ErrorKind};
use super::source::{parse_hexadecimal, parse_source};
use crate::data::Image;
use crate::data::decode::{self, DecodeOptions};
use crate::device::KeptImages;
use crate::link::{DeviceState, Provenance, Support};
use crate::report::text::hexadecimal;

/// Version of `state.json`.
const VERSION: u32 = 1;

/// Most bytes of `state.json`: 65,536 samples of 256 dimensions take 80 MB.
const JSON_MAX: u64 = 256 << 20;

/// Most bytes of a picture.
const IMAGE_MAX: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct StateFile {
    format: String,
    version: u32,
    /// Identity of the encoder.
    encoder: String,
    /// SHA-256 of the canonical state.
    state_sha256: String,
    classes: Vec<ClassRecord>,
    samples: Vec<SampleRecord>,
}

#[derive(Serialize, Deserialize)]
struct ClassRecord {
    slot: u8,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct SampleRecord {
    source: String,
    class: u8,
    operator: u32,
    time_s: u64,
    /// The quantised feature: little-endian `i16` in hexadecimal digits.
    feature: String,
}

/// The name of the format.
const FORMAT: &str = "macula-state";

/// Writes an archive to a temporary file that has no name, and returns it at its beginning.
///
/// # Errors
/// If it cannot be written, or a picture cannot be read.
pub fn write(state: &DeviceState, encoder: [u8; 16], images: Option<&KeptImages>) -> Result<File, ApiError> {
    let mut archive = ZipWriter::new(tempfile::tempfile().map_err(fault)?);
    let sample = |support: &Support| SampleRecord {
        source: hexadecimal(&support.from.source),
        class: support.slot,
        operator: support.from.operator,
        time_s: support.from.time_s,
        feature: hexadecimal(&support.feature),
    };
    let content = StateFile {
        format: FORMAT.to_owned(),
        version: VERSION,
        encoder: hexadecimal(&encoder),
        state_sha256: hexadecimal(&state.sha256),
        classes: state.classes.iter().map(|(slot, name)| ClassRecord { slot: *slot, name: name.clone() }).collect(),
        samples: state.supports.iter().map(sample).collect(),
    };
    archive.start_file("state.json", SimpleFileOptions::default()).map_err(fault)?;
    serde_json::to_writer(&mut archive, &content).map_err(fault)?;
    // A PNG file is compressed already.
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for support in &state.supports {
        let Some(png) = images.map(|images| images.png(&support.from.source)).transpose()?.flatten() else { continue };
        archive.start_file(image_name(&support.from.source), stored).map_err(fault)?;
        archive.write_all(&png).map_err(fault)?;
    }
    let mut file = archive.finish().map_err(fault)?;
    file.seek(SeekFrom::Start(0)).map_err(fault)?;
    Ok(file)
}

/// An archive that was opened.
pub struct Archive {
    archive: ZipArchive<File>,
    /// Classes and samples.
    pub state: DeviceState,
}

impl Archive {
    /// Opens an archive.
    ///
    /// * `encoder`: identity of the device's encoder
    /// * `dim`: dimensions of its features
    ///
    /// # Errors
    /// If the file is no archive of this format, or that of another encoder.
    pub fn open(file: File, encoder: [u8; 16], dim: usize) -> Result<Self, ApiError> {
        let mut archive = ZipArchive::new(file).map_err(|error| malformed(&error.to_string()))?;
        let mut json = Vec::new();
        let entry = archive.by_name("state.json").map_err(|_| malformed("it has no state.json"))?;
        entry.take(JSON_MAX + 1).read_to_end(&mut json).map_err(|error| malformed(&error.to_string()))?;
        if json.len() as u64 > JSON_MAX {
            return Err(malformed("state.json is too large").with(json.len() as u64, JSON_MAX));
        }
        let content: StateFile =
            serde_json::from_slice(&json).map_err(|error| malformed(&format!("state.json: {error}")))?;
        let StateFile { format, version, classes, samples, .. } = &content;
        if format != FORMAT || *version != VERSION {
            return Err(malformed(&format!("state.json: {format} {version}; expected {FORMAT} {VERSION}")));
        }
        if content.encoder != hexadecimal(&encoder) {
            let message = format!(
                "the state is that of encoder {}, the device has encoder {}: features of different encoders cannot be compared",
                content.encoder,
                hexadecimal(&encoder)
            );
            return Err(ApiError::new(ErrorKind::OtherEncoder, message));
        }
        let classes: Vec<(u8, String)> = classes.iter().map(|class| (class.slot, class.name.clone())).collect();
        let support = |record: &SampleRecord| -> Result<Support, ApiError> {
            let feature = parse_hexadecimal(&record.feature)?;
            if feature.len() != 2 * dim {
                return Err(malformed("a feature of another length").with(feature.len() as u64, 2 * dim as u64));
            }
            if classes.iter().all(|(slot, _)| *slot != record.class) {
                return Err(malformed(&format!("a sample of class {}, which does not exist", record.class)));
            }
            let source = parse_source(&record.source)?;
            let from = Provenance { source, operator: record.operator, time_s: record.time_s };
            Ok(Support { slot: record.class, from, feature })
        };
        let supports = samples.iter().map(support).collect::<Result<_, _>>()?;
        Ok(Self { archive, state: DeviceState { classes, supports, sha256: [0; 32] } })
    }

    /// The picture of a sample; `None` if the archive has none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn image(&mut self, source: &SourceId) -> Result<Option<Image>, ApiError> {
        let name = image_name(source);
        let Ok(entry) = self.archive.by_name(&name) else { return Ok(None) };
        let mut png = Vec::new();
        entry.take(IMAGE_MAX).read_to_end(&mut png).map_err(|error| malformed(&format!("{name}: {error}")))?;
        Ok(Some(decode::decode(&png, &name, &DecodeOptions::default())?.image))
    }
}

fn image_name(source: &SourceId) -> String {
    format!("images/{}.png", hexadecimal(source))
}

fn malformed(what: &str) -> ApiError {
    ApiError::new(ErrorKind::Input, format!("the file is no exported state: {what}"))
}

fn fault(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorKind::DeviceFault, format!("the state cannot be exported: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> DeviceState {
        let from = Provenance { source: [7; 16], operator: 3, time_s: 1_800_000_000 };
        DeviceState {
            classes: vec![(2, "normal".to_owned())],
            supports: vec![Support { slot: 2, from, feature: vec![1, 2, 3, 4] }],
            sha256: [5; 32],
        }
    }

    #[test]
    fn an_archive_has_classes_samples_and_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let images = KeptImages::in_folder(folder.path().join("images")).unwrap();
        let image = Image { width: 2, height: 1, channels: 1, pixels: vec![9, 200] };
        images.put_image(&[7; 16], &image).unwrap();
        let file = write(&state(), [1; 16], Some(&images)).unwrap();
        let mut archive = Archive::open(file, [1; 16], 2).unwrap();
        assert_eq!(archive.state, DeviceState { sha256: [0; 32], ..state() });
        assert_eq!(archive.image(&[7; 16]).unwrap(), Some(image));
        assert_eq!(archive.image(&[8; 16]).unwrap(), None);
    }

    #[test]
    fn archives_of_other_encoders_and_other_files_are_refused() {
        let open = |encoder, dim| Archive::open(write(&state(), [1; 16], None).unwrap(), encoder, dim);
        assert_eq!(open([2; 16], 2).err().map(|error| error.kind), Some(ErrorKind::OtherEncoder));
        assert_eq!(open([1; 16], 3).err().map(|error| error.kind), Some(ErrorKind::Input));
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"no archive").unwrap();
        assert_eq!(Archive::open(file, [1; 16], 2).err().map(|error| error.kind), Some(ErrorKind::Input));
        let homeless = DeviceState { classes: Vec::new(), ..state() };
        let file = write(&homeless, [1; 16], None).unwrap();
        assert_eq!(Archive::open(file, [1; 16], 2).err().map(|error| error.kind), Some(ErrorKind::Input));
    }
}
