//! A device inside this process: learns five images of each class, then predicts others.
//!
//! cargo run --release --example teach_and_predict
//!
//! A device behind a socket or a serial line answers the same calls of `Client`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use macula::data;
use macula::device::{Device, DeviceEncoder, DeviceMemory, InProcess, StoreFile, StoreHeader, source_of};
use macula::encoders::{self, OpenOptions};
use macula::link::{Address, Client, ClientMemory, PredictOptions, Provenance, Sample};
use macula::rng::Rng;

const SHOTS: usize = 5;

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dataset = data::open_named("phantoms:32:72", 1)?;
    let opened = encoders::open("grey-64", &OpenOptions::default())?;
    let encoder = &*opened.encoder;

    // A store for 16 classes and 100 samples; `macula predict --device FILE` opens the same file.
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ward.store");
    let (dim, identity) = (encoder.feature_dim(), encoder.id());
    let (classes, supports, preprocessing) = (16, 100, None);
    let header =
        StoreHeader { encoder: opened.name.clone(), identity, dim: dim as u32, classes, supports, preprocessing };
    let mut memory = DeviceMemory::new(dim, classes as usize, supports as usize);
    let mut device = Device::new(DeviceEncoder::new(encoder), StoreFile::open(&path, &header)?, &mut memory, &|_| ())?;
    let (mut line, mut client_memory) = (InProcess::new(&mut device), ClientMemory::new());
    let sessions = Rng::for_purpose(1, "sessions");
    let mut client = Client::new(&Address::Store(path), &mut line, &mut client_memory, sessions)?;

    let mut taught = vec![0; dataset.class_names.len()];
    let options = PredictOptions { head: 0, error_rate_permille: 100, point: None };
    for (index, record) in dataset.records.iter().enumerate() {
        let Some(label) = record.label else { continue };
        let image = dataset.load(index)?;
        if taught[label] < SHOTS {
            let (slot, _) = client.add_class(&dataset.class_names[label])?;
            let from = Provenance { source: source_of(&image), operator: 1, time_s: 0 };
            client.learn(slot, &from, Sample::Image(&image))?;
            taught[label] += 1;
        } else {
            let found = client.predict(Sample::Image(&image), options)?;
            let said = if found.known { &client.classes()?[usize::from(found.slot)].name } else { "I don't know" };
            let (truth, set) = (&dataset.class_names[label], found.set.len());
            println!("{truth}: predicted {said} ({:.2}), {set} classes in the prediction set", found.probability);
        }
    }
    Ok(())
}
