//! Opens a dataset of any kind, by trying each kind in turn.

use std::path::Path;

#[cfg(feature = "dicom")]
use super::GroupBy;
use super::{DataError, Dataset, cifar, decode, folder, idx, manifest, mixture, npz, phantoms};

/// Opens the dataset at a path, or gives `None` if the path is not of this kind.
type OpenFormat = fn(&Path) -> Result<Option<Dataset>, DataError>;

/// The kinds of datasets on disk, tried in this order; a folder that no other kind accepts is a folder of images.
const FORMATS: [(&str, OpenFormat); 5] = [
    ("a CIFAR binary folder", cifar::open),
    ("an IDX file (plain or .gz)", idx::open),
    ("a MedMNIST .npz", npz::open),
    ("a .csv manifest", manifest::open),
    ("a folder of images", folder::open),
];

/// Opens a dataset by name: `phantoms[:SIZE[:COUNT]]` draws phantoms from `seed`, `A+B` is a mixture of the training
/// images of several datasets, without their labels; everything else is a path for [`open`].
pub fn open_named(name: &str, seed: u64) -> Result<Dataset, DataError> {
    let open_one = |name: &str| match phantoms::open(name, seed)? {
        Some(dataset) => Ok(dataset),
        None => open(Path::new(name)),
    };
    match mixture::parts(name) {
        Some(parts) => mixture::open(name, &parts, open_one),
        None => open_one(name),
    }
}

/// Opens the dataset at `path`. `FORMATS` lists the kinds.
///
/// Only the index is read and checked: a broken image is found when it is loaded, or by [`Dataset::check`]. Images of DICOM
/// files are grouped by patient unless they have a group.
///
/// # Errors
/// If there is nothing at `path`, or it is of no known kind, or its index is faulty.
pub fn open(path: &Path) -> Result<Dataset, DataError> {
    for (_, open_format) in FORMATS {
        if let Some(dataset) = open_format(path)? {
            return grouped(dataset);
        }
    }
    std::fs::metadata(path).map_err(DataError::io(path))?;
    let is_image = decode::format_of_file(path)?.is_some();
    let found = if is_image { "one image" } else { "a file of unknown kind" };
    let expected = FORMATS.map(|(kind, _)| kind).join(", ");
    Err(DataError::NotRecognised { path: path.display().to_string(), found: found.to_owned(), expected })
}

/// Groups the images of DICOM files by patient.
#[cfg(feature = "dicom")]
fn grouped(mut dataset: Dataset) -> Result<Dataset, DataError> {
    dataset.group_dicom(GroupBy::Patient)?;
    Ok(dataset)
}

/// Without DICOM files, no image names its patient.
#[cfg(not(feature = "dicom"))]
fn grouped(dataset: Dataset) -> Result<Dataset, DataError> {
    Ok(dataset)
}
