//! Pictures, tables and pages for people.

#[cfg(feature = "host")]
pub mod chart;
pub mod sheet;
pub mod table;
pub mod text;
