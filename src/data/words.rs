//! Words in names of folders, files and columns that mean splits, annotations or parts of a dataset.

use super::Split;

/// Words beside the name of a split in a folder name that have no meaning of their own.
const FILLERS: &str = "\
    set sets image images img imgs data dataset split splits folder dir part subset sample samples picture \
    pictures photos files full";

/// First words of folders that hold parts of one dataset.
const CONTAINERS: &str = "images image imgs img jpegimages pictures photos scans part batch";

/// Names of folders of masks and annotations, reduced to letters and digits.
const ANNOTATIONS: &str = "\
    mask masks annotation annotations label labels groundtruth groundtruths gt seg segmentation segmentations \
    segmentationclass segmentationobject 1stmanual 2ndmanual manual manual1 manual2 contours";

/// Ends of names of annotation files, such as `x_mask` for `x`.
const ANNOTATION_ENDS: &str =
    "mask masks seg segmentation annotation annotations gt groundtruth label labels manual contour";

/// Whether `word` is one of `words`, which are separated by spaces.
fn is_one_of(word: &str, words: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

/// The words of a name, in lower case. A word ends at any other character than a letter or digit, between letters and
/// digits, and before an upper-case letter that follows a lower-case one.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_alphanumeric() {
            let goes_on = before.is_alphanumeric()
                && before.is_numeric() == c.is_numeric()
                && !(before.is_lowercase() && c.is_uppercase());
            match words.last_mut().filter(|_| goes_on) {
                Some(word) => word.extend(c.to_lowercase()),
                None => words.push(c.to_lowercase().collect()),
            }
        }
        before = c;
    }
    words
}

/// The letters and digits of a name, in lower case.
pub(super) fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The split named in `name`, and the other words that have a meaning. `None` if it names several splits or none.
pub(super) fn split_in(name: &str) -> Option<(Split, String)> {
    if let Some(split) = Split::from_name(name) {
        return Some((split, String::new()));
    }
    let (splits, rest): (Vec<String>, Vec<String>) =
        words(name).into_iter().partition(|word| Split::from_name(word).is_some());
    let split = Split::from_name(splits.first()?)?;
    let means_more = |word: &String| !is_one_of(word, FILLERS) && !word.chars().all(char::is_numeric);
    let rest: Vec<String> = rest.into_iter().filter(means_more).collect();
    (splits.len() == 1).then(|| (split, rest.join(" ")))
}

/// Whether any word of `name` is the name of a split.
pub(super) fn has_split_word(name: &str) -> bool {
    words(name).iter().any(|word| Split::from_name(word).is_some())
}

/// The split with which a file name begins or ends, ignoring numbers.
pub(super) fn split_of_stem(stem: &str) -> Option<Split> {
    let words: Vec<String> = words(stem).into_iter().filter(|word| !word.chars().all(char::is_numeric)).collect();
    let splits: Vec<Option<Split>> = words.iter().map(|word| Split::from_name(word)).collect();
    if splits.iter().flatten().count() != 1 {
        return None;
    }
    splits.first().copied().flatten().or(splits.last().copied().flatten())
}

/// Whether a folder of this name holds a part of a dataset.
pub(super) fn is_container(name: &str) -> bool {
    words(name).first().is_some_and(|word| is_one_of(word, CONTAINERS))
}

/// Whether a folder of this name holds masks or annotations.
pub(super) fn is_annotation_folder(name: &str) -> bool {
    is_one_of(&letters(name), ANNOTATIONS)
}

/// The stem of the image that the file `stem` annotates, and the end of the name: `scan_mask_2` gives `scan` and `_mask`.
pub(super) fn annotated_stem(stem: &str) -> Option<(&str, &str)> {
    let numbered = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = numbered.strip_suffix(['_', '-', '.']).filter(|_| numbered.len() < stem.len()).unwrap_or(stem);
    let at = stem.rfind(['_', '-', '.', ' '])?;
    let end = stem[at + 1..].trim_end_matches(|c: char| c.is_ascii_digit());
    let is_annotation = is_one_of(&end.to_ascii_lowercase(), ANNOTATION_ENDS);
    (at > 0 && is_annotation).then(|| (&stem[..at], &stem[at..at + 1 + end.len()]))
}

/// Whether a value stands for a missing one.
pub(super) fn is_missing(value: &str) -> bool {
    const MISSING: [&str; 9] = ["", "nan", "none", "na", "n/a", "n-a", "n.a.", "null", "<na>"];
    MISSING.iter().any(|missing| missing.eq_ignore_ascii_case(value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_recognised_in_any_spelling() {
        for (name, split) in [
            ("train", Split::Train),
            ("training_set", Split::Train),
            ("train2017", Split::Train),
            ("Train_Images", Split::Train),
            ("TestData", Split::Test),
            ("images-val", Split::Val),
            ("VALIDATION", Split::Val),
        ] {
            assert_eq!(split_in(name), Some((split, String::new())), "{name}");
        }
        assert_eq!(split_in("cats_train"), Some((Split::Train, "cats".into())));
        for name in ["trainval", "train_test_split", "latest", "trains", "contest", "cat"] {
            assert_eq!(split_in(name), None, "{name}");
        }
        assert_eq!(split_of_stem("21_training"), Some(Split::Train));
        assert_eq!(split_of_stem("test-0004"), Some(Split::Test));
        assert_eq!(split_of_stem("blood test 4 b"), None);
    }

    #[test]
    fn masks_are_recognised_beside_their_images() {
        assert_eq!(annotated_stem("benign (1)_mask"), Some(("benign (1)", "_mask")));
        assert_eq!(annotated_stem("benign (4)_mask_1"), Some(("benign (4)", "_mask")));
        assert_eq!(annotated_stem("26_manual1"), Some(("26", "_manual")));
        assert_eq!(annotated_stem("mask"), None);
        assert_eq!(annotated_stem("face_1"), None);
        assert!(is_annotation_folder("1st_manual") && is_annotation_folder("Ground Truth"));
        assert!(!is_annotation_folder("with_mask"));
    }

    #[test]
    fn only_words_for_missing_values_mean_no_label() {
        for value in ["", "  ", "NaN", "None", "NA", "n/a", "NULL"] {
            assert!(is_missing(value), "{value:?}");
        }
        for value in ["0", "nad", "no", "unknown"] {
            assert!(!is_missing(value), "{value:?}");
        }
    }
}
