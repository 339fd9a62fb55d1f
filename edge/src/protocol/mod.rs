//! How a host and a device talk: postcard messages in checked frames, repeated until answered.
//!
//! ```text
//! message   postcard                    what is asked and answered
//! endpoint  session and sequence        a request is carried out once, however often it arrives
//! frame     COBS and CRC-32             where a packet begins and ends, and that it is whole
//! ```
//!
//! `postcard-rpc` 0.12 was weighed and left. It, too, speaks postcard in COBS, and its sequence number tells a host
//! which reply answers which request; but it has no checksum (it is made for USB, which has one), a request that
//! arrives twice is carried out twice, and nothing is sent again when it is lost: all three are what a bare UART needs
//! and what this module is for. Its device half is an async server over embassy's executor and channels or over traits
//! of one's own, where this device answers one request at a time and needs no executor; its host half
//! brings tokio. Its keys are hashes of path and type, so a changed type is another message and no host can say what
//! differs; ours are numbers in a table that stays put.

mod refusal; //      why a device refuses, in numbers that stay put
mod codec; //        version, length limits, reading and writing
mod request; //      what a host asks
mod bundle; //       what a device reports of its bundles
mod reply; //        what a device answers
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
