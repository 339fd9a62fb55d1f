//! Changes of samples, and predictions.

use std::time::Instant;

use macula_edge::support_set::SourceId;

use super::super::classify::{classification, neighbour, untaught};
use super::super::error::ApiError;
use super::super::settings::error_rate_permille;
use super::super::types::{Classification, Forgotten, Label, Learned, Prediction};
use super::super::undo::Change;
use super::{Author, Controller, Pictures, milliseconds, unknown_sample};
use crate::data::Image;
use crate::device::{now_s, source_of};
use crate::link::{self, DeviceState, Feature, PredictOptions, Provenance};
use crate::report::text::hexadecimal;

impl Controller<'_, '_> {
    /// Learns `image` as a sample of the class in `slot`.
    ///
    /// # Errors
    /// If there is no such class, no place, or the image is a sample of another class.
    pub fn learn(&mut self, author: &Author, slot: u8, image: &Image) -> Result<Learned, ApiError> {
        let class = self.class_name(slot)?;
        let source = source_of(image);
        self.audited(author, "learn", Some(&class), &[source], |own| {
            let learned = own.learn_now(author, slot, source, image)?;
            if learned.new {
                own.files.undo.push(Change::Learned { source, class: class.clone(), queued: None })?;
            }
            Ok(learned)
        })
    }

    pub(super) fn learn_now(
        &mut self,
        author: &Author,
        slot: u8,
        source: SourceId,
        image: &Image,
    ) -> Result<Learned, ApiError> {
        let from = Provenance { source, operator: author.operator.unwrap_or(0), time_s: now_s() };
        let started = Instant::now();
        let learned = self.learn_keeping(slot, &from, image)?;
        Ok(Learned {
            source: hexadecimal(&source),
            class: learned.slot,
            new: learned.new,
            samples: learned.supports,
            elapsed_ms: milliseconds(started),
        })
    }

    /// Learns an image. A picture that the page keeps is written first.
    pub(super) fn learn_keeping(
        &mut self,
        slot: u8,
        from: &Provenance,
        image: &Image,
    ) -> Result<link::Learned, ApiError> {
        let added = match &self.pictures {
            Pictures::OfPage(images) if !images.has(&from.source) => {
                images.put_image(&from.source, image)?;
                true
            }
            _ => false,
        };
        let learned = self.client.learn(slot, from, link::Sample::Image(image));
        if let (Err(_), true, Pictures::OfPage(images)) = (&learned, added, &self.pictures) {
            images.remove(&from.source)?;
        }
        Ok(learned?)
    }

    /// Moves a sample to the class in `slot`.
    ///
    /// # Errors
    /// If there is no such sample or class.
    pub fn move_sample(&mut self, author: &Author, source: SourceId, label: Label) -> Result<Learned, ApiError> {
        let started = Instant::now();
        let to = self.class_name(label.class)?;
        let state = self.client.export()?;
        let from = self.class_of(&state, &source)?;
        self.audited(author, "move", Some(&to), &[source], |own| {
            let learned = own.move_now(&state, source, &to)?;
            if from != to {
                own.files.undo.push(Change::Moved { source, from: from.clone(), to: to.clone() })?;
            }
            let (class, samples) = (learned.slot, learned.supports);
            let elapsed_ms = milliseconds(started);
            Ok(Learned { source: hexadecimal(&source), class, new: from != to, samples, elapsed_ms })
        })
    }

    /// Moves a sample of `state` to the class `to`. The protocol has no such request, and a source belongs to one class, so
    /// the sample is forgotten and added again; a file keeps it meanwhile.
    pub(super) fn move_now(
        &mut self,
        state: &DeviceState,
        source: SourceId,
        to: &str,
    ) -> Result<link::Learned, ApiError> {
        let mut taken = self.take(state, to, |support| support.from.source == source)?;
        let taken = taken.pop().ok_or_else(|| unknown_sample(&source))?;
        let identity = self.client.device().identity;
        self.files.pending.write(identity, &taken)?;
        self.client.forget(source)?;
        let learned = self.put_back(&taken)?;
        self.files.pending.clear()?;
        Ok(learned)
    }

    /// Forgets a sample.
    ///
    /// # Errors
    /// If there is none of this source.
    pub fn forget(&mut self, author: &Author, source: SourceId) -> Result<Forgotten, ApiError> {
        let state = self.client.export()?;
        let class = self.class_of(&state, &source)?;
        let samples = self.take(&state, &class, |support| support.from.source == source)?;
        self.audited(author, "forget", Some(&class), &[source], |own| {
            let Some((slot, _)) = own.client.forget(source)? else { return Err(unknown_sample(&source)) };
            own.files.undo.push(Change::Forgotten { class: class.clone(), samples, with_class: false })?;
            own.sweep_pictures()?;
            Ok(Forgotten { class: slot })
        })
    }
    /// Classifies `image` and finds the nearest samples.
    ///
    /// # Errors
    /// If the error rate is not allowed, or the encoder fails.
    pub fn predict(&mut self, image: &Image, error_rate: Option<f64>) -> Result<Prediction, ApiError> {
        let error_rate = self.error_rate(error_rate)?;
        let (started, source) = (Instant::now(), source_of(image));
        let feature = self.client.embed(link::Sample::Image(image))?;
        let taught = self.taught()?;
        let (classification, nearest) = self.classify(source, &feature, taught, error_rate)?;
        let operating_point = self.client.operating_point()?.map(Into::into);
        let near = |found: &link::Neighbour| neighbour(found, |found| self.pictures.has(&found.from.source));
        let nearest = nearest.iter().map(near).collect();
        Ok(Prediction { classification, operating_point, nearest, elapsed_ms: milliseconds(started) })
    }

    /// Number of classes that have samples.
    pub(super) fn taught(&mut self) -> Result<usize, ApiError> {
        Ok(self.client.classes()?.iter().filter(|class| class.supports > 0).count())
    }

    /// * `taught`: classes that have samples
    pub(super) fn classify(
        &mut self,
        source: SourceId,
        feature: &Feature,
        taught: usize,
        error_rate_permille: u16,
    ) -> Result<(Classification, Vec<link::Neighbour>), ApiError> {
        let name = hexadecimal(&source);
        let nearest = self.client.why(link::Sample::Feature(feature))?;
        if taught == 0 {
            return Ok((untaught(&name), nearest));
        }
        let learned = nearest.iter().find(|near| near.from.source == source).map(|near| near.slot);
        let options = PredictOptions { head: 0, error_rate_permille, point: None };
        let verdict = self.client.predict(link::Sample::Feature(feature), options)?;
        Ok((classification(&name, learned, &verdict, taught), nearest))
    }

    pub(super) fn error_rate(&self, given: Option<f64>) -> Result<u16, ApiError> {
        error_rate_permille(given.unwrap_or(self.settings().error_rate))
    }
}
