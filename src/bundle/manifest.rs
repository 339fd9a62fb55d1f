//! What a bundle says of itself, in JSON.

use macula_edge::feature::DIM_MAX;
use macula_edge::support_set::CLASSES_MAX;

use crate::data::Preprocessing;
use crate::encoder::EncoderSpec;

/// The version of the manifest that this program writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The commit that this program was built from; `unknown` where nobody told the compiler.
pub const PROGRAM_COMMIT: &str = env!("MACULA_COMMIT");

/// Most supports that a store can be made for.
const SUPPORTS_MAX: u32 = 65_536;

/// The manifest.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format: u32,
    /// What people call the encoder.
    pub name: String,
    /// The encoder.
    pub encoder: EncoderCard,
    /// How a raw image becomes its input.
    pub preprocessing: Preprocessing,
    /// Names of classes that may be taught: a suggestion.
    pub labels: Vec<String>,
    /// What a device may make of it.
    pub limits: Limits,
    /// How well it must be kept to.
    pub golden: GoldenCard,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// The encoder of a bundle.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EncoderCard {
    /// Dimensions of a feature, D.
    pub feature_dim: usize,
    /// The type of its weights: `f32` or `f16`.
    pub element: String,
    /// The SHA-256, in hexadecimal, by which devices that run the ONNX file know it.
    pub identity: String,
    /// The network, where it is one of ours.
    pub spec: Option<EncoderSpec>,
}

/// What a device may make of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Class slots of a store, at most.
    pub classes: u32,
    /// Places for supports of a store, at most.
    pub supports: u32,
    /// Bytes of RAM that the blob computes in; none where there is no blob.
    pub arena_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { classes: CLASSES_MAX as u32, supports: SUPPORTS_MAX, arena_bytes: None }
    }
}

/// What is asked of the golden images.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GoldenCard {
    /// The largest difference of a value of a feature, as a share of the feature's length.
    pub tolerance: f64,
}

/// Where a bundle comes from; nothing where nobody knows.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Provenance {
    /// Name of the data that the encoder was pretrained on, never a path.
    pub data: Option<String>,
    /// What it was pretrained to do.
    pub method: Option<String>,
    /// Seed of the pretraining.
    pub seed: Option<u64>,
    /// What is said of an encoder from elsewhere.
    pub origin: Option<String>,
    /// Version of the program that exported it.
    pub exported_by: Option<String>,
    /// SHA-256 of the resolved configuration of the pretraining, in hexadecimal.
    pub config_sha256: Option<String>,
    /// Version of the program that made the bundle.
    pub program_version: String,
    /// [`PROGRAM_COMMIT`] of that program.
    pub program_commit: String,
}

impl Manifest {
    /// Its bytes.
    ///
    /// # Errors
    /// When it has no JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(self)
    }

    /// Reads it, and checks that its numbers are ones that a device can have.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        /// The version alone: a later manifest may have another form.
        #[derive(serde::Deserialize)]
        struct Version {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| format!("the manifest cannot be read: {error}");
        let Version { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format != FORMAT_VERSION {
            return Err(format!("the manifest has format {format}, this program reads {FORMAT_VERSION}"));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Refuses numbers that no device can have.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn check(&self) -> Result<(), String> {
        let Limits { classes, supports, .. } = self.limits;
        let range = |what: &str, found: usize, limit: usize| match (1..=limit).contains(&found) {
            true => Ok(()),
            false => Err(format!("the manifest has {found} {what}, 1 to {limit} are allowed")),
        };
        range("dimensions of a feature", self.encoder.feature_dim, DIM_MAX)?;
        range("classes", classes as usize, CLASSES_MAX)?;
        range("supports", supports as usize, SUPPORTS_MAX as usize)?;
        let tolerance = self.golden.tolerance;
        if !(tolerance > 0.0 && tolerance < 1.0) {
            return Err(format!("the manifest has a tolerance of {tolerance}, it must lie between 0 and 1"));
        }
        Ok(())
    }
}
