//! Which part of an image decided: heat maps of tiles and of occlusion, drawn over the image.

mod decision;
mod draw;
mod map;
mod margin;
mod occlusion;
mod tiles;

pub use decision::{ExplainError, Explanation, Method, explain};
pub use draw::overlay;
pub use map::{HeatMap, Raster};
pub use margin::Margin;
pub use occlusion::{Occlusion, OcclusionError};
