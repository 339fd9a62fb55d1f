//! `macula.Dataset`, and the arrays of images.

use std::path::PathBuf;
use std::sync::Arc;

use macula::data::{self, Image, Split, decode};
use numpy::ndarray::Array;
use numpy::{IntoPyArray, PyArray1, PyArrayDyn};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use rayon::prelude::*;

use crate::encoder::name_of;
use crate::error::{Failure, detached};
use crate::images::Images;

/// Images that are decoded at once; between two blocks Ctrl-C is noticed.
const BLOCK: usize = 64;

/// The array `[H, W]` or `[H, W, 3]` of an image.
fn to_array(py: Python<'_>, image: Image) -> PyResult<Bound<'_, PyArrayDyn<u8>>> {
    let shape = match image.channels {
        1 => vec![image.height, image.width],
        channels => vec![image.height, image.width, channels],
    };
    let array = Array::from_shape_vec(shape, image.pixels).map_err(Failure::input)?;
    Ok(array.into_pyarray(py))
}

/// Decode an image file.
///
/// Parameters
/// ----------
/// path : str or os.PathLike
///     PNG, JPEG, TIFF, BMP, GIF, PNM, WebP or DICOM.
///
/// Returns
/// -------
/// ndarray of uint8, [H, W] or [H, W, 3]
///     Values of more than 8 bits are scaled from their full range.
///
/// Raises
/// ------
/// DataError
///     The file cannot be read, or is damaged.
#[pyfunction]
pub fn read_image(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyArrayDyn<u8>>> {
    let image = detached(py, || Ok(decode::read_image(&path)?))?;
    to_array(py, image)
}

/// The images of a folder, archive or manifest, decoded when they are read.
///
/// Parameters
/// ----------
/// name : str or os.PathLike
///     A folder of images (one folder per class), `.npz`, CIFAR, IDX, `.csv` manifest, a mixture `A+B`, or
///     `phantoms[:SIZE[:COUNT]]`, which are drawn.
/// seed : int, default 1
///     Seed of phantoms.
///
/// Raises
/// ------
/// DataError
///     There is no such dataset, or its index is faulty.
#[pyclass(module = "macula", frozen)]
pub struct Dataset {
    dataset: Arc<data::Dataset>,
    seed: u64,
}

/// Images with or without labels: a dataset or its name, or arrays.
pub enum Labelled<'py> {
    /// A dataset.
    Open(PyRef<'py, Dataset>),
    /// Its name.
    Name(PathBuf),
    /// Images, the label of each (-1 for none), and the names of the classes.
    Arrays(Images<'py>, Vec<i64>, Vec<String>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Labelled<'py> {
    type Error = PyErr;

    fn extract(argument: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(dataset) = argument.extract::<PyRef<'py, Dataset>>() {
            return Ok(Self::Open(dataset));
        }
        if argument.is_instance_of::<PyTuple>() {
            let (images, labels, names) = argument.extract()?;
            return Ok(Self::Arrays(images, labels, names));
        }
        Ok(Self::Name(argument.extract()?))
    }
}

/// What [`Labelled`] holds, without Python.
pub enum Source {
    /// A dataset by its name, and its seed if it has one. It is opened again, because evaluation and training change their index.
    Named(String, Option<u64>),
    /// Images with their labels, and the names of the classes.
    Images(Vec<(Image, Option<usize>)>, Vec<String>),
}

impl Labelled<'_> {
    /// Copies the images.
    pub fn read(self) -> Result<Source, Failure> {
        match self {
            Self::Open(dataset) => Ok(Source::Named(dataset.dataset.name.clone(), Some(dataset.seed))),
            Self::Name(name) => Ok(Source::Named(name_of(name)?, None)),
            Self::Arrays(images, labels, names) => {
                let images = images.all()?;
                if images.len() != labels.len() {
                    return Err(Failure::input(format!("{} images, but {} labels", images.len(), labels.len())));
                }
                let label = |label: i64| usize::try_from(label).ok().filter(|&label| label < names.len());
                Ok(Source::Images(images.into_iter().zip(labels.into_iter().map(label)).collect(), names))
            }
        }
    }
}

impl Source {
    /// Opens the dataset. `seed` is that of the work, by which a named dataset is drawn as on the command line.
    pub fn open(self, seed: u64) -> Result<data::Dataset, Failure> {
        match self {
            Self::Named(name, own) => Ok(data::open_named(&name, own.unwrap_or(seed))?),
            Self::Images(images, names) => Ok(data::Dataset::of_images("images", images, names)),
        }
    }
}

#[pymethods]
impl Dataset {
    #[new]
    #[pyo3(signature = (name, *, seed = 1))]
    fn new(py: Python<'_>, name: PathBuf, seed: u64) -> PyResult<Self> {
        let name = name_of(name)?;
        let dataset = detached(py, || Ok(data::open_named(&name, seed)?))?;
        Ok(Self { dataset: Arc::new(dataset), seed })
    }

    /// Names of the classes, in the order of their labels.
    #[getter]
    fn class_names(&self) -> Vec<String> {
        self.dataset.class_names.clone()
    }

    /// Label of each image, an index into `class_names`, or -1 for none: ndarray of int64, [N].
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let label = |record: &data::Record| record.label.map_or(-1, |label| label as i64);
        self.dataset.records.iter().map(label).collect::<Vec<_>>().into_pyarray(py)
    }

    /// Name of each image: a path below the folder, or `train[17]`.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.dataset.records.iter().map(|record| record.name.clone()).collect()
    }

    /// Split of each image: 'train', 'val', 'test' or None.
    #[getter]
    fn splits(&self) -> Vec<Option<&'static str>> {
        self.dataset.records.iter().map(|record| record.split.map(Split::name)).collect()
    }

    /// How the dataset was interpreted, and what was not used.
    #[getter]
    fn remarks(&self) -> Vec<String> {
        self.dataset.remarks.iter().map(ToString::to_string).collect()
    }

    /// Decode several images.
    ///
    /// Parameters
    /// ----------
    /// indices : sequence of int, optional
    ///     Which images; all by default.
    ///
    /// Returns
    /// -------
    /// list of ndarray of uint8, [H, W] or [H, W, 3]
    #[pyo3(signature = (indices = None))]
    fn images<'py>(&self, py: Python<'py>, indices: Option<Vec<usize>>) -> PyResult<Vec<Bound<'py, PyArrayDyn<u8>>>> {
        let indices = indices.unwrap_or_else(|| self.dataset.indices(None));
        let mut arrays = Vec::with_capacity(indices.len());
        for block in indices.chunks(BLOCK) {
            let load = |&index: &usize| -> Result<Image, Failure> { Ok(self.dataset.load(index)?) };
            let images: Vec<Image> = detached(py, || block.par_iter().map(load).collect())?;
            for image in images {
                arrays.push(to_array(py, image)?);
            }
            py.check_signals()?;
        }
        Ok(arrays)
    }

    fn __len__(&self) -> usize {
        self.dataset.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        let len = self.dataset.len();
        let from_end = if index < 0 { index + len as isize } else { index };
        let found = usize::try_from(from_end).ok().filter(|&found| found < len);
        let found = found.ok_or_else(|| PyIndexError::new_err(format!("image {index} of {len}")))?;
        let image = detached(py, || Ok(self.dataset.load(found)?))?;
        to_array(py, image)
    }

    fn __repr__(&self) -> String {
        let (name, images, classes) = (&self.dataset.name, self.dataset.len(), self.dataset.class_names.len());
        format!("Dataset('{name}', {images} images, {classes} classes)")
    }
}
