//! The manifest of a bundle, in JSON.

use macula_edge::feature::DIM_MAX;
use macula_edge::support_set::CLASSES_MAX;

use crate::data::Preprocessing;
use crate::encoder::{EncoderSpec, TeacherId};

/// Version of the manifest format.
pub const FORMAT_VERSION: u32 = 1;

/// The commit that this program was built from, or `unknown`.
pub const PROGRAM_COMMIT: &str = env!("MACULA_COMMIT");

/// Highest allowed number of supports.
const SUPPORTS_MAX: u32 = 65_536;

/// The manifest.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format: u32,
    /// Name of the encoder.
    pub name: String,
    /// The encoder.
    pub encoder: EncoderCard,
    /// How an image becomes its input.
    pub preprocessing: Preprocessing,
    /// Suggested names of classes.
    pub labels: Vec<String>,
    /// Limits for the stores of devices.
    pub limits: Limits,
    /// Tolerance for the golden images.
    pub golden: GoldenCard,
    /// Its provenance.
    pub provenance: Provenance,
}

/// The encoder of a bundle.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EncoderCard {
    /// Dimensions of a feature, D.
    pub feature_dim: usize,
    /// The type of its weights: `f32` or `f16`.
    pub element: String,
    /// SHA-256 that identifies the ONNX encoder, in hexadecimal.
    pub identity: String,
    /// The network, if Macula trained it.
    pub spec: Option<EncoderSpec>,
}

/// Limits for the stores of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Most class slots of a store.
    pub classes: u32,
    /// Most supports of a store.
    pub supports: u32,
    /// Bytes of RAM for the blob's arena, if there is a blob.
    pub arena_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { classes: CLASSES_MAX as u32, supports: SUPPORTS_MAX, arena_bytes: None }
    }
}

/// Tolerance for the golden images.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GoldenCard {
    /// Largest error of a feature's value, as a share of the feature's length.
    pub tolerance: f64,
}

/// Where an encoder comes from, as far as known.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Provenance {
    /// Name of the data that the encoder was pretrained on, never a path.
    pub data: Option<String>,
    /// The pretraining objective.
    pub method: Option<String>,
    /// Seed of the pretraining.
    pub seed: Option<u64>,
    /// Where a foreign encoder comes from, in words.
    pub origin: Option<String>,
    /// Version of the program that exported it.
    pub exported_by: Option<String>,
    /// SHA-256 of the resolved configuration of the pretraining, in hexadecimal.
    pub config_sha256: Option<String>,
    /// The encoders that taught it, if it was distilled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teachers: Vec<TeacherId>,
    /// Version of the program that made the bundle.
    pub program_version: String,
    /// [`PROGRAM_COMMIT`] of that program.
    pub program_commit: String,
}

impl Manifest {
    /// The manifest as JSON.
    ///
    /// # Errors
    /// When a value has no JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(self)
    }

    /// Reads a manifest and checks its limits.
    ///
    /// # Errors
    /// The reason in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        /// The version alone: another version may have other fields.
        #[derive(serde::Deserialize)]
        struct Version {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| format!("the manifest cannot be read: {error}");
        let Version { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format != FORMAT_VERSION {
            return Err(format!("the manifest has format {format}, but this program reads format {FORMAT_VERSION}"));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Checks that all limits are in range.
    ///
    /// # Errors
    /// The first that is not, in words.
    pub fn check(&self) -> Result<(), String> {
        let Limits { classes, supports, .. } = self.limits;
        let range = |what: &str, found: usize, limit: usize| match (1..=limit).contains(&found) {
            true => Ok(()),
            false => Err(format!("the manifest has {found} {what}; 1 to {limit} are allowed")),
        };
        range("dimensions of a feature", self.encoder.feature_dim, DIM_MAX)?;
        range("classes", classes as usize, CLASSES_MAX)?;
        range("supports", supports as usize, SUPPORTS_MAX as usize)?;
        let tolerance = self.golden.tolerance;
        if !(tolerance > 0.0 && tolerance < 1.0) {
            return Err(format!("the manifest has a tolerance of {tolerance}; it must be between 0 and 1"));
        }
        Ok(())
    }
}
