//! Replies of devices that own their memory.

use macula_edge::head::{Head, HeadError, HeadKind};
use macula_edge::protocol::message::{self, HelloReply, StatePart};
use macula_edge::support_set::{SourceId, SupportRecord, Supports};

pub use macula_edge::protocol::message::{
    BundleReport, Candidate, CandidateState, Decision, OperatingPoint, OperatingPointReport, Outcome, RollbackReason,
    SelfTest, Status, Target, TestResult, Threshold, Wear,
};

/// A device and its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name of its program.
    pub program: String,
    /// Version of that program.
    pub program_version: String,
    /// Identity of its encoder.
    pub identity: [u8; 16],
    /// Feature dimensions D.
    pub dim: usize,
    /// Class slots.
    pub classes: usize,
    /// Places for supports.
    pub supports: usize,
    /// Bytes of the longest message.
    pub message_max: usize,
    /// Bytes of the largest image; 0 when it takes features only.
    pub image_bytes_max: usize,
    /// Channels of its encoder's input; 0 when it takes features only.
    pub channels: usize,
    /// Bytes of the largest bundle; 0 when it accepts none.
    pub bundle_bytes_max: usize,
}

/// Identity of a device that accepts features of any encoder.
const ANY_FEATURES: [u8; 16] = *b"features only\0\0\0";

impl DeviceInfo {
    /// Whether the device accepts features of the encoder with this short identity.
    pub fn accepts_features_of(&self, encoder: [u8; 16]) -> bool {
        self.identity == encoder || self.identity == ANY_FEATURES
    }
}

impl DeviceInfo {
    pub(super) fn of(hello: &HelloReply<'_>) -> Self {
        Self {
            program: hello.program.to_owned(),
            program_version: hello.program_version.to_owned(),
            identity: hello.identity,
            dim: hello.dim.into(),
            classes: hello.classes.into(),
            supports: hello.supports as usize,
            message_max: hello.message_max as usize,
            image_bytes_max: hello.image_bytes_max as usize,
            channels: hello.channels.into(),
            bundle_bytes_max: hello.bundle_bytes_max as usize,
        }
    }
}

/// A quantised feature of length 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// `[D]` of `i16`, little-endian.
    pub values: Vec<u8>,
    /// The length before quantisation, in 256ths, if the encoder knows its corpus.
    pub length: Option<u16>,
}

impl Feature {
    /// Its values, `[D]`.
    pub fn quantised(&self) -> Vec<i16> {
        quantised(&self.values).collect()
    }
}

/// Little-endian `i16` values.
fn quantised(bytes: &[u8]) -> impl Iterator<Item = i16> + '_ {
    bytes.as_chunks::<2>().0.iter().map(|&bytes| i16::from_le_bytes(bytes))
}

/// A class of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its slot.
    pub slot: u8,
    /// Its name.
    pub name: String,
    /// Its supports.
    pub supports: u32,
}

/// The provenance of a support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Its source, of an image as in `docs/protocol.md`.
    pub source: SourceId,
    /// Number of the operator who taught it.
    pub operator: u32,
    /// Time in seconds since 1970; 0 unknown.
    pub time_s: u64,
}

impl Provenance {
    pub(super) fn of(source: SourceId, record: &message::Provenance) -> Self {
        Self { source, operator: record.operator, time_s: record.time_s }
    }
}

/// The result of learning a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The slot of its class.
    pub slot: u8,
    /// `false` when the device had the support already; nothing has changed then.
    pub new: bool,
    /// Supports of its class now.
    pub supports: u32,
}

/// A support and its similarity to a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// The slot of its class.
    pub slot: u8,
    /// Its provenance.
    pub from: Provenance,
    /// Cosine similarity, -1 to 1.
    pub similarity: f32,
}

impl Neighbour {
    pub(super) fn of(neighbour: &message::Neighbour) -> Self {
        let message::Neighbour { source, provenance, similarity } = *neighbour;
        Self { slot: provenance.class, from: Provenance::of(source, &provenance), similarity }
    }
}

