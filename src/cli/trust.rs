//! Encoders by name: whose bundles are taken, and what a refusal says.

use std::path::PathBuf;

use macula_edge::bundle::{BundleError, Header, anti_rollback};

use super::failure::Kind;
use crate::bundle::{self, OpenError, PublicKey};
use crate::encoders::{self, OpenOptions, Opened};

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

/// Opens the encoder that `name` stands for; a bundle that is refused is a check that failed.
pub fn open_encoder(name: &str, options: &OpenOptions<'_>) -> anyhow::Result<Opened> {
    encoders::open(name, options).map_err(|error| match error {
        encoders::OpenError::Bundle(error) => refused(error),
        other => other.into(),
    })
}

/// Refuses a bundle, which is not the one in use, that is not newer than the one that a device has used.
pub fn check_counter(name: &str, bundle: &[u8], seen: u64) -> anyhow::Result<()> {
    let checked = Header::claimed_counter(bundle).map_or(Ok(()), |given| anti_rollback::check(given, seen, false));
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
    Kind::BundleRefused.because(u64::from(error.reason().code()), format!("{error}{hint}"))
}
