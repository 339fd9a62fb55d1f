//! Every file of `tests/decode_pillow.py` is read as Pillow, tifffile and NumPy read it, or refused by name.
//!
//! `./check decode` runs both; the variable MACULA_DECODE_CHECK names the folder of the files.

use std::collections::BTreeMap;
use std::path::Path;

use macula::data::ValueRange;
use macula::data::decode::{self, DecodeOptions};

/// Levels that two decoders may differ by: JPEG and WebP are specified to a rounding, and colours are converted.
const LEVELS_MAX: u8 = 3;

/// Fewer files than this are not what the script makes.
const FILES_MIN: usize = 200;

#[derive(serde::Deserialize)]
struct File {
    file: String,
    expected: String,
    width: usize,
    height: usize,
    channels: usize,
    range: Option<[f64; 2]>,
}

/// The largest difference, or what is different altogether.
fn compare(folder: &Path, file: &File) -> Result<u8, String> {
    let expected = std::fs::read(folder.join(&file.expected)).unwrap();
    let range = file.range.map(|[low, high]| ValueRange::new(low, high).unwrap());
    let options = DecodeOptions { range, ..DecodeOptions::default() };
    let image = decode::read(&folder.join(&file.file), &options).map_err(|error| format!("refused: {error}"))?.image;
    if (image.width, image.height) != (file.width, file.height) {
        return Err(format!("{}×{} pixels, not {}×{}", image.width, image.height, file.width, file.height));
    }
    // Grey as one channel and as three equal ones is the same picture.
    let (found, expected) = match (image.channels, file.channels) {
        (1, 3) => (image.to_rgb().pixels, expected),
        (3, 1) => (image.pixels, expected.iter().flat_map(|value| [*value; 3]).collect()),
        _ => (image.pixels, expected),
    };
    assert_eq!(found.len(), expected.len(), "{}", file.file);
    Ok(found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0))
}

#[test]
fn all_files_are_read_as_pillow_reads_them() {
    let folder = std::env::var_os("MACULA_DECODE_CHECK").expect("MACULA_DECODE_CHECK names the folder of the files");
    let folder = Path::new(&folder);
    let lines = std::fs::read_to_string(folder.join("files.jsonl")).unwrap();
    let (mut counts, mut wrong, mut files) = (BTreeMap::<u8, usize>::new(), Vec::new(), 0);
    for line in lines.lines() {
        let file: File = serde_json::from_str(line).unwrap();
        files += 1;
        match compare(folder, &file) {
            Ok(levels) if levels <= LEVELS_MAX => *counts.entry(levels).or_default() += 1,
            Ok(levels) => wrong.push(format!("{}: off by {levels}", file.file)),
            Err(message) => wrong.push(format!("{}: {message}", file.file)),
        }
    }
    println!("{files} files: read alike to so many levels {counts:?}, {} not", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files >= FILES_MIN, "{files} files");
}
