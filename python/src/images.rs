//! Images from NumPy arrays.

use macula::data::Image;
use macula_edge::image::SIDE_MAX;
use numpy::{PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::error::Failure;

const EXPECTED: &str = "images are an array of uint8 of shape [N, H, W] or [N, H, W, C] with 1 or 3 channels C, or a list of \
                        arrays of shape [H, W] or [H, W, C]";

/// Images that an argument holds. Pixels are copied when an image is read.
pub enum Images<'py> {
    /// `[N, H, W]` or `[N, H, W, C]`.
    Array(PyReadonlyArrayDyn<'py, u8>),
    /// Each `[H, W]` or `[H, W, C]`.
    List(Vec<PyReadonlyArrayDyn<'py, u8>>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Images<'py> {
    type Error = PyErr;

    fn extract(argument: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let argument = argument.to_owned();
        if argument.is_instance_of::<PyList>() || argument.is_instance_of::<PyTuple>() {
            let mut images = Vec::new();
            for (number, item) in argument.try_iter()?.enumerate() {
                let array = array(&item?)?;
                shape_of(array.shape())
                    .map_err(|found| Failure::input(format!("image {number} {found}; {EXPECTED}")))?;
                images.push(array);
            }
            return Ok(Self::List(images));
        }
        let array = array(&argument)?;
        let found = match array.shape() {
            [] | [_] | [_, _] => Err(format!("the array has shape {:?}", array.shape())),
            [_, image @ ..] => shape_of(image).map(drop).map_err(|found| format!("an image {found}")),
        };
        found.map_err(|found| Failure::input(format!("{found}; {EXPECTED}")))?;
        Ok(Self::Array(array))
    }
}

/// `argument` as an array of bytes.
fn array<'py>(argument: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, u8>> {
    let Ok(array) = argument.cast::<PyArrayDyn<u8>>() else {
        let kind = match argument.getattr("dtype") {
            Ok(dtype) => format!("an array of {}", dtype.str()?),
            Err(_) => argument.get_type().qualname()?.to_string(),
        };
        return Err(Failure::input(format!("found {kind}; {EXPECTED}")).into());
    };
    array.try_readonly().map_err(|error| Failure::input(format!("the array is in use: {error}")).into())
}

/// Height, width and channels of one image; what is wrong with its shape otherwise.
fn shape_of(shape: &[usize]) -> Result<[usize; 3], String> {
    let (height, width, channels) = match *shape {
        [height, width] => (height, width, 1),
        [height, width, channels @ (1 | 3)] => (height, width, channels),
        _ => return Err(format!("has shape {shape:?}")),
    };
    let is_side = |side: usize| (1..=SIDE_MAX).contains(&side);
    match is_side(height) && is_side(width) {
        true => Ok([height, width, channels]),
        false => Err(format!("has shape {shape:?}, and sides of 1 to {SIDE_MAX} pixels are allowed")),
    }
}

impl Images<'_> {
    /// Number of images.
    pub fn len(&self) -> usize {
        match self {
            Self::Array(array) => array.shape()[0],
            Self::List(images) => images.len(),
        }
    }

    /// A copy of image `index`.
    pub fn get(&self, index: usize) -> Result<Image, Failure> {
        let (shape, pixels) = match self {
            Self::List(images) => (images[index].shape(), bytes(&images[index], 0, 1)),
            Self::Array(array) => (&array.shape()[1..], bytes(array, index, array.shape()[0])),
        };
        let [height, width, channels] = shape_of(shape).map_err(Failure::input)?;
        Ok(Image { width, height, channels, pixels })
    }

    /// Copies of the images `from..to`, at most to the end.
    pub fn range(&self, from: usize, to: usize) -> Result<Vec<Image>, Failure> {
        (from..to.min(self.len())).map(|index| self.get(index)).collect()
    }

    /// Copies of all images.
    pub fn all(&self) -> Result<Vec<Image>, Failure> {
        self.range(0, self.len())
    }
}

/// Part `index` of `parts` equal parts of the values, in C order.
fn bytes(array: &PyReadonlyArrayDyn<'_, u8>, index: usize, parts: usize) -> Vec<u8> {
    let len = array.len() / parts;
    match array.as_slice() {
        // A slice in Fortran order has the same bytes in another order.
        Ok(values) if array.is_c_contiguous() => values[index * len..][..len].to_vec(),
        // A view of another array.
        _ if parts == 1 => array.as_array().iter().copied().collect(),
        _ => array.as_array().index_axis(numpy::ndarray::Axis(0), index).iter().copied().collect(),
    }
}
