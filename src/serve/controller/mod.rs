//! What the API does, request by request, on the thread of the device. It knows nothing of HTTP.
//!
//! Every change is acknowledged by the device before it is reported, and written to the audit log. A change that takes
//! several requests is made so that a power cut loses nothing that was acknowledged.

mod classes; // changes of classes
mod heat_map; // which part of an image decided
mod import; //  the state of another device
mod queue; //   images to label
mod reports; // device, classes, samples, settings, audit log
mod samples; // changes of samples, predictions
mod undo; //    takes changes back

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use macula_edge::protocol::Reason;
use macula_edge::support_set::SourceId;

use super::audit::{Audit, SOURCES_MAX};
use super::error::{ApiError, ErrorKind};
use super::pending::Pending;
use super::queue::Queue;
use super::settings::SettingsFile;
use super::types::{AuditEntry, Change};
use super::undo::{Taken, Undo};
use crate::data::{Image, Preprocessing};
use crate::device::{KeptImages, now_s};
use crate::encoder::HostEncoder;
use crate::link::{self, Client, DeviceState, Support};
use crate::report::text::hexadecimal;

/// The files of a page, in one folder. They outlive a restart of the device.
#[derive(Debug)]
pub struct PageFiles {
    /// Images to label.
    pub queue: Queue,
    /// Changes that can be taken back.
    pub undo: Undo,
    /// Settings of all clients.
    pub settings: SettingsFile,
    /// Who changed what.
    pub audit: Audit,
    pending: Pending,
    /// The encoder that the features of the queue are of.
    encoder: [u8; 16],
}

impl PageFiles {
    /// The files in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn open(folder: &Path) -> Result<Self, ApiError> {
        let pending = Pending::new(folder.join("pending.json"));
        Ok(Self {
            queue: Queue::open(folder.join("queue"))?,
            undo: Undo::new(folder.join("undo"), pending.source()?)?,
            settings: SettingsFile::open(folder.join("settings.json"))?,
            audit: Audit::new(folder.join("audit.jsonl")),
            pending,
            encoder: [0; 16],
        })
    }
}

/// The device's encoder, in this process.
#[derive(Clone)]
pub struct KnownEncoder<'e> {
    /// Its name.
    pub name: String,
    /// How an image becomes its input.
    pub preprocessing: Preprocessing,
    /// The encoder itself, for heat maps.
    pub encoder: &'e dyn HostEncoder,
}

/// Pictures of samples.
#[derive(Clone, Debug)]
pub enum Pictures {
    /// None are kept.
    None,
    /// The device keeps them.
    OfDevice(KeptImages),
    /// The page keeps them, for a device on a line.
    OfPage(KeptImages),
}

impl Pictures {
    /// The folder, if they are kept.
    pub fn folder(&self) -> Option<&KeptImages> {
        match self {
            Self::None => None,
            Self::OfDevice(images) | Self::OfPage(images) => Some(images),
        }
    }

    /// Whether the picture of a sample is kept.
    pub fn has(&self, source: &SourceId) -> bool {
        self.folder().is_some_and(|images| images.has(source))
    }
}

/// Who sent a request.
#[derive(Clone, Debug, Default)]
pub struct Author {
    /// Address of the client.
    pub client: String,
    /// Number of the operator, if the request stated it.
    pub operator: Option<u32>,
}

/// The state of a device with its revision.
pub type Snapshot = (DeviceState, u32);

/// Sends the requests of clients to the device, one after the other.
pub struct Controller<'c, 'm> {
    client: &'c mut Client<'m>,
    files: &'c mut PageFiles,
    encoder: Option<KnownEncoder<'c>>,
    pictures: Pictures,
    upload_bytes_max: usize,
    /// Slots of the samples by source, and the revision of the device that they are of.
    samples: Option<(u32, BTreeMap<SourceId, u8>)>,
}

impl<'c, 'm> Controller<'c, 'm> {
    /// A controller of the device behind `client`. Finishes a change that a power cut interrupted.
    ///
    /// # Errors
    /// If the device does not answer.
    pub fn new(
        client: &'c mut Client<'m>,
        files: &'c mut PageFiles,
        encoder: Option<KnownEncoder<'c>>,
        pictures: Pictures,
        upload_bytes_max: usize,
    ) -> Result<Self, ApiError> {
        let identity = client.device().identity;
        if std::mem::replace(&mut files.encoder, identity) != identity {
            files.queue.forget_features();
        }
        let mut controller = Self { client, files, encoder, pictures, upload_bytes_max, samples: None };
        controller.finish_pending()?;
        controller.drop_learned()?;
        Ok(controller)
    }

    /// How an image becomes the encoder's input, if known.
    pub fn preprocessing(&self) -> Option<&Preprocessing> {
        self.encoder.as_ref().map(|encoder| &encoder.preprocessing)
    }

