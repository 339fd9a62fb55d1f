//! A table: aligned text for people, CSV for spreadsheets.

use std::path::Path;

use super::text::{left, widest};
use crate::files::{WriteError, write_atomic};

/// Cells by row, under names of columns.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// One cell a column in each row.
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
    /// When it has not one cell a column.
    pub fn push(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.columns.len(), "cells of {row:?}");
        self.rows.push(row);
    }

    /// Lines of text, columns aligned to the left, with one space between the widest cells and their neighbours.
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

    /// Comma-separated values, names of columns first.
    pub fn csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in std::iter::once(&self.columns).chain(&self.rows) {
            writer.write_record(row).expect("rows of one length into memory");
        }
        writer.into_inner().expect("memory is flushed")
    }

    /// Writes [`Self::csv`], whole or not at all.
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
        assert_eq!(String::from_utf8(table.csv()).unwrap(), csv, "a file holds what was given");
    }
}
