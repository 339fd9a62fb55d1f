//! `macula augment`: draws a contact sheet of augmented views of an image.

use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;

use crate::augment::{Augmentation, Policy};
use crate::cli::images::{EncoderRange, ImageArgs};
use crate::cli::overwrite::ForceArgs;
use crate::cli::{Common, print_json};
use crate::data::Preprocessing;
use crate::report::sheet::{grid, write_png};
use crate::rng::Rng;

/// Largest side of a tile and largest number of tiles. Common viewers open a sheet of this size.
const SIZE_MAX: usize = 512;
const VIEWS_MAX: usize = 400;

/// Arguments of `macula augment`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula augment chest.png --policy medical --size 64 --out sheet.png")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    images: ImageArgs,
    /// Image
    image: PathBuf,
    /// Augmentation policy
    #[arg(long)]
    policy: Policy,
    /// PNG file to write
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    force: ForceArgs,
    /// Side of the views in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 64)]
    size: usize,
    /// Channels: 1 (grey) or 3 (colour)
    #[arg(long, value_name = "N", default_value_t = 3)]
    channels: usize,
    /// Number of views, drawn after the image itself
    #[arg(long, value_name = "N", default_value_t = 47)]
    views: usize,
    /// Tiles per row
    #[arg(long, value_name = "N", default_value_t = 8)]
    columns: usize,
}

#[derive(Serialize)]
struct Report {
    out: String,
    views: usize,
    augmentation: Augmentation,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    args.force.check(&args.out)?;
    let hold = |name: &str, value: usize, max: usize| {
        anyhow::ensure!((1..=max).contains(&value), "--{name} is {value}; use 1 to {max}");
        Ok(())
    };
    hold("size", args.size, SIZE_MAX)?;
    hold("views", args.views, VIEWS_MAX)?;
    hold("columns", args.columns, VIEWS_MAX)?;
    anyhow::ensure!([1, 3].contains(&args.channels), "--channels is {}; use 1 or 3", args.channels);
    let augmentation = args.policy.augmentation(args.size);
    let read = args.images.read(std::slice::from_ref(&args.image), EncoderRange::Known(None), args.common.quiet)?;
    let image = read.first().context("no image was read")?;
    let image = Preprocessing::unit(args.channels, args.size, args.size).to_pixels(&image.image);
    let view = |index| augmentation.apply(&image, &mut Rng::for_item(args.common.seed, "augment", 0, index));
    let tiles: Vec<_> = std::iter::once(image.clone()).chain((0..args.views as u64).map(view)).collect();
    write_png(&args.out, &grid(&tiles, args.columns))?;
    let report = Report { out: args.out.display().to_string(), views: args.views, augmentation };
    if args.common.json {
        return print_json(&report);
    }
    println!("{}: the image, then {} views", report.out, report.views);
    print!("{}", toml::to_string(&augmentation)?);
    Ok(())
}
