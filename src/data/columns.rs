//! The columns of a manifest, by their titles.

use super::remark::Remark;
use super::words;

/// Titles of each meaning, without anything but letters and digits, the preferred first.
const PATH: [&str; 11] = [
    "path",
    "filepath",
    "imagepath",
    "imgpath",
    "file",
    "filename",
    "imagefile",
    "imagefilename",
    "imagename",
    "image",
    "img",
];
const LABEL: [&str; 10] =
    ["label", "labels", "class", "classname", "classlabel", "target", "category", "diagnosis", "dx", "y"];
const SPLIT: [&str; 8] = ["split", "set", "subset", "partition", "phase", "usage", "datasplit", "fold"];
const GROUP: [&str; 14] = [
    "group",
    "groupid",
    "patient",
    "patientid",
    "patientname",
    "subject",
    "subjectid",
    "participant",
    "participantid",
    "case",
    "caseid",
    "person",
    "personid",
    "lesionid",
];

/// Where the four fields of a line are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// The image file.
    pub path: usize,
    /// Its class.
    pub label: Option<usize>,
    /// Its split.
    pub split: Option<usize>,
    /// Its patient or the like.
    pub group: Option<usize>,
    titles: Vec<String>,
}

impl Columns {
    /// The columns of a header; `None` where none holds paths.
    pub fn of(header: &[String]) -> Option<Self> {
        let titles: Vec<String> = header.iter().map(|title| words::letters(title)).collect();
        let column = |known: &[&str]| known.iter().find_map(|name| titles.iter().position(|title| title == name));
        Some(Self {
            path: column(&PATH)?,
            label: column(&LABEL),
            split: column(&SPLIT),
            group: column(&GROUP),
            titles: header.to_vec(),
        })
    }

    /// How many columns the header has.
    pub fn count(&self) -> usize {
        self.titles.len()
    }

    /// Whether the split's column may hold numbers of folds, which are no splits.
    pub fn is_fold(&self) -> bool {
        self.split.is_some_and(|column| words::letters(&self.titles[column]) == "fold")
    }

    /// Columns read under another name than the usual four, and columns that are not read.
    pub fn remarks(&self) -> Vec<Remark> {
        let fields = [(Some(self.path), "path"), (self.label, "label"), (self.split, "split"), (self.group, "group")];
        let read: Vec<(usize, &str)> = fields.iter().filter_map(|&(column, field)| Some((column?, field))).collect();
        let named = |&(column, field): &(usize, &str)| format!("{} as {field}", self.titles[column]);
        let mut remarks = Vec::new();
        if read.iter().any(|&(column, field)| !self.titles[column].eq_ignore_ascii_case(field)) {
            remarks.push(Remark::ColumnsUsed { columns: read.iter().map(named).collect() });
        }
        let unused = |column: &usize| !read.iter().any(|(used, _)| used == column);
        let columns: Vec<String> =
            (0..self.titles.len()).filter(unused).map(|column| self.titles[column].clone()).collect();
        if !columns.is_empty() {
            remarks.push(Remark::ColumnsUnused { columns });
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(titles: &[&str]) -> Option<Columns> {
        Columns::of(&titles.iter().map(|title| (*title).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn columns_are_known_by_the_names_that_people_give_them() {
        let found = columns(&["Age", "Patient ID", "File_Name", "DIAGNOSIS", "Set"]).unwrap();
        assert_eq!((found.path, found.label, found.split, found.group), (2, Some(3), Some(4), Some(1)));
        assert!(
            matches!(&found.remarks()[..], [Remark::ColumnsUsed { .. }, Remark::ColumnsUnused { columns }] if columns == &["Age"])
        );
        let both = columns(&["class", "label", "path"]).unwrap();
        assert_eq!(both.label, Some(1), "the first of the known names, wherever it stands");
        assert_eq!(both.remarks(), [Remark::ColumnsUnused { columns: vec!["class".into()] }]);
        assert!(columns(&["path", "label", "split", "group"]).unwrap().remarks().is_empty());
        assert_eq!(columns(&["label", "split"]), None);
    }
}
