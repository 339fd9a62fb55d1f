//! MedMNIST's `.npz`: a zip of NumPy arrays.
//!
//! | array           | type and shape                                             |
//! | `PART_images`   | u8, `[N, H, W]` or `[N, H, W, 3]`, `N` above 0             |
//! | `PART_labels`   | `[N]` or `[N, 1]`: whole numbers from 0 (NaN for none) or strings |
//! | `PART_groups`   | optional: integers or strings, `[N]` or `[N, 1]`           |
//!
//! PART is train, val or test; at least one of them must exist.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use npyz::{NpyFile, NpyHeader, TypeStr};
use zip::{CompressionMethod, ZipArchive};

use super::budget::Budget;
use super::labels::LabelValues;
use super::rows::{self, Order, Rows};
use super::{DataError, Dataset, Record, Split, listing, words};
use crate::files::open_regular;

/// Largest label. Labels above it are measurements, not classes.
const LABEL_MAX: i64 = 65_535;
/// Bytes of the header of an array at most; NumPy writes about 128.
const HEADER_BYTES_MAX: u64 = 1 << 16;
/// Bytes of a row number and its brackets in a name.
const NUMBER_LEN: u64 = 12;

type Archive = ZipArchive<BufReader<File>>;

/// Indexes a MedMNIST archive, or the archive in a folder that holds no other visible file or folder; `None` for
/// anything else.
pub(super) fn open(path: &Path) -> Result<Option<Dataset>, DataError> {
    let is_npz = |path: &PathBuf| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"));
    let only = if path.is_dir() { listing::entries(path)? } else { vec![path.to_owned()] };
    match <[PathBuf; 1]>::try_from(only) {
        Ok([file]) if file.exists() && is_npz(&file) => index(&file).map(Some),
        _ => Ok(None),
    }
}

fn index(path: &Path) -> Result<Dataset, DataError> {
    let file = open_regular(path).map_err(DataError::read)?;
    let mut archive = ZipArchive::new(BufReader::new(file))
        .map_err(|error| DataError::malformed(path, "the archive", error, "a zip of .npy arrays"))?;
    let present = array_names(&archive);
    let parts: Vec<Split> =
        Split::ALL.into_iter().filter(|part| present.contains(&format!("{}_images", part.name()))).collect();
    if parts.is_empty() {
        return Err(missing(path, "train_images", &present));
    }
    let (mut budget, mut label_values) = (Budget::new(path), LabelValues::default());
    let (mut records, mut arrays) = (Vec::new(), Vec::new());
    for part in parts {
        let part_name = part.name();
        let rows = image_rows(&mut archive, path, &format!("{part_name}_images"))?;
        let count = rows.count;
        budget.take(count as u64, part_name.len() as u64 + NUMBER_LEN)?;
        let labels_name = format!("{part_name}_labels");
        if !present.contains(&labels_name) {
            return Err(missing(path, &labels_name, &present));
        }
        let labels = labels(&mut archive, path, &labels_name, count, &mut budget)?;
        let groups_name = format!("{part_name}_groups");
        let groups = if present.contains(&groups_name) {
            Some(groups(&mut archive, path, &groups_name, count, &mut budget)?)
        } else {
            None
        };
        arrays.push(rows);
        for (row, label) in labels.into_iter().enumerate() {
            label_values.push(Some(&label));
            let group = groups.as_ref().map(|groups| groups[row].clone()).filter(|group| !words::is_missing(group));
            records.push(Record { name: format!("{part_name}[{row}]"), label: None, split: Some(part), group });
        }
    }
    let mut dataset = Dataset::new(path.display().to_string(), records, arrays);
    label_values.label(&mut dataset);
    Ok(dataset)
}

fn array_names(archive: &Archive) -> Vec<String> {
    let name = |raw: &[u8]| String::from_utf8_lossy(raw.strip_suffix(b".npy").unwrap_or(raw)).into_owned();
    archive.file_names_raw().map(name).collect()
}

