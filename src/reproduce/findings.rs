//! The results of a lesson, and the files they are written to.

use std::path::{Path, PathBuf};

use super::error::ReproduceError;
use crate::data::Image;
use crate::files::write_atomic;
use crate::report::chart::Chart;
use crate::report::sheet::write_png;
use crate::report::table::Table;

/// The results of a lesson.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Tables by name; the main table has an empty name.
    pub tables: Vec<(&'static str, Table)>,
    /// By name.
    pub charts: Vec<(&'static str, Chart)>,
    /// By name.
    pub pictures: Vec<(&'static str, Image)>,
    /// Conclusions in words.
    pub sentences: Vec<String>,
}

impl Findings {
    /// A table with its chart and conclusion.
    pub(super) fn charted(table: Table, chart: Chart, sentence: String) -> Self {
        Self { tables: vec![("", table)], charts: vec![("", chart)], sentences: vec![sentence], ..Self::default() }
    }

    /// Writes the results to `folder` as `LESSON.csv`, `LESSON-NAME.csv`, `.svg` and `.png`. Returns the files.
    ///
    /// # Errors
    /// When a file cannot be drawn or written.
    pub fn write(&self, lesson: &str, folder: &Path) -> Result<Vec<PathBuf>, ReproduceError> {
        let path = |name: &str, ending: &str| {
            let dash = if name.is_empty() { "" } else { "-" };
            folder.join(format!("{lesson}{dash}{name}.{ending}"))
        };
        let mut written = Vec::new();
        for (name, table) in &self.tables {
            written.push(path(name, "csv"));
            table.write_csv(&path(name, "csv"))?;
        }
        for (name, chart) in &self.charts {
            written.push(path(name, "svg"));
            write_atomic(&path(name, "svg"), chart.svg()?.as_bytes())?;
        }
        for (name, picture) in &self.pictures {
            written.push(path(name, "png"));
            write_png(&path(name, "png"), picture)?;
        }
        Ok(written)
    }
}

/// A share with three digits; a dash for NaN.
pub(super) fn share(value: f64) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.3}") }
}
