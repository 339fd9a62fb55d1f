//! Small valid inputs of every target: the seeds of its corpus.

mod data; //      datasets
mod dicom; //     DICOM files
mod device; //    inputs of a device
mod encoders; //  encoders and bundles
mod images; //    image files

pub use images::png;

/// The named seeds of a target; none if there is no such target.
///
/// # Panics
/// If a seed cannot be made, which depends on nothing external.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let named = |seeds: &[(&str, Vec<u8>)]| seeds.iter().map(|(name, seed)| (name.to_string(), seed.clone())).collect();
    match target {
        "image" => images::images(),
        "dicom" => named(&dicom::files()),
        "resize" => named(&images::resizes()),
        "npz" => named(&data::npz()),
        "idx" => named(&data::idx()),
        "csv" => named(&data::csv()),
        "metadata" => named(&encoders::metadata()),
        "onnx" => named(&encoders::onnx()),
        "graph" => named(&encoders::graphs()),
        "bundle" => named(&encoders::bundles()),
        "blob" => named(&encoders::blobs()),
        "frame" => named(&device::frames()),
        "message" => device::messages(),
        "session" => named(&device::sessions()),
        "store" => named(&device::stores()),
        _ => Vec::new(),
    }
}

/// Inputs of a target that once caused a panic or wrong values, each with a descriptive name.
pub fn regressions(target: &str) -> Vec<(String, Vec<u8>)> {
    let named = |seeds: &[(&str, Vec<u8>)]| seeds.iter().map(|(name, seed)| (name.to_string(), seed.clone())).collect();
    match target {
        "graph" => named(&encoders::bad_graphs()),
        "store" => named(&device::bad_stores()),
        _ => Vec::new(),
    }
}