fn missing(path: &Path, array: &str, present: &[String]) -> DataError {
    let found = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
    DataError::MissingArray { path: path.display().to_string(), missing: array.to_owned(), found }
}

/// The images of one array. A stored array is read in place, a compressed one is unpacked.
fn image_rows(archive: &mut Archive, path: &Path, array: &str) -> Result<Rows, DataError> {
    let mut member = archive.by_name(&format!("{array}.npy")).map_err(|error| unreadable(path, array, error))?;
    let (stored, member_bytes) = (member.compression() == CompressionMethod::Stored, member.size());
    let start = member.data_start();
    let mut counted = Counted { inner: &mut member, bytes: 0 };
    let header = npy_header(&mut counted).map_err(|error| unreadable(path, array, error))?;
    let header_bytes = counted.bytes;
    let (count, height, width, channels) = image_shape(&header, path, array)?;
    let stride = height as u64 * width as u64 * channels as u64;
    let pixel_bytes = stride.saturating_mul(count as u64);
    if pixel_bytes.saturating_add(header_bytes) != member_bytes {
        let expected = format!("{pixel_bytes} bytes for its shape {:?}", header.shape());
        return Err(DataError::malformed(
            path,
            array,
            format!("{} bytes", member_bytes.saturating_sub(header_bytes)),
            expected,
        ));
    }
    let (file, offset) = match start {
        Some(start) if stored => (File::open(path).map_err(DataError::io(path))?, start + header_bytes),
        _ => (rows::unpack(&mut member, pixel_bytes, path, array)?, 0),
    };
    let path = path.to_path_buf();
    Ok(Rows { path, file, offset, stride, count, width, height, channels, order: Order::Interleaved })
}

fn image_shape(header: &NpyHeader, path: &Path, array: &str) -> Result<(usize, usize, usize, usize), DataError> {
    let dtype = header.dtype().descr();
    let shape: Vec<usize> = header.shape().iter().map(|&side| usize::try_from(side).unwrap_or(usize::MAX)).collect();
    let found = format!(
        "{dtype} of shape {:?}{}",
        header.shape(),
        if header.order() == npyz::Order::Fortran { " in Fortran order" } else { "" }
    );
    let refused =
        || DataError::malformed(path, array, &found, "u8 of shape [N, H, W] or [N, H, W, 3], row-major, no side 0");
    let is_u8 = header.dtype() == npyz::DType::new_scalar("|u1".parse::<TypeStr>().map_err(|_| refused())?);
    let (count, height, width, channels) = match shape[..] {
        [count, height, width] => (count, height, width, 1),
        [count, height, width, channels @ (1 | 3)] => (count, height, width, channels),
        _ => return Err(refused()),
    };
    let whole = count > 0 && super::decode::is_allowed(width as u64, height as u64);
    if is_u8 && whole && header.order() == npyz::Order::C {
        Ok((count, height, width, channels))
    } else {
        Err(refused())
    }
}

/// The labels of a split, as they would be written in a manifest.
fn labels(
    archive: &mut Archive,
    path: &Path,
    array: &str,
    count: usize,
    budget: &mut Budget,
) -> Result<Vec<String>, DataError> {
    let bytes = column(archive, path, array, count, budget)?;
    let refused = |row: usize, value: String| {
        let expected = format!("a whole number from 0 to {LABEL_MAX}, or NaN for none");
        DataError::malformed(path, format!("{array}[{row}]"), value, expected)
    };
    if let Some(values) = integers(&bytes) {
        let allowed = |(row, value): (usize, i64)| match (0..=LABEL_MAX).contains(&value) {
            true => Ok(value.to_string()),
            false => Err(refused(row, value.to_string())),
        };
        return values.into_iter().enumerate().map(allowed).collect();
    }
    if let Some(values) = floats(&bytes) {
        let allowed = |(row, value): (usize, f64)| match value.is_nan()
            || value.fract() == 0.0 && (0.0..=LABEL_MAX as f64).contains(&value)
        {
            true => Ok(value.to_string()),
            false => Err(refused(row, value.to_string())),
        };
        return values.into_iter().enumerate().map(allowed).collect();
    }
    strings(&bytes).map_err(|_| DataError::malformed(path, array, "another type", "numbers or strings"))
}

