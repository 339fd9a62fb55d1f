//! The native module of the Python package `macula`.
//!
//! It converts arguments, releases the interpreter's lock while the library computes, and turns errors and panics into
//! exceptions. Docstrings follow the NumPy style; `python/macula/_macula.pyi` has the types.

mod error; //    errors as exceptions
mod images; //   arrays of images
mod json; //     JSON as values of Python
mod watch; //    long work that Ctrl-C ends
mod encoder; //  Encoder
mod dataset; //  Dataset
mod head; //     the device's head on features
mod replies; //  Prediction, Neighbour
mod line; //     a session with a device in its own thread
mod local; //    a device of this process
mod remote; //   a device on a socket or serial line
mod device; //   Device, connect
mod evaluate; // few-shot evaluation
mod pretrain; // pretraining

use macula::models::MODELS;
use pyo3::prelude::*;

use crate::error::{Failure, Kind, detached};

/// Names of the encoders that come with the package, with their purpose.
#[pyfunction]
fn models() -> Vec<(&'static str, &'static str)> {
    MODELS.iter().map(|model| (model.name, model.summary)).collect()
}

/// Serves encoder requests on standard input and output: the process of a foreign ONNX file.
#[pyfunction]
fn serve_worker(py: Python<'_>) -> PyResult<()> {
    detached(py, || {
        let served = macula::isolated::serve_worker(std::io::stdin(), &mut std::io::stdout().lock());
        served.map_err(|error| Failure::new(Kind::Encoder, error))
    })
}

/// The native module.
#[pymodule]
mod _macula {
    #[pymodule_export]
    use super::dataset::{Dataset, read_image};
    #[pymodule_export]
    use super::device::{Device, connect};
    #[pymodule_export]
    use super::encoder::Encoder;
    #[pymodule_export]
    use super::evaluate::evaluate;
    #[pymodule_export]
    use super::head::Head;
    #[pymodule_export]
    use super::pretrain::pretrain;
    #[pymodule_export]
    use super::replies::{Neighbour, Prediction};
    #[pymodule_export]
    use super::{models, serve_worker};

    /// The version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "its name in Python")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
