//! From a name to an encoder.

use std::path::Path;

use super::fitted::{EncoderInput, fixed_recipe};
use super::resolve::Found;
use super::tiles::{split, tiled_name};
use super::{OpenError, Stated};
use crate::blob::BlobFile;
use crate::bundle::{Bundle, PublicKey};
use crate::data::Preprocessing;
use crate::encoder::{HostEncoder, InputShape, TiledEncoder};
use crate::evaluate::{ColourStatistics, RawPixels};
use crate::isolated::OnnxHost;

/// Options for [`open`].
#[derive(Clone, Default)]
pub struct OpenOptions<'o> {
    /// Where ONNX encoders run.
    pub host: OnnxHost,
    /// Public keys whose bundles are trusted.
    pub trusted: &'o [PublicKey],
    /// Preprocessing of an ONNX file that does not state its own.
    pub stated: Option<&'o Stated>,
    /// The images that baselines are fitted to. Without images, raw-pixels and colour-statistics have fixed
    /// preprocessing, and a random encoder is refused.
    pub fit: Option<EncoderInput<'o>>,
    /// Opens a random encoder without images at its default input, to measure its speed.
    pub uncalibrated: bool,
    /// Seed for the weights of a random encoder.
    pub seed: u64,
}

/// An opened encoder.
pub struct Opened {
    /// The encoder.
    pub encoder: Box<dyn HostEncoder>,
    /// Finds the encoder again: an absolute path, or a name that is no path.
    pub name: String,
    /// The preprocessing that the user stated, if the encoder has none of its own.
    pub stated: Option<Preprocessing>,
}

impl Opened {
    fn named(name: &str, encoder: impl HostEncoder + 'static) -> Self {
        Self { encoder: Box::new(encoder), name: name.to_owned(), stated: None }
    }
}

/// Opens the encoder `name`.
///
/// # Errors
/// When the name is unknown, the encoder cannot be read or is refused, or preprocessing is missing or does not fit.
pub fn open(name: &str, options: &OpenOptions<'_>) -> Result<Opened, OpenError> {
    if let Some((spec, name)) = split(name)? {
        let Opened { encoder, name, stated } = open(name, options)?;
        let name = tiled_name(&spec, &name);
        return Ok(Opened { encoder: Box::new(TiledEncoder::new(encoder, spec)), name, stated });
    }
    let found = Found::of(name)?;
    if options.stated.is_some() && !matches!(found, Found::Onnx(_)) {
        return Err(OpenError::OwnPreprocessing { name: name.to_owned() });
    }
    let recipe = |channels| options.fit.map_or_else(|| Ok(fixed_recipe(channels)), |input| input.preprocessing());
    match found {
        Found::RawPixels => Ok(Opened::named(name, RawPixels::new(recipe(1)?))),
        Found::ColourStatistics => Ok(Opened::named(name, ColourStatistics::new(recipe(3)?))),
        Found::Random(preset) => open_random(name, &preset, options),
        Found::Shipped => open_trained(name),
        Found::Run => Ok(Opened { name: absolute(name)?, ..open_trained(name)? }),
        Found::Onnx(path) => open_onnx(&path, options.stated, &options.host),
        Found::Bundle => open_bundle(name, options.trusted, &options.host),
        Found::Blob => open_blob(name),
    }
}

fn open_bundle(name: &str, trusted: &[PublicKey], host: &OnnxHost) -> Result<Opened, OpenError> {
    let bundle = Bundle::open(Path::new(name), trusted)?;
    let (encoder, _) = bundle.encoder_on(host)?;
    Ok(Opened::named(&absolute(name)?, encoder))
}

fn open_blob(name: &str) -> Result<Opened, OpenError> {
    Ok(Opened::named(&absolute(name)?, BlobFile::open(Path::new(name))?))
}

#[cfg(feature = "onnx")]
fn open_onnx(path: &Path, stated: Option<&Stated>, host: &OnnxHost) -> Result<Opened, OpenError> {
    use crate::files::{MODEL_MAX, read_bounded};
    use crate::runtime::{OpenOptions, RuntimeError, decode};

    let name = path.display().to_string();
    let bytes = read_bounded(path, MODEL_MAX)
        .map_err(|error| RuntimeError::Read { path: name.clone(), source: error.source })?;
    let model = decode(&bytes, &name)?;
    let (recipe, is_stated) = preprocessing_of(&model, &name, stated)?;
    let preprocessing = is_stated.then_some(recipe);
    let options = OpenOptions { preprocessing: preprocessing.clone(), ..OpenOptions::default() };
    let encoder = host.open_decoded(host.runtime(), &name, Some(path), &bytes, model, &options)?;
    Ok(Opened { stated: preprocessing, ..Opened::named(&absolute(&name)?, encoder) })
}

