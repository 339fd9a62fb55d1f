//! Label values to classes: missing labels, equal numbers, similar spellings.

use std::collections::{BTreeMap, BTreeSet};

use super::remark::Remark;
use super::{Dataset, words};

/// Integers up to here are exact in `f64`.
const WHOLE_MAX: f64 = (1u64 << 53) as f64;

/// The label values of images, in order of the images; each spelling is stored once.
#[derive(Default)]
pub(super) struct LabelValues {
    places: BTreeMap<String, usize>,
    spellings: Vec<(String, usize)>,
    of_image: Vec<Option<usize>>,
}

impl LabelValues {
    /// Appends the label value of the next image.
    pub fn push(&mut self, value: Option<&str>) {
        let place = value.map(|value| match self.places.get(value) {
            Some(&place) => place,
            None => {
                self.places.insert(value.to_owned(), self.spellings.len());
                self.spellings.push((value.to_owned(), 0));
                self.spellings.len() - 1
            }
        });
        if let Some(place) = place {
            self.spellings[place].1 += 1;
        }
        self.of_image.push(place);
    }

    /// Sets the labels, classes and remarks of `dataset`.
    pub fn label(self, dataset: &mut Dataset) {
        let classes = classes_of(&self.spellings.iter().cloned().collect());
        let of_spelling: Vec<Option<usize>> =
            self.spellings.iter().map(|(value, _)| classes.label_of.get(value).copied().flatten()).collect();
        for (record, place) in dataset.records.iter_mut().zip(self.of_image) {
            record.label = place.and_then(|place| of_spelling[place]);
        }
        dataset.class_names = classes.names;
        dataset.remarks.extend(classes.remarks);
    }
}

/// The classes of a dataset.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Classes {
    /// In label order: numbers by value, others by name.
    pub names: Vec<String>,
    /// Label of each value; none if the value means no label.
    pub label_of: BTreeMap<String, Option<usize>>,
    /// Remarks on the values.
    pub remarks: Vec<Remark>,
}

/// The classes of `values`, each with its number of images.
///
/// If all values are numbers, `1` and `1.0` are one class. Numbers with leading zeros are codes, not numbers.
pub(super) fn classes_of(values: &BTreeMap<String, usize>) -> Classes {
    let (missing, present): (Vec<_>, Vec<_>) = values.iter().partition(|(value, _)| words::is_missing(value));
    let present: Vec<&str> = present.into_iter().map(|(value, _)| value.as_str()).collect();
    let numbers: Option<Vec<f64>> = present.iter().map(|value| number(value)).collect();
    let mut classes = match numbers {
        Some(numbers) => numbered(&present, &numbers),
        None => named(&present),
    };
    let written: Vec<_> = missing.iter().filter(|(value, _)| !value.trim().is_empty()).collect();
    if !written.is_empty() {
        let images = written.iter().map(|(_, count)| **count).sum();
        let values = written.iter().map(|(value, _)| (*value).clone()).collect();
        classes.remarks.push(Remark::MissingLabels { values, images });
    }
    classes.label_of.extend(missing.into_iter().map(|(value, _)| (value.clone(), None)));
    classes
}

fn named(values: &[&str]) -> Classes {
    let names: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    let label_of = names.iter().cloned().enumerate().map(|(label, name)| (name, Some(label))).collect();
    let remarks = similar(&names);
    Classes { names, label_of, remarks }
}

fn numbered(values: &[&str], numbers: &[f64]) -> Classes {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
    let mut classes = Classes::default();
    for equal in order.chunk_by(|&a, &b| numbers[a] == numbers[b]) {
        let (label, class) = (classes.names.len(), canonical(values[equal[0]], numbers[equal[0]]));
        let spellings: Vec<String> = equal.iter().map(|&at| values[at].to_owned()).collect();
        classes.label_of.extend(spellings.iter().map(|value| (value.clone(), Some(label))));
        if spellings.len() > 1 {
            classes.remarks.push(Remark::EqualLabels { class: class.clone(), spellings });
        }
        classes.names.push(class);
    }
    classes
}

/// The value of a number; `None` for a code or anything else.
fn number(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['-', '+']);
    let is_code = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let value: f64 = text.parse().ok().filter(|_| plain && !is_code)?;
    // -0 and 0 are one class.
    (value.abs() < WHOLE_MAX).then_some(value + 0.0)
}

fn canonical(text: &str, value: f64) -> String {
    if value.fract() == 0.0 { format!("{}", value as i64) } else { text.to_owned() }
}

/// Remarks on names that a person can hardly distinguish.
pub(super) fn similar(names: &[String]) -> Vec<Remark> {
    let mut by_form: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
    for name in names {
        by_form.entry(comparable(name)).or_default().insert(name);
    }
    let alike = by_form.into_values().filter(|names| names.len() > 1);
    alike.map(|names| Remark::SimilarClasses { names: names.into_iter().cloned().collect() }).collect()
}

/// A name without case, spaces, `_`, `-` and Unicode form.
fn comparable(name: &str) -> String {
    let composed = composed(name);
    composed.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(feature = "host")]
fn composed(name: &str) -> String {
    unicode_normalization::UnicodeNormalization::nfc(name).collect()
}

/// A device's program does without the tables.
#[cfg(not(feature = "host"))]
fn composed(name: &str) -> String {
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(values: &[&str]) -> Classes {
        classes_of(&values.iter().map(|value| ((*value).to_owned(), 1)).collect())
    }

    #[test]
    fn missing_values_have_no_label_and_equal_numbers_are_one_class() {
        let found = classes(&["0", "0.0", "1", "1.0", "NaN", "nan", "None", "N/A", ""]);
        assert_eq!(found.names, ["0", "1"]);
        assert_eq!((found.label_of["1.0"], found.label_of["0"]), (Some(1), Some(0)));
        assert!(["NaN", "nan", "None", "N/A", ""].iter().all(|value| found.label_of[*value].is_none()));
        let missing = found.remarks.iter().any(|remark| matches!(remark, Remark::MissingLabels { images: 4, .. }));
        let equal = found.remarks.iter().filter(|remark| matches!(remark, Remark::EqualLabels { .. })).count();
        assert!(missing && equal == 2, "{:?}", found.remarks);
    }

    #[test]
    fn number_classes_are_in_numeric_order() {
        assert_eq!(classes(&["10", "2", "-1", "7.5"]).names, ["-1", "2", "7.5", "10"]);
        assert_eq!(classes(&["1.0", "3.0"]).names, ["1", "3"]);
        assert_eq!(classes(&["01", "1", "10"]).names, ["01", "1", "10"], "codes are not numbers");
        let large = ["9007199254740992", "9007199254740993"];
        assert_eq!(classes(&large).names, large, "f64 cannot represent both");
        assert_eq!(classes(&["2", "b", "10"]).names, ["10", "2", "b"], "not all are numbers");
        assert_eq!(classes(&["inf", "1"]).names, ["1", "inf"]);
    }

    #[cfg(feature = "host")]
    #[test]
    fn names_that_differ_only_in_spelling_give_a_remark() {
        let found = classes(&["Cat", "cat ", "dog", "caf\u{e9}", "cafe\u{301}", "no_tumor", "notumor"]);
        assert_eq!(found.names.len(), 7, "they stay separate classes");
        let similar = found.remarks.iter().filter(|remark| matches!(remark, Remark::SimilarClasses { .. })).count();
        assert_eq!(similar, 3, "{:?}", found.remarks);
    }
}
