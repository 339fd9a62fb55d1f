//! Human-readable text, tables, charts and contact sheets.

#[cfg(feature = "host")]
pub mod care;
#[cfg(feature = "host")]
pub mod care_html;
#[cfg(feature = "host")]
pub mod chart;
pub mod sheet;
pub mod table;
pub mod text;
