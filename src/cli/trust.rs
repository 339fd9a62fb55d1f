//! Bundles as encoders: whose are taken, and what a refusal says.

use std::path::{Path, PathBuf};

use anyhow::Context;
use macula_edge::bundle::{BundleError, Header, counter};

use super::CheckFailed;
use super::connect::OpenedEncoder;
use crate::bundle::{self, Bundle, OpenError, PublicKey};

/// Whose bundles are taken.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct KeyArgs {
    /// Trust bundles signed by this public key; may be given several times. A store remembers it
    #[arg(long = "trust", alias = "key", value_name = "NAME.pub")]
    pub keys: Vec<PathBuf>,
}

impl KeyArgs {
    /// Reads the keys.
    pub fn read(&self) -> anyhow::Result<Vec<PublicKey>> {
        Ok(self.keys.iter().map(|path| bundle::read_public(path)).collect::<Result<_, _>>()?)
    }
}

/// Whether a name is that of a bundle.
pub fn is_bundle(name: &str) -> bool {
    let path = Path::new(name);
    path.is_file() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("macula"))
}

/// Opens a bundle's encoder, once its signature and its golden images are good.
pub fn open_bundle(name: &str, trusted: &[PublicKey]) -> anyhow::Result<OpenedEncoder> {
    let path = std::fs::canonicalize(name).with_context(|| name.to_owned())?;
    let bundle = Bundle::open(Path::new(name), trusted).map_err(refused)?;
    encoder_of(&bundle, path.to_string_lossy().into_owned())
}

/// The encoder of a bundle, once its golden images are good.
pub fn encoder_of(bundle: &Bundle, name: String) -> anyhow::Result<OpenedEncoder> {
    let (encoder, _) = bundle.encoder().map_err(refused)?;
    Ok(OpenedEncoder { arithmetic: encoder.arithmetic().to_owned(), encoder: Box::new(encoder), name })
}

/// Refuses a bundle older than the one that a device has used.
pub fn check_counter(name: &str, bundle: &[u8], seen: u64) -> anyhow::Result<()> {
    let checked = Header::claimed_counter(bundle).map_or(Ok(()), |given| counter::check(given, seen));
    checked.map_err(|source| refused(OpenError::Refused { path: name.to_owned(), source }))
}

/// A failed check where it is one, with what can be done about it.
pub fn refused(error: OpenError) -> anyhow::Error {
    if !error.is_check() {
        return error.into();
    }
    let hint = match error.reason() {
        BundleError::UnknownKey { .. } => "; --trust NAME.pub names a public key to trust",
        _ => "",
    };
    CheckFailed(format!("{error}{hint}")).into()
}
