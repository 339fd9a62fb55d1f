//! An ONNX file as an encoder: exported by Macula, or foreign with one image in and one vector out.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::arithmetic::Arithmetic;
use super::error::RuntimeError;
use super::external::{self, Files};
use super::limits;
use super::metadata::{Metadata, Provenance, check_preprocessing};
use super::model_file::{self, DeclaredInput, ElementType, pb};
use super::plan::Plan;
use crate::data::{Normaliser, Preprocessing, ResizeFilter};
use crate::encoder::{
    CorpusStatistics, EncodeError, EncoderId, HostEncoder, HostEncoderInfo, IdHash, Layout, encode_each,
};

/// Options for opening a file.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Replaces the file's own preprocessing, if it has any.
    pub preprocessing: Option<Preprocessing>,
    /// Replaces the choice for the processor. Only f16 files have a choice.
    pub arithmetic: Option<Arithmetic>,
}

/// An ONNX encoder, run by tract.
pub struct OnnxEncoder {
    info: HostEncoderInfo,
    normaliser: Normaliser,
    plan: Plan,
    arithmetic: Arithmetic,
    preprocessing_is_assumed: bool,
    provenance: Option<Provenance>,
}

impl OnnxEncoder {
    /// Opens the ONNX file at `path`.
    ///
    /// A file without preprocessing in its metadata is assumed to take values from -1 to 1 (mean 0.5 and std 0.5 per
    /// channel): see [`Self::preprocessing_is_assumed`] and [`Self::open_with`].
    ///
    /// # Errors
    /// When the file is not an encoder; see [`RuntimeError`].
    pub fn open(path: &Path) -> Result<Self, RuntimeError> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// Opens the ONNX file at `path` with `options`.
    ///
    /// # Errors
    /// As [`Self::open`], and when the preprocessing does not fit the model's input.
    pub fn open_with(path: &Path, options: &OpenOptions) -> Result<Self, RuntimeError> {
        let name = path.display().to_string();
        let bytes = limits::read_file(path)?;
        let folder = path.parent().map_or(PathBuf::new(), Path::to_path_buf);
        Self::load(&name, &bytes, Some(&folder), options)
    }

    /// Opens the ONNX file `bytes`; errors call it `name`.
    ///
    /// # Errors
    /// As [`Self::open_with`].
    pub fn from_bytes(name: &str, bytes: &[u8], options: &OpenOptions) -> Result<Self, RuntimeError> {
        Self::load(name, bytes, None, options)
    }

    fn load(name: &str, bytes: &[u8], folder: Option<&Path>, options: &OpenOptions) -> Result<Self, RuntimeError> {
        let mut model = model_file::decode(bytes, name)?;
        let no_graph = pb::GraphProto::default();
        let graph = model.graph.as_ref().unwrap_or(&no_graph);
        let input = model_file::image_input(graph, name)?;
        model_file::vector_output(graph, name)?;
        let metadata = Metadata::read_from(&model, name)?;
        let declared = metadata.as_ref().map(|metadata| metadata.preprocessing.clone());
        let stated = options.preprocessing.clone().or(declared);
        let preprocessing_is_assumed = stated.is_none();
        let preprocessing = match stated {
            Some(preprocessing) => preprocessing,
            None => assumed_preprocessing(&input, name)?,
        };
        let shape = fitting_shape(&input, &preprocessing, name)?;
        let element = if holds_f16(graph) { ElementType::F16 } else { input.element };
        let arithmetic = match (element, options.arithmetic) {
            (ElementType::F16, Some(arithmetic @ (Arithmetic::F16 | Arithmetic::F16WidenedToF32))) => arithmetic,
            _ => Arithmetic::suited_to(element),
        };
        let id = identity(bytes, graph, folder, options.preprocessing.as_ref(), name)?;
        external::take_in(&mut model, folder, name)?;
        let plan = Plan::new(model, &input, shape, arithmetic, name)?;
        let (corpus, provenance) = metadata.map_or((None, None), |m| (m.corpus, Some(m.provenance)));
        check_corpus(corpus.as_ref(), plan.feature_dim(), name)?;
        let normaliser = preprocessing.normaliser();
        let (name, feature_dim) = (name.to_owned(), plan.feature_dim());
        let info = HostEncoderInfo { name, id, feature_dim, preprocessing, corpus, arithmetic: arithmetic.to_string() };
        Ok(Self { info, normaliser, plan, arithmetic, preprocessing_is_assumed, provenance })
    }

    /// Precision that it computes in.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Whether preprocessing is assumed, because neither the file nor the caller states it.
    pub fn preprocessing_is_assumed(&self) -> bool {
        self.preprocessing_is_assumed
    }

    /// Its provenance, if Macula exported it.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// Checks the size of the model's input.
    ///
    /// # Errors
    /// [`RuntimeError::InputMismatch`].
    pub fn require_input(&self, channels: usize, height: usize, width: usize) -> Result<(), RuntimeError> {
        let (model, given) = (self.plan.shape(), [channels, height, width]);
        if model == given {
            return Ok(());
        }
        Err(RuntimeError::InputMismatch { path: self.info.name.clone(), model, given })
    }

