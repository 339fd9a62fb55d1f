//! `macula learn`: teaches a device from a few images.

use std::path::PathBuf;

use anyhow::bail;
use macula_edge::protocol::Reason;
use macula_edge::support_set::SourceId;

use crate::cli::atomic::{atomically, check_places};
use crate::cli::camera::{CameraArgs, INSTEAD_OF_IMAGES};
use crate::cli::classes::{ClassCount, ClassNames};
use crate::cli::connect::DeviceArgs;
use crate::cli::failure::Failure;
use crate::cli::images::{EncoderRange, ImageArgs};
use crate::cli::local_device::{Missing, SUPPORTS_DEFAULT};
use crate::cli::samples::ClassImages;
use crate::cli::{Common, print_json, samples};
use crate::data::Split;
use crate::device::{NamedImage, StoreFile, now_s, source_of};
use crate::link::{Address, Changes, Client, LinkError, Provenance, Sample};
use crate::report::text::{count, hexadecimal, shown};

/// Arguments of `macula learn`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula learn --device clinic.store --encoder encoder.onnx --class nodule a.png b.png c.png\n  \
    macula learn --device tcp:ward-3.local:7000 --class nodule --data NODULES\n  \
    macula learn --device clinic.store --data SLIDES --split train --shots 5\n  \
    macula learn --device clinic.store --class nodule --camera /dev/video0\n\n\
    A store file that does not exist is created for the encoder of --encoder, and records it.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Class of the images
    #[arg(long, value_name = "NAME", required_unless_present = "data")]
    class: Option<String>,
    /// Image files
    #[arg(value_name = "IMAGE", required_unless_present_any = INSTEAD_OF_IMAGES, conflicts_with = "data")]
    images: Vec<PathBuf>,
    /// Learn from a dataset: as one class with --class, or by its labels with --shots alone
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Split of the dataset: train, val or test [default: all]
    #[arg(long, requires = "data", value_parser = samples::parse_split)]
    split: Option<Split>,
    /// Draw N images by seed: per class, or in total with --class
    #[arg(long, value_name = "N", requires = "data", value_parser = clap::value_parser!(u32).range(1..))]
    shots: Option<u32>,
    /// Number of the operator, recorded with each sample and shown by `why`
    #[arg(long, value_name = "N", default_value_t = 0)]
    operator: u32,
    /// Capacity of a new store in samples
    #[arg(long, alias = "supports", value_name = "N", default_value_t = SUPPORTS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_samples: u32,
    /// Create the store in an existing file without content
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    reading: ImageArgs,
    #[command(flatten)]
    camera: CameraArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    learned: usize,
    known: usize,
    classes: Vec<ClassCount>,
}

/// Runs the command. All images are decoded before the first is learned; after an error the device is unchanged.
pub fn run(mut args: Args) -> anyhow::Result<()> {
    args.device.range = args.reading.stated();
    let picture = args.camera.take()?;
    if args.new
        && let Address::Store(path) = &args.device.device
    {
        StoreFile::remove_blank(path)?;
    }
    if picture.is_none() && matches!(&args.device.device, Address::Store(path) if !path.exists()) {
        // No store is created for unreadable images. The range is unknown until the encoder is open.
        classes(&args, EncoderRange::Irrelevant)?;
    }
    args.device.connect(Missing::Create(args.max_samples), |client| {
        let classes = match &picture {
            Some(picture) => vec![(args.class.clone().unwrap_or_default(), vec![picture.clone()])],
            None => classes(&args, client.range())?,
        };
        let sources: Vec<SourceId> =
            classes.iter().flat_map(|(_, images)| images).map(|named| source_of(&named.image)).collect();
        check_places(client, &sources)?;
        let (mut learned, mut known) = (0, Vec::new());
        atomically(client, args.common.json, |client, changes| {
            for (class, images) in &classes {
                for (image, new) in images.iter().zip(learn(client, changes, class, images, args.operator)?) {
                    if new { learned += 1 } else { known.push((image, class)) }
                }
            }
            Ok(())
        })?;
        for (image, class) in known.iter().filter(|_| !args.common.quiet) {
            eprintln!("{}: already a sample of class '{}'", shown(&image.name), shown(class));
        }
        report(&args, &ClassNames::of(client)?, learned, known.len())
    })
}

fn classes(args: &Args, range: EncoderRange) -> anyhow::Result<Vec<ClassImages>> {
    let (seed, shots) = (args.common.seed, args.shots.map(|shots| shots as usize));
    let strict = args.reading.strict;
    let open = |name: &str| args.reading.open(name, seed, range, args.common.quiet);
    match (&args.data, &args.class, shots) {
        (None, class, _) => {
            Ok(vec![(class.clone().unwrap_or_default(), args.reading.read(&args.images, range, args.common.quiet)?)])
        }
        (Some(name), Some(class), shots) => {
            let images = samples::draw_any(&open(name)?, args.split, shots, seed, strict)?;
            Ok(vec![(class.clone(), images)])
        }
        (Some(name), None, Some(shots)) => samples::draw_shots(&open(name)?, args.split, shots, seed, strict),
        (Some(name), None, None) => {
            bail!("--data {name} needs --shots N (N images per class), or --class NAME (all images as one class)")
        }
    }
}

/// Teaches `images` as `class`, which is added if it is new. Returns for each image whether it is new.
pub fn learn(
    client: &mut Client<'_>,
    changes: &mut Changes,
    class: &str,
    images: &[NamedImage],
    operator: u32,
) -> anyhow::Result<Vec<bool>> {
    let slot = changes.class(client, class)?;
    let mut news = Vec::new();
    for image in images {
        let from = Provenance { source: source_of(&image.image), operator, time_s: now_s() };
        match client.learn(slot, &from, Sample::Image(&image.image)) {
            Ok(learned) => {
                changes.note(from.source, &learned);
                news.push(learned.new);
            }
            Err(error) => return Err(explain(client, image, &from, error)),
        }
    }
    Ok(news)
}

/// Adds the name of the image, and of the class that has the same pixels already.
fn explain(client: &mut Client<'_>, image: &NamedImage, from: &Provenance, error: LinkError) -> anyhow::Error {
    if error.reason() == Some(Reason::SourceTaken)
        && let LinkError::Refused { refusal, .. } = &error
        && let Ok(names) = ClassNames::of(client)
    {
        let class = names.name(refusal.found as u8);
        let source = hexadecimal(&from.source[..4]);
        let message = format!(
            "{}: the device has these pixels as class '{class}' (source {source}); forget that sample first",
            image.name
        );
        return Failure::refused(*refusal, false, message).into();
    }
    anyhow::Error::new(error).context(image.name.clone())
}

fn report(args: &Args, names: &ClassNames, learned: usize, known: usize) -> anyhow::Result<()> {
    if args.common.json {
        let device = args.device.device.to_string();
        return print_json(&Report { device, learned, known, classes: names.counts() });
    }
    println!("learned {}, {known} already known", count(learned, "image"));
    names.print();
    Ok(())
}
