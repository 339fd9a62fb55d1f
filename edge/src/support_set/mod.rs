//! The support set: classes by name, and the supports (labelled features) that the device keeps of each.

mod class_name;
mod error;
mod set;
mod support;

pub use class_name::ClassName;
pub use error::{CLASS_NAME_MAX, CLASSES_MAX, SupportSetError};
pub use set::SupportSet;
pub use support::{SourceId, SupportRecord, Supports};
