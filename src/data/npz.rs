//! MedMNIST's `.npz`: a zip of NumPy arrays.
//!
//! | array           | type and shape                                             |
//! | `PART_images`   | u8, `[N, H, W]` or `[N, H, W, 3]`, `N` above 0             |
//! | `PART_labels`   | any integer, `[N]` or `[N, 1]`, values from 0              |
//! | `PART_groups`   | optional: any integer or string, `[N]` or `[N, 1]`         |
//!
//! PART is train, val or test; a part may be missing, but not all of them.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use npyz::{NpyFile, NpyHeader, TypeStr};
use zip::{CompressionMethod, ZipArchive};

use super::dataset::Place;
use super::rows::{self, Order, Rows};
use super::{DataError, Dataset, Record, Split, folder};

/// Values of labels; a class a person could name is far below it.
const LABEL_MAX: i64 = 65_535;
/// Bytes of an array of labels or groups, which is read into memory.
const INDEX_BYTES_MAX: u64 = 1 << 30;

type Archive = ZipArchive<BufReader<File>>;

/// The one `.npz` in a folder that holds no other visible file or folder, if so.
pub(super) fn only_file(folder: &Path) -> Result<Option<PathBuf>, DataError> {
    let is_npz = |path: &PathBuf| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"));
    Ok(match <[PathBuf; 1]>::try_from(folder::entries(folder)?) {
        Ok([path]) if is_npz(&path) => Some(path),
        _ => None,
    })
}

/// Indexes the images of a MedMNIST archive.
pub(super) fn open(path: &Path) -> Result<Dataset, DataError> {
    let file = File::open(path).map_err(DataError::io(path))?;
    let mut archive = ZipArchive::new(BufReader::new(file))
        .map_err(|error| DataError::malformed(path, "the archive", error, "a zip of .npy arrays"))?;
    let present = array_names(&archive);
    let parts: Vec<Split> =
        Split::ALL.into_iter().filter(|part| present.contains(&format!("{}_images", part.name()))).collect();
    if parts.is_empty() {
        return Err(missing(path, "train_images", &present));
    }
    let mut dataset = Dataset::new(path.display().to_string(), Vec::new());
    let mut label_max = 0;
    for part in parts {
        let part_name = part.name();
        let rows = image_rows(&mut archive, path, &format!("{part_name}_images"))?;
        let array = dataset.arrays.len();
        let count = rows.1;
        let labels_name = format!("{part_name}_labels");
        if !present.contains(&labels_name) {
            return Err(missing(path, &labels_name, &present));
        }
        let labels = labels(&mut archive, path, &labels_name, count)?;
        let groups_name = format!("{part_name}_groups");
        let groups =
            if present.contains(&groups_name) { Some(groups(&mut archive, path, &groups_name, count)?) } else { None };
        dataset.arrays.push(rows.0);
        for (row, label) in labels.into_iter().enumerate() {
            label_max = label_max.max(label);
            let group = groups.as_ref().map(|groups| groups[row].clone());
            let record = Record { name: format!("{part_name}[{row}]"), label: Some(label), split: Some(part), group };
            dataset.push(record, Place::Row { array, row });
        }
    }
    dataset.class_names = (0..=label_max).map(|label| label.to_string()).collect();
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

/// The images of one array and how many they are. A stored array is read where it lies, a compressed one is unpacked.
fn image_rows(archive: &mut Archive, path: &Path, array: &str) -> Result<(Rows, usize), DataError> {
    let mut member = archive.by_name(&format!("{array}.npy")).map_err(|error| unreadable(path, array, error))?;
    let (stored, member_bytes) = (member.compression() == CompressionMethod::Stored, member.size());
    let start = member.data_start();
    let mut counted = Counted { inner: &mut member, bytes: 0 };
    let header = NpyHeader::from_reader(&mut counted).map_err(|error| unreadable(path, array, error))?;
    let header_bytes = counted.bytes;
    let (count, height, width, channels) = image_shape(&header, path, array)?;
    let stride = height as u64 * width as u64 * channels as u64;
    let pixel_bytes = stride.saturating_mul(count as u64);
    if pixel_bytes.saturating_add(header_bytes) != member_bytes {
        let expected = format!("{pixel_bytes} bytes, as its shape {:?} says", header.shape());
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
    Ok((
        Rows { path: path.to_path_buf(), file, offset, stride, width, height, channels, order: Order::Interleaved },
        count,
    ))
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

fn labels(archive: &mut Archive, path: &Path, array: &str, count: usize) -> Result<Vec<usize>, DataError> {
    let values = integers(&column(archive, path, array, count)?)
        .ok_or_else(|| DataError::malformed(path, array, "of another type", "integers"))?;
    values
        .into_iter()
        .enumerate()
        .map(|(row, value)| match usize::try_from(value) {
            Ok(label) if value <= LABEL_MAX => Ok(label),
            _ => Err(DataError::malformed(
                path,
                format!("{array}[{row}]"),
                value,
                format!("a label from 0 to {LABEL_MAX}"),
            )),
        })
        .collect()
}

fn groups(archive: &mut Archive, path: &Path, array: &str, count: usize) -> Result<Vec<String>, DataError> {
    let bytes = column(archive, path, array, count)?;
    if let Some(values) = integers(&bytes) {
        return Ok(values.iter().map(i64::to_string).collect());
    }
    NpyFile::new(&bytes[..])
        .and_then(|file| file.into_vec::<String>())
        .map_err(|error| DataError::malformed(path, array, error, "integers or strings"))
}

/// The bytes of an array that has one value an image.
fn column(archive: &mut Archive, path: &Path, array: &str, count: usize) -> Result<Vec<u8>, DataError> {
    let member = archive.by_name(&format!("{array}.npy")).map_err(|error| unreadable(path, array, error))?;
    let mut bytes = Vec::new();
    member.take(INDEX_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| unreadable(path, array, error))?;
    let header = NpyHeader::from_reader(&bytes[..]).map_err(|error| unreadable(path, array, error))?;
    match *header.shape() {
        [rows] | [rows, 1] if rows == count as u64 => Ok(bytes),
        _ => Err(DataError::malformed(
            path,
            array,
            format!("of shape {:?}", header.shape()),
            format!("[{count}] or [{count}, 1], one value an image"),
        )),
    }
}

/// The values of an array of integers of any width; `None` for another type.
fn integers(bytes: &[u8]) -> Option<Vec<i64>> {
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

/// Counts the bytes that pass, to know where the pixels begin.
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
