//! What all routes share.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use tokio::sync::{Semaphore, watch};

use super::super::access::Access;
use super::super::controller::Pictures;
use super::super::types::Quality;
use super::super::worker::Handle;
use crate::data::Preprocessing;
use crate::data::decode::EncoderRange;
use crate::device::KeptImages;

/// What all routes share.
pub struct Shared {
    /// The thread of the device.
    pub device: Handle,
    /// Who may use the API.
    pub access: Access,
    /// Requests with a large body at once: each may take the memory of an upload and of its decoded image.
    pub uploads: Semaphore,
    /// Bytes of an image file at most.
    pub upload_bytes_max: usize,
    /// Bytes of an exported state at most.
    pub state_bytes_max: u64,
    /// What is known of the encoder; it changes with a new bundle.
    pub encoder: Mutex<EncoderFacts>,
    /// Pictures of the queue.
    pub queue_images: KeptImages,
    /// The last figures of the samples, and the SHA-256 of the state that they are of.
    pub quality: Mutex<Option<([u8; 32], Quality)>>,
    /// Base of the address of the page for other machines.
    pub url: Option<String>,
    /// Becomes true when the server ends.
    pub ending: watch::Receiver<bool>,
}

/// What the server knows of the device's encoder.
#[derive(Clone, Debug)]
pub struct EncoderFacts {
    /// The range of raw values that it expects.
    pub range: EncoderRange,
    /// How an image becomes its input, if known.
    pub preprocessing: Option<Preprocessing>,
    /// Pictures of samples.
    pub pictures: Pictures,
}

impl Shared {
    /// What is known of the encoder now.
    pub fn facts(&self) -> EncoderFacts {
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Gives a route what all share.
pub type App = State<Arc<Shared>>;
