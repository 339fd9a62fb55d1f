//! The staged image: received in parts, then used by requests.

use crate::image::RawImage;
use crate::protocol::{Reason, Refusal, Reply};

/// Memory for one image, and how much of it has been received.
#[derive(Debug)]
pub(super) struct Stage<'m> {
    memory: &'m mut [u8],
    width: u16,
    height: u16,
    channels: u8,
    /// Bytes of the whole image, at most those of `memory`; 0 when none was begun.
    len: usize,
    received: usize,
}

impl<'m> Stage<'m> {
    pub fn new(memory: &'m mut [u8]) -> Self {
        Self { memory, width: 0, height: 0, channels: 0, len: 0, received: 0 }
    }

    /// Bytes of the largest image.
    pub fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Begins an image; the one before is dropped.
    pub fn begin(&mut self, width: u16, height: u16, channels: u8) -> Result<Reply<'static>, Refusal> {
        if self.memory.is_empty() {
            return Err(Reason::NoEncoder.with(0, 0));
        }
        if ![1, 3].contains(&channels) {
            return Err(Reason::ImageChannels.with(channels.into(), 3));
        }
        let (found, limit) = (u64::from(width) * u64::from(height) * u64::from(channels), self.memory.len() as u64);
        if found == 0 || found > limit {
            return Err(Reason::ImageBytes.with(found, limit));
        }
        (self.width, self.height, self.channels) = (width, height, channels);
        (self.len, self.received) = (found as usize, 0);
        Ok(self.progress())
    }

    /// Adds the next part. A part that was added before changes nothing.
    pub fn append(&mut self, offset: u32, bytes: &[u8]) -> Result<Reply<'static>, Refusal> {
        let (from, to) = (u64::from(offset), u64::from(offset) + bytes.len() as u64);
        let received = self.received as u64;
        if to > self.len as u64 {
            return Err(Reason::ImageOffset.with(to, self.len as u64));
        }
        if from == received {
            self.memory[self.received..][..bytes.len()].copy_from_slice(bytes);
            self.received += bytes.len();
        } else if to > received {
            return Err(Reason::ImageOffset.with(from, received));
        }
        Ok(self.progress())
    }

    /// The image, once it is complete.
    pub fn image(&self) -> Result<RawImage<'_>, Refusal> {
        let missing = Reason::ImageMissing.with(self.received as u64, self.len as u64);
        if self.len == 0 || self.received < self.len {
            return Err(missing);
        }
        let (width, height, channels) = (self.width.into(), self.height.into(), self.channels.into());
        RawImage::new(width, height, channels, &self.memory[..self.len]).map_err(|_| missing)
    }

    fn progress(&self) -> Reply<'static> {
        Reply::Staged { next: self.received as u32, len: self.len as u32 }
    }
}
