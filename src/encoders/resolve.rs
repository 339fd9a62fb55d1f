//! The kinds of encoders that a name can refer to.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::OpenError;
use super::tiles::split;
use crate::encoder::InputShape;
use crate::models;
use crate::pretrain::{CHECKPOINT, CONFIG, WEIGHTS};

/// Files of a run folder and of an export.
const WEIGHT_FILES: [&str; 3] = [CONFIG, CHECKPOINT, WEIGHTS];

/// The encoder that a name refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The raw-pixels baseline.
    RawPixels,
    /// The colour-statistics baseline.
    ColourStatistics,
    /// A preset with random weights, by the name of the preset.
    Random(String),
    /// A shipped model.
    Shipped,
    /// A run folder, or the weights of an export.
    Run,
    /// An ONNX file, named itself or by the export folder that holds it.
    Onnx(PathBuf),
    /// A signed bundle.
    Bundle,
    /// A device blob.
    Blob,
}

impl Found {
    /// Looks up a name. A file or folder takes precedence over a shipped model of the same name.
    pub(super) fn of(name: &str) -> Result<Self, OpenError> {
        match name {
            "raw-pixels" => return Ok(Self::RawPixels),
            "colour-statistics" => return Ok(Self::ColourStatistics),
            _ => {}
        }
        if split(name)?.is_some() {
            let found = "an encoder of tiles has no file or weights of its own; name the encoder itself".to_owned();
            return Err(OpenError::Unknown { name: name.to_owned(), found });
        }
        if let Some(preset) = name.strip_prefix("random:") {
            return Ok(Self::Random(preset.to_owned()));
        }
        let path = Path::new(name);
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(exported_in(path).map_or(Self::Run, Self::Onnx)),
            Ok(_) => Self::of_file(path),
            Err(_) if models::find(name).is_some() => Ok(Self::Shipped),
            Err(error) if error.kind() == ErrorKind::NotFound => match InputShape::split_from(name) {
                Some((base, _)) => Self::with_other_input(base),
                None => {
                    let found = "there is no such file or folder".to_owned();
                    Err(OpenError::Unknown { name: name.to_owned(), found })
                }
            },
            Err(source) => Err(OpenError::Read { name: name.to_owned(), source }),
        }
    }

    /// The encoder `base` of a name `base@CHANNELSxHEIGHTxWIDTH`: only trainable weights can take another input.
    fn with_other_input(base: &str) -> Result<Self, OpenError> {
        match Self::of(base)? {
            found @ (Self::Shipped | Self::Run) => Ok(found),
            Self::Onnx(_) if has_weights(Path::new(base)) => Ok(Self::Run),
            other => Err(OpenError::FixedInput { name: base.to_owned(), what: other.kind() }),
        }
    }

    fn of_file(path: &Path) -> Result<Self, OpenError> {
        if has_extension(path, "onnx") {
            return Ok(Self::Onnx(path.to_owned()));
        }
        if has_extension(path, "macula") {
            return Ok(Self::Bundle);
        }
        if has_extension(path, "safetensors") {
            return Ok(Self::Run);
        }
        if has_extension(path, "blob") {
            return Ok(Self::Blob);
        }
        let found = "it is a file whose name does not end in .onnx, .macula, .blob or .safetensors".to_owned();
        Err(OpenError::Unknown { name: path.display().to_string(), found })
    }

    /// Its kind, for error messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::RawPixels | Self::ColourStatistics => "a baseline without weights",
            Self::Random(_) => "a random encoder",
            Self::Shipped => "a shipped model",
            Self::Run => "a run",
            Self::Onnx(_) => "an ONNX file",
            Self::Bundle => "a bundle",
            Self::Blob => "a device blob",
        }
    }
}

/// Whether `name` is an existing bundle file.
pub fn is_bundle(name: &str) -> bool {
    let path = Path::new(name);
    has_extension(path, "macula") && path.is_file()
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// Whether a folder has weights to train or to adapt: a run, or an export with its weights.
pub(super) fn has_weights(folder: &Path) -> bool {
    WEIGHT_FILES.iter().any(|file| folder.join(file).is_file())
}

/// The ONNX file of an export folder: f16 if present, as devices use it, else f32.
fn exported_in(folder: &Path) -> Option<PathBuf> {
    ["encoder.f16.onnx", "encoder.onnx"].map(|file| folder.join(file)).into_iter().find(|path| path.is_file())
}
