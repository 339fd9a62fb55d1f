//! Pictures, tables and pages for people.

pub mod chart;
pub mod sheet;
pub mod table;
