//! The cost of an image: instructions counted by the emulator, bytes of flash and RAM.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::chip::Image;
use crate::elf::{self, Section};
use crate::qemu::{QemuError, run_image};

/// Time-out of a count, for a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Instructions and their multiply-accumulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Instructions run by the emulator; neither cycles nor time of real hardware.
    pub instructions: u64,
    /// Multiply-accumulates, including those on padding.
    pub macs: u64,
}

impl Count {
    /// Instructions per multiply-accumulate.
    pub fn per_mac(self) -> f64 {
        self.instructions as f64 / self.macs as f64
    }
}

/// An image could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// The run failed.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// The file is not an image.
    #[error("{path}: {message}")]
    Image {
        /// The file.
        path: String,
        /// The cause.
        message: String,
    },
    /// The output is not a list of counts.
    #[error("the image printed something other than counts: {output}")]
    Output {
        /// The output.
        output: String,
    },
}

/// Counts the encoder on one picture: each node, then the whole.
///
/// # Errors
/// When the emulator fails, or the image holds no encoder.
pub fn count_encoder(image: &Image) -> Result<(Vec<Count>, Count), CountError> {
    let output = run_image(image.machine, &image.measure_encoder, LIMIT)?;
    encoder_counts(&output).ok_or(CountError::Output { output })
}

/// The counts in the output of `measure-encoder`: each node, then the whole. `None` if it has others.
pub fn encoder_counts(output: &str) -> Option<(Vec<Count>, Count)> {
    let parse = |line: &str| -> Option<Count> {
        let mut numbers = line.split(' ').skip(2).map(str::parse);
        Some(Count { instructions: numbers.next()?.ok()?, macs: numbers.next()?.ok()? })
    };
    let lines =
        |kind: &str| output.lines().filter(|line| line.starts_with(kind)).map(parse).collect::<Option<Vec<_>>>();
    match (lines("node "), lines("encoder ").as_deref()) {
        (Some(nodes), Some(&[whole])) => Some((nodes, whole)),
        _ => None,
    }
}

/// Counts learning and predicting with 5 classes of 10 shots and 128 dimensions: names and instructions.
///
/// # Errors
/// When the emulator fails.
pub fn count_head(image: &Image) -> Result<Vec<(String, u64)>, CountError> {
    let output = run_image(image.machine, &image.measure_head, LIMIT)?;
    let parse = |line: &str| {
        let (what, instructions) = line.split_once(' ')?;
        Some((what.to_owned(), instructions.parse().ok()?))
    };
    output.lines().map(parse).collect::<Option<Vec<_>>>().ok_or(CountError::Output { output })
}

/// Flash and RAM of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Its sections, by address.
    pub sections: Vec<Section>,
    /// Variables of at least 512 bytes, the largest first, without the stack.
    pub variables: Vec<(String, u64)>,
}

impl Footprint {
    /// Reads the image in a file.
    ///
    /// # Errors
    /// When it cannot be read or is not an image.
    pub fn of(path: &Path) -> Result<Self, CountError> {
        let wrong = |message: String| CountError::Image { path: path.display().to_string(), message };
        let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let sections = elf::sections(&bytes).map_err(|error| wrong(error.to_string()))?;
        let variables = elf::large_variables(&bytes, 512).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { sections, variables })
    }

    /// Bytes of flash: code, encoder, initial values of variables.
    pub fn flash_bytes(&self) -> u64 {
        self.sections.iter().map(|section| section.flash_bytes).sum()
    }

    /// Bytes of RAM without the stack.
    pub fn ram_bytes(&self) -> u64 {
        self.sections.iter().map(|section| section.ram_bytes).sum()
    }
}

/// The peak of the stack in bytes, found in a copy of the RAM: the start fills the stack with a pattern.
///
/// * `ram`: all of it, as [`crate::qemu::QemuBoard::ram`] gives it
/// * `static_bytes`: [`Footprint::ram_bytes`], below the stack
pub fn stack_peak_bytes(ram: &[u8], static_bytes: u64) -> usize {
    // `cortex_m_rt::STACK_PAINT_VALUE`.
    const PAINT: [u8; 4] = 0xcccc_cccc_u32.to_le_bytes();
    let (words, _) = ram.as_chunks::<4>();
    let room = &words[(static_bytes as usize).div_ceil(4)..];
    4 * (room.len() - room.iter().take_while(|word| **word == PAINT).count())
}