    /// Features `[N, D]` of N images that are normalised already, `[N, H, W, C]`.
    ///
    /// # Errors
    /// As [`HostEncoder::encode_batch`].
    pub fn encode_normalised(&self, input: &[f32]) -> Result<Vec<f32>, EncodeError> {
        encode_each(&self.info, input, |image, feature| self.plan.run(image, feature))
    }
}

impl HostEncoder for OnnxEncoder {
    fn info(&self) -> &HostEncoderInfo {
        &self.info
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        encode_each(&self.info, pixels, |image, feature| {
            let mut input = vec![0.0; image.len()];
            self.normaliser.fill(&mut input, image);
            self.plan.run(&input, feature)
        })
    }
}

/// The input that an ONNX file declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Channels, 1 or 3.
    pub channels: usize,
    /// Rows; `None` if the file leaves them open.
    pub height: Option<usize>,
    /// Columns; `None` if the file leaves them open.
    pub width: Option<usize>,
    /// Order of the dimensions.
    pub layout: Layout,
    /// Preprocessing, if Macula exported the file.
    pub preprocessing: Option<Preprocessing>,
}

impl Declared {
    /// Reads the declaration in `bytes`; errors call the file `name`.
    ///
    /// # Errors
    /// When `bytes` are not a model, the input is not an image, or the metadata is invalid.
    pub fn read(bytes: &[u8], name: &str) -> Result<Self, RuntimeError> {
        let model = model_file::decode(bytes, name)?;
        let no_graph = pb::GraphProto::default();
        let graph = model.graph.as_ref().unwrap_or(&no_graph);
        let DeclaredInput { channels, height, width, layout, .. } = model_file::image_input(graph, name)?;
        let preprocessing = Metadata::read_from(&model, name)?.map(|metadata| metadata.preprocessing);
        Ok(Self { channels, height, width, layout, preprocessing })
    }
}

fn assumed_preprocessing(input: &DeclaredInput, path: &str) -> Result<Preprocessing, RuntimeError> {
    let (Some(height), Some(width)) = (input.height, input.width) else {
        return Err(RuntimeError::OpenSize {
            path: path.to_owned(),
            name: input.name.clone(),
            found: model_file::describe(&[input.height, input.width]),
        });
    };
    let (mean, std) = (vec![0.5; input.channels], vec![0.5; input.channels]);
    Ok(Preprocessing {
        channels: input.channels,
        height,
        width,
        filter: ResizeFilter::Triangle,
        mean,
        std,
        range: None,
    })
}

/// Channels, height and width of the images, checked against the declared input.
fn fitting_shape(input: &DeclaredInput, preprocessing: &Preprocessing, path: &str) -> Result<[usize; 3], RuntimeError> {
    check_preprocessing(preprocessing).map_err(|message| RuntimeError::Metadata {
        path: path.to_owned(),
        key: "macula.preprocessing",
        message,
    })?;
    let Preprocessing { channels, height, width, .. } = *preprocessing;
    let given = [channels, height, width];
    let model = [input.channels, input.height.unwrap_or(height), input.width.unwrap_or(width)];
    if model == given {
        return Ok(given);
    }
    Err(RuntimeError::InputMismatch { path: path.to_owned(), model, given })
}

fn check_corpus(corpus: Option<&CorpusStatistics>, dim: usize, path: &str) -> Result<(), RuntimeError> {
    let Some(CorpusStatistics { mean, std, .. }) = corpus else { return Ok(()) };
    let sound =
        mean.iter().all(|value| value.is_finite()) && std.iter().all(|value| value.is_finite() && *value >= 0.0);
    let message = if mean.len() != dim || std.len() != dim {
        format!("has {} means and {} stds for features of {dim}", mean.len(), std.len())
    } else if !sound {
        "has a mean that is not finite, or a std that is not finite or is below 0".to_owned()
    } else {
        return Ok(());
    };
    Err(RuntimeError::Metadata { path: path.to_owned(), key: "macula.corpus", message })
}

fn holds_f16(graph: &pb::GraphProto) -> bool {
    graph.initializer.iter().any(|tensor| tensor.data_type == ElementType::F16.onnx())
}

/// The digest of the file, of the files that it keeps its weights in, in order of mention, and of preprocessing that the
/// file does not state itself.
fn identity(
    bytes: &[u8],
    graph: &pb::GraphProto,
    folder: Option<&Path>,
    preprocessing: Option<&Preprocessing>,
    path: &str,
) -> Result<EncoderId, RuntimeError> {
    let mut hash = IdHash::new(bytes);
    let mut seen: HashSet<&str> = HashSet::new();
    let mut files = Files::beside(folder);
    for entry in graph.initializer.iter().flat_map(|tensor| &tensor.external_data) {
        if entry.key == "location" && seen.insert(&entry.value) {
            let weights = files.read(&entry.value);
            hash = hash.bytes(weights.map_err(|message| RuntimeError::Malformed { path: path.to_owned(), message })?);
        }
    }
    Ok(preprocessing.into_iter().fold(hash, |hash, recipe| hash.preprocessing(recipe, "")).finish())
}
