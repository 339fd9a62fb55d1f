//! The head of a device as weights and biases, which other programs can compute.
//!
//! C classes that have samples, D feature dimensions.

use macula_edge::feature::UNIT;
use macula_edge::head::{Head, HeadError, HeadKind};
use macula_edge::support_set::Supports;

use crate::encoder::CorpusStatistics;

/// Version of the JSON form of [`LinearHead`].
pub const HEAD_FORMAT_VERSION: u32 = 1;

/// The computation in words, for readers of the file.
const FEATURE: &str = "z = (feature - mean) / std, where std is 0 feature - mean, without a corpus the feature itself; \
                       q = round(unit * z / |z|), halves to even; score = weights q + biases; softmax of the scores";

/// A class of a head.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HeadClass {
    /// Slot on the device.
    pub slot: u8,
    /// Name.
    pub name: String,
    /// Number of samples.
    pub samples: usize,
}

/// A linear head on quantised features, `score_c = w_c · q + b_c`, followed by a softmax. Every kind of head has this form.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LinearHead {
    /// [`HEAD_FORMAT_VERSION`].
    pub format: u32,
    /// `auto`, `prototype`, `gaussian` or `logistic`.
    pub head: String,
    /// Identity of the encoder, in hexadecimal.
    pub encoder_identity: String,
    /// SHA-256 of the device's state, in hexadecimal.
    pub state_sha256: String,
    /// The computation in words.
    pub feature: String,
    /// The length of a quantised feature, 32767.
    pub unit: i16,
    /// Statistics that features are centred and scaled by, where measured.
    pub corpus: Option<CorpusStatistics>,
    /// The classes, in the order of the rows.
    pub classes: Vec<HeadClass>,
    /// `[C, D]`.
    pub weights: Vec<Vec<f64>>,
    /// `[C]`.
    pub biases: Vec<f64>,
}

/// The device that a head comes from.
pub struct HeadSource<'a> {
    /// Slot and name of each class of the device.
    pub classes: &'a [(u8, String)],
    /// Class slots of the device.
    pub slots: usize,
    /// Identity of its encoder.
    pub encoder_identity: [u8; 16],
    /// SHA-256 of its state.
    pub state_sha256: [u8; 32],
    /// Corpus statistics of its encoder.
    pub corpus: Option<&'a CorpusStatistics>,
}

impl LinearHead {
    /// Fits the head of a device with these supports, with the device's own code. Classes without samples are left out: the
    /// device never predicts them.
    ///
    /// # Errors
    /// When there are no supports, or the head cannot be solved.
    pub fn solve(kind: HeadKind, supports: Supports<'_>, source: &HeadSource<'_>) -> Result<Self, HeadError> {
        let mut scratch = vec![0.0; Head::scratch_len(supports.dim, source.slots, supports.len())];
        let head = Head::fit(kind, supports, source.slots, &mut scratch)?;
        let samples = |slot: u8| supports.records.iter().filter(|record| record.class == slot).count();
        let classes = source.classes.iter().map(|(slot, name)| (*slot, name, samples(*slot)));
        let classes: Vec<HeadClass> = classes
            .filter(|(.., samples)| *samples > 0)
            .map(|(slot, name, samples)| HeadClass { slot, name: name.clone(), samples })
            .collect();
        let row = |class: &HeadClass| head.weights()[usize::from(class.slot) * supports.dim..][..supports.dim].to_vec();
        Ok(Self {
            format: HEAD_FORMAT_VERSION,
            head: kind.name().to_owned(),
            encoder_identity: base16ct::lower::encode_string(&source.encoder_identity),
            state_sha256: base16ct::lower::encode_string(&source.state_sha256),
            feature: FEATURE.to_owned(),
            unit: UNIT,
            corpus: source.corpus.cloned(),
            weights: classes.iter().map(row).collect(),
            biases: classes.iter().map(|class| head.biases()[usize::from(class.slot)]).collect(),
            classes,
        })
    }

    /// Dimensions of a feature, D.
    pub fn dim(&self) -> usize {
        self.weights.first().map_or(0, Vec::len)
    }
}
