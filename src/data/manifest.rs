//! A CSV manifest: one image a line, with a header line.
//!
//! | column  | meaning                                                       |
//! | `path`  | the image file, relative to the manifest's folder             |
//! | `label` | name of its class; empty for none                             |
//! | `split` | train, val or test (training, validation, …); empty for none  |
//! | `group` | patient or the like; empty for none                           |
//!
//! `path` must be there, the others may be left out; further columns are not looked at. Classes are in
//! order of their names, images in order of their lines.

use std::collections::BTreeSet;
use std::path::Path;

use csv::StringRecord;

use super::dataset::Place;
use super::{DataError, Dataset, Record, Split};

/// Columns of the four fields; `path` is always there.
struct Columns {
    path: usize,
    label: Option<usize>,
    split: Option<usize>,
    group: Option<usize>,
}

/// Indexes the images that a manifest names. Each must exist; whether it can be decoded is seen when it is loaded.
pub(super) fn open(path: &Path) -> Result<Dataset, DataError> {
    let file = std::fs::File::open(path).map_err(DataError::io(path))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().map_err(|error| csv_error(path, &error))?;
    let columns = columns(path, header)?;
    let mut lines = Vec::new();
    for line in reader.records() {
        let line = line.map_err(|error| csv_error(path, &error))?;
        let number = line.position().map_or(0, csv::Position::line);
        lines.push((number, line));
    }
    if lines.is_empty() {
        return Err(DataError::Empty {
            path: path.display().to_string(),
            expected: "a line for each image below the header",
        });
    }
    let names: BTreeSet<&str> = lines.iter().filter_map(|(_, line)| field(line, columns.label)).collect();
    let mut dataset = Dataset::new(path.display().to_string(), names.into_iter().map(str::to_owned).collect());
    let folder = path.parent().unwrap_or(Path::new(""));
    for (number, line) in &lines {
        let (record, place) = entry(line, &columns, folder, &dataset.class_names)
            .map_err(|reason| DataError::Line { path: path.display().to_string(), line: *number, reason })?;
        dataset.push(record, place);
    }
    Ok(dataset)
}

fn columns(path: &Path, header: &StringRecord) -> Result<Columns, DataError> {
    let column = |name: &str| {
        // Spreadsheets begin a file with a byte order mark.
        header.iter().position(|title| title.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name))
    };
    let reason =
        || format!("no column path among {:?}; expected path, label, split, group", header.iter().collect::<Vec<_>>());
    let missing = || DataError::Line { path: path.display().to_string(), line: 1, reason: reason() };
    Ok(Columns {
        path: column("path").ok_or_else(missing)?,
        label: column("label"),
        split: column("split"),
        group: column("group"),
    })
}

/// The value of a column; `None` where it is empty or not there.
fn field(line: &StringRecord, column: Option<usize>) -> Option<&str> {
    line.get(column?).filter(|value| !value.is_empty())
}

fn entry(line: &StringRecord, columns: &Columns, folder: &Path, classes: &[String]) -> Result<(Record, Place), String> {
    let name = field(line, Some(columns.path)).ok_or("the path is empty")?;
    let file = folder.join(name);
    if !file.is_file() {
        return Err(format!("there is no file {}", file.display()));
    }
    let label =
        field(line, columns.label).and_then(|label| classes.binary_search_by(|class| class.as_str().cmp(label)).ok());
    let split = field(line, columns.split)
        .map(|split| Split::from_name(split).ok_or_else(|| format!("split {split:?} is none of train, val, test")))
        .transpose()?;
    let group = field(line, columns.group).map(str::to_owned);
    Ok((Record { name: name.to_owned(), label, split, group }, Place::File(file)))
}

fn csv_error(path: &Path, error: &csv::Error) -> DataError {
    let line = error.position().map_or(1, csv::Position::line);
    DataError::Line { path: path.display().to_string(), line, reason: error.to_string() }
}
