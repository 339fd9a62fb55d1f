//! Remarks on a dataset: how it was interpreted, and what was not used.

use std::fmt;

use serde::Serialize;

/// Names that a message lists; the others are counted.
const NAMES_SHOWN: usize = 5;

/// A remark on a dataset. It does not change what is read. In JSON it is an object with the field `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Remark {
    /// Files that were ignored because they are not images of a known format.
    #[serde(rename = "passed_over")]
    IgnoredFiles {
        /// Counted by extension, most frequent first.
        files: Vec<IgnoredFiles>,
    },
    /// Masks and annotations beside the images, which were left out.
    AnnotationsLeftOut {
        /// Their folders, or the ends of their names, such as `1st_manual` or `_mask`.
        names: Vec<String>,
        /// Number of files.
        files: usize,
    },
    /// Folders that may hold masks or annotations, and were read as classes.
    AnnotationsAsClass {
        /// The classes.
        names: Vec<String>,
    },
    /// One folder that holds everything and is not a class.
    Wrapper {
        /// Its path below the root.
        folder: String,
    },
    /// Folders that are parts of one dataset, such as `images_1`, and neither classes nor splits.
    Containers {
        /// Their names.
        names: Vec<String>,
    },
    /// The depth of the class folders, if there are other candidates.
    ClassesAtDepth {
        /// Counted from 1, directly below the root.
        depth: usize,
        /// Number of classes.
        classes: usize,
        /// Number of unused folders at each depth from `depth + 1`.
        below: Vec<usize>,
    },
    /// Where the splits were found, if not in the folders directly below the root.
    SplitsFrom {
        /// Folders at a depth, or file names.
        place: String,
        /// The names that were recognised.
        names: Vec<String>,
    },
    /// Names that contain a split name and were not used for splits.
    SplitWordsUnused {
        /// The first of them.
        names: Vec<String>,
        /// Number of names.
        count: usize,
    },
    /// Labels such as `NaN` that mean no label.
    MissingLabels {
        /// The values.
        values: Vec<String>,
        /// Number of images.
        images: usize,
    },
    /// Labels with different spellings of one number.
    EqualLabels {
        /// The class.
        class: String,
        /// Its spellings.
        spellings: Vec<String>,
    },
    /// Classes whose names differ only in case, spaces, `_`, `-` or Unicode form.
    SimilarClasses {
        /// Their names.
        names: Vec<String>,
    },
    /// Columns of a manifest that were recognised by other titles than path, label, split and group.
    ColumnsUsed {
        /// `column as meaning`.
        columns: Vec<String>,
    },
    /// Columns of a manifest that were not used.
    ColumnsUnused {
        /// Their titles.
        columns: Vec<String>,
    },
    /// Samples of more than 8 bits whose highest bits are all 0, so that the images are dark.
    LowValues {
        /// Number of images with such samples.
        images: usize,
        /// The largest value in them.
        largest: u32,
        /// The largest possible value of such a sample.
        full: u32,
        /// Bits of `largest`.
        bits_used: u32,
    },
    /// A stated range of raw values that applies to no image.
    RangeUnused {
        /// The range.
        range: String,
    },
    /// Files of several pages or frames, of which the first full one is used.
    FirstFrameUsed {
        /// Number of files.
        images: usize,
    },
    /// DICOM files that all have one identifier, so that no split can divide them.
    OneDicomGroup {
        /// Number of images.
        images: usize,
    },
    /// Images that were rotated or mirrored by their EXIF orientation.
    #[serde(rename = "turned")]
    Rotated {
        /// Number of images.
        images: usize,
    },
    /// All sampled images are grey but stored in colour.
    GreyInColour {
        /// Number of sampled images.
        images: usize,
    },
}

/// Ignored files of one extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IgnoredFiles {
    /// With its dot, in lower case; empty for files without extension.
    pub ending: String,
    /// Number of files.
    pub count: usize,
    /// Their format, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    /// What the user can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
}

impl fmt::Display for IgnoredFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = if self.ending.is_empty() { "without extension" } else { &self.ending };
        write!(f, "{} {ending}", self.count)?;
        match (self.format, self.hint) {
            (Some(format), Some(hint)) => write!(f, " ({format}: {hint})"),
            (Some(text), None) | (None, Some(text)) => write!(f, " ({text})"),
            (None, None) => Ok(()),
        }
    }
}

