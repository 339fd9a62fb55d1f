//! Files of features: NumPy arrays, with path, label and split of each row.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use npyz::WriterBuilder;
use zip::write::SimpleFileOptions;

use crate::data::{Dataset, Record, Split};
use crate::files::write_atomic;

/// The image of a row. Label and split are empty if there is none.
pub struct Row {
    pub path: String,
    pub label: String,
    pub split: &'static str,
}

impl Row {
    /// The row of an image of a dataset.
    pub fn of(dataset: &Dataset, record: &Record) -> Self {
        Self {
            path: record.name.clone(),
            label: record.label.map_or_else(String::new, |label| dataset.class_names[label].clone()),
            split: record.split.map_or("", Split::name),
        }
    }

    /// The row of an image file.
    pub fn of_file(name: &str) -> Self {
        Self { path: name.to_owned(), label: String::new(), split: "" }
    }
}

/// The files written for `out`: `FILE.npz`, or `FILE.npy` and `FILE.csv`.
pub fn files(out: &Path) -> Vec<PathBuf> {
    match is_npz(out) {
        true => vec![out.to_owned()],
        false => vec![out.to_owned(), out.with_extension("csv")],
    }
}

fn is_npz(out: &Path) -> bool {
    out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"))
}

/// Writes `features` `[N, D]` and their rows.
///
/// # Errors
/// When a file cannot be written.
pub fn write(out: &Path, rows: &[Row], features: &[f32], dim: usize) -> anyhow::Result<()> {
    let features = npy(features, [rows.len(), dim])?;
    if !is_npz(out) {
        write_atomic(&out.with_extension("csv"), &csv(rows)?)?;
        return Ok(write_atomic(out, &features)?);
    }
    let column = |text: fn(&Row) -> &str| text_npy(&rows.iter().map(text).collect::<Vec<_>>());
    let arrays = [
        ("features", features),
        ("path", column(|row| &row.path)),
        ("label", column(|row| &row.label)),
        ("split", column(|row| row.split)),
    ];
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), SimpleFileOptions::default().large_file(bytes.len() > 1 << 31))?;
        archive.write_all(&bytes).with_context(|| out.display().to_string())?;
    }
    Ok(write_atomic(out, &archive.finish()?.into_inner())?)
}

fn csv(rows: &[Row]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["path", "label", "split"])?;
    rows.iter().try_for_each(|row| writer.write_record([&row.path, &row.label, row.split]))?;
    Ok(writer.into_inner()?)
}

/// `[N, D]` in NumPy's .npy format.
///
/// # Errors
/// None: memory takes all bytes.
pub fn npy(values: &[f32], shape: [usize; 2]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let shape = shape.map(|len| len as u64);
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut bytes).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(bytes)
}

/// Texts in NumPy's .npy format, dtype `<U…`: UTF-32, each padded with zeros to the length of the longest.
fn text_npy(texts: &[&str]) -> Vec<u8> {
    let len = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let header = format!("{{'descr': '<U{len}', 'fortran_order': False, 'shape': ({},), }}", texts.len());
    // Version 1.0: magic, version and length take 10 bytes; header and line feed fill up a multiple of 64.
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 11;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((padded as u16 + 1).to_le_bytes());
    bytes.extend(format!("{header:<padded$}\n").bytes());
    for text in texts {
        let mut left = len;
        for c in text.chars() {
            bytes.extend(u32::from(c).to_le_bytes());
            left -= 1;
        }
        bytes.extend(std::iter::repeat_n(0, 4 * left));
    }
    bytes
}
