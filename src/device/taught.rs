//! A taught head: named classes, each sample it was taught, and what decides between them.
//!
//! The samples are kept beside the encoder's identity, so that one of them can be taken back by name and
//! the same image is not learned twice. Nothing depends on the order of teaching: classes are kept by name
//! and samples by class and hash, and the sums are made from them. D feature dimensions, C classes.

use std::fmt;
use std::str::FromStr;

use macula_edge::feature::{self, Corpus, FeatureError};
use macula_edge::head::{CLASSES_MAX, ClassSums, Decision, Gaussian, HeadError, Prototype};

use crate::encoder::{CorpusStatistics, Embedder};

/// Longest name of a class, in bytes.
const NAME_MAX: usize = 255;

/// A head could not be taught or asked; it is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum TeachError {
    /// The head belongs to another encoder.
    #[error(
        "the head was taught on encoder '{saved}' ({saved_identity}…, {saved_dim} dimensions), \
         not on '{given}' ({given_identity}…, {given_dim} dimensions)"
    )]
    OtherEncoder {
        /// Name of the head's encoder.
        saved: String,
        /// Start of its identity.
        saved_identity: String,
        /// Its feature dimension.
        saved_dim: usize,
        /// Name of the encoder given.
        given: String,
        /// Start of its identity.
        given_identity: String,
        /// Its feature dimension.
        given_dim: usize,
    },
    /// A class needs a name.
    #[error("class name '{name}' has {} bytes; 1 to 255 are allowed, without control characters", name.len())]
    ClassName {
        /// What was given.
        name: String,
    },
    /// The head is full.
    #[error("class '{name}' would be class {} of a head that takes {CLASSES_MAX}", CLASSES_MAX + 1)]
    TooManyClasses {
        /// The class that did not fit.
        name: String,
    },
    /// An image was already learned as something else.
    #[error("{image}: the same pixels were learned as class '{class}' from {name}; forget that sample first")]
    OtherClass {
        /// The image given.
        image: String,
        /// The class it has.
        class: String,
        /// The name it was learned by.
        name: String,
    },
    /// There is no such class.
    #[error("no class '{name}' in the head, which has {known}")]
    UnknownClass {
        /// What was given.
        name: String,
        /// The classes there are.
        known: String,
    },
    /// There is no such sample.
    #[error("no sample '{name}' among the {samples} of the head (give its name, or 8 or more digits of its hash)")]
    UnknownSample {
        /// What was given.
        name: String,
        /// Samples of the head.
        samples: usize,
    },
    /// More than one sample answers.
    #[error("'{name}' names {found} samples of the head; give 8 or more digits of a hash")]
    AmbiguousSample {
        /// What was given.
        name: String,
        /// How many.
        found: usize,
    },
    /// An image's feature cannot be used.
    #[error("{image}: {source}")]
    Feature {
        /// The image.
        image: String,
        /// Why not.
        source: FeatureError,
    },
    /// The head refused.
    #[error(transparent)]
    Head(#[from] HeadError),
}

/// Which head decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// The nearest class mean by cosine.
    Prototype,
    /// Linear discriminant analysis with shrunk covariance. The default: in episodes on real images it
    /// was level with the prototype at 1 shot and better from 5 on.
    #[default]
    Gaussian,
}

impl FromStr for HeadKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "prototype" => Ok(Self::Prototype),
            "gaussian" => Ok(Self::Gaussian),
            _ => Err(format!("head '{name}' is neither 'prototype' nor 'gaussian'")),
        }
    }
}

impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prototype => "prototype",
            Self::Gaussian => "gaussian",
        })
    }
}

/// Which encoder a head belongs to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EncoderRecord {
    /// Its name when the head was made, for people.
    pub name: String,
    /// [`Embedder::identity`].
    pub identity: [u8; 32],
    /// D.
    pub feature_dim: u32,
}

impl EncoderRecord {
    /// The record of `encoder`.
    pub fn of(encoder: &dyn Embedder) -> Self {
        Self { name: encoder.name(), identity: encoder.identity(), feature_dim: encoder.feature_dim() as u32 }
    }
}

/// One learned image.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sample {
    /// Index of its class.
    pub class: u8,
    /// SHA-256 of its decoded pixels.
    pub pixels_sha256: [u8; 32],
    /// Where it came from.
    pub name: String,
    /// Its quantised feature, `[D]`.
    pub feature: Vec<i16>,
}

/// What learning an image did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It is a sample now.
    New,
    /// Its pixels were a sample of this class already, by this name; nothing has changed.
    Known {
        /// The name it was first learned by.
        name: String,
    },
}

/// What the head says about one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The class and its probability.
    pub decision: Decision,
    /// Probability of each class, `[C]`.
    pub probabilities: Vec<f64>,
}

/// A head with its samples.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TaughtHead {
    encoder: EncoderRecord,
    corpus: Option<CorpusStatistics>,
    /// In order of name; each has a sample.
    classes: Vec<String>,
    /// In order of class and hash.
    samples: Vec<Sample>,
}

