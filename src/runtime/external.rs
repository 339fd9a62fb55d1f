//! Weights in files beside the model, as PyTorch's newer exporter writes them.

use std::path::{Component, Path, PathBuf};

use super::error::RuntimeError;
use super::limits;
use super::model_file::{self, pb};

/// The ONNX file at `path` with all weights in it. A file without external weights is returned byte for byte.
///
/// # Errors
/// When the file is not a model, or weights cannot be read or lie outside its folder.
pub fn self_contained(path: &Path) -> Result<Vec<u8>, RuntimeError> {
    let name = path.display().to_string();
    let bytes = limits::read_file(path)?;
    let mut model = model_file::decode(&bytes, &name)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let moved = take_in(&mut model, Some(folder), &name)?;
    Ok(if moved { model_file::encode(&model) } else { bytes })
}

/// Reads external weights into `model`; returns whether there were any.
///
/// # Errors
/// When weights cannot be read or lie outside `folder`, or there are external weights but no folder.
pub(super) fn take_in(model: &mut pb::ModelProto, folder: Option<&Path>, path: &str) -> Result<bool, RuntimeError> {
    let fail = |message| RuntimeError::Malformed { path: path.to_owned(), message };
    let tensors = model.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
    let mut files = Files::beside(folder);
    let (mut moved, mut total) = (false, 0u64);
    for tensor in tensors.filter(|tensor| is_external(tensor)) {
        moved = true;
        let weights = weights(tensor, &mut files).map_err(fail)?;
        total = total.saturating_add(weights.len() as u64);
        limits::at_most(path, "bytes of weights in other files", total, limits::FILE_BYTES_MAX)?;
        tensor.raw_data = weights;
        tensor.external_data.clear();
        tensor.data_location = None;
    }
    Ok(moved)
}

fn is_external(tensor: &pb::TensorProto) -> bool {
    tensor.data_location == Some(pb::tensor_proto::DataLocation::External as i32)
}

fn weights(tensor: &pb::TensorProto, files: &mut Files) -> Result<Vec<u8>, String> {
    let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let location = entry("location").ok_or_else(|| format!("the external weights '{}' name no file", tensor.name))?;
    let number = |key: &str| match entry(key).map(|value| value.parse::<usize>()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(format!("the {key} of the weights '{}' is not a number", tensor.name)),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let bytes = files.read(location)?;
    let end = length.map_or(Some(bytes.len()), |length| offset.checked_add(length));
    let found = end.and_then(|end| bytes.get(offset..end));
    let found = found.ok_or_else(|| format!("'{location}' ends before the weights '{}'", tensor.name))?;
    Ok(found.to_vec())
}

/// Files in the folder of a model. The last one is cached, because the weights mostly lie in one file.
pub(super) struct Files {
    folder: Option<PathBuf>,
    last: Option<(String, Vec<u8>)>,
}

impl Files {
    /// The files of `folder`; without a folder, every file is refused.
    pub(super) fn beside(folder: Option<&Path>) -> Self {
        Self { folder: folder.map(Path::to_path_buf), last: None }
    }

    /// The bytes of the file at `location` within the folder.
    pub(super) fn read(&mut self, location: &str) -> Result<&[u8], String> {
        if self.last.as_ref().is_none_or(|(name, _)| name != location) {
            self.last = None;
            let path = self.path_of(location)?;
            let bytes = limits::read_file(&path)
                .map_err(|error| format!("its weights in '{location}' cannot be read: {error}"))?;
            self.last = Some((location.to_owned(), bytes));
        }
        Ok(self.last.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    fn path_of(&self, location: &str) -> Result<PathBuf, String> {
        let Some(folder) = &self.folder else {
            return Err(format!("its weights lie in another file, '{location}'"));
        };
        let outside = || format!("its weights lie outside its folder, in '{location}'");
        if !Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(outside());
        }
        let unreadable = |error| format!("its weights in '{location}' cannot be read: {error}");
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let path = folder.join(location).canonicalize().map_err(unreadable)?;
        // A symbolic link may lead outside.
        if path.starts_with(folder.canonicalize().map_err(unreadable)?) { Ok(path) } else { Err(outside()) }
    }
}