/// The preprocessing of the ONNX file `model`, and whether it is the stated one rather than the file's own.
///
/// # Errors
/// When the file is not an encoder, neither it nor the user states preprocessing, or the stated preprocessing does not fit
/// or differs from the file's own.
#[cfg(feature = "onnx")]
pub fn preprocessing_of(
    model: &crate::runtime::pb::ModelProto,
    name: &str,
    stated: Option<&Stated>,
) -> Result<(Preprocessing, bool), OpenError> {
    use super::stated::DeclaredInput;

    let name = name.to_owned();
    let declared = crate::runtime::Declared::of(model, &name)?;
    let input = DeclaredInput {
        channels: declared.channels,
        size: declared.height.zip(declared.width),
        layout: declared.layout,
    };
    let resolved = stated.map(|stated| stated.resolve(input)).transpose();
    let resolved = resolved.map_err(|source| OpenError::Stated { name: name.clone(), source })?;
    match (declared.preprocessing, resolved) {
        (None, None) => Err(OpenError::Unstated { name }),
        (None, Some(stated)) => Ok((stated, true)),
        (Some(own), Some(stated)) if own != stated => Err(OpenError::OwnPreprocessing { name }),
        (Some(own), _) => Ok((own, false)),
    }
}

#[cfg(not(feature = "onnx"))]
fn open_onnx(path: &Path, _: Option<&Stated>, _: &OnnxHost) -> Result<Opened, OpenError> {
    let lacks = "this program was built without ONNX: build with `--features onnx`";
    Err(OpenError::Unsupported { name: path.display().to_string(), lacks })
}

/// The build for devices has no training core to run networks in f32.
#[cfg(not(feature = "host"))]
const DEVICE_LACKS: &str = "this build is for devices and takes FILE.macula, FILE.onnx, FILE.blob, an export's folder, raw-pixels or colour-statistics";

/// Opens a run or a shipped model.
#[cfg(feature = "host")]
fn open_trained(name: &str) -> Result<Opened, OpenError> {
    Ok(Opened::named(name, crate::pretrain::Run::load(Path::new(name))?))
}

#[cfg(not(feature = "host"))]
fn open_trained(name: &str) -> Result<Opened, OpenError> {
    Err(OpenError::Unsupported { name: name.to_owned(), lacks: DEVICE_LACKS })
}

#[cfg(feature = "host")]
fn open_random(name: &str, preset: &str, options: &OpenOptions<'_>) -> Result<Opened, OpenError> {
    use crate::evaluate::{EvaluateError, RandomEncoder};
    let preset = preset.parse().map_err(EvaluateError::from)?;
    let encoder = match options.fit {
        Some(input) => {
            RandomEncoder::new(preset, input.preprocessing()?, input.dataset, input.unlabelled, options.seed)
        }
        None if options.uncalibrated => RandomEncoder::uncalibrated(preset, options.seed),
        None => return Err(OpenError::Unfitted { name: name.to_owned() }),
    };
    Ok(Opened::named(name, encoder?))
}

#[cfg(not(feature = "host"))]
fn open_random(name: &str, _: &str, _: &OpenOptions<'_>) -> Result<Opened, OpenError> {
    Err(OpenError::Unsupported { name: name.to_owned(), lacks: DEVICE_LACKS })
}

/// The absolute path, for a store to record, with the requested input after it.
fn absolute(name: &str) -> Result<String, OpenError> {
    let split = InputShape::split_from(name).filter(|_| !Path::new(name).exists());
    let file = split.map_or(name, |(file, _)| file);
    let path = std::fs::canonicalize(file).map_err(|source| OpenError::Read { name: name.to_owned(), source })?;
    let path = path.to_string_lossy().into_owned();
    Ok(split.map_or(path.clone(), |(_, input)| format!("{path}@{input}")))
}
