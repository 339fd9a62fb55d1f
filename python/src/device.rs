//! `macula.Device`: the same methods for a device of this process, on a socket or on a serial line.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use macula::data::Image;
use macula::device::{now_s, source_of};
use macula::encoders::Opened;
use macula::link::{Changes, Client, LinkError, PredictOptions, Provenance, Sample};
use macula_edge::head::HeadKind;
use macula_edge::protocol::Reason;
use macula_edge::support_set::SourceId;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::encoder::{EncoderArgument, Opening, name_of};
use crate::error::{Failure, Kind, detached};
use crate::head;
use crate::images::Images;
use crate::line::Line;
use crate::local::Local;
use crate::remote;
use crate::replies::{Names, Neighbour, Prediction};

/// Images of one job of the line.
const BLOCK: usize = 32;

/// An encoder with its name and how it was opened.
type Given = (Option<(String, Arc<Opened>)>, Opening);

fn given(py: Python<'_>, encoder: Option<EncoderArgument<'_>>, trust: Vec<PathBuf>) -> PyResult<Given> {
    Ok(match encoder {
        None => (None, Opening::new(py, trust, None, true)?),
        Some(EncoderArgument::Open(encoder)) => {
            let mut opening = encoder.opening.clone();
            opening.trusted.extend(Opening::new(py, trust, None, false)?.trusted);
            (Some((encoder.name.clone(), Arc::clone(&encoder.opened))), opening)
        }
        Some(EncoderArgument::Name(name)) => {
            let (name, opening) = (name_of(name)?, Opening::new(py, trust, None, true)?);
            let opened = detached(py, || opening.open(&name))?;
            (Some((name, Arc::new(opened))), opening)
        }
    })
}

/// A device: learns classes from a few images, predicts, explains and forgets.
///
/// It runs in this process; `connect` gives one elsewhere. Use it as a context manager, or call `close`: a store file is locked
/// until then.
///
/// Parameters
/// ----------
/// encoder : Encoder or str or os.PathLike, optional
///     The encoder or its name; by default the one that the store records.
/// store : os.PathLike, optional
///     The file of its store, made if it is missing; `macula predict --device FILE` opens the same file. In memory by
///     default.
/// trust : sequence of os.PathLike, optional
///     Public keys whose bundles are trusted.
/// capacity : int, default 4096
///     Samples that a new store has room for.
///
/// Raises
/// ------
/// DeviceError
///     The store is damaged, in use, or of another encoder.
#[pyclass(module = "macula", frozen)]
pub struct Device {
    line: Line,
    address: String,
}

#[pymethods]
impl Device {
    #[new]
    #[pyo3(signature = (encoder = None, store = None, *, trust = Vec::new(), capacity = 4096))]
    fn new(
        py: Python<'_>,
        encoder: Option<EncoderArgument<'_>>,
        store: Option<PathBuf>,
        trust: Vec<PathBuf>,
        capacity: u32,
    ) -> PyResult<Self> {
        let (encoder, opening) = given(py, encoder, trust)?;
        let address = store.as_ref().map_or("memory".to_owned(), |path| path.display().to_string());
        let local = Local { encoder, opening, store, capacity };
        Ok(Self { line: Line::open(py, |served| local.hold(served))?, address })
    }

    /// The address: of a socket or line, the store file, or 'memory'.
    #[getter]
    fn address(&self) -> &str {
        &self.address
    }

