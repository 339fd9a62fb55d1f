//! `--trust`: the keys whose bundles are accepted, and errors of refused bundles.

use std::path::PathBuf;

use macula_edge::bundle::{BundleError, Header, anti_rollback};

use super::failure::Kind;
use crate::bundle::{self, OpenError, PublicKey};
use crate::encoders::{self, OpenOptions, Opened};

/// Trusted keys.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct KeyArgs {
    /// Trust bundles signed by this public key; repeatable. A store records it
    #[arg(long = "trust", alias = "key", value_name = "NAME.pub")]
    pub keys: Vec<PathBuf>,
}

impl KeyArgs {
    /// Reads the keys.
    pub fn read(&self) -> anyhow::Result<Vec<PublicKey>> {
        Ok(self.keys.iter().map(|path| bundle::read_public(path)).collect::<Result<_, _>>()?)
    }
}

/// Opens the encoder `name`.
pub fn open_encoder(name: &str, options: &OpenOptions<'_>) -> anyhow::Result<Opened> {
    encoders::open(name, options).map_err(|error| match error {
        encoders::OpenError::Bundle(error) => refused(error),
        other => other.into(),
    })
}

/// Refuses a bundle other than the one in use unless its counter is higher than `highest`, the highest used so far.
pub fn check_counter(name: &str, bundle: &[u8], highest: u64) -> anyhow::Result<()> {
    let checked = Header::claimed_counter(bundle).map_or(Ok(()), |given| anti_rollback::check(given, highest, false));
    checked.map_err(|source| refused(OpenError::Refused { path: name.to_owned(), source }))
}

/// The error of a refused bundle, with a hint.
pub fn refused(error: OpenError) -> anyhow::Error {
    if !error.is_check() {
        return error.into();
    }
    let hint = match error.reason() {
        BundleError::UnknownKey { .. } => "; pass --trust NAME.pub to trust a key",
        _ => "",
    };
    Kind::BundleRefused.because(u64::from(error.reason().code()), format!("{error}{hint}"))
}
