//! A model whose weights lie in a file beside it, as PyTorch's newer exporter writes it, made one file.

use std::path::{Component, Path};

use super::error::RuntimeError;
use super::model_file::{self, pb};

/// The bytes of the ONNX file at `path`, with the weights that it keeps in other files of its folder.
///
/// A file that is whole by itself is given as it is, byte for byte.
///
/// # Errors
/// A file that is no model, or weights that cannot be read, or lie outside of its folder.
pub fn self_contained(path: &Path) -> Result<Vec<u8>, RuntimeError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| RuntimeError::Read { path: name.clone(), source })?;
    let mut model = model_file::decode(&bytes, &name)?;
    let tensors = model.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
    let mut is_whole = true;
    for tensor in tensors.filter(|tensor| is_external(tensor)) {
        is_whole = false;
        take_in(tensor, path.parent().unwrap_or(Path::new("")))
            .map_err(|message| RuntimeError::Malformed { path: name.clone(), message })?;
    }
    Ok(if is_whole { bytes } else { model_file::encode(&model) })
}

fn is_external(tensor: &pb::TensorProto) -> bool {
    tensor.data_location == Some(pb::tensor_proto::DataLocation::External as i32)
}

fn take_in(tensor: &mut pb::TensorProto, folder: &Path) -> Result<(), String> {
    let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let location = entry("location").ok_or_else(|| format!("nobody says where the weights '{}' lie", tensor.name))?;
    if !Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(format!("its weights lie outside of its folder, in '{location}'"));
    }
    let number = |key: &str| match entry(key).map(|value| value.parse::<usize>()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(format!("the {key} of the weights '{}' is no number", tensor.name)),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let weights = std::fs::read(folder.join(location))
        .map_err(|error| format!("its weights in '{location}' cannot be read: {error}"))?;
    let end = length.map_or(Some(weights.len()), |length| offset.checked_add(length));
    let found = end.and_then(|end| weights.get(offset..end));
    let found = found.ok_or_else(|| format!("'{location}' ends before the weights '{}'", tensor.name))?;
    tensor.raw_data = found.to_vec();
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}
