//! IDX, the format of MNIST, plain or gzip-compressed.
//!
//! | offset | bytes | images                       | labels                       |
//! |      0 |     4 | 0, 0, 8 (u8), 3 (dimensions) | 0, 0, 8 (u8), 1 (dimensions) |
//! |      4 |     4 | N, big-endian                | N                            |
//! |      8 |     8 | rows, columns, big-endian    | N label bytes from here      |
//! |     16 |       | N · rows · columns pixels    |                              |
//!
//! Images are in `…images-idx3-ubyte` or `….images.idx3-ubyte`, their labels in a file of the same name with `labels` and
//! `idx1`; `.gz` may follow. The words `train`, `t10k` and `test` name the split; other words before `images` name the
//! set, as in `emnist-letters-train-images-idx3-ubyte`. Several sets are never opened as one dataset.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use macula_edge::image::SIDE_MAX;

use super::budget::Budget;
use super::rows::{self, Order, Rows};
use super::{DataError, Dataset, Record, Split, decode, listing};
use crate::files::open_regular;

/// Bytes of a row number and its brackets in a name.
const NUMBER_LEN: u64 = 12;

/// Whether a file name, in lower case, is that of IDX images.
fn is_images_name(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.ends_with("images-idx3-ubyte") || name.ends_with("images.idx3-ubyte")
}

/// Indexes a file of images, all files of images in a folder, or the files of one of its sets, `FOLDER/SET`; `None` if
/// there are none.
///
/// # Errors
/// If a folder holds several sets, or a file is invalid: its rows cannot be trusted.
pub(super) fn open(path: &Path) -> Result<Option<Dataset>, DataError> {
    let files = if path.is_dir() {
        files_of_folder(path)?
    } else if path.exists() {
        let is_own = is_images_name(&file_name(path).to_ascii_lowercase());
        if is_own { vec![path.to_owned()] } else { Vec::new() }
    } else {
        files_of_set(path)
    };
    if files.is_empty() { Ok(None) } else { index(path, &files).map(Some) }
}

/// The image files of a folder.
///
/// # Errors
/// If there are files of several sets, such as `emnist-letters-…` and `emnist-digits-…`: their labels have different
/// meanings.
fn files_of_folder(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let files = image_files(folder)?;
    let sets: BTreeSet<String> = files.iter().map(|path| set_of(path)).collect();
    if sets.len() > 1 {
        let example =
            sets.iter().find(|set| !set.is_empty()).map_or(String::new(), |set| folder.join(set).display().to_string());
        let name = |set: &String| if set.is_empty() { "one without a name".to_owned() } else { set.clone() };
        let sets = sets.iter().map(name).collect::<Vec<_>>().join(", ");
        return Err(DataError::SeveralSets { path: folder.display().to_string(), sets, example });
    }
    for pair in files.windows(2) {
        if split_of(&pair[0]) == split_of(&pair[1]) {
            let sets = pair.iter().map(|path| file_name(path)).collect::<Vec<_>>().join(", ");
            let (path, example) = (folder.display().to_string(), pair[0].display().to_string());
            return Err(DataError::SeveralSets { path, sets, example });
        }
    }
    Ok(files)
}

/// The files of one set of a folder, for the path `FOLDER/SET`.
fn files_of_set(name: &Path) -> Vec<PathBuf> {
    let folder = name.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let mut files = folder.and_then(|folder| image_files(folder).ok()).unwrap_or_default();
    files.retain(|path| name.file_name().is_some_and(|set| set == set_of(path).as_str()));
    files
}

/// The IDX files of images in a folder, training first.
fn image_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = listing::entries(folder)?;
    files.retain(|path| is_images_name(&file_name(path).to_ascii_lowercase()));
    // A file and its compressed form are one file.
    let plain: Vec<PathBuf> = files.iter().filter(|path| file_name(path).ends_with("ubyte")).cloned().collect();
    files.retain(|path| plain.contains(path) || !plain.contains(&path.with_extension("")));
    // `t10k` sorts before `train`, but training images come first in every dataset.
    files.sort_by_key(|path| (split_of(path), path.clone()));
    Ok(files)
}

