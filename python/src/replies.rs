//! Replies of a device.

use macula::link::{Class, Client, Neighbour as LinkNeighbour, Verdict};
use pyo3::prelude::*;

use crate::error::Failure;

/// Names of the classes of a device.
pub struct Names(Vec<Class>);

impl Names {
    /// Asks the device.
    pub fn of(client: &mut Client<'_>) -> Result<Self, Failure> {
        Ok(Self(client.classes()?))
    }

    /// The name of the class in `slot`.
    pub fn name(&self, slot: u8) -> String {
        let class = self.0.iter().find(|class| class.slot == slot);
        class.map_or_else(|| format!("class in slot {slot}"), |class| class.name.clone())
    }

    /// The slot of the class `name`.
    pub fn slot(&self, name: &str) -> Result<u8, Failure> {
        let found = self.0.iter().find(|class| class.name == name);
        let known = || self.0.iter().map(|class| class.name.as_str()).collect::<Vec<_>>().join(", ");
        found
            .map(|class| class.slot)
            .ok_or_else(|| Failure::input(format!("the device has no class '{name}'; its classes are: {}", known())))
    }

    /// Names and numbers of samples, in the order of slots.
    pub fn into_counts(self) -> Vec<(String, u32)> {
        self.0.into_iter().map(|class| (class.name, class.supports)).collect()
    }
}

/// A sample of a device that is near an image.
#[pyclass(module = "macula", frozen, get_all, eq)]
#[derive(Clone, PartialEq)]
pub struct Neighbour {
    /// Its class.
    label: String,
    /// Cosine similarity, -1 to 1.
    similarity: f32,
    /// First 16 bytes of the SHA-256 of its pixels, in hexadecimal.
    source: String,
    /// Number of the operator who taught it.
    operator: u32,
    /// When it was taught, in seconds since 1970; 0 if unknown.
    time_s: u64,
}

impl Neighbour {
    pub fn of(neighbour: &LinkNeighbour, names: &Names) -> Self {
        let LinkNeighbour { slot, from, similarity } = neighbour;
        let source = from.source.iter().map(|byte| format!("{byte:02x}")).collect();
        let (similarity, operator, time_s) = (*similarity, from.operator, from.time_s);
        Self { label: names.name(*slot), similarity, source, operator, time_s }
    }
}

#[pymethods]
impl Neighbour {
    fn __repr__(&self) -> String {
        format!("Neighbour('{}', similarity={:.3}, source='{}…')", self.label, self.similarity, &self.source[..8])
    }
}

/// What a device predicts for an image.
#[pyclass(module = "macula", frozen, get_all, eq)]
#[derive(Clone, PartialEq)]
pub struct Prediction {
    /// The most probable class.
    label: String,
    /// Its probability, 0 to 1. With a single class it is 1 and means nothing.
    probability: f32,
    /// Whether the image is like the samples; if not, the device says "I don't know".
    known: bool,
    /// Conformal prediction set: the classes that are plausible at the error rate.
    prediction_set: Vec<String>,
    /// Whether there are enough samples for the error rate; otherwise the set guarantees nothing.
    enough: bool,
    /// Samples per class that the error rate needs.
    shots_needed: u16,
    /// The nearest samples, nearest first.
    nearest: Vec<Neighbour>,
    /// Whether the image is positive at the operating point of the device; None without one.
    positive: Option<bool>,
}

impl Prediction {
    pub fn of(verdict: &Verdict, names: &Names) -> Self {
        Self {
            label: names.name(verdict.slot),
            probability: verdict.probability,
            known: verdict.known,
            prediction_set: verdict.set.iter().map(|&slot| names.name(slot)).collect(),
            enough: verdict.enough,
            shots_needed: verdict.shots_needed,
            nearest: verdict.nearest.iter().map(|neighbour| Neighbour::of(neighbour, names)).collect(),
            positive: verdict.positive(),
        }
    }
}

#[pymethods]
impl Prediction {
    fn __repr__(&self) -> String {
        let known = if self.known { "True" } else { "False" };
        format!("Prediction('{}', probability={:.3}, known={known})", self.label, self.probability)
    }
}
