//! Bundles as they are signed.

use macula_edge::bundle::{BundleError, PartKind, PublicKey};
use macula_edge::protocol::message::Setback;
use macula_edge::session::Offer;

use super::{BundleReader, Loaded, Unusable, fingerprint};
use crate::bundle::{Bundle, OpenError};
use crate::isolated::OnnxHost;

/// Reads bundles that a trusted key signed.
#[derive(Clone, Debug, Default)]
pub struct SignedBundles {
    /// Where ONNX encoders run.
    pub host: OnnxHost,
}

impl BundleReader for SignedBundles {
    fn offer(&self, bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<Offer, u32> {
        let offer = || -> Result<Offer, OpenError> {
            let bundle = Bundle::from_bytes("the bundle", bytes, trusted)?;
            Ok(Offer { identity: identity(&bundle, &self.host)?, counter: bundle.header().counter })
        };
        offer().map_err(|error| error.reason().code())
    }

    fn is_stopped(&self) -> bool {
        self.host.is_stopped()
    }

    fn load(&self, name: &str, bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<Loaded, Unusable> {
        let load = || -> Result<Loaded, OpenError> {
            let bundle = Bundle::from_bytes(name, bytes, trusted)?;
            let (encoder, _) = bundle.encoder_on(&self.host)?;
            let limits = bundle.manifest().limits;
            Ok(Loaded {
                name: bundle.manifest().name.clone(),
                arithmetic: encoder.arithmetic().to_owned(),
                encoder: Box::new(encoder),
                counter: bundle.header().counter,
                limits: [limits.classes, limits.supports],
            })
        };
        load().map_err(|error| Unusable { why: setback(&error), message: sentence(&error) })
    }
}

/// The identity of a bundle's encoder, as this program would run it: the manifest has that of the ONNX file.
fn identity(bundle: &Bundle, host: &OnnxHost) -> Result<[u8; 16], OpenError> {
    let stated = bundle.manifest().encoder.identity.as_bytes();
    if cfg!(feature = "onnx") && bundle.part(PartKind::Onnx).is_some() {
        let digit = |at: usize| stated.get(at).and_then(|&digit| char::from(digit).to_digit(16)).unwrap_or(0) as u8;
        return Ok(std::array::from_fn(|at| digit(2 * at) << 4 | digit(2 * at + 1)));
    }
    bundle.encoder_on(host).map(|(encoder, _)| fingerprint(&encoder))
}

fn setback(error: &OpenError) -> Setback {
    match error.reason() {
        BundleError::Golden { .. } => Setback::Golden,
        _ => Setback::Unreadable,
    }
}

/// What is wrong, without the name that stands before it anyway, and what can be done about it.
fn sentence(error: &OpenError) -> String {
    match error {
        OpenError::Refused { source: source @ BundleError::UnknownKey { .. }, .. } => {
            format!("{source}; --trust NAME.pub names a public key to trust")
        }
        OpenError::Refused { source, .. } => source.to_string(),
        OpenError::Content { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
