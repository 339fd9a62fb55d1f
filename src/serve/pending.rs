//! A sample that is being moved, in a file, so that a power cut cannot lose it.

use std::io;
use std::path::PathBuf;

use macula_edge::support_set::SourceId;
use serde::{Deserialize, Serialize};

use super::error::{ApiError, ErrorKind};
use super::source::{parse_hexadecimal, parse_source};
use super::undo::Taken;
use crate::files::{TEXT_MAX, read_text_bounded, remove_if_present, write_private};
use crate::link::{Provenance, Support};
use crate::report::text::hexadecimal;

/// The file of a sample that is being moved.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Record {
    encoder: String,
    class: String,
    source: String,
    operator: u32,
    time_s: u64,
    feature: String,
}

impl Pending {
    /// In the file `path`, which exists only while a sample is being moved.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Keeps a sample of the device with the encoder `encoder`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, encoder: [u8; 16], taken: &Taken) -> Result<(), ApiError> {
        let Taken { class, support: Support { from, feature, .. } } = taken;
        let record = Record {
            encoder: hexadecimal(&encoder),
            class: class.clone(),
            source: hexadecimal(&from.source),
            operator: from.operator,
            time_s: from.time_s,
            feature: hexadecimal(feature),
        };
        let json = serde_json::to_vec(&record).map_err(|error| self.fault(error))?;
        Ok(write_private(&self.path, &json)?)
    }

    /// The source of the kept sample, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn source(&self) -> Result<Option<SourceId>, ApiError> {
        self.record()?.map(|record| parse_source(&record.source)).transpose()
    }

    /// The kept sample, if there is one of this encoder. One of another encoder is of no use and is dropped.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self, encoder: [u8; 16]) -> Result<Option<Taken>, ApiError> {
        let Some(record) = self.record()? else { return Ok(None) };
        if record.encoder != hexadecimal(&encoder) {
            return Ok(None);
        }
        let (source, feature) = (parse_source(&record.source)?, parse_hexadecimal(&record.feature)?);
        let from = Provenance { source, operator: record.operator, time_s: record.time_s };
        Ok(Some(Taken { class: record.class, support: Support { slot: 0, from, feature } }))
    }

    /// Removes the file: the sample has been moved.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn clear(&self) -> Result<(), ApiError> {
        remove_if_present(&self.path).map_err(|error| self.fault(error))
    }

    fn record(&self) -> Result<Option<Record>, ApiError> {
        match read_text_bounded(&self.path, TEXT_MAX) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| self.fault(error)),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fault(error.source)),
        }
    }

    fn fault(&self, error: impl std::fmt::Display) -> ApiError {
        ApiError::new(ErrorKind::DeviceFault, format!("{}: {error}", self.path.display()))
    }
}
