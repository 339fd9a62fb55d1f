//! The values of the API. `docs/openapi.json` is generated from them, and the page's types follow it.
//!
//! Times are in seconds since 1970, 0 if unknown. A source is 32 hexadecimal digits.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::operating_point::OperatingPointReport;
use super::proportion::Proportion;

/// Whether this client may use the API.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionReport {
    /// Whether requests need a token.
    pub token_required: bool,
    /// Whether this request had a valid token, or needs none.
    pub authorised: bool,
    /// Version of the program.
    pub version: String,
}

/// The code that another machine shows or scans.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct PairRequest {
    /// Six digits.
    pub code: String,
}

/// A token, to be sent as `Authorization: Bearer TOKEN`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PairReply {
    /// 64 hexadecimal digits.
    pub token: String,
}

/// How another machine pairs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Pairing {
    /// Address of the page with the pairing code; none if other machines cannot connect.
    pub url: Option<String>,
    /// Six digits.
    pub code: Option<String>,
    /// `url` as a QR code, an SVG image.
    pub qr_svg: Option<String>,
    /// When the code expires.
    pub expires_s: Option<u64>,
}

/// The device.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeviceReport {
    /// Its address, or the file of its store.
    pub name: String,
    /// Program and version of the device.
    pub program: String,
    /// Its encoder.
    pub encoder: EncoderReport,
    /// Number of samples.
    pub samples: u32,
    /// Most samples.
    pub samples_limit: u32,
    /// Number of classes.
    pub classes: u8,
    /// Most classes.
    pub classes_limit: u8,
    /// Changes since the start of the device.
    pub revision: u32,
    /// Its clock.
    pub now_s: u64,
    /// Wear of its flash.
    pub store: StoreReport,
    /// Its bundle, if it takes bundles.
    pub bundle: Option<BundleReport>,
    /// Its operating point, if it has one.
    pub operating_point: Option<OperatingPointReport>,
    /// Whether the pictures of samples are kept.
    pub keeps_images: bool,
    /// The change that undo would take back.
    pub undo: Option<UndoStep>,
    /// The images to label.
    pub queue: QueueSize,
    /// Limits of requests.
    pub limits: Limits,
    /// SHA-256 of the canonical state, equal on devices with equal classes and samples.
    pub state_sha256: String,
}

/// The encoder of the device.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EncoderReport {
    /// Its name, if known.
    pub name: Option<String>,
    /// Its identity, hexadecimal.
    pub identity: String,
    /// Dimensions of a feature.
    pub feature_dim: usize,
    /// Its input, if known: the whole image is stretched to it.
    pub input: Option<InputSize>,
}

/// The size of an encoder's input.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct InputSize {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 grey, 3 colour.
    pub channels: usize,
}

/// Wear of the flash.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct StoreReport {
    /// Bytes programmed by the store.
    pub bytes_programmed: u64,
    /// Blocks erased by the store.
    pub erases: u32,
    /// Bytes free in the store.
    pub free_bytes: u32,
    /// Samples learned since the start.
    pub learned: u32,
    /// Bytes programmed to learn them.
    pub learned_bytes: u64,
    /// Blocks erased to learn them.
    pub learned_erases: u32,
}

/// The bundle of a device.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BundleReport {
    /// Its slot.
    pub slot: u8,
    /// Its SHA-256.
    pub sha256: String,
    /// Lowest counter that the next bundle may have.
    pub counter: u64,
    /// What is known about another bundle.
    pub state: BundleState,
    /// Starts that have tried the other bundle.
    pub attempts: Option<u8>,
    /// Why it was rolled back.
    pub reason: Option<String>,
    /// Bytes received of it.
    pub bytes_received: u32,
    /// Its bytes.
    pub bytes_expected: u32,
}

/// The state of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BundleState {
    /// There is no other bundle.
    Confirmed,
    /// Another bundle waits for the next start.
    Waiting,
    /// Another bundle was tried and rolled back.
    RolledBack,
    /// Another bundle is arriving.
    Arriving,
}

/// A change that can be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UndoStep {
    /// The change.
    pub action: Action,
    /// Name of its class; empty for an import.
    pub class: String,
    /// Samples that it changed.
    pub samples: usize,
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A sample was learned.
    Learn,
    /// A sample was forgotten.
    Forget,
    /// A sample was moved to another class.
    Move,
    /// A class was added.
    AddClass,
    /// A class was renamed.
    RenameClass,
    /// A class was removed with its samples.
    RemoveClass,
    /// The state of another device was added.
    Import,
}

