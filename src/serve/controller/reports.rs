//! Reports: device, classes, samples, settings, audit log.

use macula_edge::support_set::CLASS_NAME_MAX;

use super::super::error::ApiError;
use super::super::operating_point::{OperatingPoint, OperatingPointReport};
use super::super::queue::IMAGES_MAX;
use super::super::types::{
    AuditEntry, BundleReport, BundleState, Class, Classes, DeviceReport, EncoderReport, InputSize, Limits, QueueSize,
    Sample, Samples, Settings, StoreReport,
};
use super::super::undo::Change;
use super::{Author, Controller, Snapshot};
use crate::data::Preprocessing;
use crate::data::decode::PIXELS_MAX;
use crate::link::{self, CandidateState, Support, rollback_reason};
use crate::report::text::hexadecimal;

impl Controller<'_, '_> {
    /// The device.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn device(&mut self) -> Result<DeviceReport, ApiError> {
        let (status, bundles) = (self.client.status()?, self.client.bundles()?);
        let operating_point = self.client.operating_point()?.map(Into::into);
        let state_sha256 = hexadecimal(&self.client.state_sha256()?);
        let info = self.client.device();
        let encoder = EncoderReport {
            name: self.encoder.as_ref().map(|encoder| encoder.name.clone()),
            identity: hexadecimal(&info.identity),
            feature_dim: info.dim,
            input: self.preprocessing().map(|&Preprocessing { width, height, channels, .. }| InputSize {
                width,
                height,
                channels,
            }),
        };
        let wear = status.wear;
        Ok(DeviceReport {
            name: self.client.address().to_owned(),
            program: format!("{} {}", info.program, info.program_version),
            encoder,
            samples: status.supports,
            samples_limit: status.supports_limit,
            classes: status.classes,
            classes_limit: status.classes_limit,
            revision: status.revision,
            now_s: status.now_s,
            store: StoreReport {
                bytes_programmed: wear.bytes_programmed,
                erases: wear.erases,
                free_bytes: wear.free_bytes,
                learned: wear.learned,
                learned_bytes: wear.learned_bytes,
                learned_erases: wear.learned_erases,
            },
            bundle: bundles.map(|report| bundle(&report, &status)),
            operating_point,
            keeps_images: self.pictures.folder().is_some(),
            undo: self.files.undo.last().map(Change::step),
            queue: QueueSize { images: self.files.queue.len(), images_limit: IMAGES_MAX },
            limits: Limits {
                upload_bytes: self.upload_bytes_max,
                image_pixels: PIXELS_MAX,
                name_bytes: CLASS_NAME_MAX,
            },
            state_sha256,
        })
    }

    /// The classes.
    ///
    /// # Errors
    /// If the device does not answer.
    pub fn classes(&mut self) -> Result<Classes, ApiError> {
        let (revision, classes) = (self.client.status()?.revision, self.client.classes()?);
        let class = |class: link::Class| Class { slot: class.slot, name: class.name, samples: class.supports };
        Ok(Classes { revision, classes: classes.into_iter().map(class).collect() })
    }

    /// Samples, newest first.
    ///
    /// * `class`: of this slot only
    ///
    /// # Errors
    /// If the device does not answer.
    pub fn samples(&mut self, class: Option<u8>) -> Result<Samples, ApiError> {
        let (state, revision) = self.snapshot()?;
        let mut supports: Vec<&Support> =
            state.supports.iter().filter(|support| class.is_none_or(|slot| support.slot == slot)).collect();
        supports.sort_by_key(|support| (std::cmp::Reverse(support.from.time_s), support.from.source));
        let sample = |support: &Support| Sample {
            source: hexadecimal(&support.from.source),
            class: support.slot,
            operator: support.from.operator,
            time_s: support.from.time_s,
            image: self.pictures.has(&support.from.source),
        };
        Ok(Samples { revision, samples: supports.into_iter().map(sample).collect() })
    }

    /// The state of the device, and its revision.
    ///
    /// # Errors
    /// If the device does not answer.
    pub fn snapshot(&mut self) -> Result<Snapshot, ApiError> {
        let revision = self.client.status()?.revision;
        Ok((self.client.export()?, revision))
    }

    /// Identity of the encoder.
    pub fn encoder_identity(&self) -> [u8; 16] {
        self.client.device().identity
    }

    /// Dimensions of a feature.
    pub fn feature_dim(&self) -> usize {
        self.client.device().dim
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        self.files.settings.get()
    }

    /// Replaces the settings.
    ///
    /// # Errors
    /// If one is not allowed or cannot be written.
    pub fn set_settings(&mut self, author: &Author, settings: Settings) -> Result<Settings, ApiError> {
        self.audited(author, "settings", None, &[], |own| {
            own.files.settings.set(settings)?;
            Ok(own.files.settings.get().clone())
        })
    }

    /// Sets the operating point of the device, or removes it; returns it with its threshold.
    ///
    /// # Errors
    /// If a value is out of range, or there is no such class.
    pub fn set_operating_point(
        &mut self,
        author: &Author,
        point: Option<OperatingPoint>,
    ) -> Result<Option<OperatingPointReport>, ApiError> {
        let point = point.map(|point| point.checked()).transpose()?;
        let class = point.map(|point| self.class_name(point.class)).transpose()?;
        let action = if point.is_some() { "operating-point" } else { "clear-operating-point" };
        self.audited(author, action, class.as_deref(), &[], |own| {
            Ok(own.client.set_operating_point(point)?.map(Into::into))
        })
    }

    /// The last entries of the audit log, newest first.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, ApiError> {
        self.files.audit.last(limit)
    }
}

fn bundle(report: &link::BundleReport, status: &link::Status) -> BundleReport {
    let (mut state, mut attempts, mut reason) = (BundleState::Confirmed, None, None);
    match report.candidate.map(|candidate| candidate.state) {
        Some(CandidateState::Pending { attempts: begun }) => (state, attempts) = (BundleState::Waiting, Some(begun)),
        Some(CandidateState::RolledBack { reason: why }) => {
            (state, reason) = (BundleState::RolledBack, Some(rollback_reason(why)));
        }
        None if status.bundle_len > status.bundle_received => state = BundleState::Arriving,
        None => {}
    }
    BundleReport {
        slot: report.slot,
        sha256: hexadecimal(&report.sha256),
        counter: report.counter,
        state,
        attempts,
        reason,
        bytes_received: status.bundle_received,
        bytes_expected: status.bundle_len,
    }
}
