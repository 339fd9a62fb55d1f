//! CIFAR-10 and CIFAR-100 in their binary format.
//!
//! An image is a record of label bytes and 3,072 pixel bytes (32×32; the red plane, then green, then blue).
//! CIFAR-10 has one label byte. CIFAR-100 has two, coarse and fine; the fine one is used.
//!
//! | file                                  | split | of        |
//! | `data_batch_1.bin` … `data_batch_5.bin` | train | CIFAR-10  |
//! | `test_batch.bin`                      | test  | CIFAR-10  |
//! | `train.bin`, `test.bin`               | as named | CIFAR-100 |
//!
//! Class names come from `batches.meta.txt` or `fine_label_names.txt`, one per line, if the file exists.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::budget::Budget;
use super::rows::{Order, Rows};
use super::{DataError, Dataset, Record, Split, listing};
use crate::files::{open_regular, read_text_bounded};

const SIDE: usize = 32;
/// Bytes of a list of class names at most.
const NAMES_BYTES_MAX: u64 = 1 << 16;
/// Bytes of a row number and its brackets in a name.
const NUMBER_LEN: u64 = 12;
const PIXEL_BYTES: usize = 3 * SIDE * SIDE;

/// One binary file and what its name means.
struct Batch {
    path: PathBuf,
    stem: String,
    split: Split,
    label_bytes: usize,
}

/// The CIFAR files in a folder.
fn batches(folder: &Path) -> Result<Vec<Batch>, DataError> {
    let mut batches = Vec::new();
    for path in listing::entries(folder)? {
        let Some(stem) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".bin"))
        else {
            continue;
        };
        let (split, label_bytes) = match stem {
            "test_batch" => (Split::Test, 1),
            "train" => (Split::Train, 2),
            "test" => (Split::Test, 2),
            _ if stem.starts_with("data_batch_") => (Split::Train, 1),
            _ => continue,
        };
        batches.push(Batch { stem: stem.to_owned(), split, label_bytes, path });
    }
    Ok(batches)
}

/// Indexes the batches of a folder; `None` if it has none.
pub(super) fn open(folder: &Path) -> Result<Option<Dataset>, DataError> {
    let batches = if folder.is_dir() { batches(folder)? } else { Vec::new() };
    let Some(label_bytes) = batches.first().map(|batch| batch.label_bytes) else { return Ok(None) };
    let class_names = class_names(folder, label_bytes)?;
    let (mut budget, mut records, mut arrays) = (Budget::new(folder), Vec::new(), Vec::new());
    for batch in &batches {
        if batch.label_bytes != label_bytes {
            return Err(DataError::malformed(
                &batch.path,
                "the file",
                "another format than in the other batches",
                "CIFAR-10 or CIFAR-100, not both",
            ));
        }
        arrays.push(index(batch, class_names.len(), &mut records, &mut budget)?);
    }
    let mut dataset = Dataset::new(folder.display().to_string(), records, arrays);
    dataset.set_classes_that_occur(class_names);
    Ok(Some(dataset))
}

fn class_names(folder: &Path, label_bytes: usize) -> Result<Vec<String>, DataError> {
    let (file, count) = if label_bytes == 1 { ("batches.meta.txt", 10) } else { ("fine_label_names.txt", 100) };
    let path = folder.join(file);
    if !path.exists() {
        return Ok((0..count).map(|label| label.to_string()).collect());
    }
    let text = read_text_bounded(&path, NAMES_BYTES_MAX).map_err(DataError::read)?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.len() != count {
        return Err(DataError::malformed(
            &path,
            "the list",
            format!("{} names", names.len()),
            format!("{count} names, one per line"),
        ));
    }
    Ok(names)
}

/// Appends the images of a batch to `records` and returns their pixels.
fn index(batch: &Batch, classes: usize, records: &mut Vec<Record>, budget: &mut Budget) -> Result<Rows, DataError> {
    let path = &batch.path;
    let file = open_regular(path).map_err(DataError::read)?;
    let bytes = file.metadata().map_err(DataError::io(path))?.len();
    let stride = (batch.label_bytes + PIXEL_BYTES) as u64;
    if bytes == 0 || bytes % stride != 0 {
        let expected = format!("a multiple of {stride} bytes, above 0");
        return Err(DataError::malformed(path, "the file", format!("{bytes} bytes"), expected));
    }
    let count = (bytes / stride) as usize;
    budget.take(bytes / stride, batch.stem.len() as u64 + NUMBER_LEN)?;
    let mut reader = BufReader::with_capacity(1 << 16, file.try_clone().map_err(DataError::io(path))?);
    let mut record = vec![0; stride as usize];
    for row in 0..count {
        reader.read_exact(&mut record).map_err(DataError::io(path))?;
        let label = usize::from(record[batch.label_bytes - 1]);
        let name = format!("{}[{row}]", batch.stem);
        if label >= classes {
            return Err(DataError::malformed(path, format!("the label of {name}"), label, format!("below {classes}")));
        }
        records.push(Record { name, label: Some(label), split: Some(batch.split), group: None });
    }
    let (path, offset) = (path.clone(), batch.label_bytes as u64);
    let (width, height, channels) = (SIDE, SIDE, 3);
    Ok(Rows { path, file, offset, stride, count, width, height, channels, order: Order::Planar })
}
