//! Who may use the API.
//!
//! On loopback anyone on this machine may. Other machines need a token, which a client gets for a pairing code of six
//! digits that the server shows. Browsers send requests of other sites to any address they can reach, so requests of
//! another origin are refused, and on loopback those that name another host (DNS rebinding).

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Method, header};
use sha2::{Digest, Sha256};

use super::error::{ApiError, ErrorKind};
use super::source::parse_hexadecimal;
use crate::device::now_s;
use crate::files::{read_text_bounded, write_private};
use crate::report::text::hexadecimal;

/// How long a pairing code is valid.
const CODE_LIFE: Duration = Duration::from_secs(600);

/// Wrong codes after which a code is replaced. A guess succeeds once in 200,000 codes.
const CODE_TRIES_MAX: u32 = 5;

/// Requests that a client may send at once, and per second on average.
const BURST: f64 = 400.0;
const PER_SECOND: f64 = 100.0;

/// Attempts to pair that a client may make at once, and per second on average.
const PAIR_BURST: f64 = 5.0;
const PAIR_PER_SECOND: f64 = 5.0 / 60.0;

/// Clients whose rates are remembered.
const CLIENTS_MAX: usize = 4096;

/// Who may use the API.
#[derive(Debug)]
pub struct Access {
    /// SHA-256 of the token; none on loopback.
    token: Option<Token>,
    pairing: Mutex<Option<Code>>,
    requests: Mutex<Rates>,
    pairs: Mutex<Rates>,
}

struct Token {
    text: String,
    sha256: [u8; 32],
}

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Token(…)")
    }
}

#[derive(Debug)]
struct Code {
    digits: String,
    made: Instant,
    expires_s: u64,
    tries: u32,
}

impl Access {
    /// Access for this machine only, without a token.
    pub fn loopback() -> Self {
        Self::with(None)
    }

    /// Access with the token in the file `path`, which is made if it is missing.
    ///
    /// # Errors
    /// If the file cannot be read or made, or the system has no random numbers.
    pub fn with_token(path: &Path) -> Result<Self, ApiError> {
        let fault = |message: String| ApiError::new(ErrorKind::DeviceFault, format!("{}: {message}", path.display()));
        let text = match read_text_bounded(path, 1024) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                let text = hexadecimal(&random::<32>()?);
                write_private(path, text.as_bytes())?;
                text
            }
            Err(error) => return Err(fault(error.source.to_string())),
        };
        if parse_hexadecimal(&text).map_or(0, |bytes| bytes.len()) != 32 {
            return Err(fault(
                "expected a token of 64 hexadecimal digits; remove the file to make a new one".to_owned(),
            ));
        }
        Ok(Self::with(Some(Token { sha256: Sha256::digest(&text).into(), text })))
    }

    fn with(token: Option<Token>) -> Self {
        let rates = |burst, per_second| Mutex::new(Rates { burst, per_second, clients: HashMap::new() });
        Self {
            token,
            pairing: Mutex::new(None),
            requests: rates(BURST, PER_SECOND),
            pairs: rates(PAIR_BURST, PAIR_PER_SECOND),
        }
    }

    /// Whether requests need a token.
    pub fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// The token.
    #[cfg(test)]
    fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.text.as_str())
    }

    /// Whether `headers` have the token, or none is needed.
    pub fn is_authorised(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        // Hashes are compared, so that the time of the comparison says nothing about the token.
        let matches = |given: &str| Sha256::digest(given)[..] == token.sha256;
        given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(matches)
    }

    /// Refuses requests of other sites, and on loopback those that name another host.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`].
    pub fn check_origin(&self, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
        let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
        let forbidden = |message: String| Err(ApiError::new(ErrorKind::Forbidden, message));
        let host = text(header::HOST).unwrap_or_default();
        if self.token.is_none() && !is_loopback_name(host) {
            return forbidden(format!("host '{host}': only localhost is served without a token"));
        }
        if let Some(origin) = text(header::ORIGIN)
            && origin.split_once("://").is_none_or(|(_, origin)| origin != host)
        {
            return forbidden(format!("origin '{origin}' is not '{host}'"));
        }
        let site = text(header::HeaderName::from_static("sec-fetch-site"));
        let is_change = !matches!(*method, Method::GET | Method::HEAD);
        match site {
            Some("same-origin" | "none") | None => Ok(()),
            // A link on another site may open the page, and changes nothing.
            Some(_) if !is_change && text(header::HeaderName::from_static("sec-fetch-mode")) == Some("navigate") => {
                Ok(())
            }
            Some(site) => forbidden(format!("a {site} request")),
        }
    }

    /// Counts a request of `client`.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`].
    pub fn check_rate(&self, client: IpAddr) -> Result<(), ApiError> {
        count(&self.requests, client, Instant::now())
    }

    /// The pairing code, made anew when it has expired; `None` on loopback.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn code(&self) -> Result<Option<(String, u64)>, ApiError> {
        if self.token.is_none() {
            return Ok(None);
        }
        let mut pairing = lock(&self.pairing);
        let code = match pairing.take().filter(|code| code.made.elapsed() < CODE_LIFE) {
            Some(code) => code,
            None => Code::new()?,
        };
        let shown = (code.digits.clone(), code.expires_s);
        *pairing = Some(code);
        Ok(Some(shown))
    }

    /// The token, for the right code. A code can be used once, so that a code seen over a shoulder is of no use later.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`] after too many attempts, [`ErrorKind::Unauthorised`] for a wrong or expired code.
    pub fn pair(&self, client: IpAddr, digits: &str) -> Result<String, ApiError> {
        count(&self.pairs, client, Instant::now())?;
        let wrong = || ApiError::new(ErrorKind::Unauthorised, "the code is wrong or has expired");
        let token = self.token.as_ref().ok_or_else(wrong)?;
        let mut pairing = lock(&self.pairing);
        let code = pairing.as_mut().filter(|code| code.made.elapsed() < CODE_LIFE).ok_or_else(wrong)?;
        if Sha256::digest(&code.digits) == Sha256::digest(digits) {
            *pairing = None;
            return Ok(token.text.clone());
        }
        code.tries += 1;
        if code.tries >= CODE_TRIES_MAX {
            *pairing = None;
        }
        Err(wrong())
    }
}

