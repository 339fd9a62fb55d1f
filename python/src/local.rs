//! A device in this process: an encoder, and a store in memory or in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use macula::data::Preprocessing;
use macula::device::{
    Device, DeviceEncoder, DeviceMemory, InProcess, KeptImages, SignedBundles, Site, StoreFile, StoreHeader,
};
use macula::encoders::{Opened, Stated, is_bundle};
use macula::link::Address;
use macula_edge::support_set::CLASSES_MAX;

use crate::encoder::Opening;
use crate::error::{Failure, Kind};
use crate::line::Served;

/// What a device of this process is made of.
pub struct Local {
    /// Name and encoder; none for what the store records.
    pub encoder: Option<(String, Arc<Opened>)>,
    /// How the encoder is or was opened.
    pub opening: Opening,
    /// The file of the store; none for memory.
    pub store: Option<PathBuf>,
    /// Samples that a new store has room for.
    pub capacity: u32,
}

impl Local {
    /// Starts the device and serves it until the line is closed.
    pub fn hold(self, served: &Served) -> Result<(), Failure> {
        match (&self.store, &self.encoder) {
            (None, None) => Err(Failure::input("a device needs an encoder, or a store that records one")),
            (None, Some((_, opened))) => {
                let header = self.header(opened)?;
                serve(opened, &header, StoreFile::in_memory(&header)?, None, served)
            }
            (Some(store), Some((name, _))) if is_bundle(name) => self.with_bundles(store, Some(name), served),
            (Some(store), None) if Site::has_bundles(store) => self.with_bundles(store, None, served),
            (Some(store), Some((_, opened))) => self.in_file(store, opened, served),
            (Some(store), None) => {
                let opened = self.recorded(store)?;
                self.in_file(store, &opened, served)
            }
        }
    }

    /// The encoder that a store records.
    fn recorded(&self, store: &Path) -> Result<Opened, Failure> {
        let path = store.display();
        let missing =
            || Failure::new(Kind::Device, format!("store {path} does not exist; give an encoder to create it"));
        let header = StoreFile::header(store)?.ok_or_else(missing)?;
        let recipe = header.preprocessing.as_deref().map(serde_json::from_str::<Preprocessing>).transpose();
        let recipe = recipe.map_err(|error| {
            Failure::new(Kind::Device, format!("store {path}: its recorded preprocessing cannot be read: {error}"))
        })?;
        let stated = self.opening.stated.clone().or(recipe.as_ref().map(Stated::from));
        let opening = Opening { stated, ..self.opening.clone() };
        opening
            .open(&header.encoder)
            .map_err(|failure| failure.with(&format!(" (recorded in store {path}; give the encoder if it was moved)")))
    }

    fn header(&self, opened: &Opened) -> Result<StoreHeader, Failure> {
        let preprocessing = opened.stated.as_ref().map(serde_json::to_string).transpose().map_err(Failure::input)?;
        let (dim, identity) = (opened.encoder.feature_dim() as u32, opened.encoder.id());
        let (encoder, classes, supports) = (opened.name.clone(), CLASSES_MAX as u32, self.capacity);
        Ok(StoreHeader { encoder, identity, dim, classes, supports, preprocessing })
    }

    fn in_file(&self, path: &Path, opened: &Opened, served: &Served) -> Result<(), Failure> {
        let mut header = self.header(opened)?;
        if let Some(found) = StoreFile::header(path)? {
            (header.classes, header.supports) = (found.classes, found.supports);
            found.check(&header, path)?;
        }
        let images = KeptImages::beside(path);
        serve(opened, &header, StoreFile::open(path, &header)?, images.as_ref(), served)
    }

    /// A store that takes bundles. `first` is used by a store that has none yet; another one must have the encoder of the
    /// bundle in use.
    fn with_bundles(&self, store: &Path, first: Option<&str>, served: &Served) -> Result<(), Failure> {
        let warn = |message: &str| served.warn(message);
        let site = Site {
            store,
            reader: &SignedBundles { host: self.opening.host.clone() },
            keys: &self.opening.trusted,
            keep_images: false,
            limits: [CLASSES_MAX as u32, self.capacity],
            warn: &warn,
        };
        site.run(first.map(Path::new), |device, loaded, _| {
            let given = self.encoder.as_ref().map(|(_, opened)| opened.encoder.id());
            if given.is_some_and(|given| given != loaded.encoder.id()) {
                let store = store.display();
                let message = format!("store {store} has a bundle with another encoder; `macula update` changes it");
                return Err(Failure::new(Kind::Device, message));
            }
            served.serve(&Address::Store(store.to_owned()), &mut InProcess::new(device), None)
        })?
    }
}

fn serve(
    opened: &Opened,
    header: &StoreHeader,
    file: StoreFile,
    images: Option<&KeptImages>,
    served: &Served,
) -> Result<(), Failure> {
    let mut memory = DeviceMemory::new(header.dim as usize, header.classes as usize, header.supports as usize);
    let (warn, address) = (|message: &str| served.warn(message), Address::Store(file.path().to_owned()));
    let mut device = Device::new(DeviceEncoder::new(&*opened.encoder), file, &mut memory, &warn)?;
    if let Some(images) = images {
        device.keep_images(images).map_err(|error| Failure::new(Kind::Device, error))?;
    }
    served.serve(&address, &mut InProcess::new(&mut device), None)
}
