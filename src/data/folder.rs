//! A folder of image files.
//!
//! | layout                        | split        | label                               |
//! | `SPLIT/CLASS/…/image`         | SPLIT        | CLASS                               |
//! | `SPLIT/image`                 | SPLIT        | none                                |
//! | `CLASS/…/image`, two or more  | none         | CLASS                               |
//! | anything else                 | none         | none (flat, or one folder in which to look) |
//!
//! SPLIT is train, training, val, valid, validation, test or testing in any case. Names that begin
//! with a dot are not looked at. Images are in order of their paths, byte by byte.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::dataset::Place;
use super::{DataError, Dataset, Record, Split, decode};

/// Indexes the images below `root`. What stands beside split folders belongs to no split and is listed as skipped.
pub(super) fn open(root: &Path) -> Result<Dataset, DataError> {
    let paths = images_below(root)?;
    if paths.is_empty() {
        let expected = "files ending in .jpg, .jpeg, .png, .tif, .tiff, .bmp or .gif, in any depth of folders";
        return Err(DataError::Empty { path: root.display().to_string(), expected });
    }
    let split_folders = paths.iter().any(|path| path.len() > 1 && Split::from_name(&path[0]).is_some());
    let folders: BTreeSet<&str> = paths.iter().filter(|path| path.len() > 1).map(|path| path[0].as_str()).collect();
    let class_depth = match (split_folders, folders.len()) {
        (true, _) => Some(1),
        (false, 0 | 1) => None,
        (false, _) => Some(0),
    };
    let class_of =
        |path: &[String]| class_depth.filter(|&depth| path.len() > depth + 1).map(|depth| path[depth].clone());
    let belongs = |path: &[String]| !split_folders || (path.len() > 1 && Split::from_name(&path[0]).is_some());
    let class_names: BTreeSet<String> =
        paths.iter().filter(|path| belongs(path)).filter_map(|path| class_of(path)).collect();
    let class_names: Vec<String> = class_names.into_iter().collect();

    let mut dataset = Dataset::new(root.display().to_string(), class_names);
    for path in &paths {
        let name = path.join("/");
        if !belongs(path) {
            dataset.skipped.push((name, "it stands beside the split folders, in none of them".to_owned()));
            continue;
        }
        let label = class_of(path).and_then(|class| dataset.class_names.binary_search(&class).ok());
        let split = if split_folders { Split::from_name(&path[0]) } else { None };
        let file = path.iter().fold(root.to_path_buf(), |file, part| file.join(part));
        dataset.push(Record { name, label, split, group: None }, Place::File(file));
    }
    Ok(dataset)
}

/// Paths of the image files below `root`, each as its parts, in order.
fn images_below(root: &Path) -> Result<Vec<Vec<String>>, DataError> {
    let visible =
        |entry: &walkdir::DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut paths = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).into_iter().filter_entry(visible) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_path_buf();
            DataError::io(&path)(error.into())
        })?;
        if entry.file_type().is_file() && decode::is_image_name(entry.path()) {
            paths.push(parts(entry.path().strip_prefix(root).unwrap_or(entry.path()), entry.path())?);
        }
    }
    paths.sort_unstable_by_key(|path| path.join("/"));
    Ok(paths)
}

/// A name that is not UTF-8 could not be told apart in reports, so it is refused.
fn parts(relative: &Path, path: &Path) -> Result<Vec<String>, DataError> {
    let part = |part: std::path::Component| part.as_os_str().to_str().map(str::to_owned);
    relative
        .components()
        .map(part)
        .collect::<Option<_>>()
        .ok_or_else(|| DataError::malformed(path, "the name", "not UTF-8", "UTF-8"))
}

/// The visible files and folders directly in `folder`, in order of their names.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let listed = std::fs::read_dir(folder).map_err(DataError::io(folder))?;
    let mut paths = Vec::new();
    for entry in listed {
        let path = entry.map_err(DataError::io(folder))?.path();
        if !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}