impl TaughtHead {
    /// An untaught head for `encoder`.
    pub fn new(encoder: &dyn Embedder) -> Self {
        Self {
            encoder: EncoderRecord::of(encoder),
            corpus: encoder.corpus().cloned(),
            classes: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// Refuses any encoder but the one the head was taught on.
    pub fn check_encoder(&self, encoder: &dyn Embedder) -> Result<(), TeachError> {
        let given = EncoderRecord::of(encoder);
        if given.identity == self.encoder.identity && given.feature_dim == self.encoder.feature_dim {
            return Ok(());
        }
        Err(TeachError::OtherEncoder {
            saved: self.encoder.name.clone(),
            saved_identity: hexadecimal(&self.encoder.identity[..4]),
            saved_dim: self.encoder.feature_dim as usize,
            given_identity: hexadecimal(&given.identity[..4]),
            given_dim: given.feature_dim as usize,
            given: given.name,
        })
    }

    /// Learns one image as `class`. `feature`: `[D]`, as the encoder gives it.
    ///
    /// # Errors
    /// When the name of the class or the feature cannot be used, the head has no room for another class,
    /// or the same pixels are a sample of another class.
    pub fn learn(
        &mut self,
        class: &str,
        name: &str,
        pixels_sha256: [u8; 32],
        feature: &[f32],
    ) -> Result<Learned, TeachError> {
        if let Some(known) = self.samples.iter().find(|sample| sample.pixels_sha256 == pixels_sha256) {
            let known_class = &self.classes[usize::from(known.class)];
            if known_class == class {
                return Ok(Learned::Known { name: known.name.clone() });
            }
            let (class, known) = (known_class.clone(), known.name.clone());
            return Err(TeachError::OtherClass { image: name.to_owned(), class, name: known });
        }
        let feature = self.quantise(name, feature)?;
        let class = self.class_for_learning(class)?;
        let sample = Sample { class, pixels_sha256, name: name.to_owned(), feature };
        let place = self.samples.partition_point(|s| (s.class, s.pixels_sha256) < (class, pixels_sha256));
        self.samples.insert(place, sample);
        Ok(Learned::New)
    }

    /// Forgets the one sample that `name_or_hash` names: its name as it was learned, or 8 or more leading
    /// hexadecimal digits of its hash. Returns it.
    ///
    /// # Errors
    /// When none or more than one answers.
    pub fn forget_sample(&mut self, name_or_hash: &str) -> Result<Sample, TeachError> {
        let digits = name_or_hash.to_ascii_lowercase();
        let by_hash = digits.len() >= 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let answers = |sample: &Sample| {
            sample.name == name_or_hash || by_hash && hexadecimal(&sample.pixels_sha256).starts_with(&digits)
        };
        let found: Vec<usize> = (0..self.samples.len()).filter(|&i| answers(&self.samples[i])).collect();
        let name = name_or_hash.to_owned();
        match found[..] {
            [] => Err(TeachError::UnknownSample { name, samples: self.samples.len() }),
            [only] => {
                let sample = self.samples.remove(only);
                self.drop_class_if_empty(sample.class);
                Ok(sample)
            }
            _ => Err(TeachError::AmbiguousSample { name, found: found.len() }),
        }
    }

    /// Forgets a class with all its samples, and returns how many they were.
    ///
    /// # Errors
    /// When there is no such class.
    pub fn forget_class(&mut self, name: &str) -> Result<usize, TeachError> {
        let class = self.class(name)? as u8;
        let before = self.samples.len();
        self.samples.retain(|sample| sample.class != class);
        self.drop_class_if_empty(class);
        Ok(before - self.samples.len())
    }

    /// Decides on features `[N, D]` as the encoder gives them; `names` (N of them) are for errors.
    ///
    /// # Errors
    /// When nothing was taught or a feature cannot be used.
    pub fn predict(&self, kind: HeadKind, names: &[&str], features: &[f32]) -> Result<Vec<Prediction>, TeachError> {
        let mut memory = Memory::new(self, kind);
        let sums = memory.taught(self)?;
        let mut scratch = Vec::new();
        let decide: Box<dyn Fn(&[i16], &mut [f64]) -> Result<Decision, HeadError>> = match kind {
            HeadKind::Prototype => {
                Box::new(|feature, probabilities| Prototype::new(&sums).predict(feature, probabilities))
            }
            HeadKind::Gaussian => {
                scratch.resize(Gaussian::scratch_len(self.dim(), self.classes.len()), 0.0);
                let gaussian = Gaussian::fit(&sums, &mut scratch)?;
                Box::new(move |feature, probabilities| gaussian.predict(feature, probabilities))
            }
        };
        let rows = names.iter().zip(features.chunks_exact(self.dim()));
        rows.map(|(name, feature)| {
            let mut probabilities = vec![0.0; self.classes.len()];
            let decision = decide(&self.quantise(name, feature)?, &mut probabilities)?;
            Ok(Prediction { decision, probabilities })
        })
        .collect()
    }

    /// The canonical bytes of the head's sums ([`ClassSums::state`]); none before anything was taught.
    ///
    /// # Errors
    /// When the dimension is beyond what heads take.
    pub fn state(&self) -> Result<Vec<u8>, TeachError> {
        let mut bytes = Vec::new();
        let mut memory = Memory::new(self, HeadKind::Gaussian);
        memory.taught(self)?.state(|piece| bytes.extend_from_slice(piece));
        Ok(bytes)
    }

    /// The encoder the head belongs to.
    pub fn encoder(&self) -> &EncoderRecord {
        &self.encoder
    }

    /// What features are centred and scaled by.
    pub fn corpus(&self) -> Option<&CorpusStatistics> {
        self.corpus.as_ref()
    }

    /// Names of the classes, in order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// All samples, in order of class and hash.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Whether an image with these pixels was learned.
    pub fn knows(&self, pixels_sha256: &[u8; 32]) -> bool {
        self.samples.iter().any(|sample| &sample.pixels_sha256 == pixels_sha256)
    }

    /// Index of the class `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn class(&self, name: &str) -> Result<usize, TeachError> {
        self.classes.iter().position(|class| class == name).ok_or_else(|| TeachError::UnknownClass {
            name: name.to_owned(),
            known: if self.classes.is_empty() { "none".to_owned() } else { self.classes.join(", ") },
        })
    }

    /// What a file must satisfy beyond its checksum; the text says what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let dim = self.dim();
        if !(1..=feature::DIM_MAX).contains(&dim) {
            return Err(format!("{dim} dimensions, the limits are 1 and {}", feature::DIM_MAX));
        }
        let corpus_fits = |corpus: &CorpusStatistics| corpus.mean.len() == dim && corpus.std.len() == dim;
        if !self.corpus.as_ref().is_none_or(corpus_fits) {
            return Err(format!("the corpus statistics do not have {dim} dimensions"));
        }
        if self.classes.len() > CLASSES_MAX || !self.classes.is_sorted_by(|a, b| a < b) {
            return Err("classes are too many, or not in order of name".to_owned());
        }
        let in_order =
            |pair: &[Sample]| (pair[0].class, pair[0].pixels_sha256) < (pair[1].class, pair[1].pixels_sha256);
        if !self.samples.windows(2).all(in_order) {
            return Err("samples are not in order of class and hash".to_owned());
        }
        if self.samples.iter().any(|s| usize::from(s.class) >= self.classes.len() || s.feature.len() != dim) {
            return Err("a sample has no class or another dimension".to_owned());
        }
        let used = |class: usize| self.samples.iter().any(|sample| usize::from(sample.class) == class);
        match (0..self.classes.len()).all(used) {
            true => Ok(()),
            false => Err("a class has no sample".to_owned()),
        }
    }

