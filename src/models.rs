//! Encoders that come with the program: trained by it on open data, to start from.
//!
//! `models/NAME/` holds each as a run's checkpoint without what only training needs, as ONNX, and with a card that says
//! what it was trained on, how, and what it is worth. A name stands wherever a run's folder may.

/// One of them.
#[derive(Clone, Copy)]
pub struct Model {
    /// What it is called.
    pub name: &'static str,
    /// What it is for, in a line.
    pub summary: &'static str,
    /// A safetensors file, as a run folder holds it.
    pub checkpoint: &'static [u8],
    /// Data, licences, method, seed, command, time, figures, limits.
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

/// All of them; none in a device's program, which is given its encoder in a bundle.
#[cfg(not(feature = "host"))]
pub const MODELS: &[Model] = &[];

/// All of them.
#[cfg(feature = "host")]
pub const MODELS: &[Model] = &[
    model!("grey-28", "grey images of 28 pixels: nano, SimCLR on x-rays and photographs"),
    model!("grey-64", "grey images of 64 pixels: nano, SimCLR on photographs, x-rays, ultrasound and blood smears"),
    model!("colour-32", "colour images of 32 pixels: nano, SimCLR on photographs and patches of the retina"),
];

/// The one called `name`.
pub fn find(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}

/// Their names, with commas between them.
pub fn names() -> String {
    MODELS.iter().map(|model| model.name).collect::<Vec<_>>().join(", ")
}