    /// Names of the classes and their numbers of samples.
    #[getter]
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.line.call(py, |client, _| Ok(Names::of(client)?.into_counts()))?;
        let dict = PyDict::new(py);
        for (name, count) in counts {
            dict.set_item(name, count)?;
        }
        Ok(dict)
    }

    /// Program, version and limits of the device.
    #[getter]
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let info = self.line.call(py, |client, _| Ok(client.device().clone()))?;
        let dict = PyDict::new(py);
        dict.set_item("program", info.program)?;
        dict.set_item("program_version", info.program_version)?;
        dict.set_item("feature_dim", info.dim)?;
        dict.set_item("classes_max", info.classes)?;
        dict.set_item("samples_max", info.supports)?;
        dict.set_item("channels", info.channels)?;
        Ok(dict)
    }

    /// Learn images as samples of a class.
    ///
    /// Parameters
    /// ----------
    /// label : str
    ///     Name of the class, which is added if it is new.
    /// images : ndarray of uint8, [N, H, W] or [N, H, W, C], or list of ndarray
    ///     As `Encoder.encode` takes them.
    /// operator : int, default 0
    ///     Number of the person who teaches, recorded with each sample.
    ///
    /// Returns
    /// -------
    /// int
    ///     New samples; images that are samples of the class already do not count.
    ///
    /// Raises
    /// ------
    /// RefusedError
    ///     An image is a sample of another class, or the name is not allowed. The device is as before.
    /// DeviceError
    ///     No room is left, or the device does not reply.
    #[pyo3(signature = (label, images, *, operator = 0))]
    fn teach(&self, py: Python<'_>, label: String, images: Images<'_>, operator: u32) -> PyResult<usize> {
        let images = images.all()?;
        self.line.call(py, move |client, stop| {
            let mut changes = Changes::default();
            match learn(client, &mut changes, (&label, operator), &images, stop) {
                Ok(()) => Ok(changes.learned.len()),
                Err(failure) => Err(match changes.undo(client) {
                    Ok(()) => failure.with("; nothing was changed"),
                    Err(error) => {
                        failure.with(&format!("; {} new samples stay, because {error}", changes.learned.len()))
                    }
                }),
            }
        })
    }

    /// Predict the classes of images.
    ///
    /// Parameters
    /// ----------
    /// images : ndarray of uint8, [N, H, W] or [N, H, W, C], or list of ndarray
    /// head : {'auto', 'prototype', 'gaussian', 'logistic'}
    /// error_rate : float, default 0.1
    ///     Error rate of the prediction set, 0.001 to 0.5.
    ///
    /// Returns
    /// -------
    /// list of Prediction
    ///
    /// Raises
    /// ------
    /// RefusedError
    ///     Nothing has been taught yet.
    #[pyo3(signature = (images, *, head = "auto", error_rate = 0.1))]
    fn predict(&self, py: Python<'_>, images: Images<'_>, head: &str, error_rate: f64) -> PyResult<Vec<Prediction>> {
        let head: HeadKind = head::kind(head)?;
        if !(0.001..=0.5).contains(&error_rate) {
            return Err(Failure::input(format!("error rate {error_rate}; 0.001 to 0.5 are allowed")).into());
        }
        let error_rate_permille = (error_rate * 1000.0).round() as u16;
        let options = PredictOptions { head: head as u8, error_rate_permille, point: None };
        self.each(py, &images, move |client, names, image| {
            Ok(Prediction::of(&client.predict(Sample::Image(image), options)?, names))
        })
    }

    /// The samples nearest to each image, nearest first.
    ///
    /// Parameters
    /// ----------
    /// images : ndarray of uint8, [N, H, W] or [N, H, W, C], or list of ndarray
    ///
    /// Returns
    /// -------
    /// list of list of Neighbour
    fn why(&self, py: Python<'_>, images: Images<'_>) -> PyResult<Vec<Vec<Neighbour>>> {
        self.each(py, &images, |client, names, image| {
            let nearest = client.why(Sample::Image(image))?;
            Ok(nearest.iter().map(|neighbour| Neighbour::of(neighbour, names)).collect())
        })
    }

    /// Forget samples exactly: the device is as if they had never been taught.
    ///
    /// Parameters
    /// ----------
    /// images : ndarray of uint8, [N, H, W] or [N, H, W, C], or list of ndarray
    ///     The images that were taught.
    ///
    /// Returns
    /// -------
    /// int
    ///     Samples forgotten; images that were not taught do not count.
    fn forget(&self, py: Python<'_>, images: Images<'_>) -> PyResult<usize> {
        let sources: Vec<SourceId> = images.all()?.iter().map(source_of).collect();
        self.line.call(py, move |client, _| {
            let mut forgotten = 0;
            for source in sources {
                forgotten += usize::from(client.forget(source)?.is_some());
            }
            Ok(forgotten)
        })
    }

    /// Remove a class with all its samples, and return their number.
    ///
    /// Raises
    /// ------
    /// InputError
    ///     There is no such class.
    fn forget_class(&self, py: Python<'_>, label: String) -> PyResult<u32> {
        self.line.call(py, move |client, _| {
            let slot = Names::of(client)?.slot(&label)?;
            Ok(client.remove_class(slot)?)
        })
    }

    /// Rename a class.
    ///
    /// Raises
    /// ------
    /// InputError
    ///     There is no class `label`.
    /// RefusedError
    ///     The name is taken or not allowed.
    fn rename_class(&self, py: Python<'_>, label: String, name: String) -> PyResult<()> {
        self.line.call(py, move |client, _| {
            let slot = Names::of(client)?.slot(&label)?;
            Ok(client.rename_class(slot, &name)?)
        })
    }

    /// SHA-256 of classes and samples in hexadecimal: devices that learned the same have the same.
    fn state_sha256(&self, py: Python<'_>) -> PyResult<String> {
        let hash = self.line.call(py, |client, _| Ok(client.state_sha256()?))?;
        Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// End the session and close the store. Later calls raise DeviceError.
    fn close(&self, py: Python<'_>) {
        self.line.close(py);
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (_kind, _error, _trace))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<Bound<'_, PyType>>,
        _error: Option<Bound<'_, PyAny>>,
        _trace: Option<Bound<'_, PyAny>>,
    ) {
        self.line.close(py);
    }

    fn __repr__(&self) -> String {
        format!("Device('{}')", self.address)
    }
}

