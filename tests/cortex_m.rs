//! Encoders on a Cortex-M7 in QEMU: the same features as on this machine, their error against a network in f64, and their
//! cost.

use std::fmt::Write;

use macula::blob::{BlobFile, BlobParts, Limits, Weights, calibrate, make};
use macula::data::{Dataset, open_named};
use macula::encoder::{HostEncoder, Pooling, Preset};
use macula_edge::feature::quantise;
use macula_edge::head::{Head, HeadKind};
use macula_edge::protocol::message::{Input, VERSION, chunk_max, message_max};
use macula_edge::protocol::{Client, Reply, Request, packet_max};
use macula_edge::support_set::{SupportRecord, Supports};
use macula_firmware_sim::chip::{self, Core, Image, ImageSpec};
use macula_firmware_sim::counts::{Count, Footprint, count_encoder, count_head};
use macula_firmware_sim::qemu::{QemuBoard, erased_flash};
use rayon::prelude::*;

mod common;
mod naive;
use naive::{Naive, random_encoder};

/// Images whose features are compared. The emulator needs a second for each.
const IMAGES: usize = 40;

/// Shots per class of a head, to see whether the chip's features change a prediction.
const SHOTS: usize = 2;

/// An encoder on the chip.
struct Case {
    preset: Preset,
    channels: usize,
    side: usize,
    /// Pooling and dimensions of the linear map; the mean of the last value without.
    readout: Option<(Pooling, usize)>,
    /// Places for supports. In 256 KB, features of 64 values leave room for 128, those of 128 values for 80.
    supports: usize,
    /// Real images, if they are compared.
    real: Option<&'static str>,
}

const CASES: [Case; 3] = [
    Case {
        preset: Preset::Pico,
        channels: 1,
        side: 28,
        readout: None,
        supports: 128,
        real: Some("pneumoniamnist/pneumoniamnist.npz"),
    },
    Case { preset: Preset::Nano, channels: 3, side: 32, readout: None, supports: 128, real: Some("cifar10") },
    Case {
        preset: Preset::Nano,
        channels: 1,
        side: 64,
        readout: Some((Pooling::Stages, 128)),
        supports: 80,
        real: None,
    },
];

impl Case {
    fn encoder(&self) -> Naive {
        let plain = random_encoder(self.preset, self.channels, self.side, 7);
        match self.readout {
            Some((pooling, dim)) => plain.with_readout(pooling, Some(dim), 7),
            None => plain,
        }
    }

    fn name(&self, arithmetic: &str) -> String {
        let readout = self.readout.map_or(String::new(), |(pooling, dim)| format!("-{}-{dim}", pooling.name()));
        format!("{}{readout}-{arithmetic}", self.preset.name())
    }

