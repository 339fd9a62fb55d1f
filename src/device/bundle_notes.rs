//! What a store remembers of bundles: the highest counter, and the keys it was told to trust.

use std::path::Path;

use macula_edge::bundle::{PublicKey, TrustedKeys, counter};
use macula_edge::store::{Store, StoreError, buffer_len};
use macula_edge::taught::{Name, Record, Taught};

use super::{DeviceError, StoreCard, StoreFile};

/// What a store remembers of bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleNotes {
    /// The highest counter of a bundle that was used.
    pub counter: u64,
    /// The keys whose bundles are taken, the latest first.
    pub trusted: Vec<PublicKey>,
}

impl BundleNotes {
    /// What the store at `path` remembers; nothing where there is none.
    ///
    /// # Errors
    /// When the store is in use, damaged, or cannot be read.
    pub fn read(path: &Path) -> Result<Self, DeviceError> {
        let Some(card) = StoreFile::card(path)? else { return Ok(Self::default()) };
        let mut file = StoreFile::open(path, &card)?;
        with_store(&mut file, &card, |store| {
            let trusted = TrustedKeys::load(store)?.keys().to_vec();
            Ok(Self { counter: counter::seen(store)?, trusted })
        })
    }

    /// Has the store remember that a bundle of `counter`, signed by `signer`, is used. What it knows is not written again.
    ///
    /// # Errors
    /// When the store is damaged or full.
    pub fn write(file: &mut StoreFile, card: &StoreCard, counter: u64, signer: PublicKey) -> Result<(), DeviceError> {
        with_store(file, card, |store| {
            let trusted = TrustedKeys::load(store)?;
            if trusted.keys().first() != Some(&signer) {
                trusted.with(signer).save(store)?;
            }
            counter::raise(store, counter)
        })
    }
}

fn with_store<T>(
    file: &mut StoreFile,
    card: &StoreCard,
    work: impl FnOnce(&mut Store<'_, &mut StoreFile>) -> Result<T, StoreError>,
) -> Result<T, DeviceError> {
    let (dim, classes, supports) = (card.dim as usize, card.classes as usize, card.supports as usize);
    let (mut names, mut records) = (vec![Name::FREE; classes], vec![Record::EMPTY; supports]);
    let (mut features, mut buffer) = (vec![0; supports * dim], vec![0; buffer_len::<StoreFile>(dim)]);
    let mut identity = [0; 16];
    identity.copy_from_slice(&card.identity[..16]);
    let (path, range) = (file.path().to_owned(), file.range());
    let run = || {
        let mut taught = Taught::new(dim, &mut names, &mut records, &mut features).map_err(StoreError::Taught)?;
        work(&mut Store::open(file, range, identity, &mut buffer, &mut taught)?)
    };
    run().map_err(|source| DeviceError::Store { path: path.display().to_string(), source })
}
