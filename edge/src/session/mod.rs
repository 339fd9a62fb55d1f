//! The device's whole behaviour: a request comes in, a reply goes out.
//!
//! The same state, request and time always give the same reply. A change follows one order:
//!
//! 1. It is checked against memory. A refusal touches nothing.
//! 2. The store makes it durable. A power cut before the end leaves the state before, a power cut after it the state after.
//! 3. It is applied to memory, which cannot fail.
//!
//! So a change that a reply acknowledges survives a power cut, and memory and flash never disagree.

mod boot; //       selects the bundle of each start, confirms it or rolls back
mod boot_state; // the confirmed bundle and the candidate, as stored
mod update; //     receives a bundle and makes it the candidate
mod stage; //      the staged image
mod store_refusal; // store errors as refusals
mod feature; //    the feature that a request is about
mod head_cache; // the head fitted last
mod learn; //      classes and supports
mod nearest; //    the supports nearest to a sample
mod predict; //    predictions
mod operating_point; // the operating point: reported, set
mod stored_point; // the operating point as the store has it
mod report; //     status, export, self-test

use crate::decide::OperatingPoint;
use crate::encoder::{EncodeError, Encoder};
use crate::image::RawImage;
use crate::protocol::message::{HelloReply, LineCounters, VERSION};
use crate::protocol::{Reason, Refusal, Reply, Request};
use crate::store::{Flash, Store, StoreError};
use crate::support_set::SupportSet;

pub use boot::{
    ATTEMPTS_MAX, Start, StartMemory, begin_start, confirm, open_and_confirm, roll_back, with_settings, would_forget,
};
pub use boot_state::Bundle;
pub use update::{Accept, BundleSlots, BundleSummary};

use head_cache::HeadCache;
use stage::Stage;
use store_refusal::refusal;
use update::Update;

/// Name and version of a device's program, and the longest message of its line.
#[derive(Clone, Copy, Debug)]
pub struct Profile<'m> {
    /// Name of the program, at most 32 bytes.
    pub program: &'m str,
    /// Its version, at most 32 bytes.
    pub program_version: &'m str,
    /// Bytes of the longest message, given by the endpoint's memory. At least
    /// [`message_max`](crate::protocol::message::message_max) of the feature dimension.
    pub message_max: u32,
}

/// Memory that a session works in; its content does not matter.
#[derive(Debug)]
pub struct Memory<'m> {
    /// The staged image; the length of this memory limits it. Empty when the device takes features only.
    pub image: &'m mut [u8],
    /// Where an image is encoded: [`EncoderInfo::work_words`](crate::encoder::EncoderInfo::work_words) words.
    pub work: &'m mut [u32],
    /// The feature that a request is about, `[D]`.
    pub feature: &'m mut [i16],
    /// Bytes of a feature that is sent, `[2 D]`.
    pub bytes: &'m mut [u8],
    /// Where heads are solved: [`Predictor::scratch_len`](crate::decide::Predictor::scratch_len) values.
    pub scratch: &'m mut [f64],
    /// Probability of each class, `[C]`.
    pub probabilities: &'m mut [f64],
}

/// A device: an encoder, a store and a support set.
pub struct Session<'m, E, F> {
    profile: Profile<'m>,
    encoder: E,
    store: Store<'m, F>,
    support_set: SupportSet<'m>,
    /// The stored operating point.
    operating_point: Option<OperatingPoint>,
    /// Changes of the support set and of the operating point since the start.
    revision: u32,
    stage: Stage<'m>,
    work: &'m mut [u32],
    /// The last error of the encoder.
    fault: Option<EncodeError>,
    feature: &'m mut [i16],
    bytes: &'m mut [u8],
    head_cache: HeadCache<'m>,
    update: Update<'m>,
    learning: Learning,
    line: LineCounters,
}

/// Wear from learning since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Learning {
    samples: u32,
    bytes_programmed: u64,
    erases: u32,
}

impl<'m, E: Encoder, F: Flash> Session<'m, E, F> {
    /// * `store`: opened with the encoder's identity into `support_set`
    /// * `bundles`: where new bundles go; `None` when the device accepts none
    ///
    /// # Errors
    /// When the memory lent does not fit, or the store cannot be read.
    pub fn new(
        profile: Profile<'m>,
        encoder: E,
        mut store: Store<'m, F>,
        support_set: SupportSet<'m>,
        memory: Memory<'m>,
        bundles: Option<BundleSlots<'m>>,
    ) -> Result<Self, StoreError> {
        let Memory { image, work, feature, bytes, scratch, probabilities } = memory;
        let (dim, info) = (support_set.dim(), encoder.info());
        for (found, needed) in [
            (info.dim, dim),
            (feature.len(), dim),
            (bytes.len(), 2 * dim),
            (probabilities.len(), support_set.names().len()),
        ] {
            if found != needed {
                return Err(StoreError::Buffer { found, needed });
            }
        }
        let (found, needed) = (work.len(), info.work_words());
        if found < needed {
            return Err(StoreError::Buffer { found, needed });
        }
        let update = Update::open(bundles, &mut store)?;
        let operating_point = stored_point::load(&mut store, &support_set)?;
        let (stage, head_cache) = (Stage::new(image), HeadCache::new(scratch, probabilities));
        let (learning, line) = (Learning::default(), LineCounters::default());
        Ok(Self {
            profile,
            encoder,
            store,
            support_set,
            operating_point,
            revision: 0,
            stage,
            work,
            fault: None,
            feature,
            bytes,
            head_cache,
            update,
            learning,
            line,
        })
    }

