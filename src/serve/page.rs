//! A page that is served: its listener, its files, and the loop on the thread of the device.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::access::Access;
use super::controller::{Controller, KnownEncoder, PageFiles, Pictures};
use super::error::ApiError;
use super::qr;
use super::routes::{EncoderFacts, Shared, router};
use super::server::{Server, TlsFiles};
use super::worker::{Worker, channel};
use crate::data::decode::EncoderRange;
use crate::link::Client;

/// Requests with a large body at once.
const UPLOADS_MAX: usize = 4;

/// Bytes of an exported state at most.
const STATE_BYTES_MAX: u64 = 4 << 30;

/// Options of a page.
#[derive(Clone, Debug)]
pub struct PageOptions<'o> {
    /// Folder of the page's files; made if it is missing.
    pub folder: &'o Path,
    /// Whether other machines may connect.
    pub remote: bool,
    /// Certificate and key, for TLS.
    pub tls: Option<&'o TlsFiles>,
    /// Bytes of an image file at most.
    pub upload_bytes_max: usize,
}

/// Why a page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The socket or the certificate.
    #[error("{0}")]
    Listen(#[from] io::Error),
    /// A file of the page.
    #[error("{0}")]
    Files(#[from] ApiError),
}

/// A page that is served. Requests wait for [`Self::serve`].
pub struct Page {
    // Ends before the rest, which its threads use.
    server: Server,
    shared: Arc<Shared>,
    worker: Worker,
    files: PageFiles,
    address: SocketAddr,
    is_tls: bool,
    upload_bytes_max: usize,
}

impl Page {
    /// Listens on `listener`, a socket that is bound.
    ///
    /// * `warn`: receives faults of the network
    ///
    /// # Errors
    /// If a file of the page or of TLS cannot be read.
    pub fn open(
        listener: TcpListener,
        options: &PageOptions<'_>,
        warn: impl Fn(&str) + Send + 'static,
    ) -> Result<Self, PageError> {
        let address = listener.local_addr()?;
        let tls = options.tls.map(TlsFiles::read).transpose()?;
        let files = PageFiles::open(options.folder)?;
        let access = match options.remote {
            true => Access::with_token(&options.folder.join("token"))?,
            false => Access::loopback(),
        };
        let (device, worker) = channel();
        let (ending, ends) = watch::channel(false);
        let is_tls = tls.is_some();
        let shared = Arc::new(Shared {
            device,
            access,
            uploads: Semaphore::new(UPLOADS_MAX),
            upload_bytes_max: options.upload_bytes_max,
            state_bytes_max: STATE_BYTES_MAX,
            encoder: Mutex::new(EncoderFacts {
                range: EncoderRange::Unknown,
                preprocessing: None,
                pictures: Pictures::None,
            }),
            queue_images: files.queue.images().clone(),
            quality: Mutex::new(None),
            url: options.remote.then(|| url(address, is_tls)),
            ending: ends,
        });
        let server = Server::start(listener, tls, router(Arc::clone(&shared)), ending, warn)?;
        let upload_bytes_max = options.upload_bytes_max;
        Ok(Self { server, shared, worker, files, address, is_tls, upload_bytes_max })
    }

    /// The address of the page.
    pub fn url(&self) -> String {
        match &self.shared.url {
            Some(url) => url.clone(),
            None => url(self.address, self.is_tls),
        }
    }

    /// How another machine pairs: the address with a code, and its QR code for a terminal. `None` on loopback.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn invitation(&self) -> Result<Option<(String, Option<String>)>, ApiError> {
        let code = self.shared.access.code()?;
        Ok(code.map(|(code, _)| {
            let url = format!("{}/#code={code}", self.url());
            let qr = qr::terminal(&url);
            (url, qr)
        }))
    }

    /// Handles requests for the device behind `client` until `stop` is set.
    ///
    /// # Errors
    /// If the device does not answer at the beginning.
    pub fn serve(
        &mut self,
        client: &mut Client<'_>,
        encoder: Option<KnownEncoder<'_>>,
        pictures: Pictures,
        stop: &Arc<AtomicBool>,
    ) -> Result<(), ApiError> {
        *self.shared.encoder.lock().unwrap_or_else(PoisonError::into_inner) = EncoderFacts {
            range: client.range(),
            preprocessing: encoder.as_ref().map(|encoder| encoder.preprocessing.clone()),
            pictures: pictures.clone(),
        };
        let Self { files, worker, upload_bytes_max, .. } = self;
        let mut controller = Controller::new(client, files, encoder, pictures, *upload_bytes_max)?;
        worker.serve(&mut controller, stop);
        Ok(())
    }

    /// Lets open requests finish and ends the server.
    pub fn end(self) {
        let Self { mut server, worker, .. } = self;
        // Requests that still wait for the device are told that the server ends.
        drop(worker);
        server.end();
    }
}

/// The address of a page as other machines reach it, or this one.
fn url(address: SocketAddr, is_tls: bool) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() => own_address().map_or_else(|| "localhost".to_owned(), host_of),
        ip if ip.is_loopback() => "localhost".to_owned(),
        ip => host_of(ip),
    };
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{host}:{}", address.port())
}

fn host_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The address of this machine in its network. Connecting a UDP socket sends nothing; it chooses the interface to a
/// documentation address (RFC 5737).
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_unspecified())
}
