//! A device on a store of this machine.

use std::path::Path;

use crate::cli::connect::with_client;
use crate::cli::local_device::{SUPPORTS_DEFAULT, open_device};
use crate::device::InProcess;
use crate::encoders::Opened;
use crate::link::{Address, Client};
use crate::log::Log;

/// Opens a device with `opened` on the store at `path`, and runs `talk`.
pub fn with_encoder<T>(
    path: &Path,
    opened: &Opened,
    talk: impl FnOnce(&mut Client<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let address = Address::Store(path.to_owned());
    open_device(path, opened, SUPPORTS_DEFAULT, (false, &Log::to_stderr()), |device| {
        with_client(&address, &mut InProcess::new(device), None, talk)
    })?
}