/// The first names, separated by commas, and the number of further ones.
fn listed(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `1 image`, `2 images`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IgnoredFiles { files } => {
                let files: Vec<String> = files.iter().map(IgnoredFiles::to_string).collect();
                write!(f, "ignored files: {}", files.join(", "))
            }
            Self::AnnotationsLeftOut { names, files } => {
                let files = counted(*files, "file");
                write!(
                    f,
                    "left out {files} as masks or annotations, in folders or with names ending in {}",
                    listed(names)
                )
            }
            Self::AnnotationsAsClass { names } => {
                write!(f, "read as classes, but may be masks or annotations: {}", listed(names))
            }
            Self::Wrapper { folder } => {
                write!(f, "everything is in the folder '{folder}', which is not a class")
            }
            Self::Containers { names } => {
                write!(f, "folders read as parts of one dataset, not as classes: {}", listed(names))
            }
            Self::ClassesAtDepth { depth, classes, below } => {
                write!(f, "the {classes} classes are the folders at depth {depth}")?;
                let below = (depth + 1..).zip(below).map(|(depth, count)| format!("{count} at depth {depth}"));
                let below: Vec<String> = below.collect();
                if below.is_empty() { Ok(()) } else { write!(f, "; deeper folders are not used: {}", below.join(", ")) }
            }
            Self::SplitsFrom { place, names } => write!(f, "splits are taken from {place}: {}", listed(names)),
            Self::SplitWordsUnused { names, count } => {
                let contain = if *count == 1 { "name contains" } else { "names contain" };
                write!(f, "{count} {contain} the name of a split, which is not used: {}", listed(names))
            }
            Self::MissingLabels { values, images } => {
                let (images, values) = (counted(*images, "image"), listed(values));
                write!(f, "{images} without a label: {values} means no label")
            }
            Self::EqualLabels { class, spellings } => write!(f, "labels {} are one class, {class}", listed(spellings)),
            Self::SimilarClasses { names } => {
                write!(f, "classes that differ only in case, spaces, '_', '-' or Unicode form: {}", listed(names))
            }
            Self::ColumnsUsed { columns } => write!(f, "columns read: {}", columns.join(", ")),
            Self::ColumnsUnused { columns } => write!(f, "columns not used: {}", listed(columns)),
            Self::LowValues { images, largest, full, bits_used } => {
                let images = counted(*images, "image");
                write!(f, "{images} with values up to {largest} of {full} ({bits_used} bits): they are dark; ")?;
                write!(f, "pass --range 0,{}", (1u64 << bits_used) - 1)
            }
            Self::RangeUnused { range } => {
                write!(f, "--range {range} has no effect: all images have 8 bits per sample")
            }
            Self::FirstFrameUsed { images } => {
                write!(f, "{} with several pages or frames: only the first is read", counted(*images, "file"))
            }
            Self::OneDicomGroup { images } => {
                let images = counted(*images, "image");
                write!(
                    f,
                    "{images} in one group, because all DICOM files have the same PatientID or other identifier; "
                )?;
                write!(f, "--dicom-group none or study may divide them")
            }
            Self::Rotated { images } => {
                let images = counted(*images, "image");
                write!(f, "{images} rotated upright by EXIF orientation")
            }
            Self::GreyInColour { images } => {
                let all = if *images == 1 {
                    "the one sampled image is".into()
                } else {
                    format!("all {images} sampled images are")
                };
                write!(f, "{all} grey but stored as RGB; --channels 1 is enough")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_has_text_and_json() {
        let dicom = IgnoredFiles { ending: ".dcm".into(), count: 12, format: Some("DICOM"), hint: None };
        let bare = IgnoredFiles { ending: String::new(), count: 1, format: None, hint: None };
        let remark = Remark::IgnoredFiles { files: vec![dicom, bare] };
        assert_eq!(remark.to_string(), "ignored files: 12 .dcm (DICOM), 1 without extension");
        let json = serde_json::to_value(&remark).unwrap();
        assert_eq!((&json["kind"], &json["files"][0]["count"]), (&"passed_over".into(), &12.into()));
        let names: Vec<String> = (0..7).map(|index| index.to_string()).collect();
        assert!(Remark::SimilarClasses { names }.to_string().ends_with("'4' and 2 more"));
    }
}
