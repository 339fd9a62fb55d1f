//! `macula.Encoder`.

use std::path::PathBuf;
use std::sync::Arc;

use macula::bundle::{self, PublicKey};
use macula::data::Image;
use macula::encoder::{EncodeError, HostEncoder};
use macula::encoders::{self, KnownPreprocessing, OpenOptions, Opened, Stated};
use macula::evaluate::Features;
use macula::isolated::{OnnxHost, Runtime, Worker, WorkerLimits};
use numpy::{IntoPyArray, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use rayon::prelude::*;

use crate::error::{Failure, Kind, detached};
use crate::images::Images;

/// Images that are copied and encoded at once; between two blocks Ctrl-C is noticed.
const BLOCK: usize = 64;

/// How an encoder is opened.
#[derive(Clone, Default)]
pub struct Opening {
    /// Keys whose bundles are trusted.
    pub trusted: Vec<PublicKey>,
    /// Preprocessing of an ONNX file that does not state it.
    pub stated: Option<Stated>,
    /// Where ONNX files run.
    pub host: OnnxHost,
}

impl Opening {
    /// Reads the arguments of `Encoder`.
    pub fn new(py: Python<'_>, trust: Vec<PathBuf>, preprocessing: Option<&str>, isolate: bool) -> PyResult<Self> {
        let read = |path: &PathBuf| bundle::read_public(path).map_err(|error| Failure::new(Kind::Encoder, error));
        let trusted = trust.iter().map(read).collect::<Result<_, _>>()?;
        let stated = preprocessing.map(stated).transpose()?;
        let host = if isolate { in_child(py)? } else { OnnxHost::InProcess };
        Ok(Self { trusted, stated, host })
    }

    /// Opens the encoder `name`.
    pub fn open(&self, name: &str) -> Result<Opened, Failure> {
        let options = OpenOptions {
            host: self.host.clone(),
            trusted: &self.trusted,
            stated: self.stated.as_ref(),
            ..OpenOptions::default()
        };
        Ok(encoders::open(name, &options)?)
    }
}

/// The preprocessing called `name`.
fn stated(name: &str) -> Result<Stated, Failure> {
    let known = KnownPreprocessing::ALL.into_iter().find(|known| known.name() == name);
    let names = || KnownPreprocessing::ALL.map(KnownPreprocessing::name).join(", ");
    known.map(Stated::known).ok_or_else(|| Failure::input(format!("no preprocessing '{name}'; use {}", names())))
}

/// The interpreter runs `_worker.py` as the process of a foreign ONNX file.
fn in_child(py: Python<'_>) -> PyResult<OnnxHost> {
    static SCRIPT: PyOnceLock<&'static str> = PyOnceLock::new();
    let program: PathBuf = py.import("sys")?.getattr("executable")?.extract()?;
    let script = SCRIPT.get_or_try_init(py, || {
        let package: PathBuf = py.import("macula")?.getattr("__file__")?.extract()?;
        let path = name_of(package.with_file_name("_worker.py"))?;
        // Once per process: the path is needed until its end.
        Ok::<_, PyErr>(&*Box::leak(path.into_boxed_str()))
    })?;
    Ok(OnnxHost::Child(Worker {
        program: program.into(),
        argument: script,
        limits: WorkerLimits::default(),
        runtime: Runtime::Auto,
        stop: None,
    }))
}

/// An opened encoder, by its name or already open.
#[derive(FromPyObject)]
pub enum EncoderArgument<'py> {
    /// Open.
    Open(PyRef<'py, Encoder>),
    /// A name or path.
    Name(PathBuf),
}

/// A name or path as text.
pub fn name_of(path: PathBuf) -> Result<String, Failure> {
    path.into_os_string().into_string().map_err(|path| Failure::input(format!("{} is not UTF-8", path.display())))
}

/// Turns images into features.
///
/// Parameters
/// ----------
/// name : str or os.PathLike
///     A shipped model (`macula.models()`), a run or export folder, an ONNX file, a signed bundle, a device blob, or
///     `raw-pixels` or `colour-statistics`. `NAME@CHANNELSxHEIGHTxWIDTH` is a shipped model or run with another input.
/// trust : sequence of os.PathLike, optional
///     Public keys (`NAME.pub`) whose bundles are trusted.
/// preprocessing : {'imagenet', 'clip', 'half', 'unit', 'bytes'}, optional
///     Preprocessing of an ONNX file that does not state its own.
/// isolate : bool, default True
///     Run a foreign ONNX file in a process of its own with limits of memory and time.
///
/// Raises
/// ------
/// EncoderError
///     There is no such encoder, it is damaged, or no trusted key signed it.
#[pyclass(module = "macula", frozen)]
pub struct Encoder {
    /// The name that it was opened by.
    pub name: String,
    /// How it was opened.
    pub opening: Opening,
    /// The encoder.
    pub opened: Arc<Opened>,
}

impl Encoder {
    /// The encoder.
    pub fn encoder(&self) -> &dyn HostEncoder {
        &*self.opened.encoder
    }
}

#[pymethods]
impl Encoder {
    #[new]
    #[pyo3(signature = (name, *, trust = Vec::new(), preprocessing = None, isolate = true))]
    fn new(
        py: Python<'_>,
        name: PathBuf,
        trust: Vec<PathBuf>,
        preprocessing: Option<&str>,
        isolate: bool,
    ) -> PyResult<Self> {
        let (name, opening) = (name_of(name)?, Opening::new(py, trust, preprocessing, isolate)?);
        let opened = Arc::new(detached(py, || opening.open(&name))?);
        Ok(Self { name, opening, opened })
    }

    /// The name that the encoder was opened by.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Dimensions D of a feature.
    #[getter]
    fn feature_dim(&self) -> usize {
        self.encoder().feature_dim()
    }

    /// Height, width and channels of its input, in pixels. Images of other sizes are resized.
    #[getter]
    fn input_shape(&self) -> (usize, usize, usize) {
        let preprocessing = self.encoder().preprocessing();
        (preprocessing.height, preprocessing.width, preprocessing.channels)
    }

    /// The identity in hexadecimal: encoders of one identity give equal features.
    #[getter]
    fn id(&self) -> String {
        self.encoder().id().to_string()
    }

    /// What it computes in: `f32`, `f16`, `int8` …
    #[getter]
    fn arithmetic(&self) -> &str {
        &self.encoder().info().arithmetic
    }

    /// Compute the features of images.
    ///
    /// Parameters
    /// ----------
    /// images : ndarray of uint8, [N, H, W] or [N, H, W, C], or list of ndarray, [H, W] or [H, W, C]
    ///     Grey images or images of C = 1 or 3 channels (red, green, blue), of any size; they are resized and converted as
    ///     on a device. Values are 0 to 255.
    /// standardize : bool, default False
    ///     Centre and scale by the statistics of the images that the encoder was trained on, where it has them, as a device
    ///     does.
    ///
    /// Returns
    /// -------
    /// ndarray of float32, [N, D]
    ///     The feature of an image does not depend on the other images.
    ///
    /// Raises
    /// ------
    /// InputError
    ///     The array has another type or shape.
    /// EncoderError
    ///     The encoder fails, or a feature is not finite.
    #[pyo3(signature = (images, *, standardize = false))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        images: Images<'py>,
        standardize: bool,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (count, dim) = (images.len(), self.encoder().feature_dim());
        let mut rows = Vec::new();
        let reserved = rows.try_reserve_exact(count.saturating_mul(dim));
        reserved.map_err(|error| Failure::input(format!("no memory for the features of {count} images: {error}")))?;
        for from in (0..count).step_by(BLOCK) {
            let block = images.range(from, from + BLOCK)?;
            let encoder = self.encoder();
            rows.extend(detached(py, || encode_block(encoder, &block).map_err(|error| numbered(error, from)))?);
            py.check_signals()?;
        }
        let mut features = Features { dim, rows };
        if let Some(corpus) = self.encoder().corpus().filter(|_| standardize) {
            features.standardise(corpus);
        }
        features.rows.into_pyarray(py).reshape([count, dim])
    }

    /// An encoder does not change, so that a copy is the encoder itself. `clone` of scikit-learn copies parameters.
    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// As `__copy__`.
    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }

    fn __repr__(&self) -> String {
        let (height, width, channels) = self.input_shape();
        let (name, dim) = (&self.name, self.feature_dim());
        format!("Encoder('{name}', input_shape=({height}, {width}, {channels}), feature_dim={dim})")
    }
}

/// Features `[N, D]` of images of any size.
fn encode_block(encoder: &dyn HostEncoder, images: &[Image]) -> Result<Vec<f32>, EncodeError> {
    if encoder.is_tiled() {
        let features: Vec<_> = images.iter().map(|image| encoder.encode_image(image)).collect::<Result<_, _>>()?;
        return Ok(features.concat());
    }
    let pixels: Vec<_> = images.par_iter().map(|image| encoder.preprocessing().to_pixels(image).pixels).collect();
    encoder.encode_batch(&pixels.concat())
}

/// The error with the number of the image in the call.
fn numbered(error: EncodeError, from: usize) -> Failure {
    match error {
        EncodeError::NotFinite { encoder, image, position, value } => {
            EncodeError::NotFinite { encoder, image: from + image, position, value }.into()
        }
        other => other.into(),
    }
}