impl Code {
    fn new() -> Result<Self, ApiError> {
        // 2³² is not a multiple of 10⁶: the first codes are more likely by .02 %, which helps nobody.
        let digits = format!("{:06}", u32::from_le_bytes(random::<4>()?) % 1_000_000);
        Ok(Self { digits, made: Instant::now(), expires_s: now_s() + CODE_LIFE.as_secs(), tries: 0 })
    }
}

/// Whether `host`, `NAME[:PORT]`, is this machine itself.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| ApiError::new(ErrorKind::DeviceFault, format!("no random numbers: {error}")))?;
    Ok(bytes)
}

/// Token buckets by client.
#[derive(Debug)]
struct Rates {
    burst: f64,
    per_second: f64,
    clients: HashMap<IpAddr, (f64, Instant)>,
}

fn count(rates: &Mutex<Rates>, client: IpAddr, now: Instant) -> Result<(), ApiError> {
    let Rates { burst, per_second, clients } = &mut *lock(rates);
    if clients.len() >= CLIENTS_MAX {
        // Full buckets are as good as forgotten ones.
        let life = *burst / *per_second;
        clients.retain(|_, (_, last)| now.duration_since(*last).as_secs_f64() < life);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            return Err(ApiError::new(ErrorKind::Busy, "too many clients"));
        }
    }
    let (left, last) = clients.entry(client).or_insert((*burst, now));
    *left = (*left + now.duration_since(*last).as_secs_f64() * *per_second).min(*burst);
    *last = now;
    if *left < 1.0 {
        return Err(ApiError::new(ErrorKind::RateLimited, "too many requests; try again later"));
    }
    *left -= 1.0;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use axum::http::HeaderValue;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn remote() -> (tempfile::TempDir, Access) {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::with_token(&folder.path().join("token")).unwrap();
        (folder, access)
    }

    #[test]
    fn a_token_is_kept_private_and_needed() {
        let (folder, access) = remote();
        let token = access.token().unwrap().to_owned();
        let path = folder.path().join("token");
        assert_eq!(Access::with_token(&path).unwrap().token(), Some(token.as_str()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(access.is_authorised(&headers(&[("authorization", &format!("Bearer {token}"))])));
        for wrong in ["", "Bearer ", "Bearer 00", &token, &format!("Basic {token}"), &format!("Bearer {token}0")] {
            assert!(!access.is_authorised(&headers(&[("authorization", wrong)])), "{wrong}");
        }
        assert!(!access.is_authorised(&headers(&[])));
        std::fs::write(&path, "short").unwrap();
        assert_eq!(Access::with_token(&path).unwrap_err().kind, ErrorKind::DeviceFault);
    }

    #[test]
    fn a_code_pairs_once_and_few_guesses_are_allowed() {
        let (_folder, access) = remote();
        let (code, _) = access.code().unwrap().unwrap();
        assert_eq!(access.code().unwrap().unwrap().0, code);
        assert_eq!(access.pair(CLIENT, &code).unwrap(), access.token().unwrap());
        assert_eq!(access.pair(CLIENT, &code).unwrap_err().kind, ErrorKind::Unauthorised);
        let (code, _) = access.code().unwrap().unwrap();
        let wrong = if code == "000000" { "000001" } else { "000000" };
        let kinds: Vec<ErrorKind> = (0..5).map(|_| access.pair(CLIENT, wrong).unwrap_err().kind).collect();
        assert_eq!(kinds[..3], [ErrorKind::Unauthorised; 3]);
        assert_eq!(kinds[3..], [ErrorKind::RateLimited; 2]);
        // Five wrong codes of several clients end a code.
        for last in 1..=2 {
            let other = IpAddr::V4(Ipv4Addr::new(10, 0, 1, last));
            assert_eq!(access.pair(other, wrong).unwrap_err().kind, ErrorKind::Unauthorised);
        }
        assert_eq!(
            access.pair(IpAddr::V4(Ipv4Addr::new(10, 0, 1, 9)), &code).unwrap_err().kind,
            ErrorKind::Unauthorised
        );
        assert!(Access::loopback().code().unwrap().is_none());
    }

    #[test]
    fn other_sites_and_other_hosts_are_refused() {
        let (_folder, remote) = remote();
        let loopback = Access::loopback();
        let allowed = |access: &Access, method: Method, pairs: &[(&'static str, &str)]| {
            access.check_origin(&method, &headers(pairs)).is_ok()
        };
        for host in ["localhost", "localhost:7001", "127.0.0.1:7001", "[::1]:7001"] {
            assert!(allowed(&loopback, Method::GET, &[("host", host)]), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "10.0.0.1:80", "[::2]:1"] {
            assert!(!allowed(&loopback, Method::GET, &[("host", host)]), "{host}");
        }
        let host = ("host", "ward-3.local:7001");
        assert!(allowed(&remote, Method::POST, &[host]));
        assert!(allowed(&remote, Method::POST, &[host, ("origin", "https://ward-3.local:7001")]));
        for origin in ["https://evil.example", "null", "https://ward-3.local"] {
            assert!(!allowed(&remote, Method::POST, &[host, ("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(!allowed(&remote, Method::POST, &[host, ("sec-fetch-site", site)]));
            assert!(!allowed(&remote, Method::GET, &[host, ("sec-fetch-site", site)]));
            let navigation = [host, ("sec-fetch-site", site), ("sec-fetch-mode", "navigate")];
            assert!(allowed(&remote, Method::GET, &navigation));
            assert!(!allowed(&remote, Method::POST, &navigation));
        }
    }

    #[test]
    fn a_client_that_sends_too_much_is_slowed_and_others_are_not() {
        let rates = Mutex::new(Rates { burst: 2.0, per_second: 1.0, clients: HashMap::new() });
        let now = Instant::now();
        assert!(count(&rates, CLIENT, now).is_ok() && count(&rates, CLIENT, now).is_ok());
        assert_eq!(count(&rates, CLIENT, now).unwrap_err().kind, ErrorKind::RateLimited);
        assert!(count(&rates, IpAddr::V4(Ipv4Addr::LOCALHOST), now).is_ok());
        assert!(count(&rates, CLIENT, now + Duration::from_millis(1100)).is_ok());
        assert!(count(&rates, CLIENT, now + Duration::from_millis(1200)).is_err());
    }
}
