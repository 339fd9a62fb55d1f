//! Small valid inputs of every target: the seeds from which its corpus begins.

mod data; //      data sets
mod device; //    what reaches a device
mod encoders; //  encoders and bundles
mod images; //    image files

pub use images::png;

/// The seeds of a target, each with a name; none for a name that is no target's.
///
/// # Panics
/// When one cannot be made, which depends on nothing outside.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let named = |seeds: &[(&str, Vec<u8>)]| seeds.iter().map(|(name, seed)| (name.to_string(), seed.clone())).collect();
    match target {
        "image" => images::images(),
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

/// Inputs of a target that once ended the program or gave wrong values, each with a name that says what it is.
pub fn regressions(target: &str) -> Vec<(String, Vec<u8>)> {
    let named = |seeds: &[(&str, Vec<u8>)]| seeds.iter().map(|(name, seed)| (name.to_string(), seed.clone())).collect();
    match target {
        "graph" => named(&encoders::bad_graphs()),
        "store" => named(&device::bad_stores()),
        _ => Vec::new(),
    }
}
