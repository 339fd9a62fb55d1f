//! Lists a folder: images by their content; other files are counted by extension.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::budget::Budget;
use super::remark::IgnoredFiles;
use super::{DataError, decode, words};

/// Files and folders of a dataset at most: links between folders can make any number of paths.
const ENTRIES_MAX: usize = 20_000_000;

/// Names of split lists that are kept.
const LISTS_MAX: usize = 100;

/// The files below a folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Paths of the images below the root, with `/` as separator, in byte order.
    pub images: Vec<String>,
    /// Name and reason of entries that cannot be read.
    pub skipped: Vec<(String, String)>,
    /// Files that are not images.
    pub ignored: Vec<IgnoredFiles>,
    /// Files that are not images and have the name of a split in theirs: probably lists of splits.
    pub split_lists: Vec<String>,
}

/// Lists `root`. An entry that cannot be read is skipped; names that begin with a dot are ignored.
///
/// # Errors
/// If the root cannot be read, or there are more entries than an index may have.
pub(super) fn list(root: &Path) -> Result<Listing, DataError> {
    let visible = |entry: &walkdir::DirEntry| entry.depth() == 0 || !is_hidden(entry.file_name());
    let (mut listing, mut others) = (Listing::default(), Others::default());
    let (mut budget, mut entries) = (Budget::new(root), 0);
    for entry in WalkDir::new(root).follow_links(true).into_iter().filter_entry(visible) {
        entries += 1;
        if entries > ENTRIES_MAX {
            let expected = format!("at most {ENTRIES_MAX}; check for links between its folders");
            return Err(DataError::malformed(
                root,
                "the number of its entries",
                format!("more than {ENTRIES_MAX}"),
                expected,
            ));
        }
        let entry = match entry {
            Ok(entry) if entry.depth() == 0 || entry.file_type().is_dir() => continue,
            Ok(entry) => entry,
            Err(error) if error.depth() == 0 => return Err(DataError::io(root)(error.into())),
            Err(error) => {
                let path = error.path().unwrap_or(root).to_path_buf();
                listing.skip(&mut budget, shown(&path, root), reason_of(error, &path))?;
                continue;
            }
        };
        match look(entry.path(), root, entry.file_type().is_file()) {
            Found::Image(name) => {
                budget.take(1, 2 * name.len() as u64 + root.as_os_str().len() as u64)?;
                listing.images.push(name);
            }
            Found::Other(format) => {
                let is_list = entry.path().file_stem().and_then(OsStr::to_str).is_some_and(words::has_split_word);
                if is_list && listing.split_lists.len() < LISTS_MAX {
                    listing.split_lists.push(shown(entry.path(), root));
                }
                others.count(entry.path(), format);
            }
            Found::Unreadable(reason) => listing.skip(&mut budget, shown(entry.path(), root), reason)?,
        }
    }
    listing.images.sort_unstable();
    listing.skipped.sort();
    listing.split_lists.sort();
    listing.ignored = others.counted();
    Ok(listing)
}

