//! An ONNX encoder in a child process, which is restarted after a crash.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::child::{ChildProcess, NoReply};
use super::frame::{self, Card, ENCODE, FAILED, FEATURES, Fault, LOAD, Load, MODEL, OPENED, PATH, REFUSED};
use super::worker::IMAGES_PER_THREAD;
use super::{IsolatedError, Worker};
use crate::encoder::{EncodeError, HostEncoder, HostEncoderInfo};
use crate::runtime::{Arithmetic, FEATURE_DIM_MAX, OpenOptions, Provenance};

/// Longest [`Card`] in bytes.
const CARD_MAX: usize = 64 << 20;

/// Images per request.
const IMAGES_AT_ONCE: usize = 64;

/// An ONNX file.
#[derive(Clone, Debug)]
pub enum OnnxSource {
    /// Its path; it may keep its weights in files beside it.
    Path(PathBuf),
    /// Its bytes.
    Bytes(Vec<u8>),
}

/// An ONNX encoder in a child process.
pub struct IsolatedEncoder {
    worker: Worker,
    source: OnnxSource,
    options: OpenOptions,
    threads: usize,
    card: Card,
    /// `None` after a crash, until the next request.
    child: Mutex<Option<ChildProcess>>,
}

impl IsolatedEncoder {
    /// Opens `source` in a child of `worker`.
    pub(super) fn open(
        name: &str,
        worker: Worker,
        source: OnnxSource,
        options: OpenOptions,
    ) -> Result<Self, IsolatedError> {
        let threads = rayon::current_num_threads();
        let (child, card) = start(name, &worker, &source, &options, threads)?;
        let child = Mutex::new(Some(child));
        Ok(Self { worker, source, options, threads, card, child })
    }

    /// Precision that it computes in.
    pub fn arithmetic(&self) -> Arithmetic {
        self.card.arithmetic
    }

    /// Its provenance, if `export` wrote it.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.card.provenance.as_ref()
    }

    /// Process ID of the child; `None` after a crash, until the next request.
    pub fn process_id(&self) -> Option<u32> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(ChildProcess::id)
    }

    /// Features of `pixels` from the child, or from a new child after a crash. A child that fails is not used again.
    fn encode_isolated(&self, pixels: &[u8]) -> Result<Vec<f32>, Failure> {
        let mut place = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = match place.take() {
            Some(child) => child,
            None => {
                let (child, card) =
                    start(&self.card.info.name, &self.worker, &self.source, &self.options, self.threads)?;
                if card != self.card {
                    return Err(IsolatedError::Changed { encoder: self.card.info.name.clone() }.into());
                }
                child
            }
        };
        let image_len = self.card.info.preprocessing.input_len();
        let mut features = Vec::with_capacity(pixels.len() / image_len * self.card.info.feature_dim);
        for block in pixels.chunks(image_len * IMAGES_AT_ONCE) {
            let first = features.len() / self.card.info.feature_dim;
            match self.exchange(&mut child, block, &mut features) {
                Ok(()) => {}
                // The encoder failed on an image; the process goes on.
                Err(Failure::Fault(fault)) => {
                    *place = Some(child);
                    return Err(Failure::Fault(at_image(fault, first)));
                }
                Err(failure) => return Err(failure),
            }
        }
        *place = Some(child);
        Ok(features)
    }

    /// Sends `block` and appends its features.
    fn exchange(&self, child: &mut ChildProcess, block: &[u8], features: &mut Vec<f32>) -> Result<(), Failure> {
        let limit = self.worker.limits.image;
        // Between two replies each thread encodes this many images in sequence.
        let timeout = limit.saturating_mul(IMAGES_PER_THREAD as u32);
        let images = block.len() / self.card.info.preprocessing.input_len();
        let timeout = if images == 1 { limit } else { timeout };
        let stop = || self.worker.is_stopped();
        let failed = |reason| no_reply(&self.card.info.name, reason, "an image", limit);
        let end = features.len() + images * self.card.info.feature_dim;
        child.send(ENCODE, block, Instant::now() + timeout, &stop).map_err(failed)?;
        while features.len() < end {
            let reply_max = (4 * (end - features.len())).max(1 << 16);
            let (kind, payload) = child.receive(reply_max, Instant::now() + timeout, &stop).map_err(failed)?;
            match kind {
                FEATURES if !payload.is_empty() && features.len() + payload.len() / 4 <= end => {
                    features.extend(frame::to_values(&payload));
                }
                FAILED => {
                    let fault = serde_json::from_slice(&payload);
                    return Err(fault.map_or_else(|_| self.unreadable().into(), Failure::Fault));
                }
                _ => return Err(self.unreadable().into()),
            }
        }
        Ok(())
    }

    fn unreadable(&self) -> IsolatedError {
        IsolatedError::Reply { encoder: self.card.info.name.clone() }
    }
}

