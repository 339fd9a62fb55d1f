//! An ONNX file that was read: what it says of itself, checked, before anything runs it.

use std::collections::HashSet;
use std::path::Path;

use super::arithmetic::Arithmetic;
use super::error::RuntimeError;
use super::external::Files;
use super::metadata::{Metadata, Provenance, check_preprocessing};
use super::model_file::{self, DeclaredInput, ElementType, pb};
use crate::data::{Preprocessing, ResizeFilter};
use crate::encoder::{CorpusStatistics, EncoderId, HostEncoderInfo, IdHash, Layout};

/// Options for opening a file.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Replaces the file's own preprocessing, if it has any.
    pub preprocessing: Option<Preprocessing>,
    /// Replaces the choice for the processor. Only f16 files have a choice.
    pub arithmetic: Option<Arithmetic>,
}

/// A file that was read.
pub struct OnnxFile {
    /// The model.
    pub model: pb::ModelProto,
    /// The input that it declares.
    pub(super) input: DeclaredInput,
    /// Facts about the encoder; the feature dimension is known once it is planned, and 0 here.
    pub info: HostEncoderInfo,
    /// The precision to compute in.
    pub arithmetic: Arithmetic,
    /// Whether preprocessing is assumed, because neither the file nor the options state it.
    pub preprocessing_is_assumed: bool,
    /// Its provenance, if Macula exported it.
    pub provenance: Option<Provenance>,
}

impl OnnxFile {
    /// Reads the ONNX file `bytes`; errors call it `name`, and `folder` holds files that it may keep its weights in.
    ///
    /// # Errors
    /// When it is not an encoder, or the preprocessing does not fit its input.
    pub fn read(name: &str, bytes: &[u8], folder: Option<&Path>, options: &OpenOptions) -> Result<Self, RuntimeError> {
        Self::of(model_file::decode(bytes, name)?, name, bytes, folder, options)
    }

    /// As [`Self::read`] of a file whose bytes are decoded already.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of(
        model: pb::ModelProto,
        name: &str,
        bytes: &[u8],
        folder: Option<&Path>,
        options: &OpenOptions,
    ) -> Result<Self, RuntimeError> {
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
        check_shape(&input, &preprocessing, name)?;
        let element = if holds_f16(graph) { ElementType::F16 } else { input.element };
        let arithmetic = match (element, options.arithmetic) {
            (ElementType::F16, Some(arithmetic @ (Arithmetic::F16 | Arithmetic::F16WidenedToF32))) => arithmetic,
            _ => Arithmetic::suited_to(element),
        };
        let id = identity(bytes, graph, folder, options.preprocessing.as_ref(), name)?;
        let (corpus, provenance) = metadata.map_or((None, None), |m| (m.corpus, Some(m.provenance)));
        let (name, arithmetic_name) = (name.to_owned(), arithmetic.to_string());
        let info = HostEncoderInfo { name, id, feature_dim: 0, preprocessing, corpus, arithmetic: arithmetic_name };
        Ok(Self { model, input, info, arithmetic, preprocessing_is_assumed, provenance })
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
    /// Reads the declaration of `model`; errors call the file `name`.
    ///
    /// # Errors
    /// When the input is not an image, or the metadata is invalid.
    pub fn of(model: &pb::ModelProto, name: &str) -> Result<Self, RuntimeError> {
        let no_graph = pb::GraphProto::default();
        let graph = model.graph.as_ref().unwrap_or(&no_graph);
        let DeclaredInput { channels, height, width, layout, .. } = model_file::image_input(graph, name)?;
        let preprocessing = Metadata::read_from(model, name)?.map(|metadata| metadata.preprocessing);
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

/// Checks channels, height and width of the images against the declared input.
fn check_shape(input: &DeclaredInput, preprocessing: &Preprocessing, path: &str) -> Result<(), RuntimeError> {
    check_preprocessing(preprocessing).map_err(|message| RuntimeError::Metadata {
        path: path.to_owned(),
        key: "macula.preprocessing",
        message,
    })?;
    let Preprocessing { channels, height, width, .. } = *preprocessing;
    let given = [channels, height, width];
    let model = [input.channels, input.height.unwrap_or(height), input.width.unwrap_or(width)];
    if model == given {
        return Ok(());
    }
    Err(RuntimeError::InputMismatch { path: path.to_owned(), model, given })
}

/// Checks that statistics fit features of `dim` dimensions; errors call the file `path`.
///
/// # Errors
/// When they do not.
pub fn check_corpus(corpus: Option<&CorpusStatistics>, dim: usize, path: &str) -> Result<(), RuntimeError> {
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
