//! The HTTP server: sockets, TLS, connections.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 128;

/// Longest time for the headers of a request, and for a TLS handshake.
const HEADERS_MAX: Duration = Duration::from_secs(10);

/// Time for connections to finish their requests when the server ends.
const ENDING_MAX: Duration = Duration::from_secs(5);

/// Pause after a failed accept: too many open files may pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Threads that handle connections.
const THREADS: usize = 2;

/// Certificate and private key, PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, followed by those of its authorities.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// If one cannot be read, or they do not go together.
    pub fn read(&self) -> io::Result<Arc<ServerConfig>> {
        let invalid = |path: &Path, error: String| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", path.display()))
        };
        let certificates = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| invalid(&self.certificate, error.to_string()))?;
        if certificates.is_empty() {
            return Err(invalid(&self.certificate, "it has no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| invalid(&self.key, error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(certificates, key));
        config.map(Arc::new).map_err(|error| invalid(&self.certificate, error.to_string()))
    }
}

/// A running server.
pub struct Server {
    ending: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `router` on `listener` in threads of its own until [`Self::end`].
    ///
    /// * `warn`: receives faults of the network
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn start(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        router: Router,
        ending: watch::Sender<bool>,
        warn: impl Fn(&str) + Send + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(THREADS).max_blocking_threads(8).enable_io().enable_time().build()?;
        let ends = ending.subscribe();
        let thread = std::thread::Builder::new().name("page".to_owned()).spawn(move || {
            runtime.block_on(async move {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => accept(listener, tls.map(TlsAcceptor::from), router, ends, &warn).await,
                    Err(error) => warn(&format!("the page cannot be served: {error}")),
                }
            });
            runtime.shutdown_timeout(ENDING_MAX);
        })?;
        Ok(Self { ending, thread: Some(thread) })
    }

    /// Accepts no more connections, lets open requests finish, and ends the threads.
    pub fn end(&mut self) {
        // Without a receiver the threads have ended already.
        let _ = self.ending.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    ends: watch::Receiver<bool>,
    warn: &impl Fn(&str),
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = ended(ends.clone()) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                warn(&format!("cannot accept a client: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, router, ends) = (tls.clone(), router.clone(), ends.clone());
        tokio::spawn(async move {
            handle(stream, client, tls, router, ends).await;
            drop(place);
        });
    }
    // All places are free when all connections have ended.
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(ENDING_MAX, places.acquire_many(all)).await;
}

async fn handle(
    stream: TcpStream,
    client: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    ends: watch::Receiver<bool>,
) {
    // Small replies should not wait for more.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve_connection(stream, client, router, ends).await,
        // A client that does not speak TLS, or does not trust the certificate, has its own message.
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HEADERS_MAX, tls.accept(stream)).await {
                serve_connection(stream, client, router, ends).await;
            }
        }
    }
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: SocketAddr,
    router: Router,
    ends: watch::Receiver<bool>,
) {
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(client));
        request.map(axum::body::Body::new)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    // A client that breaks off is no fault of the server.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = ended(ends) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Waits until the server ends.
pub async fn ended(mut ends: watch::Receiver<bool>) {
    // An error means that the sender has gone, and with it the server.
    let _ = ends.wait_for(|&ending| ending).await;
}
