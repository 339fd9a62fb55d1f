//! Embeds the kept images again for another encoder, in a new store that replaces the old one.
//!
//! 1. Every image is embedded first. If one fails, nothing changes.
//! 2. The new store is written beside the old one: classes, supports, operating point, settings, the bundle confirmed.
//! 3. It is renamed to the old store's name, an atomic replace. Before it the device has the old encoder with all its
//!    supports, after it the new one.

use std::path::PathBuf;

use macula_edge::bundle::{TrustedKeys, anti_rollback};
use macula_edge::protocol::message::RollbackReason;
use macula_edge::session::{Start, confirm};
use macula_edge::store::{OPERATING_POINT_KEY, SETTING_MAX, Store, StoreError};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet, Supports};

use super::board::Opened;
use super::{DeviceEncoder, DeviceError, DeviceMemory, Loaded, Site, StoreFile, StoreHeader, UnusableBundle};
use crate::files::path_beside;

/// Content of the new store: classes by slot, supports with their new features.
struct Contents {
    classes: Vec<(u8, ClassName)>,
    samples: Vec<(SupportRecord, Vec<i16>)>,
    /// The setting of the operating point; empty if there is none. Its threshold follows from the new features.
    operating_point: Vec<u8>,
    counter: u64,
}

impl Site<'_> {
    /// Makes the store for the encoder of a pending bundle, which this confirms; or returns why the bundle is unusable.
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
        // A full medium must not stop the device: the bundle is rolled back.
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

    /// Where the new store is written.
    fn temporary_path(&self) -> PathBuf {
        path_beside(self.store, ".new")
    }

    /// Removes the files of an interrupted attempt.
    pub(super) fn remove_temporary(&self) {
        // A file that cannot be removed does no harm; the next attempt reports it.
        let _ = std::fs::remove_file(self.temporary_path());
    }

    /// Reads the old store and embeds its supports again.
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
        let mut value = [0; SETTING_MAX];
        let len = store.get_setting(OPERATING_POINT_KEY, &mut value).map_err(|error| self.store_failed(error))?;
        let operating_point = value[..len].to_vec();
        let names = support_set.names().iter().zip(0..).filter(|(name, _)| !name.is_free());
        let classes = names.map(|(&name, slot)| (slot, name)).collect();
        let samples = match self.embed_again(support_set.supports(), loaded) {
            Ok(samples) => samples,
            Err(message) => return Ok(Err(UnusableBundle { reason: RollbackReason::Samples, message })),
        };
        let lost = support_set.supports().len() - samples.len();
        if lost > 0 && !start.may_forget {
            let message = format!("it has another encoder, and {lost} samples have no kept image");
            return Ok(Err(UnusableBundle { reason: RollbackReason::WouldForget, message }));
        }
        Ok(Ok(Contents { classes, samples, operating_point, counter }))
    }

    fn embed_again(&self, supports: Supports<'_>, loaded: &Loaded) -> Result<Vec<(SupportRecord, Vec<i16>)>, String> {
        let Some(images) = self.images().map_err(|error| error.to_string())? else { return Ok(Vec::new()) };
        let encoder = DeviceEncoder::new(&*loaded.encoder);
        let mut samples = Vec::new();
        for record in supports.records {
            if self.reader.is_stopped() {
                return Err("stopped while samples were embedded again".to_owned());
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
    if !contents.operating_point.is_empty() {
        store.put_setting(OPERATING_POINT_KEY, &contents.operating_point)?;
    }
    for (record, feature) in &contents.samples {
        // Checked first, so that the store never holds a support that the support set refuses.
        support_set.check_learn(record, feature).map_err(StoreError::SupportSet)?;
        store.learn(record, feature)?;
        support_set.learn(*record, feature).map_err(StoreError::SupportSet)?;
    }
    Ok(())
}
