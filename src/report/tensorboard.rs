//! Event files for TensorBoard: the scalars of a run, one per epoch.
//!
//! A file is a sequence of records, little-endian:
//!
//! | bytes | field                                        |
//! |------:|----------------------------------------------|
//! |     8 | length L of the event                        |
//! |     4 | masked CRC-32C of the length                 |
//! |     L | event, a protobuf message `tensorflow.Event` |
//! |     4 | masked CRC-32C of the event                  |
//!
//! The mask is `((crc >> 15) | (crc << 17)) + 0xa282ead8`. The first event names the version of the file. Source: `record_writer.h` and
//! `event.proto` of TensorFlow. The crates that write such files are years old and bring further versions of prost, protobuf and
//! image; the three messages that scalars need are below.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use crate::pretrain::EpochLine;

/// `tensorflow.Event`, as far as scalars need it.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Appends events to a new file in a folder.
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Creates the folder if it is missing, and a file in it whose name TensorBoard recognises and no other file has. A resumed run
    /// writes another file; TensorBoard reads all of a folder.
    ///
    /// * `time_s`: seconds since 1970
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn create(folder: &Path, time_s: f64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let name = format!("events.out.tfevents.{:010}.macula.{}", time_s as u64, std::process::id());
        let file_at = |number: u32| folder.join(format!("{name}.{number}"));
        for number in 0..u32::MAX {
            let path = file_at(number);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut writer = Self { path, file };
                    let version = Some("brain.Event:2".to_owned());
                    writer.push(&Event { wall_time: time_s, step: 0, file_version: version, summary: None })?;
                    return Ok(writer);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the scalars of an epoch, at its number of steps.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn epoch(&mut self, line: &EpochLine, time_s: f64) -> io::Result<()> {
        let value = |(tag, value): (String, f64)| Value { tag, simple_value: Some(value as f32) };
        let summary = Summary { value: scalars(line).into_iter().map(value).collect() };
        let step = i64::try_from(line.step).unwrap_or(i64::MAX);
        self.push(&Event { wall_time: time_s, step, file_version: None, summary: Some(summary) })
    }

    /// Appends an event in one write, so that a reader sees a part of it only if the write is interrupted.
    fn push(&mut self, event: &Event) -> io::Result<()> {
        self.file.write_all(&record(&event.encode_to_vec()))
    }
}

/// The record of an event.
fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(event.len() + 16);
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&masked_checksum(&length).to_le_bytes());
    bytes.extend_from_slice(event);
    bytes.extend_from_slice(&masked_checksum(event).to_le_bytes());
    bytes
}

fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The scalars of an epoch by tag. Tags of one chart have the same part before the slash.
fn scalars(line: &EpochLine) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    let mut add = |tag: String, value: f64| found.push((tag, value));
    if line.epoch > 0 {
        add("learning_rate".to_owned(), f64::from(line.learning_rate));
        add("epoch".to_owned(), line.epoch as f64);
    }
    for (name, score) in [("train", Some(&line.train).filter(|_| line.epoch > 0)), ("held_out", line.held_out.as_ref())]
    {
        let Some(score) = score else { continue };
        add(format!("loss/{name}"), score.loss);
        add(format!("balanced_accuracy/{name}"), score.balanced_accuracy);
        add(format!("accuracy/{name}"), score.accuracy);
        score.measures.iter().for_each(|(measure, &value)| add(format!("{measure}/{name}"), value));
    }
    if let Some(health) = &line.health {
        add("features/uniformity".to_owned(), health.uniformity);
        add("features/effective_rank".to_owned(), health.effective_rank);
        add("features/deviation".to_owned(), health.deviation);
        health.alignment.into_iter().for_each(|value| add("features/alignment".to_owned(), value));
        health.knn.into_iter().for_each(|value| add("features/knn".to_owned(), value));
    }
    if let Some(quality) = &line.quality {
        add("quality/retrieval".to_owned(), quality.retrieval);
        add("quality/contrastive".to_owned(), quality.contrastive);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrain::Tally;

    /// RFC 3720, B.4: the CRC-32C of 32 bytes of zeros is 0x8a9136aa.
    #[test]
    fn the_checksum_is_the_masked_castagnoli_crc() {
        let expected = 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked_checksum(&[0; 32]), expected);
    }

    #[test]
    fn events_are_records_that_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let line = EpochLine {
            step: 40,
            epoch: 2,
            train: Tally::new(2).score(),
            held_out: None,
            learning_rate: 0.5,
            health: None,
            quality: None,
        };
        let mut writer = EventWriter::create(&folder.path().join("a/b"), 7.5).unwrap();
        writer.epoch(&line, 8.5).unwrap();
        let another = EventWriter::create(&folder.path().join("a/b"), 7.5).unwrap();
        assert_ne!(another.path(), writer.path());
        let bytes = std::fs::read(writer.path()).unwrap();
        let (mut rest, mut events) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked_checksum(&rest[..8]).to_le_bytes());
            let event = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked_checksum(event).to_le_bytes());
            events.push(Event::decode(event).unwrap());
            rest = &rest[16 + length..];
        }
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!((events.len(), events[1].step, events[1].wall_time), (2, 40, 8.5));
        let values = &events[1].summary.as_ref().unwrap().value;
        let rate = values.iter().find(|value| value.tag == "learning_rate").unwrap();
        assert_eq!(rate.simple_value, Some(0.5));
        assert!(values.iter().any(|value| value.tag == "loss/train"));
    }
}