impl Listing {
    fn skip(&mut self, budget: &mut Budget, name: String, reason: String) -> Result<(), DataError> {
        budget.take(1, (name.len() + reason.len()) as u64)?;
        self.skipped.push((name, reason));
        Ok(())
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

enum Found {
    Image(String),
    Other(Option<&'static str>),
    Unreadable(String),
}

/// Classifies an entry that is not a folder. The extension of an image is trusted until the image is decoded, so that a
/// large folder is listed without opening every file. Other files are classified by their first bytes.
fn look(path: &Path, root: &Path, is_file: bool) -> Found {
    if !is_file {
        return Found::Unreadable("it is a pipe, a socket or a device; expected a regular file".to_owned());
    }
    // The index of a medium beside its images.
    if path.file_name() == Some(OsStr::new("DICOMDIR")) {
        return Found::Other(Some("DICOM directory"));
    }
    if !decode::is_image_name(path) {
        match prefix_of(path) {
            Err(error) => return Found::Unreadable(error.to_string()),
            Ok(prefix) if !decode::is_image(&prefix) => return Found::Other(decode::unread_format_of(&prefix)),
            Ok(_) => {}
        }
    }
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Option<Vec<&str>> = relative.components().map(|part| part.as_os_str().to_str()).collect();
    match parts {
        Some(parts) => Found::Image(parts.join("/")),
        None => Found::Unreadable("its name is not UTF-8; rename it".to_owned()),
    }
}

fn prefix_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut prefix = Vec::with_capacity(decode::PREFIX_LEN);
    File::open(path)?.take(decode::PREFIX_LEN as u64).read_to_end(&mut prefix)?;
    Ok(prefix)
}

fn reason_of(error: walkdir::Error, path: &Path) -> String {
    if error.loop_ancestor().is_some() {
        return "it is a symbolic link to a folder that contains it".to_owned();
    }
    match error.io_error().map(io::Error::kind) {
        Some(io::ErrorKind::NotFound) if path.is_symlink() => "it is a symbolic link to a missing file".to_owned(),
        Some(io::ErrorKind::NotFound) => "it was removed while the folder was listed".to_owned(),
        _ => error.into_io_error().map_or_else(|| "it cannot be read".to_owned(), |error| error.to_string()),
    }
}

/// The path below `root`, with bytes that are not UTF-8 escaped.
fn shown(path: &Path, root: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    match relative.to_str() {
        Some(text) => text.to_owned(),
        None => relative.as_os_str().as_encoded_bytes().utf8_chunks().fold(String::new(), |mut text, chunk| {
            text.push_str(chunk.valid());
            chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
            text
        }),
    }
}

/// Files that are not images, by extension and format.
#[derive(Default)]
struct Others(BTreeMap<(String, Option<&'static str>), usize>);

/// Extensions that are counted separately; a folder of cache files could have one per file.
const ENDINGS_MAX: usize = 1_000;

impl Others {
    fn count(&mut self, path: &Path, format: Option<&'static str>) {
        let key = (ending_of(path), format);
        let key = if self.0.len() < ENDINGS_MAX || self.0.contains_key(&key) { key } else { (".…".to_owned(), None) };
        *self.0.entry(key).or_default() += 1;
    }

    fn counted(self) -> Vec<IgnoredFiles> {
        let of = |((ending, format), count): ((String, Option<&'static str>), usize)| {
            let format = format.or_else(|| format_by_ending(&ending));
            let hint = hint_for(&ending, format);
            IgnoredFiles { ending, count, format, hint }
        };
        let mut files: Vec<IgnoredFiles> = self.0.into_iter().map(of).collect();
        files.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.ending.cmp(&b.ending)));
        files
    }
}

/// The extension with its dot, in lower case; `.nii.gz` counts as one.
fn ending_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if name.ends_with(".nii.gz") {
        return ".nii.gz".to_owned();
    }
    path.extension().map_or(String::new(), |ending| format!(".{}", ending.to_string_lossy().to_lowercase()))
}

/// Formats that are not recognised by content.
fn format_by_ending(ending: &str) -> Option<&'static str> {
    Some(match ending {
        ".dcm" | ".dicom" | ".ima" => "DICOM",
        ".nii" | ".nii.gz" => "NIfTI",
        ".mha" | ".mhd" => "MetaImage",
        ".nrrd" => "NRRD",
        ".svs" | ".ndpi" | ".mrxs" => "whole-slide image",
        ".heic" | ".heif" => "HEIC",
        ".mat" => "MATLAB",
        ".npy" => "NumPy",
        _ => return None,
    })
}

fn hint_for(ending: &str, format: Option<&str>) -> Option<&'static str> {
    Some(match (ending, format) {
        (_, Some("DICOM" | "NIfTI" | "MetaImage" | "NRRD" | "HEIC" | "HEIF" | "AVIF" | "JPEG 2000" | "JPEG XL")) => {
            "convert it to PNG"
        }
        (".csv" | ".tsv", _) => "pass its path to read it as a manifest",
        (".npz", _) => "pass its path to read it",
        (".zip" | ".tar" | ".gz" | ".7z" | ".rar", _) => "unpack it",
        _ => return None,
    })
}

/// The visible files and folders directly in `folder`, in order of their names.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let listed = std::fs::read_dir(folder).map_err(DataError::io(folder))?;
    let mut paths = Vec::new();
    for entry in listed {
        let path = entry.map_err(DataError::io(folder))?.path();
        if !path.file_name().is_some_and(is_hidden) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}
