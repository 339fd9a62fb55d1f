//! Devices on a socket or a serial line.

use std::sync::Arc;

use macula::data::Image;
use macula::device::feature_of;
use macula::encoders::Opened;
use macula::link::{Address, open_line};

use crate::error::{Failure, Kind};
use crate::line::Served;

/// The address that `text` means: `tcp:HOST:PORT`, `tcp://HOST:PORT`, `serial:PATH[:BAUD]` or `/dev/…`.
pub fn address(text: &str) -> Result<Address, Failure> {
    let normal = match (text.strip_prefix("tcp://"), text.starts_with("/dev/")) {
        (Some(socket), _) => format!("tcp:{}", socket.trim_end_matches('/')),
        (None, true) => format!("serial:{text}"),
        (None, false) => text.to_owned(),
    };
    match normal.parse().map_err(Failure::input)? {
        Address::Store(path) => Err(Failure::input(format!(
            "'{}' is no tcp:HOST:PORT or serial:PATH[:BAUD]; open a store file with Device(store=…)",
            path.display()
        ))),
        line => Ok(line),
    }
}

/// Holds a session with the device at `address`; `encoder` makes features for a device without one.
pub fn hold(address: &Address, encoder: Option<&Arc<Opened>>, served: &Served) -> Result<(), Failure> {
    let mut line = open_line(address)?;
    let Some(opened) = encoder else { return served.serve(address, &mut *line, None) };
    let embed = |image: &Image| feature_of(&*opened.encoder, image);
    served.serve(address, &mut *line, Some(&embed))
}

/// Refuses an encoder for a device that has a built-in one, or that accepts features of another.
pub fn check_encoder(device: &macula::link::DeviceInfo, address: &str, opened: &Opened) -> Result<(), Failure> {
    let (given, name) = (opened.encoder.id().short(), &opened.name);
    if device.channels != 0 {
        return Err(Failure::input(format!("the device at {address} has a built-in encoder; leave the encoder out")));
    }
    if !device.accepts_features_of(given) {
        return Err(Failure::new(
            Kind::Device,
            format!("the device at {address} accepts features of another encoder than '{name}'"),
        ));
    }
    let dim = opened.encoder.feature_dim();
    if device.dim != dim {
        let message =
            format!("the device at {address} accepts features of {} dimensions, '{name}' has {dim}", device.dim);
        return Err(Failure::new(Kind::Device, message));
    }
    Ok(())
}
