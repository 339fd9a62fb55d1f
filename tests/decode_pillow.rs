//! Every file of `tests/decode_pillow.py` is read as Pillow, tifffile and NumPy read it, or refused by name. Every file of
//! `tests/decode_dicom.py` is read as pydicom reads it, or refused for the reason that the script has.
//!
//! `./check decode` runs all; the variables MACULA_DECODE_CHECK and MACULA_DICOM_CHECK name the folders of the files.

#![allow(clippy::print_stdout, reason = "the counts are a result")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use macula::data::ValueRange;
use macula::data::decode::{self, DecodeOptions, FrameChoice, WindowChoice};
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
    #[serde(default)]
    window: WindowChoice,
    /// The frame of a DICOM file.
    #[serde(default)]
    frame: u32,
    /// Whether the compression of a DICOM file loses information, so that decoders round differently.
    #[serde(default)]
    loses: bool,
}

impl File {
    fn options(&self) -> DecodeOptions {
        let range = self.range.map(|[low, high]| ValueRange::new(low, high).unwrap());
        let frame = if self.frame == 0 { FrameChoice::First } else { FrameChoice::Number(self.frame) };
        DecodeOptions { range, window: self.window, frame, ..DecodeOptions::default() }
    }
}

/// A DICOM file that pydicom or Macula does not read, and a part of the reason.
#[derive(serde::Deserialize)]
struct Refused {
    file: String,
    refused: String,
}

/// The largest difference in grey levels, or why the images cannot be compared.
fn compare(folder: &Path, file: &File) -> Result<u8, String> {
    let expected = std::fs::read(folder.join(&file.expected)).unwrap();
    let image =
        decode::read(&folder.join(&file.file), &file.options()).map_err(|error| format!("refused: {error}"))?.image;
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

/// The files of the list, without those that are refused.
fn files(folder: &Path) -> Vec<File> {
    let lines = std::fs::read_to_string(folder.join("files.jsonl")).unwrap();
    let read = lines.lines().filter(|line| !line.contains("\"refused\""));
    read.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn named_by(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names the folder of the files")).into()
}

fn folder() -> PathBuf {
    named_by("MACULA_DECODE_CHECK")
}

fn dicom_folder() -> PathBuf {
    named_by("MACULA_DICOM_CHECK")
}

/// A truncated file is refused unless only bytes after the pixels are missing. A JPEG gets a new end marker.
#[test]
fn a_truncated_file_is_refused_or_gives_the_same_pixels() {
    let (folder, mut refused, mut same) = (folder(), 0, 0);
    for file in files(&folder) {
        let options = file.options();
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
    let (mut rng, mut tried, mut panics) = (Rng::for_purpose(1, "changed bytes"), 0, Vec::new());
    for (folder, file) in
        [folder(), dicom_folder()].iter().flat_map(|folder| files(folder).into_iter().map(move |file| (folder, file)))
    {
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

#[test]
fn all_dicom_files_are_read_as_pydicom_reads_them_or_are_refused() {
    let folder = dicom_folder();
    let (mut counts, mut wrong, files) = (BTreeMap::<(bool, u8), usize>::new(), Vec::new(), files(&folder));
    for file in &files {
        let allowed = if file.loses { LEVELS_MAX } else { 0 };
        match compare(&folder, file) {
            Ok(levels) if levels <= allowed => *counts.entry((file.loses, levels)).or_default() += 1,
            Ok(levels) => wrong.push(format!("{}, frame {}: off by {levels}", file.file, file.frame)),
            Err(message) => wrong.push(format!("{}, frame {}: {message}", file.file, file.frame)),
        }
    }
    let lines = std::fs::read_to_string(folder.join("files.jsonl")).unwrap();
    let refused: Vec<Refused> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for Refused { file, refused } in &refused {
        match decode::read(Path::new(file), &DecodeOptions::default()) {
            Err(error) if error.to_string().contains(refused) => {}
            Err(error) => wrong.push(format!("{error}: expected {refused:?}")),
            Ok(_) => wrong.push(format!("{file}: read; expected {refused:?}")),
        }
    }
    let (read, refused) = (files.len(), refused.len());
    println!(
        "{read} frames by lossy compression and difference in levels {counts:?}, {refused} refused, {} wrong",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(read >= FILES_MIN && refused > 0, "{read} frames, {refused} refused");
}

#[test]
fn a_truncated_dicom_file_is_refused_or_gives_the_same_pixels() {
    let (folder, mut refused, mut same) = (dicom_folder(), 0, 0);
    for file in files(&folder) {
        let bytes = std::fs::read(folder.join(&file.file)).unwrap();
        let whole = decode::decode(&bytes, &file.file, &file.options()).unwrap().image;
        let cut = (1..8).map(|eighths| bytes[..bytes.len() * eighths / 8].to_vec());
        let cut_frames = (1..8).filter_map(|eighths| with_cut_fragment(&bytes, eighths));
        for cut in cut.chain(cut_frames) {
            match decode::decode(&cut, &file.file, &file.options()) {
                Err(_) => refused += 1,
                Ok(found) => {
                    assert_eq!(found.image, whole, "{} cut to {} bytes", file.file, cut.len());
                    same += 1;
                }
            }
        }
    }
    println!("{refused} truncated DICOM files and frames are refused, {same} give the same pixels");
    assert!(refused > 10 * same);
}

/// The file with `eighths` of its only fragment, which ends with an end marker, and the length of which is right.
fn with_cut_fragment(bytes: &[u8], eighths: usize) -> Option<Vec<u8>> {
    const PIXELS: &[u8] = b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF";
    const DELIMITER: &[u8] = b"\xFE\xFF\xDD\xE0\0\0\0\0";
    let len = |at: usize| Some(u32::from_le_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?) as usize);
    let table = bytes.windows(PIXELS.len()).position(|window| window == PIXELS)? + PIXELS.len();
    let item = table + 8 + len(table)?;
    let start = item + 8;
    let fragment = bytes.get(start..start + len(item)?)?;
    bytes[start + fragment.len()..].starts_with(DELIMITER).then(|| {
        let kept = &fragment[..(fragment.len() * eighths / 8) & !1];
        let length = (kept.len() as u32 + 2).to_le_bytes();
        [&bytes[..item + 4], &length, kept, &[0xFF, 0xD9], DELIMITER].concat()
    })
}
