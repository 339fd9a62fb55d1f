//! What devices answer, in memory of its own.

use macula_edge::protocol::message::{self, HelloReply, StatePart};
use macula_edge::support_set::{SourceId, SupportRecord};

pub use macula_edge::protocol::message::{
    BundleReport, Candidate, CandidateState, Outcome, RollbackReason, SelfTest, Status, TestResult, Wear,
};

/// Who a device is and what its limits are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The program that runs on it.
    pub program: String,
    /// That program's version.
    pub program_version: String,
    /// Fingerprint of its encoder.
    pub identity: [u8; 16],
    /// Feature dimensions D.
    pub dim: usize,
    /// Class slots.
    pub classes: usize,
    /// Places for supports.
    pub supports: usize,
    /// Bytes of the longest message.
    pub message_max: usize,
    /// Bytes of the largest image; 0 where it takes features only.
    pub image_bytes_max: usize,
    /// Channels that its encoder sees; 0 where it takes features only.
    pub channels: usize,
    /// Bytes of the largest bundle; 0 where it takes none.
    pub bundle_bytes_max: usize,
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
    /// The length that quantising took away, in 256ths, where the encoder knows its corpus.
    pub length: Option<u16>,
}

impl Feature {
    /// Its values, `[D]`.
    pub fn quantised(&self) -> Vec<i16> {
        quantised(&self.values).collect()
    }
}

/// `i16` of their bytes, little-endian.
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

/// Where a support came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// What it was made of: the first 16 bytes of the SHA-256 of its source.
    pub source: SourceId,
    /// Who taught it.
    pub operator: u32,
    /// When, in seconds since 1970; 0 unknown.
    pub time_s: u64,
}

impl Provenance {
    pub(super) fn of(source: SourceId, record: &message::Provenance) -> Self {
        Self { source, operator: record.operator, time_s: record.time_s }
    }
}

/// What learning a sample did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The slot of its class.
    pub slot: u8,
    /// `false` where the device knew it already; nothing has changed then.
    pub new: bool,
    /// Supports of its class now.
    pub supports: u32,
}

/// A support and how like a sample it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// The slot of its class.
    pub slot: u8,
    /// Where it came from.
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

/// A decision and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The head that decided: 1 prototype, 2 Gaussian, 3 softmax regression.
    pub head: u8,
    /// The slot of the most probable class.
    pub slot: u8,
    /// Its probability, 0 to 1. Where a single class is taught it is 1 whatever the sample, and says nothing.
    pub probability: f32,
    /// Slots of the classes that hold the truth at the asked error rate.
    pub set: Vec<u8>,
    /// Whether the sample is like anything the device was taught.
    pub known: bool,
    /// Whether there are shots enough for the asked error rate; without, `set` promises nothing.
    pub enough: bool,
    /// Shots of each class that the asked error rate needs.
    pub shots_needed: u16,
    /// The nearest supports, nearest first.
    pub nearest: Vec<Neighbour>,
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
        }
    }
}

/// A support with its feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// The slot of its class.
    pub slot: u8,
    /// Where it came from.
    pub from: Provenance,
    /// The quantised feature, `[D]` of `i16`, little-endian.
    pub feature: Vec<u8>,
}

/// All that a device knows.
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
    /// Records and features `[n, D]` of its supports, as the device's heads take them.
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

    /// Takes one part of it; `true` at the end.
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
