//! Charts as SVG: lines with markers, and maps of points.
//!
//! A chart is drawn in one of two forms: as a file of its own, or as a part of an HTML document, whose colours it then takes, light
//! or dark. Nothing is drawn over the plot: the legend is below it. Series differ in colour, dashes and markers, so that a reader
//! who sees no colours can tell them apart.
//!
//! Plotters, which drew these charts before, places ticks of a logarithmic axis at round logarithms (5.012), draws its legend into
//! the plot, and writes colours that a document cannot change.

mod axis;
mod frame;
mod lines;
mod scatter;
mod style;

pub use axis::Axis;
pub use lines::{Chart, ChartError, Series};
pub use scatter::{Group, Scatter};
pub use style::css;
