//! Text, tables, charts and contact sheets for people.

#[cfg(feature = "host")]
pub mod chart;
pub mod sheet;
pub mod table;
pub mod text;
