//! Structs that cross the boundary, as plain data.

use macula_edge::protocol::message::{NEAREST, NEAREST_WHY, Neighbour as WireNeighbour};
use macula_edge::support_set::{CLASS_NAME_MAX, CLASSES_MAX, SourceId};

/// Version of this interface. It rises when a program must be compiled again.
pub const MACULA_API_VERSION: u32 = 1;

/// Bytes that identify the origin of a support.
pub const MACULA_SOURCE_SIZE: usize = 16;

/// Bytes of the longest class name, without the zero byte behind it.
pub const MACULA_NAME_MAX: usize = 32;

/// The same with the zero byte.
pub const MACULA_NAME_SIZE: usize = 33;

/// Most class slots.
pub const MACULA_CLASSES_MAX: usize = 255;

/// Supports in a prediction.
pub const MACULA_NEAREST: usize = 3;

/// Supports in an answer of `macula_why`.
pub const MACULA_NEAREST_WHY: usize = 5;

const _: () = assert!(MACULA_NAME_MAX == CLASS_NAME_MAX && MACULA_NAME_SIZE == CLASS_NAME_MAX + 1);
const _: () = assert!(MACULA_CLASSES_MAX == CLASSES_MAX && MACULA_SOURCE_SIZE == size_of::<SourceId>());
const _: () = assert!(MACULA_NEAREST == NEAREST && MACULA_NEAREST_WHY == NEAREST_WHY);

/// A feature that the same encoder made: the sample of a call. Without one (null), the sample is the image that
/// `macula_begin_image` and `macula_append_image` gave.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Input {
    /// Values of length 1, which is 32767; aligned to 2 bytes.
    pub feature: *const i16,
    /// Their number: the device's dimensions.
    pub dim: usize,
    /// Whether `length` is known.
    pub has_length: bool,
    /// The length before it was made 1, as `macula_embed` gives it; out-of-distribution detection uses it.
    pub length: u16,
}

/// A class.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Class {
    /// Its slot.
    pub slot: u8,
    /// Its name in UTF-8, zero-terminated.
    pub name: [u8; MACULA_NAME_SIZE],
    /// Its supports.
    pub supports: u32,
}

/// What was learned.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Learned {
    /// The slot of its class.
    pub slot: u8,
    /// Whether it is new; `false` when the class had a support of this source.
    pub is_new: bool,
    /// Supports of its class now.
    pub supports: u32,
}

/// A support and its similarity to the sample.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Neighbour {
    /// Its source.
    pub source: [u8; MACULA_SOURCE_SIZE],
    /// Time of teaching in seconds since 1970; 0 unknown.
    pub time_s: u64,
    /// Number of the person who taught it.
    pub teacher: u32,
    /// Cosine similarity, -1 to 1.
    pub similarity: f32,
    /// The slot of its class.
    pub slot: u8,
}

/// A prediction and its evidence.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Prediction {
    /// The slot of the most probable class.
    pub slot: u8,
    /// Whether the sample is similar to what was taught, or to the encoder's images. If not, the answer is "I don't know".
    pub known: bool,
    /// Whether every class has `shots_needed` supports; otherwise `set` guarantees nothing.
    pub enough: bool,
    /// Supports per class that the error rate needs.
    pub shots_needed: u16,
    /// Probability of the class, 0 to 1. With a single class it is always 1 and means nothing.
    pub probability: f32,
    /// The classes that cannot be excluded at the error rate (conformal prediction set): `MACULA_SET_HAS(set, slot)`.
    pub set: [u8; 32],
    /// Supports in `nearest`.
    pub nearest_count: u32,
    /// The supports nearest to the sample, nearest first.
    pub nearest: [Neighbour; MACULA_NEAREST],
}

/// The supports nearest to a sample.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Why {
    /// Supports in `nearest`.
    pub nearest_count: u32,
    /// Nearest first.
    pub nearest: [Neighbour; MACULA_NEAREST_WHY],
}

/// The state of a device.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Report {
    /// Bytes programmed by the store since its first use.
    pub bytes_programmed: u64,
    /// Blocks erased by the store since its first use.
    pub erases: u32,
    /// Bytes free in the store.
    pub free_bytes: u32,
    /// Dimensions of a feature.
    pub dim: u32,
    /// Classes.
    pub classes: u32,
    /// Class slots.
    pub classes_limit: u32,
    /// Supports.
    pub supports: u32,
    /// Places for supports.
    pub supports_limit: u32,
    /// Changes of classes and supports since the device was opened.
    pub revision: u32,
    /// Requests executed that came over the line.
    pub requests: u32,
    /// Frames of the line that were dropped because they were damaged or too long.
    pub dropped_frames: u32,
}

/// The outcome of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Outcome {
    /// As expected.
    Passed = 0,
    /// Not as expected.
    Failed = 1,
    /// The device has nothing to test.
    Absent = 2,
}

/// The result of a test.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Test {
    /// The outcome.
    pub outcome: Outcome,
    /// What was found.
    pub found: u32,
    /// What was expected.
    pub expected: u32,
}

/// The results of a self-test.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SelfTest {
    /// The flash holds what memory holds: supports.
    pub store: Test,
    /// Every support has a class and a feature of length 1: supports.
    pub supports: Test,
    /// The encoder gives the expected feature for the image in its blob.
    pub encoder: Test,
    /// The memory suffices for every head: values.
    pub memory: Test,
}

impl Neighbour {
    const EMPTY: Self = Self { source: [0; MACULA_SOURCE_SIZE], time_s: 0, teacher: 0, similarity: 0.0, slot: 0 };
}

/// The neighbours, and how many there are. Those behind them are zero.
pub(crate) fn neighbours<const K: usize>(found: [Option<WireNeighbour>; K]) -> (u32, [Neighbour; K]) {
    let count = found.iter().flatten().count() as u32;
    let nearest = found.map(|place| {
        place.map_or(Neighbour::EMPTY, |WireNeighbour { source, provenance, similarity }| Neighbour {
            source,
            time_s: provenance.time_s,
            teacher: provenance.operator,
            similarity,
            slot: provenance.class,
        })
    });
    (count, nearest)
}