/// Size of the queue.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct QueueSize {
    /// Images in it.
    pub images: usize,
    /// Most images.
    pub images_limit: usize,
}

/// Limits of requests.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Limits {
    /// Bytes of an image file.
    pub upload_bytes: usize,
    /// Pixels of an image.
    pub image_pixels: u64,
    /// Bytes of the name of a class.
    pub name_bytes: usize,
}

/// The classes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Classes {
    /// Changes since the start of the device.
    pub revision: u32,
    /// In the order of slots.
    pub classes: Vec<Class>,
}

/// A class.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Class {
    /// Its slot, its number in all other values.
    pub slot: u8,
    /// Its name.
    pub name: String,
    /// Its samples.
    pub samples: u32,
}

/// The name of a class.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ClassName {
    /// 1 to 32 bytes without control characters.
    pub name: String,
}

/// A class that was added or found.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ClassAdded {
    /// Its slot.
    pub slot: u8,
    /// `false` if a class of this name existed.
    pub new: bool,
}

/// A class that was removed.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ClassRemoved {
    /// Samples that were removed with it.
    pub samples: u32,
}

/// Samples, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Samples {
    /// Changes since the start of the device.
    pub revision: u32,
    /// The samples.
    pub samples: Vec<Sample>,
}

/// A sample.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Sample {
    /// Its source.
    pub source: String,
    /// Slot of its class.
    pub class: u8,
    /// Number of the operator who taught it.
    pub operator: u32,
    /// When it was taught.
    pub time_s: u64,
    /// Whether its picture is kept.
    pub image: bool,
}

/// A learned sample.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Learned {
    /// Its source.
    pub source: String,
    /// Slot of its class.
    pub class: u8,
    /// `false` if it was a sample of this class already.
    pub new: bool,
    /// Samples of its class now.
    pub samples: u32,
    /// Time of the device, without decoding the file.
    pub elapsed_ms: f64,
}

/// Another class for a sample, or the class of a queued image.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub struct Label {
    /// Slot of the class.
    pub class: u8,
    /// Number of the operator; 0 if unknown.
    #[serde(default)]
    pub operator: u32,
}

/// A forgotten sample.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Forgotten {
    /// Slot of its class.
    pub class: u8,
}

/// What the device says of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// `class` is the answer.
    Class,
    /// One of the classes of `set`.
    Several,
    /// "I don't know": the image is unlike everything taught.
    Unknown,
    /// Fewer than two classes have samples, so there is nothing to choose from.
    Untaught,
}

/// The classification of an image.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Classification {
    /// Source of the image.
    pub source: String,
    /// Slot of its class, if it is a sample already.
    pub learned: Option<u8>,
    /// The answer.
    pub decision: Decision,
    /// Slot of the most probable class.
    pub class: Option<u8>,
    /// Its probability; none with fewer than two taught classes.
    pub probability: Option<f32>,
    /// Whether the image is in distribution.
    pub known: bool,
    /// Conformal prediction set: slots of the classes that cannot be excluded at the error rate.
    pub set: Vec<u8>,
    /// Whether every class has `shots_needed` samples; otherwise the set guarantees nothing.
    pub enough: bool,
    /// Samples per class that the error rate needs.
    pub shots_needed: u16,
    /// Whether the image is positive at the operating point; none without one, and for "I don't know".
    pub positive: Option<bool>,
    /// Its score there, which the threshold is applied to.
    pub score: Option<f32>,
}

/// A classification and its evidence.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Prediction {
    /// The classification.
    #[serde(flatten)]
    pub classification: Classification,
    /// The operating point of the decision, if the device has one.
    pub operating_point: Option<OperatingPointReport>,
    /// The nearest samples, nearest first.
    pub nearest: Vec<Neighbour>,
    /// Time of the device, without decoding the file.
    pub elapsed_ms: f64,
}

/// A sample near an image.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Neighbour {
    /// Its source.
    pub source: String,
    /// Slot of its class.
    pub class: u8,
    /// Cosine similarity, -1 to 1.
    pub similarity: f32,
    /// Number of the operator who taught it.
    pub operator: u32,
    /// When it was taught.
    pub time_s: u64,
    /// Whether its picture is kept.
    pub image: bool,
}

