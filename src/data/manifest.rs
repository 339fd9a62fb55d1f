//! A CSV manifest: a header line, then one image per line.
//!
//! | column  | meaning                                                       | also known as                     |
//! | `path`  | the image file, relative to the manifest's folder             | file, filename, image, …          |
//! | `label` | name of the class; empty, `NaN`, `NA`, `None`, `null` for none | class, target, diagnosis, …       |
//! | `split` | train, val or test (training, validation, …); empty for none  | set, subset, fold (if not numbers) |
//! | `group` | patient or similar; empty for none                            | patient_id, subject, case, …      |
//!
//! `path` is required, the others are optional; a remark names further columns. Fields are separated by commas, semicolons,
//! tabs or `|`, quoted by `"`, in UTF-8. An invalid line is skipped with its reason. Images are in order of their lines.
//! `labels` makes classes of the values.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Position};

use super::budget::Budget;
use super::columns::Columns;
use super::labels::LabelValues;
use super::source::ImageFiles;
use super::{DataError, Dataset, Record, Split, words};
use crate::files::open_regular;

/// Bytes of a manifest at most: five million lines of 100 bytes.
const FILE_BYTES_MAX: u64 = 1 << 29;
/// Bytes of a header at most.
const HEADER_BYTES_MAX: u64 = 1 << 16;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Indexes the images that a manifest names; `None` if `path` is not a `.csv` or `.tsv` file.
///
/// Whether an image can be decoded is found when it is loaded.
///
/// # Errors
/// If the manifest has no column of paths, too large an index, or no valid line.
pub(super) fn open(path: &Path) -> Result<Option<Dataset>, DataError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if !(name.ends_with(".csv") || name.ends_with(".tsv")) || path.is_dir() || !path.exists() {
        return Ok(None);
    }
    let mut file = open_regular(path).map_err(DataError::read)?;
    let bytes = file.metadata().map_err(DataError::io(path))?.len();
    if bytes > FILE_BYTES_MAX {
        let limit = format!("at most {FILE_BYTES_MAX} bytes");
        return Err(DataError::malformed(path, "the manifest", format!("{bytes} bytes"), limit));
    }
    let (delimiter, mut columns) = dialect(path, &mut file)?;
    if columns.is_fold() && !folds_are_splits(path, &mut file, delimiter, &columns)? {
        columns.split = None;
    }
    let mut index = Index::new(path, &columns);
    each_line(path, &mut file, delimiter, |line, record| index.line(line, record))?;
    index.finished().map(Some)
}

/// The delimiter and the columns of the header.
fn dialect(path: &Path, file: &mut File) -> Result<(u8, Columns), DataError> {
    let mut start = Vec::new();
    file.rewind().and_then(|()| file.take(HEADER_BYTES_MAX).read_to_end(&mut start)).map_err(DataError::io(path))?;
    if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
        return Err(DataError::malformed(path, "the text", "UTF-16", "UTF-8"));
    }
    let mut first = None;
    for delimiter in [b',', b';', b'\t', b'|'] {
        let header = header(&start, delimiter);
        if let Some(columns) = Columns::of(&header) {
            return Ok((delimiter, columns));
        }
        first.get_or_insert(header);
    }
    let reason = format!("no column path; found {:?}; expected path, label, split, group", first.unwrap_or_default());
    Err(DataError::Line { path: path.display().to_string(), line: 1, reason })
}

fn header(start: &[u8], delimiter: u8) -> Vec<String> {
    let mut reader = reader(start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start), delimiter);
    let mut record = ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => record.iter().map(|field| String::from_utf8_lossy(field).trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}

fn reader<R: Read>(from: R, delimiter: u8) -> csv::Reader<R> {
    csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(from)
}

/// Calls `take` with every line below the header and its number; the header is line 1.
fn each_line(
    path: &Path,
    file: &mut File,
    delimiter: u8,
    mut take: impl FnMut(u64, &ByteRecord) -> Result<(), DataError>,
) -> Result<(), DataError> {
    file.rewind().map_err(DataError::io(path))?;
    let mut reader = reader(file, delimiter);
    let mut record = ByteRecord::new();
    let mut is_header = true;
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) if is_header => is_header = false,
            Ok(true) => take(record.position().map_or(0, Position::line), &record)?,
            Ok(false) => return Ok(()),
            Err(error) => {
                let line = error.position().map_or(1, Position::line);
                return Err(DataError::Line { path: path.display().to_string(), line, reason: error.to_string() });
            }
        }
    }
}