/// Why an image could not be encoded.
enum Failure {
    /// The encoder failed on it.
    Fault(Fault),
    /// The process failed.
    Process(IsolatedError),
}

impl From<IsolatedError> for Failure {
    fn from(error: IsolatedError) -> Self {
        Self::Process(error)
    }
}

fn at_image(fault: Fault, first: usize) -> Fault {
    match fault {
        Fault::NotFinite { image, position, value } => Fault::NotFinite { image: first + image, position, value },
        other => other,
    }
}

fn no_reply(name: &str, reason: NoReply, what: &'static str, limit: Duration) -> IsolatedError {
    let encoder = name.to_owned();
    match reason {
        NoReply::Died(how) => IsolatedError::Died { encoder, how },
        NoReply::TimedOut => IsolatedError::TimedOut { encoder, what, limit },
        NoReply::Stopped => IsolatedError::Stopped { encoder },
        NoReply::TooLong => IsolatedError::Reply { encoder },
    }
}

/// Starts a child and opens the encoder in it.
fn start(
    name: &str,
    worker: &Worker,
    source: &OnnxSource,
    options: &OpenOptions,
    threads: usize,
) -> Result<(ChildProcess, Card), IsolatedError> {
    let limit = worker.limits.load;
    let deadline = Instant::now() + limit;
    let mut child = worker.start(name)?;
    let load = Load {
        name: name.to_owned(),
        preprocessing: options.preprocessing.clone(),
        arithmetic: options.arithmetic,
        threads,
        memory_bytes: worker.limits.memory_bytes,
    };
    let unreadable = || IsolatedError::Reply { encoder: name.to_owned() };
    let load = serde_json::to_vec(&load).map_err(|_| unreadable())?;
    let (stop, failed) = (|| worker.is_stopped(), |reason| no_reply(name, reason, "loading", limit));
    child.send(LOAD, &load, deadline, &stop).map_err(failed)?;
    match source {
        OnnxSource::Path(path) => child.send(PATH, path.as_os_str().as_encoded_bytes(), deadline, &stop),
        OnnxSource::Bytes(bytes) => child.send(MODEL, bytes, deadline, &stop),
    }
    .map_err(failed)?;
    let (kind, payload) = child.receive(CARD_MAX, deadline, &stop).map_err(failed)?;
    match kind {
        OPENED => {
            let mut card: Card = serde_json::from_slice(&payload).map_err(|_| unreadable())?;
            name.clone_into(&mut card.info.name);
            let is_sound = (1..=FEATURE_DIM_MAX).contains(&(card.info.feature_dim as u64));
            if is_sound { Ok((child, card)) } else { Err(unreadable()) }
        }
        REFUSED => Err(IsolatedError::Refused { message: String::from_utf8_lossy(&payload).into_owned() }),
        _ => Err(unreadable()),
    }
}

impl HostEncoder for IsolatedEncoder {
    fn info(&self) -> &HostEncoderInfo {
        &self.card.info
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        let encoder = self.card.info.name.clone();
        let image_len = self.card.info.preprocessing.input_len();
        if !pixels.len().is_multiple_of(image_len) {
            let message = format!("input of {} values is not a whole number of images of {image_len}", pixels.len());
            return Err(EncodeError::Encoder { encoder, message });
        }
        self.encode_isolated(pixels).map_err(|failure| match failure {
            Failure::Fault(Fault::Encoder { message }) => EncodeError::Encoder { encoder, message },
            Failure::Fault(Fault::NotFinite { image, position, value }) => {
                let value = value.parse().unwrap_or(f32::NAN);
                EncodeError::NotFinite { encoder, image, position, value }
            }
            Failure::Process(error) => {
                let text = error.to_string();
                let message = text.strip_prefix(&format!("{encoder}: ")).unwrap_or(&text).to_owned();
                EncodeError::Encoder { encoder, message }
            }
        })
    }
}
