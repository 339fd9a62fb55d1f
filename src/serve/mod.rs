//! The page on which a person teaches a device, and its API (`docs/page.md`).
//!
//! The page is one more client of a device: every request goes through [`crate::link`] to the device's session. Requests
//! come in on the threads of the HTTP server and are handled one after the other on the thread of the device.

mod access; //     tokens, pairing codes, origins, rates
mod archive; //    the state of a device as a file
mod assets; //     the files of the page
mod audit; //      who changed what
mod classify; //   what a device says of an image
mod controller; // what each request does
mod error; //      errors of the API
mod operating_point; // the operating point of the device
mod page; //       a page that is served
mod pending; //    a sample that is being moved
mod proportion; // a share with its interval
mod qr; //         QR codes
mod quality; //    figures by leave-one-out
mod queue; //      images to label
mod routes; //     from HTTP to the controller
mod server; //     sockets, TLS, connections
mod settings; //   settings of all clients
mod source; //     sources in hexadecimal digits
mod types; //      the values of the API
mod undo; //       changes that can be taken back
mod worker; //     requests on their way to the thread of the device

pub use controller::{KnownEncoder, Pictures};
pub use error::{ApiError, ErrorKind};
pub use page::{Page, PageError, PageOptions};
pub use routes::openapi;
pub use server::TlsFiles;