/// Whether the values of the column `fold` are names of splits, not numbers of folds.
fn folds_are_splits(path: &Path, file: &mut File, delimiter: u8, columns: &Columns) -> Result<bool, DataError> {
    let mut are_splits = true;
    each_line(path, file, delimiter, |_, record| {
        let value = columns.split.and_then(|column| record.get(column)).unwrap_or_default();
        let value = String::from_utf8_lossy(value);
        are_splits &= words::is_missing(&value) || split_of(&value).is_some();
        Ok(())
    })?;
    Ok(are_splits)
}

fn split_of(value: &str) -> Option<Split> {
    words::split_in(value.trim()).filter(|(_, rest)| rest.is_empty()).map(|(split, _)| split)
}

/// The index of a dataset, read line by line.
struct Index<'a> {
    path: &'a Path,
    folder: &'a Path,
    columns: &'a Columns,
    records: Vec<Record>,
    files: Vec<PathBuf>,
    skipped: Vec<(String, String)>,
    budget: Budget,
    labels: LabelValues,
}

impl<'a> Index<'a> {
    fn new(path: &'a Path, columns: &'a Columns) -> Self {
        let folder = path.parent().unwrap_or(Path::new(""));
        let (records, files, skipped) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            path,
            folder,
            columns,
            records,
            files,
            skipped,
            budget: Budget::new(path),
            labels: LabelValues::default(),
        }
    }

    fn line(&mut self, line: u64, record: &ByteRecord) -> Result<(), DataError> {
        // The name, the path of the file, and the group.
        let text = record.as_slice().len() as u64 * 2 + self.folder.as_os_str().len() as u64;
        self.budget.take(1, text)?;
        match self.entry(record) {
            Ok((record, image, value)) => {
                self.labels.push(value);
                self.records.push(record);
                self.files.push(image);
            }
            Err(reason) => {
                let file = self.path.file_name().unwrap_or_default().to_string_lossy();
                self.skipped.push((format!("{file}, line {line}"), reason));
            }
        }
        Ok(())
    }

    /// The record, file and label value of a line, or why the line is invalid.
    fn entry<'r>(&self, record: &'r ByteRecord) -> Result<(Record, PathBuf, Option<&'r str>), String> {
        let columns = self.columns;
        let extra =
            (columns.count()..record.len()).any(|column| record.get(column).is_some_and(|field| !field.is_empty()));
        if record.len() < columns.count() || extra {
            return Err(format!("it has {} fields; the header has {}", record.len(), columns.count()));
        }
        let field = |column: Option<usize>| {
            let Some(bytes) = column.and_then(|column| record.get(column)) else { return Ok("") };
            std::str::from_utf8(bytes).map(str::trim).map_err(|_| format!("{} is not UTF-8", bytes.escape_ascii()))
        };
        let name = field(Some(columns.path))?;
        if name.is_empty() {
            return Err("the path is empty".to_owned());
        }
        let mut file = self.folder.join(name);
        if !file.is_file() {
            // A manifest may have been written on Windows.
            let slashed = self.folder.join(name.replace('\\', "/"));
            if !slashed.is_file() {
                return Err(format!("no such file: {}", file.display()));
            }
            file = slashed;
        }
        let split = field(columns.split)?;
        let split = match split_of(split) {
            None if !words::is_missing(split) => {
                return Err(format!("unknown split {split:?}; expected train, val or test"));
            }
            split => split,
        };
        let group = Some(field(columns.group)?).filter(|group| !words::is_missing(group)).map(str::to_owned);
        let label = field(columns.label)?;
        let value = (!label.is_empty()).then_some(label);
        Ok((Record { name: name.to_owned(), label: None, split, group }, file, value))
    }

    fn finished(self) -> Result<Dataset, DataError> {
        let path = self.path.display().to_string();
        if self.records.is_empty() && !self.skipped.is_empty() {
            return Err(DataError::all_skipped(path, &self.skipped));
        }
        if self.records.is_empty() {
            return Err(DataError::Empty { path, expected: "one line per image below the header" });
        }
        let mut dataset = Dataset::new(path, self.records, ImageFiles(self.files));
        (dataset.skipped, dataset.remarks) = (self.skipped, self.columns.remarks());
        self.labels.label(&mut dataset);
        Ok(dataset)
    }
}
