//! Errors as exceptions of the module `macula._errors`.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use macula::data::DataError;
use macula::device::DeviceError;
use macula::encoder::EncodeError;
use macula::encoders::OpenError;
use macula::evaluate::EvaluateError;
use macula::link::LinkError;
use macula::pretrain::{ConfigError, PretrainError, RunError};
use macula_edge::head::HeadError;
use pyo3::prelude::*;

/// The exception of a failure.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// An argument is not allowed.
    Input,
    /// An encoder cannot be opened or run.
    Encoder,
    /// A file of images cannot be read.
    Data,
    /// A device, its store or the line to it is at fault.
    Device,
    /// A device refuses a request.
    Refused,
    /// Training failed.
    Training,
    /// The package is at fault.
    Internal,
}

impl Kind {
    /// The name of its class.
    fn class(self) -> &'static str {
        match self {
            Self::Input => "InputError",
            Self::Encoder => "EncoderError",
            Self::Data => "DataError",
            Self::Device => "DeviceError",
            Self::Refused => "RefusedError",
            Self::Training => "TrainingError",
            Self::Internal => "InternalError",
        }
    }
}

/// A failure, which may cross threads before it becomes an exception.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
}

impl Failure {
    /// A failure of `kind`.
    pub fn new(kind: Kind, message: impl Display) -> Self {
        Self { kind, message: message.to_string() }
    }

    /// An argument that is not allowed.
    pub fn input(message: impl Display) -> Self {
        Self::new(Kind::Input, message)
    }

    /// The failure of a panic.
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::new(Kind::Internal, format!("internal error: {}", text.unwrap_or("a panic without a message")))
    }

    /// Adds what else is known.
    #[must_use]
    pub fn with(mut self, more: &str) -> Self {
        self.message.push_str(more);
        self
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        let exception = |py: Python<'_>| {
            py.import("macula._errors")?
                .getattr(failure.kind.class())?
                .call1((&failure.message,))
                .map(PyErr::from_value)
        };
        Python::attach(|py| exception(py).unwrap_or_else(|error| error))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(Kind::Encoder, error)
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        Self::new(Kind::Encoder, error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::new(Kind::Encoder, error)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::new(Kind::Data, error)
    }
}

impl From<HeadError> for Failure {
    fn from(error: HeadError) -> Self {
        Self::input(error)
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self::new(Kind::Device, error)
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let kind = match &error {
            LinkError::Unsendable { .. } => Kind::Input,
            LinkError::Refused { .. } if !error.is_device_fault() => Kind::Refused,
            _ => Kind::Device,
        };
        Self::new(kind, error)
    }
}

impl From<EvaluateError> for Failure {
    fn from(error: EvaluateError) -> Self {
        let kind = match &error {
            EvaluateError::Data(_) | EvaluateError::Cache(_) => Kind::Data,
            EvaluateError::Encode(_) | EvaluateError::NotFinite { .. } | EvaluateError::Encoder { .. } => Kind::Encoder,
            _ => Kind::Input,
        };
        Self::new(kind, error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::input(error)
    }
}

impl From<PretrainError> for Failure {
    fn from(error: PretrainError) -> Self {
        let kind = match &error {
            PretrainError::Config(_) => Kind::Input,
            _ => Kind::Training,
        };
        Self::new(kind, error)
    }
}

/// Runs `work` without the interpreter's lock. A panic becomes an exception.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, Failure> + Send) -> PyResult<T> {
    let done = py.detach(|| catch_unwind(AssertUnwindSafe(work)));
    Ok(done.unwrap_or_else(|panic| Err(Failure::of_panic(&*panic)))?)
}
