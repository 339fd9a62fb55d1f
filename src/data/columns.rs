//! The columns of a manifest, found by their titles.

use super::remark::Remark;
use super::words;

/// Titles of each field, reduced to letters and digits; the first that occurs is used.
const PATH: &str = "path filepath imagepath imgpath file filename imagefile imagefilename imagename image img";
const LABEL: &str = "label labels class classname classlabel target category diagnosis dx y";
const SPLIT: &str = "split set subset partition phase usage datasplit fold";
const GROUP: &str = "\
    group groupid patient patientid patientname subject subjectid participant participantid case caseid person \
    personid lesionid";

/// Positions of the four fields of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// The image file.
    pub path: usize,
    /// Its class.
    pub label: Option<usize>,
    /// Its split.
    pub split: Option<usize>,
    /// Its patient, subject or similar.
    pub group: Option<usize>,
    titles: Vec<String>,
}

impl Columns {
    /// The columns of a header; `None` if none holds paths.
    pub fn of(header: &[String]) -> Option<Self> {
        let titles: Vec<String> = header.iter().map(|title| words::letters(title)).collect();
        let column = |known: &str| known.split(' ').find_map(|name| titles.iter().position(|title| title == name));
        Some(Self {
            path: column(PATH)?,
            label: column(LABEL),
            split: column(SPLIT),
            group: column(GROUP),
            titles: header.to_vec(),
        })
    }

    /// Number of columns in the header.
    pub fn count(&self) -> usize {
        self.titles.len()
    }

    /// Whether the split column is titled `fold`, and so may hold fold numbers instead of splits.
    pub fn is_fold(&self) -> bool {
        self.split.is_some_and(|column| words::letters(&self.titles[column]) == "fold")
    }

    /// Remarks on columns with other titles than the four fields, and on unused columns.
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
    fn common_titles_are_recognised() {
        let found = columns(&["Age", "Patient ID", "File_Name", "DIAGNOSIS", "Set"]).unwrap();
        assert_eq!((found.path, found.label, found.split, found.group), (2, Some(3), Some(4), Some(1)));
        assert!(
            matches!(&found.remarks()[..], [Remark::ColumnsUsed { .. }, Remark::ColumnsUnused { columns }] if columns == &["Age"])
        );
        let both = columns(&["class", "label", "path"]).unwrap();
        assert_eq!(both.label, Some(1), "the first known title is used, in any position");
        assert_eq!(both.remarks(), [Remark::ColumnsUnused { columns: vec!["class".into()] }]);
        assert!(columns(&["path", "label", "split", "group"]).unwrap().remarks().is_empty());
        assert_eq!(columns(&["label", "split"]), None);
    }
}
