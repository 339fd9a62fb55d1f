//! A store for another encoder: what is kept as an image is taught to it anew.
//!
//! 1. Every image becomes a feature first; one that cannot leaves everything as it was.
//! 2. The new store is written beside the old one, whole: classes, samples, settings, the bundle confirmed.
//! 3. It takes the old one's name. Before that the device has the old encoder and everything it was taught, after it the
//!    new one.

use std::path::PathBuf;

use macula_edge::bundle::{TrustedKeys, anti_rollback};
use macula_edge::protocol::message::RollbackReason;
use macula_edge::session::{Start, confirm};
use macula_edge::store::{Store, StoreError};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet, Supports};

use super::board::Opened;
use super::{DeviceEncoder, DeviceError, DeviceMemory, Loaded, Site, StoreFile, StoreHeader, UnusableBundle};

/// What goes on: classes by slot, samples with their new features.
struct Contents {
    classes: Vec<(u8, ClassName)>,
    samples: Vec<(SupportRecord, Vec<i16>)>,
    counter: u64,
}

impl Site<'_> {
    /// Makes the store one of another encoder, whose bundle is on trial and is confirmed by it; or tells why not.
    pub(super) fn reembed(
        &self,
        file: &mut StoreFile,
        header: &StoreHeader,
        start: Start,
        loaded: &Loaded,
        trusted: TrustedKeys,
    ) -> Result<Result<(StoreFile, StoreHeader), UnusableBundle>, DeviceError> {
        let contents = match self.read_contents(file, header, start, loaded)? {
            Ok(contents) => contents,
            Err(unusable) => return Ok(Err(unusable)),
        };
        let (dim, identity) = (loaded.encoder.feature_dim() as u32, loaded.encoder.id());
        let header = StoreHeader { dim, identity, ..header.clone() };
        self.remove_temporary();
        // A medium that is full is no reason to be without a device.
        let mut reembedded = match self.write_store(&header, start, loaded, trusted, &contents) {
            Ok(reembedded) => reembedded,
            Err(error) => {
                self.remove_temporary();
                return Ok(Err(UnusableBundle { reason: RollbackReason::Samples, message: error.to_string() }));
            }
        };
        reembedded.take_place_of(self.store)?;
        Ok(Ok((reembedded, header)))
    }

    fn write_store(
        &self,
        header: &StoreHeader,
        start: Start,
        loaded: &Loaded,
        trusted: TrustedKeys,
        contents: &Contents,
    ) -> Result<StoreFile, DeviceError> {
        let mut file = StoreFile::open(&self.temporary_path(), header)?;
        let mut memory = DeviceMemory::new(header.dim as usize, header.classes as usize, header.supports as usize);
        let mut written = || -> Result<(), StoreError> {
            let Opened { mut store, mut support_set } = memory.open(&mut file, header)?;
            write(&mut store, &mut support_set, contents)?;
            trusted.save(&mut store)?;
            anti_rollback::raise(&mut store, contents.counter)?;
            confirm(&mut store, start.bundle, loaded.counter)
        };
        written().map_err(|error| self.store_failed(error))?;
        Ok(file)
    }

    /// Where the new store is made.
    fn temporary_path(&self) -> PathBuf {
        let mut path = self.store.as_os_str().to_owned();
        path.push(".new");
        path.into()
    }

    /// What an interrupted attempt left is worth nothing.
    pub(super) fn remove_temporary(&self) {
        // It is in nobody's way: where it cannot be removed, the next attempt tells.
        let _ = std::fs::remove_file(self.temporary_path());
    }

    /// Reads what was taught and makes its features anew.
    fn read_contents(
        &self,
        file: &mut StoreFile,
        header: &StoreHeader,
        start: Start,
        loaded: &Loaded,
    ) -> Result<Result<Contents, UnusableBundle>, DeviceError> {
        let mut memory = DeviceMemory::new(header.dim as usize, header.classes as usize, header.supports as usize);
        let Opened { mut store, support_set } = memory.open(file, header).map_err(|error| self.store_failed(error))?;
        let counter = anti_rollback::highest_used(&mut store).map_err(|error| self.store_failed(error))?;
        let names = support_set.names().iter().zip(0..).filter(|(name, _)| !name.is_free());
        let classes = names.map(|(&name, slot)| (slot, name)).collect();
        let samples = match self.embed_again(support_set.supports(), loaded) {
            Ok(samples) => samples,
            Err(message) => return Ok(Err(UnusableBundle { reason: RollbackReason::Samples, message })),
        };
        let lost = support_set.supports().len() - samples.len();
        if lost > 0 && !start.may_forget {
            let message = format!("it has another encoder, and {lost} samples are not kept as images");
            return Ok(Err(UnusableBundle { reason: RollbackReason::WouldForget, message }));
        }
        Ok(Ok(Contents { classes, samples, counter }))
    }

    fn embed_again(&self, supports: Supports<'_>, loaded: &Loaded) -> Result<Vec<(SupportRecord, Vec<i16>)>, String> {
        let Some(images) = self.images().map_err(|error| error.to_string())? else { return Ok(Vec::new()) };
        let encoder = DeviceEncoder::new(&*loaded.encoder);
        let mut samples = Vec::new();
        for record in supports.records {
            if self.reader.is_stopped() {
                return Err("stopped while samples were made anew".to_owned());
            }
            let Some(image) = images.get(&record.source).map_err(|error| error.to_string())? else { continue };
            let (feature, _) = encoder.encode(&image)?;
            samples.push((*record, feature));
        }
        Ok(samples)
    }
}

fn write(
    store: &mut Store<'_, &mut StoreFile>,
    support_set: &mut SupportSet<'_>,
    contents: &Contents,
) -> Result<(), StoreError> {
    for (slot, name) in &contents.classes {
        store.put_class(*slot, name)?;
        support_set.put_class(*slot, *name).map_err(StoreError::SupportSet)?;
    }
    for (record, feature) in &contents.samples {
        // What memory refuses must not be on the medium.
        support_set.check_learn(record, feature).map_err(StoreError::SupportSet)?;
        store.learn(record, feature)?;
        support_set.learn(*record, feature).map_err(StoreError::SupportSet)?;
    }
    Ok(())
}