    fn dim(&self) -> usize {
        self.encoder.feature_dim as usize
    }

    fn quantise(&self, image: &str, feature: &[f32]) -> Result<Vec<i16>, TeachError> {
        let mut quantised = vec![0; self.dim()];
        let corpus = self.corpus.as_ref().map(|corpus| Corpus { mean: &corpus.mean, std: &corpus.std });
        feature::quantise(feature, corpus, &mut quantised)
            .map_err(|source| TeachError::Feature { image: image.to_owned(), source })?;
        Ok(quantised)
    }

    /// The index of `name`, made room for where it is new.
    fn class_for_learning(&mut self, name: &str) -> Result<u8, TeachError> {
        if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
            return Err(TeachError::ClassName { name: name.escape_default().to_string() });
        }
        let place = match self.classes.binary_search_by(|class| class.as_str().cmp(name)) {
            Ok(place) => return Ok(place as u8),
            Err(place) => place,
        };
        if self.classes.len() == CLASSES_MAX {
            return Err(TeachError::TooManyClasses { name: name.to_owned() });
        }
        self.classes.insert(place, name.to_owned());
        let later = self.samples.iter_mut().filter(|sample| usize::from(sample.class) >= place);
        later.for_each(|sample| sample.class += 1);
        Ok(place as u8)
    }

    fn drop_class_if_empty(&mut self, class: u8) {
        if self.samples.iter().any(|sample| sample.class == class) {
            return;
        }
        self.classes.remove(class.into());
        self.samples.iter_mut().filter(|sample| sample.class > class).for_each(|sample| sample.class -= 1);
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Memory that class sums borrow.
struct Memory {
    counts: Vec<u32>,
    sums: Vec<i64>,
    products: Vec<i64>,
}

impl Memory {
    fn new(head: &TaughtHead, kind: HeadKind) -> Self {
        let (dim, classes) = (head.dim(), head.classes.len());
        let products = match kind {
            HeadKind::Prototype => 0,
            HeadKind::Gaussian => ClassSums::products_len(dim),
        };
        Self { counts: vec![0; classes], sums: vec![0; ClassSums::sums_len(dim, classes)], products: vec![0; products] }
    }

    fn taught(&mut self, head: &TaughtHead) -> Result<ClassSums<'_>, HeadError> {
        if head.samples.is_empty() {
            return Err(HeadError::NothingLearned);
        }
        let mut sums = ClassSums::empty(head.dim(), &mut self.counts, &mut self.sums, &mut self.products)?;
        head.samples.iter().try_for_each(|sample| sums.learn(sample.class, &sample.feature))?;
        Ok(sums)
    }
}
