//! What a reader of a data set must know besides its images: how it was understood, and what was not used.

use std::fmt;

use serde::Serialize;

/// Names that a message lists before it counts the rest.
const NAMES_SHOWN: usize = 5;

/// One remark about a data set. It never changes what is read; each is an object with the field `kind` in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Remark {
    /// Files that are no images this program reads.
    PassedOver {
        /// Counted by ending, most frequent first.
        files: Vec<PassedOver>,
    },
    /// Masks, annotations and the like beside the images; they are left out.
    AnnotationsLeftOut {
        /// The folders or the endings of their names, such as `1st_manual` or `_mask`.
        names: Vec<String>,
        /// How many files.
        files: usize,
    },
    /// A folder that may hold masks or annotations was taken for a class.
    AnnotationsAsClass {
        /// The classes.
        names: Vec<String>,
    },
    /// One folder holds everything.
    Wrapper {
        /// Its path below the root.
        folder: String,
    },
    /// Folders that are parts of one set, such as `images_1`, were taken neither for classes nor for splits.
    Containers {
        /// Their names.
        names: Vec<String>,
    },
    /// Which folders were taken for the classes, where others could be.
    ClassesAtDepth {
        /// Counted from 1, directly below the root.
        depth: usize,
        /// How many classes.
        classes: usize,
        /// Folders at the depths below, from `depth + 1` on, which were not used.
        below: Vec<usize>,
    },
    /// Where the splits were found, if not in the names of the folders directly below the root.
    SplitsFrom {
        /// Folders at a depth, or the names of the files.
        place: String,
        /// The names that were understood.
        names: Vec<String>,
    },
    /// Names with words for splits that were not used.
    SplitWordsUnused {
        /// The first of them.
        names: Vec<String>,
        /// How many.
        count: usize,
    },
    /// Labels such as `NaN` that mean no label.
    MissingLabels {
        /// The values that were found.
        values: Vec<String>,
        /// Images.
        images: usize,
    },
    /// Labels that are spelled differently and are one number.
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
    /// Columns of a manifest that were understood by another name than path, label, split or group.
    ColumnsUsed {
        /// `column as meaning`.
        columns: Vec<String>,
    },
    /// Columns of a manifest that were not used.
    ColumnsUnused {
        /// Their titles.
        columns: Vec<String>,
    },
    /// Samples of more than 8 bits leave their highest bits at 0, so that the images are dark.
    LowValues {
        /// Images with such samples.
        images: usize,
        /// The largest value in all of them.
        largest: u32,
        /// The largest value that such a sample can have.
        full: u32,
        /// Bits that `largest` takes.
        bits_used: u32,
    },
    /// A range of raw values was stated, and no image has samples that it applies to.
    RangeUnused {
        /// The range.
        range: String,
    },
    /// Files of several pages or frames, of which the first full one is used.
    FirstFrameUsed {
        /// How many.
        images: usize,
    },
    /// Images that were turned upright, as their EXIF orientation says.
    Turned {
        /// How many.
        images: usize,
    },
    /// All images that were looked at are grey although they are stored in colour.
    GreyInColour {
        /// How many were looked at.
        images: usize,
    },
}

/// Files of one ending that are no images this program reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// With its dot, in lower case; empty for files without ending.
    pub ending: String,
    /// How many files.
    pub count: usize,
    /// Their format, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    /// What to do about it, where there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = if self.ending.is_empty() { "without ending" } else { &self.ending };
        write!(f, "{} {ending}", self.count)?;
        match (self.format, self.hint) {
            (Some(format), Some(hint)) => write!(f, " ({format}: {hint})"),
            (Some(text), None) | (None, Some(text)) => write!(f, " ({text})"),
            (None, None) => Ok(()),
        }
    }
}

/// The first names with commas between them, and how many more there are.
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
            Self::PassedOver { files } => {
                let files: Vec<String> = files.iter().map(PassedOver::to_string).collect();
                write!(f, "passed over: {}", files.join(", "))
            }
            Self::AnnotationsLeftOut { names, files } => {
                let files = counted(*files, "file");
                write!(f, "masks or annotations are left out: {files} in or named {}", listed(names))
            }
            Self::AnnotationsAsClass { names } => {
                write!(f, "taken for classes, though they may be masks or annotations: {}", listed(names))
            }
            Self::Wrapper { folder } => {
                write!(f, "everything is in the folder '{folder}', which is taken for no class")
            }
            Self::Containers { names } => {
                write!(f, "folders taken for parts of one set, not for classes: {}", listed(names))
            }
            Self::ClassesAtDepth { depth, classes, below } => {
                write!(f, "classes are the folders at depth {depth}: {classes}")?;
                let below = (depth + 1..).zip(below).map(|(depth, count)| format!("{count} at depth {depth}"));
                let below: Vec<String> = below.collect();
                if below.is_empty() { Ok(()) } else { write!(f, "; folders below are not used: {}", below.join(", ")) }
            }
            Self::SplitsFrom { place, names } => write!(f, "splits are taken from {place}: {}", listed(names)),
            Self::SplitWordsUnused { names, count } => {
                let names_of = if *count == 1 { "name has a word" } else { "names have words" };
                write!(f, "{count} {names_of} for splits that were not used: {}", listed(names))
            }
            Self::MissingLabels { values, images } => {
                let (images, values) = (counted(*images, "image"), listed(values));
                write!(f, "{images} without a label: {values} is read as no label")
            }
            Self::EqualLabels { class, spellings } => write!(f, "labels {} are one class, {class}", listed(spellings)),
            Self::SimilarClasses { names } => {
                write!(f, "classes that differ only in case, spaces, '_', '-' or Unicode form: {}", listed(names))
            }
            Self::ColumnsUsed { columns } => write!(f, "columns read: {}", columns.join(", ")),
            Self::ColumnsUnused { columns } => write!(f, "columns not used: {}", listed(columns)),
            Self::LowValues { images, largest, full, bits_used } => {
                let images = counted(*images, "image");
                write!(f, "{images} with a largest value of {largest} of {full}: {bits_used} bits used; ")?;
                write!(f, "pass --range 0,{} to make that white", (1u64 << bits_used) - 1)
            }
            Self::RangeUnused { range } => {
                write!(
                    f,
                    "--range {range} changes nothing: all images have 8 bits a sample, which are read as they are"
                )
            }
            Self::FirstFrameUsed { images } => {
                write!(f, "{} with several pages or frames: the first is used", counted(*images, "file"))
            }
            Self::Turned { images } => {
                let images = counted(*images, "image");
                write!(f, "{images} turned upright as the EXIF orientation says")
            }
            Self::GreyInColour { images } => {
                let all = if *images == 1 {
                    "the one sampled image is".into()
                } else {
                    format!("all {images} sampled images are")
                };
                write!(f, "{all} grey in RGB files: --channels 1 is enough")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_a_sentence_and_an_object() {
        let dicom = PassedOver { ending: ".dcm".into(), count: 12, format: Some("DICOM"), hint: None };
        let bare = PassedOver { ending: String::new(), count: 1, format: None, hint: None };
        let remark = Remark::PassedOver { files: vec![dicom, bare] };
        assert_eq!(remark.to_string(), "passed over: 12 .dcm (DICOM), 1 without ending");
        let json = serde_json::to_value(&remark).unwrap();
        assert_eq!((&json["kind"], &json["files"][0]["count"]), (&"passed_over".into(), &12.into()));
        let names: Vec<String> = (0..7).map(|index| index.to_string()).collect();
        assert!(Remark::SimilarClasses { names }.to_string().ends_with("'4' and 2 more"));
    }
}