/// Figures of the samples, each predicted by a head that was fitted without it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Quality {
    /// Changes since the start of the device.
    pub revision: u32,
    /// All samples.
    pub samples: usize,
    /// Samples that were predicted. A class with one sample would be empty without it.
    pub evaluated: usize,
    /// Samples that are left out together: 1 is leave-one-out, more with many samples.
    pub left_out: usize,
    /// Mean of the sensitivities; its interval is that of Price and Bonett.
    pub balanced_accuracy: Option<Proportion>,
    /// Each class against all others. "I don't know" is no recognition.
    pub classes: Vec<ClassQuality>,
    /// Classes and answers.
    pub confusion: Confusion,
    /// Samples that were recognised as another class, the most certain first.
    pub mistaken: Vec<Mistaken>,
}

/// Figures of a class.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClassQuality {
    /// Its slot.
    pub slot: u8,
    /// Its samples.
    pub samples: u64,
    /// Share of its samples that were recognised as it.
    pub sensitivity: Option<Proportion>,
    /// Share of the other samples that were not recognised as it.
    pub specificity: Option<Proportion>,
}

/// A confusion matrix.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Confusion {
    /// Slots of the classes, by row and column.
    pub slots: Vec<u8>,
    /// `[class][answer]`.
    pub counts: Vec<Vec<u64>>,
    /// "I don't know", `[class]`.
    pub unknown: Vec<u64>,
}

/// A sample that was recognised as another class.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Mistaken {
    /// Its source.
    pub source: String,
    /// Slot of its class.
    pub class: u8,
    /// Slot of the answer; none for "I don't know".
    pub predicted: Option<u8>,
    /// Probability of the most probable class.
    pub probability: f32,
    /// Whether its picture is kept.
    pub image: bool,
}

/// Settings that all clients share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Error rate of prediction sets, 0.001 to 0.5.
    pub error_rate: f64,
    /// Names of the operators.
    pub operators: Vec<Operator>,
    /// The goal of a course of labelling.
    pub goal: Option<Goal>,
}

/// An operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operator {
    /// The number that the device stores with each sample, at least 1.
    pub number: u32,
    /// At most 64 characters.
    pub name: String,
}

/// Figures to reach on the samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Goal {
    /// Slot of the class to recognise.
    pub class: u8,
    /// Least sensitivity, 0 to 1.
    pub sensitivity: f64,
    /// Least specificity, 0 to 1.
    pub specificity: f64,
}

/// Images to label, the most uncertain first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueReport {
    /// Images in the queue.
    pub images: usize,
    /// Most images.
    pub images_limit: usize,
    /// The first of them.
    pub items: Vec<QueueItem>,
}

/// An image to label.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueItem {
    /// Its source.
    pub id: String,
    /// Name of its file.
    pub name: String,
    /// When it came.
    pub added_s: u64,
    /// What the device says of it; none before it has been embedded, and before anything is taught.
    pub prediction: Option<Classification>,
}

/// An image that came to the queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Queued {
    /// Its source.
    pub id: String,
    /// `false` if it was in the queue.
    pub new: bool,
    /// Images in the queue now.
    pub images: usize,
}

/// A change that was taken back, and the next one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Undone {
    /// The change.
    pub undone: UndoStep,
    /// The change that undo would take back now.
    pub undo: Option<UndoStep>,
}

/// What an import added.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Imported {
    /// New samples.
    pub learned: usize,
    /// Samples that the device had.
    pub known: usize,
    /// New classes.
    pub classes_added: usize,
}

/// The audit log, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AuditReport {
    /// Its last entries.
    pub entries: Vec<AuditEntry>,
}

/// A request that changed something, or was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// When.
    pub time_s: u64,
    /// Address of the client.
    pub client: String,
    /// Number of the operator, if the request stated it.
    pub operator: Option<u32>,
    /// What was requested.
    pub action: String,
    /// Name of the class.
    pub class: Option<String>,
    /// Sources of the samples; at most 16 are listed.
    pub samples: Vec<String>,
    /// `done`, the kind of the error, or `interrupted` if the device stopped before it had a result.
    pub result: String,
}

/// A change of the device or the queue, as an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Change {
    /// Changes since the start of the device.
    pub revision: u32,
    /// Images in the queue.
    pub queue: usize,
}

/// How far a long request is, as an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// `import` or `queue`.
    pub task: &'static str,
    /// Finished items.
    pub done: usize,
    /// All items.
    pub total: usize,
}
