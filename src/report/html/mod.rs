//! Self-contained HTML documents: style sheet, charts and pictures are inside, and there is no script. A document asks no server for
//! anything, which its content security policy also forbids.

mod document;
mod escape;
mod parts;
mod picture;

pub use document::Document;
pub use escape::escape;
pub use parts::{Html, cards, details, figures, listed, note, picture, preformatted, table, text};
pub use picture::{png_of_uri, png_uri};
