//! `macula-edge` for programs in C and C++. `include/macula.h` is written from these sources.
//!
//! Every function checks its pointers, does one request of a [`Session`](macula_edge::session::Session) or passes bytes to
//! an [`Endpoint`](macula_edge::protocol::Endpoint), and returns a status. Nothing else is decided here.
//!
//! Nothing allocates: a device lies in memory of the caller, and works in memory of the caller.
#![no_std]
#![allow(unsafe_code, reason = "pointers of C")]
#![allow(clippy::missing_safety_doc, reason = "the header says once what all pointers must be")]

mod status; //  status codes
mod pointer; // pointers of C, checked
mod types; //   structs that cross the boundary
mod input; //   the sample of a call
mod flash; //   flash by callbacks
mod encoder; // a blob, or none
mod memory; //  the caller's memory, divided
mod device; //  a device in memory of the caller: opened, used, closed
mod blob; //    facts about a blob
mod learn; //   classes and supports
mod predict; // images, features and predictions
mod report; //  the state of a device
mod line; //    requests of a host: bytes in, bytes out
#[cfg(feature = "panic-handler")]
mod panic; //   ends the program

pub use blob::{BlobInfo, macula_blob_work_words, macula_read_blob};
pub use device::{
    Config, Device, MACULA_DEVICE_WORDS, macula_close, macula_device_size, macula_error_detail, macula_open,
};
pub use flash::{EraseFlash, Flash, ProgramFlash, ReadFlash, SyncFlash};
pub use learn::{
    macula_add_class, macula_class_at, macula_forget, macula_forget_all, macula_learn, macula_remove_class,
    macula_rename_class,
};
pub use line::{SendBytes, macula_handle, macula_receive};
pub use memory::{Sizes, memory_size};
pub use predict::{macula_append_image, macula_begin_image, macula_embed, macula_predict, macula_why};
pub use report::{macula_get_report, macula_self_test};
pub use status::{Status, macula_status_text};
pub use types::*;

#[cfg(test)]
extern crate std;
