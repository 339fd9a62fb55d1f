//! Tables as aligned text and as CSV.

use std::path::Path;

use super::text::{left, widest};
use crate::files::{WriteError, write_atomic};

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Table {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows, each with one cell per column.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// When it does not have one cell per column.
    pub fn push(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.columns.len(), "cells of {row:?}");
        self.rows.push(row);
    }

    /// The table as text with left-aligned columns.
    pub fn text(&self) -> String {
        let all = || std::iter::once(&self.columns).chain(&self.rows);
        let widths: Vec<usize> =
            (0..self.columns.len()).map(|column| widest(all().map(|row| row[column].as_str()), 0)).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| left(cell, width));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        all().map(line).collect()
    }

    /// The table as CSV with a header.
    pub fn csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in std::iter::once(&self.columns).chain(&self.rows) {
            writer.write_record(row).expect("rows of one length into memory");
        }
        writer.into_inner().expect("memory is flushed")
    }

    /// Writes [`Self::csv`] atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<(), WriteError> {
        write_atomic(path, &self.csv())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_aligned_and_csv_quoted() {
        let mut table = Table::new(&["task", "±"]);
        table.push(vec!["nodule, solid".into(), "0.01".into()]);
        table.push(vec!["é".into(), "".into()]);
        table.push(vec!["結節\u{1b}".into(), "1".into()]);
        assert_eq!(table.text(), "task           ±\nnodule, solid  0.01\né\n結節\\u{1b}     1\n");
        let csv = "task,±\n\"nodule, solid\",0.01\né,\n結節\u{1b},1\n";
        assert_eq!(String::from_utf8(table.csv()).unwrap(), csv, "the cells as given");
    }
}