    /// The image of one blob. Only f16 of `nano`, whose values are f32, may exceed the project's target of 256 KB.
    fn build(&self, name: &str, blob: &[u8]) -> Image {
        let spec = ImageSpec {
            name,
            blob: Some(blob),
            dim: 0,
            classes: 8,
            supports: self.supports,
            flash_kb: 1024,
            ram_kb: if name == "nano-f16" { 512 } else { 256 },
            core: Core::CortexM7,
        };
        chip::build(&spec).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Images and the class of each.
struct Sample {
    images: Vec<Vec<u8>>,
    classes: Vec<u8>,
}

/// An even sample of `dataset`, as network input.
fn sample(naive: &Naive, dataset: &Dataset) -> Sample {
    let indices = dataset.indices(None);
    let step = (indices.len() / IMAGES).max(1);
    let chosen: Vec<usize> = indices.into_iter().step_by(step).take(IMAGES).collect();
    let images = chosen.iter().map(|&index| naive.info.preprocessing.to_pixels(&dataset.load(index).unwrap()).pixels);
    let classes = dataset.labels(&chosen).into_iter().map(|label| label.unwrap() as u8);
    Sample { images: images.collect(), classes: classes.collect() }
}

fn blobs(naive: &Naive) -> [(&'static str, Vec<u8>); 2] {
    let parts = |weights| {
        let (encoder, preprocessing) = (&naive.encoder, &naive.info.preprocessing);
        make(&BlobParts { encoder, preprocessing, weights, corpus: None, golden: None }, Limits::default()).unwrap()
    };
    let half = parts(Weights::F16);
    let unlabelled = sample(naive, &open_named("phantoms:64:64", 2).unwrap());
    let opened = BlobFile::from_bytes("f16", &half).unwrap();
    let ranges = calibrate(&opened, &naive.encoder.spec, &unlabelled.images).unwrap();
    [("f16", half), ("int8", parts(Weights::Int8(&ranges)))]
}

fn quantised(features: &[f32], dim: usize) -> Vec<Vec<i16>> {
    let quantise = |values: &[f32]| {
        let mut feature = vec![0; dim];
        quantise(values, None, &mut feature).unwrap();
        feature
    };
    features.chunks(dim).map(quantise).collect()
}

/// The chip's features of `images`.
fn on_the_chip(image: &Image, name: &str, naive: &Naive, images: &[Vec<u8>]) -> Vec<Vec<i16>> {
    let flash = std::env::temp_dir().join(format!("macula-{name}-{}.flash", std::process::id()));
    erased_flash(&flash).unwrap();
    let mut board = QemuBoard::start(image.machine, &image.board, &flash).unwrap();
    let message_max = message_max(naive.feature_dim());
    let (mut received, mut packet) = (vec![0; packet_max(message_max)], vec![0; packet_max(message_max)]);
    let mut client = Client::new(1, &mut received, &mut packet);
    let mut ask = |request: &Request<'_>| board.exchange(&mut client, request).unwrap();
    ask(&Request::Hello { version: VERSION });
    let input = naive.encoder.spec.input;
    let mut embed = |pixels: &Vec<u8>| {
        let (width, height, channels) = (input.width as u16, input.height as u16, input.channels as u8);
        ask(&Request::ImageBegin { width, height, channels });
        let chunk = chunk_max(message_max);
        for (index, bytes) in pixels.chunks(chunk).enumerate() {
            ask(&Request::ImageChunk { offset: (index * chunk) as u32, bytes });
        }
        let reply = ask(&Request::Embed { input: Input::Image });
        let Ok(Reply::Feature { feature, .. }) = Reply::parse(&reply) else { panic!("{:?}", Reply::parse(&reply)) };
        feature.as_chunks::<2>().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect()
    };
    let features = images.iter().map(&mut embed).collect();
    board.cut_power();
    std::fs::remove_file(&flash).unwrap();
    features
}

/// The predictions of a head with the first [`SHOTS`] samples per class.
fn decisions(features: &[Vec<i16>], classes: &[u8]) -> Vec<u8> {
    let class_count = usize::from(*classes.iter().max().unwrap()) + 1;
    let mut counts = vec![0; class_count];
    let (mut records, mut supports, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (feature, &class)) in features.iter().zip(classes).enumerate() {
        if counts[usize::from(class)] == SHOTS {
            asked.push(feature);
            continue;
        }
        counts[usize::from(class)] += 1;
        records.push(SupportRecord { source: (index as u128).to_be_bytes(), class, operator: 0, time_s: 0 });
        supports.extend_from_slice(feature);
    }
    let dim = features[0].len();
    let supports = Supports { dim, records: &records, features: &supports };
    let mut scratch = vec![0.0; Head::scratch_len(dim, class_count, records.len())];
    let head = Head::fit(HeadKind::Auto, supports, class_count, &mut scratch).unwrap();
    let mut probabilities = vec![0.0; class_count];
    asked.iter().map(|feature| head.predict(feature, &mut probabilities).unwrap().class).collect()
}

fn cosine(a: &[i16], b: &[f32]) -> f64 {
    let dot = |x: f64, y: f64| x * y;
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        (ab, aa, bb) = (ab + dot(a, b), aa + dot(a, a), bb + dot(b, b));
    }
    ab / (aa * bb).sqrt()
}

/// Compares the features of one encoder on one dataset; returns a line of the table.
fn compare(image: &Image, name: &str, blob: &[u8], naive: &Naive, images: &str, sample: &Sample) -> String {
    let dim = naive.feature_dim();
    let pixels = sample.images.concat();
    let host = naive.encode_batch(&pixels).unwrap();
    // The device's code: the engine adds an f16 blob in another order.
    let here = BlobFile::from_bytes(name, blob).unwrap();
    let here: Vec<_> = sample.images.iter().map(|pixels| here.quantised(pixels).unwrap()).collect();
    let chip = on_the_chip(image, name, naive, &sample.images);
    assert!(chip == here, "{name}, {images}: the chip's features are not this machine's");

    let cosines: Vec<f64> = chip.iter().zip(host.chunks(dim)).map(|(chip, host)| cosine(chip, host)).collect();
    let least = cosines.iter().copied().fold(1.0, f64::min);
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    assert!(least > if name.ends_with("f16") { 0.9999 } else { 0.97 }, "{name}, {images}: cosine {least}");
    let (ours, theirs) = (decisions(&chip, &sample.classes), decisions(&quantised(&host, dim), &sample.classes));
    let flips = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).count();
    format!(
        "{name:20} {images:16} cosine mean {mean:.6} least {least:.6}, {flips} of {} decisions differ\n",
        ours.len()
    )
}

fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

/// Builds and measures the image of one blob; returns it with its part of the table.
fn measure(case: &Case, naive: &Naive, phantoms: &Sample, arithmetic: &str, blob: &[u8]) -> (Image, String) {
    let name = case.name(arithmetic);
    let image = case.build(&name, blob);
    let (nodes, whole) = count_encoder(&image).unwrap();
    let footprint = Footprint::of(&image.board).unwrap();
    let mut table = cost(&name, whole, &footprint, blob.len());
    let rest = whole.instructions - nodes.iter().map(|node| node.instructions).sum::<u64>();
    writeln!(table, "    {rest} instructions outside the nodes: the pixels and the linear map").unwrap();
    let (macs, per_mac) = (naive.encoder.spec.cost().unwrap().macs, whole.per_mac());
    assert_eq!(whole.macs, macs, "{name}");
    let limit = match (case.preset, arithmetic) {
        (Preset::Nano, "int8") => 1.0,
        (_, "int8") => 1.4,
        _ => 2.0,
    };
    assert!(per_mac <= limit, "{name}: {per_mac} instructions a multiply-accumulate");
    table += &compare(&image, &name, blob, naive, "phantoms", phantoms);
    if let Some(real) = case.real {
        table += &on_real_images(&image, &name, blob, naive, real);
    }
    (image, table)
}

#[test]
#[expect(clippy::print_stdout, reason = "measured figures, shown with --nocapture")]
fn encoders_on_the_chip() {
    // The emulator uses one core, so the cases run side by side.
    let cases: Vec<(&Case, Vec<(Image, String)>)> = CASES
        .par_iter()
        .map(|case| {
            let naive = case.encoder();
            let phantoms = sample(&naive, &open_named("phantoms:64:42", 3).unwrap());
            let blobs = blobs(&naive);
            // The readout differs between blobs in a few operations, which the tests of the device crate compare in f16.
            let chosen = &blobs[usize::from(case.readout.is_some())..];
            let measured = chosen.par_iter().map(|(kind, blob)| measure(case, &naive, &phantoms, kind, blob));
            (case, measured.collect())
        })
        .collect();
    let mut table: String = cases.iter().flat_map(|(_, images)| images).map(|(_, text)| text.as_str()).collect();
    let heads = cases.iter().rev().find(|(case, _)| case.readout.is_none()).and_then(|(_, images)| images.last());
    for (what, instructions) in count_head(&heads.unwrap().0).unwrap() {
        writeln!(table, "5 classes of 10 shots, 128 dimensions: {what}: {instructions} instructions").unwrap();
    }
    println!("{table}");
}

fn cost(name: &str, whole: Count, footprint: &Footprint, blob_bytes: usize) -> String {
    let (flash, ram) = (kilobytes(footprint.flash_bytes()), kilobytes(footprint.ram_bytes()));
    let mut text = format!(
        "{name:20} {} instructions (emulated), {} multiply-accumulates, {:.3} each; flash {flash:.1} KB (blob {:.1}), RAM {ram:.1} KB and the stack\n",
        whole.instructions,
        whole.macs,
        whole.per_mac(),
        kilobytes(blob_bytes as u64),
    );
    for section in &footprint.sections {
        writeln!(text, "    {:14} flash {:8} RAM {:8}", section.name, section.flash_bytes, section.ram_bytes).unwrap();
    }
    for (variable, bytes) in &footprint.variables {
        writeln!(text, "    {variable:60} RAM {bytes:8}").unwrap();
    }
    text
}

/// The same on real images, if available.
fn on_real_images(image: &Image, name: &str, blob: &[u8], naive: &Naive, real: &str) -> String {
    let Some(folder) = common::data_or_skip(&format!("{name} on the chip, images of {real}")) else {
        return String::new();
    };
    let dataset = macula::data::open(&folder.join(real)).unwrap();
    compare(image, name, blob, naive, real, &sample(naive, &dataset))
}
