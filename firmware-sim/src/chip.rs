//! Builds the Cortex-M image from `cortex-m/` for one encoder and one set of limits.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::{env, fs};

use crate::qemu::Machine;

/// The content of an image; `cortex-m/build.rs` describes each variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSpec<'a> {
    /// Name of the built files.
    pub name: &'a str,
    /// The encoder's blob; without it the board takes features only.
    pub blob: Option<&'a [u8]>,
    /// Feature dimensions of a board without an encoder.
    pub dim: usize,
    /// Class slots.
    pub classes: usize,
    /// Places for supports.
    pub supports: usize,
    /// Flash for code and encoder, in units of 1024 bytes.
    pub flash_kb: usize,
    /// RAM, in units of 1024 bytes.
    pub ram_kb: usize,
    /// The core that the instructions are for.
    pub core: Core,
}

/// Processor cores; the results are the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// Single precision in hardware. Heads, which use double precision, take about 25 times the instructions.
    CortexM4F,
    /// Double precision in hardware.
    CortexM7,
    /// Vectors of 16 bytes (Helium), which encoders in int8 use.
    CortexM55,
}

impl Core {
    /// The compiler's target.
    fn target(self) -> &'static str {
        match self {
            Self::CortexM4F | Self::CortexM7 => "thumbv7em-none-eabihf",
            Self::CortexM55 => "thumbv8m.main-none-eabihf",
        }
    }

    /// The compiler's flags.
    fn flags(self) -> &'static str {
        match self {
            Self::CortexM4F => "",
            Self::CortexM7 => "'-Ctarget-cpu=cortex-m7'",
            // Without the floats of Helium: they flush subnormal numbers to 0, and features would have other bits.
            Self::CortexM55 => "'-Ctarget-cpu=cortex-m55', '-Ctarget-feature=-mve.fp'",
        }
    }

    /// The board that runs it.
    fn machine(self) -> Machine {
        match self {
            Self::CortexM4F | Self::CortexM7 => Machine::An500,
            Self::CortexM55 => Machine::An547,
        }
    }
}

impl ImageSpec<'_> {
    /// A board that takes features of `dim` dimensions, of the sizes of [`crate::board::Shape::features_only`].
    pub const fn features_only(name: &str, dim: usize) -> ImageSpec<'_> {
        ImageSpec { name, blob: None, dim, classes: 8, supports: 64, flash_kb: 512, ram_kb: 256, core: Core::CortexM7 }
    }
}

/// Files that QEMU runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The board that runs them.
    pub machine: Machine,
    /// Answers requests over its UART.
    pub board: PathBuf,
    /// Counts the encoder's instructions and ends.
    pub measure_encoder: PathBuf,
    /// Counts the instructions of learning and deciding and ends.
    pub measure_head: PathBuf,
}

/// An image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file could not be read or written, or a program not be started.
    #[error("{path}: {source}")]
    Io {
        /// The file or program.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The compiler or the linker failed, for example because the image exceeds its limits.
    #[error("the image '{name}' cannot be built: {output}")]
    Refused {
        /// Name of the image.
        name: String,
        /// Output of the compiler.
        output: String,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::Io { path, source }
}

/// The compiler writes all images to one place, so they are built one at a time.
static BUILDING: Mutex<()> = Mutex::new(());

/// Builds an image into `target/cortex-m/`.
///
/// # Errors
/// When a file cannot be written, `tools/arm-cargo` cannot be run, or the image does not compile or fit.
pub fn build(spec: &ImageSpec<'_>) -> Result<Image, BuildError> {
    let _building = BUILDING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |named| root.join(named));
    let folder = target.join("cortex-m");
    fs::create_dir_all(&folder).map_err(io_error(&folder))?;
    compile(spec, &root, &folder)?;
    let built = target.join("arm").join(spec.core.target()).join("release");
    let take = |program: &str| {
        let (from, to) = (built.join(program), folder.join(format!("{}-{program}", spec.name)));
        fs::copy(&from, &to).map_err(io_error(&from))?;
        Ok(to)
    };
    Ok(Image {
        machine: spec.core.machine(),
        board: take("macula-chip")?,
        measure_encoder: take("measure-encoder")?,
        measure_head: take("measure-head")?,
    })
}

fn compile(spec: &ImageSpec<'_>, root: &Path, folder: &Path) -> Result<(), BuildError> {
    let cargo = root.join("tools/arm-cargo");
    let mut command = Command::new(&cargo);
    command.args([spec.core.target(), "build", "--quiet", "--release", "--locked", "--bins", "--manifest-path"]);
    command.arg("firmware-sim/cortex-m/Cargo.toml");
    // Cargo ignores flags for a target with a dot in its name.
    command.arg("--config").arg(format!("target.'cfg(target_os = \"none\")'.rustflags=[{}]", spec.core.flags()));
    match spec.blob {
        Some(blob) => {
            let path = folder.join(format!("{}.blob", spec.name));
            fs::write(&path, blob).map_err(io_error(&path))?;
            command.env("MACULA_BLOB", fs::canonicalize(&path).map_err(io_error(&path))?);
        }
        None => {
            command.env_remove("MACULA_BLOB");
        }
    }
    for (variable, number) in [
        ("MACULA_DIM", spec.dim),
        ("MACULA_CLASSES", spec.classes),
        ("MACULA_SUPPORTS", spec.supports),
        ("MACULA_FLASH_KB", spec.flash_kb),
        ("MACULA_RAM_KB", spec.ram_kb),
    ] {
        command.env(variable, number.to_string());
    }
    let done = command.output().map_err(io_error(&cargo))?;
    let output = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() { Ok(()) } else { Err(BuildError::Refused { name: spec.name.to_owned(), output }) }
}