    /// Revision and size of the queue, which clients watch.
    ///
    /// # Errors
    /// If the device does not answer.
    pub fn change_event(&mut self) -> Result<Change, ApiError> {
        Ok(Change { revision: self.client.status()?.revision, queue: self.files.queue.len() })
    }

    /// Runs a change and writes it to the audit log, also if it is refused.
    fn audited<T>(
        &mut self,
        author: &Author,
        action: &str,
        class: Option<&str>,
        sources: &[SourceId],
        change: impl FnOnce(&mut Self) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut entry = AuditEntry {
            time_s: now_s(),
            client: author.client.clone(),
            operator: author.operator,
            action: action.to_owned(),
            class: class.map(str::to_owned),
            samples: sources.iter().take(SOURCES_MAX).map(|source| hexadecimal(source)).collect(),
            result: String::new(),
        };
        self.files.audit.begin(&entry)?;
        let result = change(self);
        entry.result = result.as_ref().map_or_else(|error| error.kind.name().to_owned(), |_| "done".to_owned());
        // The change is made and stays; the next one waits until this entry is written.
        let written = self.files.audit.append(entry);
        let value = result?;
        written.map(|()| value)
    }

    /// Name of the class in `slot`.
    fn class_name(&mut self, slot: u8) -> Result<String, ApiError> {
        let found = self.client.classes()?.into_iter().find(|class| class.slot == slot);
        found
            .map(|class| class.name)
            .ok_or_else(|| ApiError::new(ErrorKind::UnknownClass, format!("the device has no class in slot {slot}")))
    }

    fn slot_of(&mut self, name: &str) -> Result<u8, ApiError> {
        let found = self.client.classes()?.into_iter().find(|class| class.name == name);
        found
            .map(|class| class.slot)
            .ok_or_else(|| ApiError::new(ErrorKind::UnknownClass, format!("the device has no class '{name}'")))
    }

    fn class_of(&self, state: &DeviceState, source: &SourceId) -> Result<String, ApiError> {
        let support = state.supports.iter().find(|support| support.from.source == *source);
        let name = support.and_then(|support| state.name(support.slot));
        name.map(str::to_owned).ok_or_else(|| unknown_sample(source))
    }

    /// Samples of `state` as they are put back into `class`, with their pictures.
    fn take(
        &self,
        state: &DeviceState,
        class: &str,
        chosen: impl Fn(&Support) -> bool,
    ) -> Result<Vec<Taken>, ApiError> {
        let supports = state.supports.iter().filter(|support| chosen(support));
        supports
            .map(|support| {
                if let Some(images) = self.pictures.folder() {
                    images.copy_to(self.files.undo.images(), &support.from.source)?;
                }
                Ok(Taken { class: class.to_owned(), support: support.clone() })
            })
            .collect()
    }

    /// Adds a sample that was taken.
    fn put_back(&mut self, taken: &Taken) -> Result<link::Learned, ApiError> {
        let image = self.files.undo.images().get(&taken.support.from.source)?;
        self.add(taken, image.as_ref())
    }

    /// Adds a sample with its provenance: its image if there is one, which the device then keeps, else its feature.
    fn add(&mut self, taken: &Taken, image: Option<&Image>) -> Result<link::Learned, ApiError> {
        let slot = self.client.add_class(&taken.class)?.0;
        match image {
            Some(image) => self.learn_keeping(slot, &taken.support.from, image),
            None => Ok(self.client.merge(&taken.class, &taken.support)?),
        }
    }

    /// Removes pictures that the page keeps of samples that are gone.
    fn sweep_pictures(&mut self) -> Result<(), ApiError> {
        let Pictures::OfPage(images) = self.pictures.clone() else { return Ok(()) };
        let samples = self.samples_by_source()?;
        Ok(images.retain(|source| samples.contains_key(source))?)
    }

    /// Slots of the samples by source. They are read again only if the device has changed.
    fn samples_by_source(&mut self) -> Result<&BTreeMap<SourceId, u8>, ApiError> {
        let revision = self.client.status()?.revision;
        if self.samples.as_ref().is_none_or(|(known, _)| *known != revision) {
            let supports = self.client.export()?.supports;
            let samples = supports.iter().map(|support| (support.from.source, support.slot)).collect();
            self.samples = Some((revision, samples));
        }
        Ok(self.samples.as_ref().map_or(const { &BTreeMap::new() }, |(_, samples)| samples))
    }

    /// Finishes a move that a power cut interrupted.
    fn finish_pending(&mut self) -> Result<(), ApiError> {
        let Some(taken) = self.files.pending.read(self.client.device().identity)? else { return Ok(()) };
        match self.put_back(&taken) {
            Err(error) if error.reason == Some(Reason::SourceTaken as u64) => {}
            done => drop(done?),
        }
        self.files.pending.clear()
    }
}

fn unknown_sample(source: &SourceId) -> ApiError {
    ApiError::new(ErrorKind::UnknownSample, format!("the device has no sample {}", hexadecimal(source)))
}

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}
