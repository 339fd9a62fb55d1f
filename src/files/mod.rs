//! File access: bounded reads of regular files, atomic writes, files beside others, and a cache of values that can be computed again.

mod beside;
mod cache;
mod read;
mod write;

pub use beside::{path_beside, remove_if_present};
pub use cache::{Cache, CacheKey};
pub use read::{MODEL_MAX, ReadError, TEXT_MAX, check_regular, open_regular, read_bounded, read_text_bounded};
pub use write::{
    PRIVATE_FILE, PRIVATE_FOLDER, WriteError, create_private_folder, write_atomic, write_json, write_new, write_private,
};