    /// The classes and supports of the device.
    pub fn support_set(&self) -> &SupportSet<'m> {
        &self.support_set
    }

    /// The encoder.
    pub fn encoder(&self) -> &E {
        &self.encoder
    }

    /// Takes the encoder's last error, for a log: a reply carries only its number.
    pub fn take_fault(&mut self) -> Option<EncodeError> {
        self.fault.take()
    }

    /// Sets the line counters that [`Request::Status`] reports.
    pub fn set_line(&mut self, line: LineCounters) {
        self.line = line;
    }

    /// Whether a bundle is pending for the next start.
    pub fn is_update_pending(&self) -> bool {
        self.update.is_pending()
    }

    /// The staged image, once it is complete.
    pub fn staged_image(&self) -> Option<RawImage<'_>> {
        self.stage.image().ok()
    }

    /// The flash with the store and the bundles.
    pub fn flash_mut(&mut self) -> &mut F {
        self.store.flash_mut()
    }

    /// Answers one request; returns the length of the reply, which is never 0 if `reply` holds 32 bytes.
    ///
    /// * `request`: a message of [`crate::protocol::message`], or anything else
    /// * `now_s`: the device's clock, in seconds since 1970; 0 when it has none
    /// * `reply`: [`Profile::message_max`] bytes
    pub fn handle(&mut self, request: &[u8], now_s: u64, reply: &mut [u8]) -> usize {
        let written = Request::parse(request).and_then(|request| self.execute(request, now_s)?.write(reply));
        // A refusal is at most 23 bytes.
        written.unwrap_or_else(|refusal| Reply::Refused(refusal).write(reply).unwrap_or(0))
    }

    /// Executes one request of the device's own program, as [`Self::handle`] executes that of a host.
    ///
    /// * `now_s`: as for [`Self::handle`]
    ///
    /// # Errors
    /// When the request is refused. Nothing has changed, unless the flash failed in the middle of a commit
    /// ([`StoreError::Unknown`]).
    pub fn execute(&mut self, request: Request<'_>, now_s: u64) -> Result<Reply<'_>, Refusal> {
        match request {
            Request::Hello { version } => self.hello(version),
            Request::Status => self.status(now_s),
            Request::Classes { from } => Ok(self.class_from(from)),
            Request::ImageBegin { width, height, channels } => self.stage.begin(width, height, channels),
            Request::ImageChunk { offset, bytes } => self.stage.append(offset, bytes),
            Request::Embed { input } => self.embed(input),
            Request::AddClass { name } => self.add_class(name),
            Request::RenameClass { class, name } => self.rename_class(class, name),
            Request::RemoveClass { class } => self.remove_class(class),
            Request::Learn { class, source, operator, time_s, input } => {
                let time_s = if time_s == 0 { now_s } else { time_s };
                self.learn(class, source, operator, time_s, input)
            }
            Request::Forget { source } => self.forget(&source),
            Request::Predict { input, head, error_rate_permille } => self.predict(input, head, error_rate_permille),
            Request::Why { input } => self.why(input),
            Request::ExportState { cursor } => self.export(cursor),
            Request::MergeState { name, source, operator, time_s, feature } => {
                self.merge(name, source, operator, time_s, feature)
            }
            Request::BundleBegin { len, sha256 } => self.update.begin(&mut self.store, len, sha256),
            Request::BundleChunk { offset, bytes } => self.update.append(&mut self.store, offset, bytes),
            Request::BundleCommit => self.update.commit(&mut self.store, &self.support_set, false),
            Request::FactoryReset { confirmation } => self.factory_reset(confirmation),
            Request::SelfTest => self.self_test(),
            Request::Bundles => self.update.report(),
            Request::BundleCommitForgetting { confirmation } => self.commit_forgetting(confirmation),
            Request::OperatingPoint => self.report_point(),
            Request::SetOperatingPoint { point } => self.set_point(point),
            Request::Decide { input, head, error_rate_permille, point } => {
                self.decide(input, head, error_rate_permille, point)
            }
        }
    }

    fn hello(&self, version: u8) -> Result<Reply<'_>, Refusal> {
        if version != VERSION {
            return Err(Reason::Version.with(version.into(), VERSION.into()));
        }
        let info = self.encoder.info();
        Ok(Reply::Hello(HelloReply {
            version: VERSION,
            program: self.profile.program,
            program_version: self.profile.program_version,
            identity: info.identity,
            dim: self.support_set.dim() as u16,
            classes: self.support_set.names().len() as u8,
            supports: self.support_set.capacity() as u32,
            message_max: self.profile.message_max,
            image_bytes_max: self.stage.capacity() as u32,
            channels: info.input.map_or(0, |input| input.channels() as u8),
            bundle_bytes_max: self.update.capacity(),
        }))
    }
}
