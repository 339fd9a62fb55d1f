//! The queue of images to label.

use std::time::Instant;

use macula_edge::support_set::SourceId;

use super::super::error::{ApiError, ErrorKind};
use super::super::queue::{Facts, IMAGES_MAX};
use super::super::types::{Classification, Decision, Learned, QueueItem, QueueReport, Queued};
use super::super::undo::Change;
use super::{Author, Controller, milliseconds};
use crate::data::Image;
use crate::device::{now_s, source_of};
use crate::link::{self, Feature};
use crate::measure;
use crate::report::text::hexadecimal;

/// Most time to classify the queue for one request.
const CLASSIFY_MS: f64 = 300.0;

impl Controller<'_, '_> {
    /// Adds an image to the queue.
    ///
    /// # Errors
    /// If it is full, the image is a sample already, or it cannot be written.
    pub fn enqueue(&mut self, author: &Author, name: &str, image: &Image) -> Result<Queued, ApiError> {
        let source = source_of(image);
        if let Some(slot) = self.samples_by_source()?.get(&source) {
            let message = format!("{name}: the image is a sample already");
            return Err(ApiError { found: Some((*slot).into()), ..ApiError::new(ErrorKind::Exists, message) });
        }
        self.audited(author, "queue", None, &[source], |own| {
            let facts = Facts { name: name.to_owned(), added_s: now_s() };
            let new = own.files.queue.add(source, image, facts)?;
            Ok(Queued { id: hexadecimal(&source), new, images: own.files.queue.len() })
        })
    }

    /// The first `limit` images of the queue, those that the device is least sure of first.
    ///
    /// # Errors
    /// If the device does not answer.
    pub fn queue(&mut self, limit: usize) -> Result<QueueReport, ApiError> {
        self.classify_queue()?;
        let mut items: Vec<QueueItem> = self
            .files
            .queue
            .items()
            .map(|(source, item)| QueueItem {
                id: hexadecimal(source),
                name: item.facts.name.clone(),
                added_s: item.facts.added_s,
                prediction: item.classified.as_ref().map(|(_, classification)| classification.clone()),
            })
            .collect();
        // A stable sort: equal ones stay in the order of their sources.
        items.sort_by(|a, b| uncertainty(b).total_cmp(&uncertainty(a)));
        items.truncate(limit);
        Ok(QueueReport { images: self.files.queue.len(), images_limit: IMAGES_MAX, items })
    }

    /// Classifies the images that have a feature, if the device has changed since. It stops after [`CLASSIFY_MS`]; the rest
    /// keeps its older classification until the next time.
    fn classify_queue(&mut self) -> Result<(), ApiError> {
        let (revision, error_rate, started) = (self.client.status()?.revision, self.error_rate(None)?, Instant::now());
        let stale = |classified: &Option<(u32, Classification)>| {
            classified.as_ref().is_none_or(|(known, _)| *known != revision)
        };
        let items = self.files.queue.items().filter(|(_, item)| stale(&item.classified));
        let stale: Vec<(SourceId, Feature)> =
            items.filter_map(|(source, item)| Some((*source, item.feature.clone()?))).collect();
        let taught = self.taught()?;
        for (source, feature) in stale {
            if milliseconds(started) > CLASSIFY_MS {
                break;
            }
            let classification = self.classify(source, &feature, taught, error_rate)?.0;
            if let Some(item) = self.files.queue.get_mut(&source) {
                item.classified = Some((revision, classification));
            }
        }
        Ok(())
    }

    /// Embeds one image of the queue that has no feature yet; `None` if all have one. Returns the numbers of embedded
    /// images and of all.
    pub fn embed_one(&mut self) -> Option<(usize, usize)> {
        let source = self.files.queue.unembedded()?;
        let feature = self.files.queue.images().get(&source).ok().flatten().and_then(|image| {
            let embedded = self.client.embed(link::Sample::Image(&image));
            embedded.ok()
        });
        if let Some(item) = self.files.queue.get_mut(&source) {
            item.failed = feature.is_none();
            item.feature = feature;
        }
        let all = self.files.queue.len();
        Some((all - self.files.queue.items().filter(|(_, item)| item.feature.is_none()).count(), all))
    }

    /// Learns an image of the queue and takes it out.
    ///
    /// # Errors
    /// If there is none of this source, and as [`Self::learn`].
    pub fn label(&mut self, author: &Author, source: SourceId, slot: u8) -> Result<Learned, ApiError> {
        let class = self.class_name(slot)?;
        let item = self.files.queue.get(&source).ok_or_else(|| not_queued(&source))?;
        let facts = item.facts.clone();
        let image = self.files.queue.images().get(&source)?.ok_or_else(|| not_queued(&source))?;
        self.audited(author, "label", Some(&class), &[source], |own| {
            let learned = own.learn_now(author, slot, source, &image)?;
            own.files.queue.remove(&source)?;
            if learned.new {
                let queued = Some(facts);
                own.files.undo.push(Change::Learned { source, class: class.clone(), queued })?;
            }
            Ok(learned)
        })
    }

    /// Takes an image out of the queue.
    ///
    /// # Errors
    /// If there is none of this source.
    pub fn dequeue(&mut self, author: &Author, source: SourceId) -> Result<(), ApiError> {
        self.audited(author, "dequeue", None, &[source], |own| {
            own.files.queue.remove(&source)?.map(drop).ok_or_else(|| not_queued(&source))
        })
    }

    /// Takes images out of the queue that are samples: the server ended between learning one and taking it out.
    pub(super) fn drop_learned(&mut self) -> Result<(), ApiError> {
        if self.files.queue.len() == 0 {
            return Ok(());
        }
        let sources: Vec<SourceId> = self.samples_by_source()?.keys().copied().collect();
        sources.iter().try_for_each(|source| self.files.queue.remove(source).map(drop))
    }
}

/// How unsure the device is, for the order of the queue: images that it has not classified come first.
fn uncertainty(item: &QueueItem) -> f64 {
    match &item.prediction {
        None | Some(Classification { decision: Decision::Untaught, .. }) => f64::INFINITY,
        Some(found) => measure::uncertainty(found.set.len(), f64::from(found.probability.unwrap_or(0.0))),
    }
}

fn not_queued(source: &SourceId) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("the queue has no image {}", hexadecimal(source)))
}