/// A prediction and its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The head that decided: 1 prototype, 2 Gaussian, 3 softmax regression.
    pub head: u8,
    /// The slot of the most probable class.
    pub slot: u8,
    /// Its probability, 0 to 1. With a single class it is always 1 and means nothing.
    pub probability: f32,
    /// The conformal prediction set at the requested error rate, as slots.
    pub set: Vec<u8>,
    /// Whether the sample is in distribution: similar to the supports or the corpus.
    pub known: bool,
    /// Whether there are enough shots for the requested error rate; otherwise `set` guarantees nothing.
    pub enough: bool,
    /// Shots per class that the requested error rate needs.
    pub shots_needed: u16,
    /// The nearest supports, nearest first.
    pub nearest: Vec<Neighbour>,
    /// The operating point that was applied, if the request or the device has one.
    pub point: Option<OperatingPointReport>,
    /// The decision at it; none while it has no threshold.
    pub decision: Option<Decision>,
}

impl Verdict {
    pub(super) fn of(prediction: &message::Prediction<'_>) -> Self {
        let holds = |slot: &u8| {
            let byte = prediction.set.get(usize::from(slot / 8)).copied().unwrap_or(0);
            byte >> (slot % 8) & 1 == 1
        };
        Self {
            head: prediction.head,
            slot: prediction.class,
            probability: prediction.probability,
            set: (0..=u8::MAX).filter(holds).collect(),
            known: prediction.known,
            enough: prediction.enough,
            shots_needed: prediction.shots_needed,
            nearest: prediction.nearest.iter().flatten().map(Neighbour::of).collect(),
            point: None,
            decision: None,
        }
    }

    /// Whether the sample is positive at the operating point; none for a sample that is out of distribution.
    pub fn positive(&self) -> Option<bool> {
        self.decision.filter(|_| self.known).map(|decision| decision.positive)
    }
}

/// A rollback reason as text.
pub fn rollback_reason(why: u8) -> String {
    RollbackReason::from_repr(why)
        .map_or_else(|| format!("reason {why}"), |rollback_reason| rollback_reason.to_string())
}

/// A support with its feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// The slot of its class.
    pub slot: u8,
    /// Its provenance.
    pub from: Provenance,
    /// The quantised feature, `[D]` of `i16`, little-endian.
    pub feature: Vec<u8>,
}

/// The state of a device: its classes and supports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceState {
    /// Slots and names of its classes, in the order of slots.
    pub classes: Vec<(u8, String)>,
    /// Its supports, in the order of their sources.
    pub supports: Vec<Support>,
    /// SHA-256 of the canonical state.
    pub sha256: [u8; 32],
}

impl DeviceState {
    /// Records and features `[n, D]` of its supports, as heads take them.
    pub fn taught(&self) -> (Vec<SupportRecord>, Vec<i16>) {
        let record = |support: &Support| SupportRecord {
            source: support.from.source,
            class: support.slot,
            operator: support.from.operator,
            time_s: support.from.time_s,
        };
        let features = self.supports.iter().flat_map(|support| quantised(&support.feature));
        (self.supports.iter().map(record).collect(), features.collect())
    }

    /// The head of the device, solved here with the device's own code, so that its results are the same bytes.
    ///
    /// * `scratch`: any memory, made to fit
    ///
    /// # Errors
    /// When there are no supports, or the head cannot be solved.
    pub fn head<'w>(
        &self,
        kind: HeadKind,
        device: &DeviceInfo,
        scratch: &'w mut Vec<f64>,
    ) -> Result<Head<'w>, HeadError> {
        let (records, features) = self.taught();
        let supports = Supports { dim: device.dim, records: &records, features: &features };
        scratch.resize(Head::scratch_len(device.dim, device.classes, supports.len()), 0.0);
        Head::fit(kind, supports, device.classes, scratch)
    }

    /// Adds one part; `true` at the end.
    pub(super) fn take(&mut self, part: &StatePart<'_>) -> bool {
        match *part {
            StatePart::Class { class, name } => self.classes.push((class, name.to_owned())),
            StatePart::Support { source, provenance, feature } => self.supports.push(Support {
                slot: provenance.class,
                from: Provenance::of(source, &provenance),
                feature: feature.to_vec(),
            }),
            StatePart::End { sha256 } => {
                self.sha256 = sha256;
                return true;
            }
        }
        false
    }

    /// The name of the class in `slot`.
    pub fn name(&self, slot: u8) -> Option<&str> {
        self.classes.iter().find(|(known, _)| *known == slot).map(|(_, name)| name.as_str())
    }
}
