//! The protocol between host and device: postcard messages in checked frames, repeated until answered.
//!
//! ```text
//! message   postcard                    requests and replies
//! endpoint  session and sequence        a request is executed once, however often it arrives
//! frame     COBS and CRC-32             finds and checks a packet on the line
//! ```
//!
//! `postcard-rpc` 0.12 was considered and not used. It, too, sends postcard in COBS, and its sequence number tells a host
//! which reply answers which request. But it has no checksum (it is made for USB, which has one), executes a request twice
//! if it arrives twice, and does not resend a lost one; a bare UART needs all three. Its device half is an async
//! server, while this device answers one request at a time and needs no executor; its host half depends on tokio. Its keys
//! are hashes of path and type, so that a changed type becomes another message without an explanation; the numbers here
//! never change.

mod refusal; //      reasons of refusals, with numbers that never change
mod codec; //        version, length limits, reading and writing
mod request; //      requests of a host
mod bundle; //       the report of a device on its bundles
mod reply; //        replies of a device
pub mod message; //  all of the above under one name
pub mod frame; //    finds a packet on a line and checks it
mod packet; //       a message with its session and sequence number
mod endpoint; //     the device's end: executes a request once
mod client; //       the host's end: sends a request until it is answered

pub use client::Client;
pub use endpoint::Endpoint;
pub use message::{Reply, Request};
pub use packet::packet_max;
pub use refusal::{Reason, Refusal};
