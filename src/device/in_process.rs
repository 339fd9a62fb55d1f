//! The line to a device in this process.

use std::io;
use std::time::Duration;

use super::Device;
use crate::link::Transport;

/// A line without a wire: the device replies before `send` returns.
pub struct InProcess<'d, 'm> {
    device: &'d mut Device<'m>,
    answered: Vec<u8>,
}

impl<'d, 'm> InProcess<'d, 'm> {
    /// A line to `device`.
    pub fn new(device: &'d mut Device<'m>) -> Self {
        Self { device, answered: Vec::new() }
    }
}

impl Transport for InProcess<'_, '_> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.device.take(bytes, &mut self.answered);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Duration) -> io::Result<usize> {
        let len = buffer.len().min(self.answered.len());
        buffer[..len].copy_from_slice(&self.answered[..len]);
        self.answered.drain(..len);
        Ok(len)
    }
}
