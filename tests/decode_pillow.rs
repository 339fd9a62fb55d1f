//! Every file of `tests/decode_pillow.py` is read as Pillow, tifffile and NumPy read it, or refused by name.
//!
//! `./check decode` runs both; the variable MACULA_DECODE_CHECK names the folder of the files.

#![allow(clippy::print_stdout, reason = "the counts are a result")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use macula::data::ValueRange;
use macula::data::decode::{self, DecodeOptions};
use macula::rng::Rng;

/// Largest difference between two decoders in grey levels: JPEG and WebP allow rounding, and colours are converted.
const LEVELS_MAX: u8 = 3;

/// Files that the script writes at least.
const FILES_MIN: usize = 200;

/// Number of random changes of each file.
const CHANGED_FILES: usize = 20;

#[derive(serde::Deserialize)]
struct File {
    file: String,
    expected: String,
    width: usize,
    height: usize,
    channels: usize,
    range: Option<[f64; 2]>,
}

/// The largest difference in grey levels, or why the images cannot be compared.
fn compare(folder: &Path, file: &File) -> Result<u8, String> {
    let expected = std::fs::read(folder.join(&file.expected)).unwrap();
    let range = file.range.map(|[low, high]| ValueRange::new(low, high).unwrap());
    let options = DecodeOptions { range, ..DecodeOptions::default() };
    let image = decode::read(&folder.join(&file.file), &options).map_err(|error| format!("refused: {error}"))?.image;
    if (image.width, image.height) != (file.width, file.height) {
        return Err(format!("{}×{} pixels, not {}×{}", image.width, image.height, file.width, file.height));
    }
    // Grey may be one channel or three equal ones.
    let (found, expected) = match (image.channels, file.channels) {
        (1, 3) => (image.to_rgb().pixels, expected),
        (3, 1) => (image.pixels, expected.iter().flat_map(|value| [*value; 3]).collect()),
        _ => (image.pixels, expected),
    };
    assert_eq!(found.len(), expected.len(), "{}", file.file);
    Ok(found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0))
}

/// The files of the list.
fn files(folder: &Path) -> Vec<File> {
    let lines = std::fs::read_to_string(folder.join("files.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn folder() -> PathBuf {
    std::env::var_os("MACULA_DECODE_CHECK").expect("MACULA_DECODE_CHECK names the folder of the files").into()
}

/// A truncated file is refused unless only bytes after the pixels are missing. A JPEG gets a new end marker.
#[test]
fn a_truncated_file_is_refused_or_gives_the_same_pixels() {
    let (folder, mut refused, mut same) = (folder(), 0, 0);
    for file in files(&folder) {
        let range = file.range.map(|[low, high]| ValueRange::new(low, high).unwrap());
        let options = DecodeOptions { range, ..DecodeOptions::default() };
        let bytes = std::fs::read(folder.join(&file.file)).unwrap();
        let whole = decode::decode(&bytes, &file.file, &options).unwrap().image;
        for eighths in 1..8 {
            let mut cut = bytes[..bytes.len() * eighths / 8].to_vec();
            if file.file.contains("JPEG") {
                cut.extend([0xFF, 0xD9]);
            }
            match decode::decode(&cut, &file.file, &options) {
                Err(_) => refused += 1,
                Ok(found) => {
                    assert_eq!(found.image, whole, "{} cut to {eighths} eighths", file.file);
                    same += 1;
                }
            }
        }
    }
    println!("{refused} truncated files are refused, {same} give the same pixels");
    assert!(refused > 10 * same);
}

/// No decoder panics if bytes are changed at random.
#[test]
fn no_decoder_panics_on_changed_bytes() {
    let (folder, mut rng, mut tried, mut panics) = (folder(), Rng::for_purpose(1, "changed bytes"), 0, Vec::new());
    for file in files(&folder) {
        let bytes = std::fs::read(folder.join(&file.file)).unwrap();
        for _ in 0..CHANGED_FILES {
            let mut changed = bytes.clone();
            for _ in 0..1 + rng.below(8) {
                // Headers are at the start, and most errors are in them.
                let limit = if rng.below(2) == 0 { changed.len().min(600) } else { changed.len() };
                let at = rng.below(limit);
                changed[at] = rng.below(256) as u8;
            }
            tried += 1;
            if let Err(error) = decode::decode(&changed, &file.file, &DecodeOptions::default())
                && error.to_string().contains("the decoder failed")
            {
                panics.push(error.to_string());
            }
        }
    }
    println!("{tried} changed files, {} panics", panics.len());
    assert!(panics.is_empty(), "{}", panics.join("\n"));
}

#[test]
fn all_files_are_read_as_pillow_reads_them() {
    let folder = folder();
    let (mut counts, mut wrong, files) = (BTreeMap::<u8, usize>::new(), Vec::new(), files(&folder));
    for file in &files {
        match compare(&folder, file) {
            Ok(levels) if levels <= LEVELS_MAX => *counts.entry(levels).or_default() += 1,
            Ok(levels) => wrong.push(format!("{}: off by {levels}", file.file)),
            Err(message) => wrong.push(format!("{}: {message}", file.file)),
        }
    }
    println!(
        "{} files: number of files per largest difference in levels {counts:?}, {} wrong",
        files.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() >= FILES_MIN, "{} files", files.len());
}