impl Device {
    /// Applies `ask` to each image, several in one job.
    fn each<T: Send + 'static>(
        &self,
        py: Python<'_>,
        images: &Images<'_>,
        ask: impl Fn(&mut Client<'_>, &Names, &Image) -> Result<T, Failure> + Send + Clone + 'static,
    ) -> PyResult<Vec<T>> {
        let mut answers = Vec::new();
        for from in (0..images.len()).step_by(BLOCK) {
            let (block, ask) = (images.range(from, from + BLOCK)?, ask.clone());
            answers.extend(self.line.call(py, move |client, stop| {
                let names = Names::of(client)?;
                let asked = block.iter().take_while(|_| !stop.load(Ordering::Relaxed));
                asked.map(|image| ask(client, &names, image)).collect::<Result<Vec<T>, _>>()
            })?);
            py.check_signals()?;
        }
        Ok(answers)
    }
}

/// Learns `images` as samples of a class by an operator.
fn learn(
    client: &mut Client<'_>,
    changes: &mut Changes,
    (label, operator): (&str, u32),
    images: &[Image],
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let slot = changes.class(client, label)?;
    for (number, image) in images.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::new(Kind::Device, "interrupted"));
        }
        let from = Provenance { source: source_of(image), operator, time_s: now_s() };
        let learned = client.learn(slot, &from, Sample::Image(image)).map_err(|error| refused(error, number))?;
        changes.note(from.source, &learned);
    }
    Ok(())
}

/// The error of image `number`.
fn refused(error: LinkError, number: usize) -> Failure {
    let more = match error.reason() {
        Some(Reason::SourceTaken) => format!(" (image {number} is a sample of another class; forget it first)"),
        _ => format!(" (image {number})"),
    };
    Failure::from(error).with(&more)
}

/// Connect to a device.
///
/// Parameters
/// ----------
/// address : str
///     `tcp:HOST:PORT` or `tcp://HOST:PORT`, `serial:PATH[:BAUD]` or `/dev/…`.
/// encoder : Encoder or str or os.PathLike, optional
///     Makes features on this machine, for a device without an encoder.
///
/// Returns
/// -------
/// Device
///
/// Raises
/// ------
/// DeviceError
///     The device cannot be reached, or is of another version.
#[pyfunction]
#[pyo3(signature = (address, *, encoder = None))]
pub fn connect(py: Python<'_>, address: &str, encoder: Option<EncoderArgument<'_>>) -> PyResult<Device> {
    let parsed = remote::address(address)?;
    let text = parsed.to_string();
    let encoder = given(py, encoder, Vec::new())?.0.map(|(_, opened)| opened);
    let (at, own) = (parsed, encoder.clone());
    let device = Device { line: Line::open(py, move |served| remote::hold(&at, own.as_ref(), served))?, address: text };
    if let Some(opened) = encoder {
        let address = device.address.clone();
        device.line.call(py, move |client, _| remote::check_encoder(client.device(), &address, &opened))?;
    }
    Ok(device)
}