fn groups(
    archive: &mut Archive,
    path: &Path,
    array: &str,
    count: usize,
    budget: &mut Budget,
) -> Result<Vec<String>, DataError> {
    let bytes = column(archive, path, array, count, budget)?;
    if let Some(values) = integers(&bytes) {
        return Ok(values.iter().map(i64::to_string).collect());
    }
    strings(&bytes).map_err(|error| DataError::malformed(path, array, error, "integers or strings"))
}

fn strings(bytes: &[u8]) -> std::io::Result<Vec<String>> {
    NpyFile::new(bytes).and_then(|file| file.into_vec::<String>())
}

/// The bytes of an array with one value per image.
fn column(
    archive: &mut Archive,
    path: &Path,
    array: &str,
    count: usize,
    budget: &mut Budget,
) -> Result<Vec<u8>, DataError> {
    let member = archive.by_name(&format!("{array}.npy")).map_err(|error| unreadable(path, array, error))?;
    let size = member.size();
    budget.take_bytes(size)?;
    let mut bytes = Vec::new();
    member.take(size).read_to_end(&mut bytes).map_err(|error| unreadable(path, array, error))?;
    let header = npy_header(&mut &bytes[..]).map_err(|error| unreadable(path, array, error))?;
    match *header.shape() {
        [rows] | [rows, 1] if rows == count as u64 => Ok(bytes),
        _ => Err(DataError::malformed(
            path,
            array,
            format!("shape {:?}", header.shape()),
            format!("[{count}] or [{count}, 1], one value per image"),
        )),
    }
}

/// Reads the header of an array. Its length is checked before memory is allocated.
fn npy_header(reader: &mut impl Read) -> std::io::Result<NpyHeader> {
    let mut start = vec![0; 10];
    reader.read_exact(&mut start)?;
    let len = match start[6] {
        1 => u64::from(u16::from_le_bytes([start[8], start[9]])),
        _ => {
            start.resize(12, 0);
            reader.read_exact(&mut start[10..])?;
            u64::from(u32::from_le_bytes([start[8], start[9], start[10], start[11]]))
        }
    };
    if len > HEADER_BYTES_MAX {
        let message = format!("its header has {len} bytes; at most {HEADER_BYTES_MAX} are allowed");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
    }
    NpyHeader::from_reader(std::io::Cursor::new(start).chain(reader))
}

/// The values of a float array; `None` for other types.
fn floats(bytes: &[u8]) -> Option<Vec<f64>> {
    let double = NpyFile::new(bytes).and_then(|file| file.into_vec::<f64>());
    let single = || NpyFile::new(bytes).and_then(|file| file.into_vec::<f32>());
    double.or_else(|_| single().map(|values| values.into_iter().map(f64::from).collect())).ok()
}

/// The values of an integer or bool array; `None` for other types.
fn integers(bytes: &[u8]) -> Option<Vec<i64>> {
    if let Ok(values) = NpyFile::new(bytes).and_then(|file| file.into_vec::<bool>()) {
        return Some(values.into_iter().map(i64::from).collect());
    }
    macro_rules! read_as {
        ($($kind:ty),*) => {
            $(if let Ok(values) = NpyFile::new(bytes).and_then(|file| file.into_vec::<$kind>()) {
                return values.into_iter().map(|value| i64::try_from(value).ok()).collect();
            })*
        };
    }
    read_as!(u8, i64, i32, u32, i16, u16, i8, u64);
    None
}

fn unreadable(path: &Path, array: &str, error: impl ToString) -> DataError {
    DataError::malformed(path, array, error, "a readable .npy array")
}

/// Counts the bytes that are read, to find where the pixels begin.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