/// Indexes files of images and their files of labels.
fn index(name: &Path, files: &[PathBuf]) -> Result<Dataset, DataError> {
    let (mut budget, mut records, mut arrays) = (Budget::new(name), Vec::new(), Vec::new());
    for path in files {
        let split = split_of(path);
        let part = split.map_or_else(|| file_name(path), |split| split.name().to_owned());
        let rows = images(path, &mut |count| budget.take(count, part.len() as u64 + NUMBER_LEN))?;
        let labels = labels_path(path).map(|labels| read_labels(&labels, rows.count)).transpose()?;
        for row in 0..rows.count {
            let label = labels.as_ref().map(|labels| usize::from(labels[row]));
            records.push(Record { name: format!("{part}[{row}]"), label, split, group: None });
        }
        arrays.push(rows);
    }
    let mut dataset = Dataset::new(name.display().to_string(), records, arrays);
    dataset.set_classes_that_occur((0..256).map(|label| label.to_string()).collect());
    Ok(dataset)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The words of a file name before `images`, in lower case.
fn words_of(path: &Path) -> Vec<String> {
    let name = file_name(path).to_ascii_lowercase();
    let before = name.rsplit_once("images").map_or("", |(before, _)| before);
    before.split(['-', '_', '.']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The split named by a word; MNIST calls its test split `t10k`.
fn split_word(word: &str) -> Option<Split> {
    if word == "t10k" { Some(Split::Test) } else { Split::from_name(word) }
}

fn split_of(path: &Path) -> Option<Split> {
    words_of(path).iter().find_map(|word| split_word(word))
}

/// The name of the set of a file; empty if the file name has only a split.
fn set_of(path: &Path) -> String {
    let words: Vec<String> = words_of(path).into_iter().filter(|word| split_word(word).is_none()).collect();
    words.join("-")
}

/// The file of labels for a file of images, compressed or not; `None` if there is none.
fn labels_path(images: &Path) -> Option<PathBuf> {
    let name = file_name(images).replace("images", "labels").replace("idx3", "idx1");
    let plain = name.strip_suffix(".gz").unwrap_or(&name).to_owned();
    let candidates = [name.clone(), plain.clone(), format!("{plain}.gz")];
    candidates.into_iter().map(|name| images.with_file_name(name)).find(|path| path.exists())
}

/// A reader of the uncompressed bytes of a file.
fn reader(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let file = open_regular(path).map_err(DataError::read)?;
    Ok(if is_compressed(path) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"))
}

/// Reads the header of `path` and returns its `D` dimensions.
fn dimensions<const D: usize>(reader: &mut impl Read, path: &Path) -> Result<[u32; D], DataError> {
    let mut header = vec![0; 4 + 4 * D];
    reader
        .read_exact(&mut header)
        .map_err(|error| DataError::malformed(path, "the header", error, format!("{} bytes of IDX", 4 + 4 * D)))?;
    let magic = [0, 0, 8, D as u8];
    if header[..4] != magic {
        return Err(DataError::malformed(
            path,
            "the magic number",
            format!("{:?}", &header[..4]),
            format!("{magic:?} (u8, {D} dimensions)"),
        ));
    }
    Ok(std::array::from_fn(|d| u32::from_be_bytes([4, 5, 6, 7].map(|byte| header[byte + 4 * d]))))
}

/// The images of a file. `take` is called with their number before memory is allocated.
fn images(path: &Path, take: &mut dyn FnMut(u64) -> Result<(), DataError>) -> Result<Rows, DataError> {
    let mut reader = reader(path)?;
    let [count, height, width] = dimensions::<3>(&mut reader, path)?;
    let stride = u64::from(height) * u64::from(width);
    if count == 0 || !decode::is_allowed(width.into(), height.into()) {
        let expected = format!("sides of 1 to {SIDE_MAX} and at most {} pixels per image", decode::PIXELS_MAX);
        return Err(DataError::malformed(path, "the shape", format!("[{count}, {height}, {width}]"), expected));
    }
    let bytes = u64::from(count) * stride;
    take(u64::from(count))?;
    let (file, offset) = if is_compressed(path) {
        (rows::unpack(&mut reader, bytes, path, "the uncompressed file after its header")?, 0)
    } else {
        let file = open_regular(path).map_err(DataError::read)?;
        let found = file.metadata().map_err(DataError::io(path))?.len();
        if found != 16 + bytes {
            return Err(DataError::malformed(
                path,
                "the file",
                format!("{found} bytes"),
                format!("{} bytes", 16 + bytes),
            ));
        }
        (file, 16)
    };
    let (path, count, width, height) = (path.to_path_buf(), count as usize, width as usize, height as usize);
    Ok(Rows { path, file, offset, stride, count, width, height, channels: 1, order: Order::Interleaved })
}

fn read_labels(path: &Path, images: usize) -> Result<Vec<u8>, DataError> {
    let mut reader = reader(path)?;
    let [count] = dimensions::<1>(&mut reader, path)?;
    if count as usize != images {
        return Err(DataError::malformed(path, "the number of labels", count, format!("{images}, one per image")));
    }
    let mut labels = Vec::new();
    reader.take(u64::from(count) + 1).read_to_end(&mut labels).map_err(DataError::io(path))?;
    if labels.len() != images {
        let found = if labels.len() < images { labels.len().to_string() } else { format!("more than {images}") };
        return Err(DataError::malformed(path, "the number of label bytes", found, images));
    }
    Ok(labels)
}
