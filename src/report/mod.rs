//! Human-readable text, tables, charts, contact sheets, and reports as HTML.

#[cfg(feature = "host")]
pub mod care;
#[cfg(feature = "host")]
pub mod care_html;
#[cfg(feature = "host")]
pub mod chart;
#[cfg(feature = "host")]
pub mod evaluation;
#[cfg(feature = "host")]
pub mod html;
#[cfg(feature = "host")]
pub mod run;
pub mod sheet;
pub mod table;
#[cfg(feature = "host")]
pub mod tensorboard;
pub mod text;
