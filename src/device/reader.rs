//! Reads signed bundles.

use macula_edge::bundle::{BundleError, PartKind, PublicKey};
use macula_edge::protocol::message::RollbackReason;
use macula_edge::session::BundleSummary;

use super::{BundleReader, Loaded, UnusableBundle};
use crate::bundle::{Bundle, OpenError};
use crate::encoder::HostEncoder as _;
use crate::isolated::OnnxHost;

/// Reads bundles that a trusted key signed.
#[derive(Clone, Debug, Default)]
pub struct SignedBundles {
    /// Where ONNX encoders run.
    pub host: OnnxHost,
}

impl BundleReader for SignedBundles {
    fn summary(&self, bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<BundleSummary, u32> {
        let summary = || -> Result<BundleSummary, OpenError> {
            let bundle = Bundle::from_bytes("the bundle", bytes, trusted)?;
            Ok(BundleSummary { identity: identity(&bundle, &self.host)?, counter: bundle.header().counter })
        };
        summary().map_err(|error| error.reason().code())
    }

    fn is_stopped(&self) -> bool {
        self.host.is_stopped()
    }

    fn load(&self, name: &str, bytes: Vec<u8>, trusted: &[PublicKey]) -> Result<Loaded, UnusableBundle> {
        let load = || -> Result<Loaded, OpenError> {
            let bundle = Bundle::from_bytes(name, bytes, trusted)?;
            let (encoder, _) = bundle.encoder_on(&self.host)?;
            let limits = bundle.manifest().limits;
            Ok(Loaded {
                name: bundle.manifest().name.clone(),
                encoder: Box::new(encoder),
                counter: bundle.header().counter,
                limits: [limits.classes, limits.supports],
            })
        };
        load().map_err(|error| UnusableBundle { reason: rollback_reason(&error), message: sentence(&error) })
    }
}

/// The identity of a bundle's encoder as this program runs it. The manifest has that of the ONNX file.
fn identity(bundle: &Bundle, host: &OnnxHost) -> Result<[u8; 16], OpenError> {
    if cfg!(feature = "onnx") && bundle.part(PartKind::Onnx).is_some() {
        let stated = &bundle.manifest().encoder.identity;
        return first_half(stated).ok_or_else(|| OpenError::Content {
            path: bundle.name().to_owned(),
            reason: BundleError::Content { kind: PartKind::Manifest },
            message: format!("the manifest's encoder identity '{stated}' is not 64 hexadecimal digits"),
        });
    }
    bundle.encoder_on(host).map(|(encoder, _)| encoder.id().short())
}

/// The first 16 of the 32 bytes in hexadecimal `digits`.
fn first_half(digits: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 32];
    let decoded = base16ct::mixed::decode(digits, &mut bytes).ok()?;
    (decoded.len() == 32).then(|| decoded.first_chunk().copied())?
}

fn rollback_reason(error: &OpenError) -> RollbackReason {
    match error.reason() {
        BundleError::Golden { .. } => RollbackReason::Golden,
        _ => RollbackReason::Unreadable,
    }
}

/// The error without the file name, which the caller adds, and with what to do about it.
fn sentence(error: &OpenError) -> String {
    match error {
        OpenError::Refused { source: source @ BundleError::UnknownKey { .. }, .. } => {
            format!("{source}; pass --trust NAME.pub to trust a key")
        }
        OpenError::Refused { source, .. } => source.to_string(),
        OpenError::Content { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::first_half;

    #[test]
    fn an_identity_is_64_digits_or_none() {
        let whole = format!("{}{}", "0a".repeat(16), "ff".repeat(16));
        assert_eq!(first_half(&whole), Some([0x0a; 16]));
        for wrong in
            ["", "0a", &whole[1..], &format!("{whole}0"), &whole.replace("0a", "0g"), &whole.replace("0a", "+a")]
        {
            assert_eq!(first_half(wrong), None, "{wrong}");
        }
    }
}
