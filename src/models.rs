//! Pretrained encoders shipped with the program, trained by it on open data.
//!
//! `models/NAME/` has the checkpoint without training state, the ONNX file, and the model card with data, method and figures.
//! A name is accepted wherever a run folder is.

/// A shipped encoder.
#[derive(Clone, Copy)]
pub struct Model {
    /// Name.
    pub name: &'static str,
    /// Purpose, in one line.
    pub summary: &'static str,
    /// Checkpoint: a safetensors file as in a run folder.
    pub checkpoint: &'static [u8],
    /// Model card: data, licences, method, seed, command, time, figures, limits.
    pub card: &'static str,
}

#[cfg(feature = "host")]
macro_rules! model {
    ($name:literal, $summary:literal) => {
        Model {
            name: $name,
            summary: $summary,
            checkpoint: include_bytes!(concat!("../models/", $name, "/encoder.safetensors")),
            card: include_str!(concat!("../models/", $name, "/CARD.md")),
        }
    };
}

/// No models: a device's program gets its encoder in a bundle.
#[cfg(not(feature = "host"))]
pub const MODELS: &[Model] = &[];

/// All shipped encoders.
#[cfg(feature = "host")]
pub const MODELS: &[Model] = &[
    model!("grey-64", "grey images of up to 100 pixels"),
    model!("colour-64", "colour images of up to 100 pixels"),
    model!("grey-128", "larger grey images; four times the cost of grey-64"),
    model!("colour-128", "larger colour images; four times the cost of colour-64"),
];

/// The encoder called `name`.
pub fn find(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}

/// The names, separated by commas.
pub fn names() -> String {
    MODELS.iter().map(|model| model.name).collect::<Vec<_>>().join(", ")
}
