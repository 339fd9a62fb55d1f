//! `macula embed`: writes the features of images to a NumPy file.

pub mod rows;

use std::path::PathBuf;

use anyhow::{Context, ensure};

use crate::cli::images::{EncoderRange, ImageArgs};
use crate::cli::overwrite::ForceArgs;
use crate::cli::preprocessing::PreprocessingArgs;
use crate::cli::trust::{KeyArgs, open_encoder};
use crate::cli::{Common, print_json, samples};
use crate::data::{Dataset, Split, TileSpec, evenly_spread};
use crate::device::NamedImage;
use crate::encoder::HostEncoder;
use crate::encoders::{self, EncoderInput, OpenOptions, Opened, Stated};
use crate::report::text;
use rows::Row;

/// Arguments of `macula embed`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula embed --encoder encoder.onnx --data SLIDES --split test --out features.npy\n  \
    macula embed --encoder encoder.onnx a.png b.png --out features.npy\n  \
    macula embed --encoder raw-pixels --data SLIDES --out features.npz\n  \
    macula embed --encoder grey-64 --tiles 2,overlap=0.5 a.png --out features.npy\n\n\
    The file is a NumPy array of f32, one row per image, in the order of the images. Path, label and split of each row \
    are in FILE.csv, or for FILE.npz in its arrays path, label and split beside features.")]
pub struct Args {
    /// Encoder: FILE.macula, FILE.onnx, FILE.blob, an export or run folder, a shipped model, raw-pixels, colour-statistics,
    /// or with --data random:PRESET
    #[arg(long, value_name = "ENCODER")]
    encoder: String,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    /// Read images in tiles at this scale, in pixels of the image per pixel of a tile, and take the mean of their features:
    /// SCALE[+SCALE…][,overlap=SHARE][,empty=LEVELS][,max=N]
    #[arg(long, value_name = "TILES")]
    tiles: Option<TileSpec>,
    /// Image files
    #[arg(value_name = "IMAGE", required_unless_present = "data", conflicts_with = "data")]
    images: Vec<PathBuf>,
    /// Embed a dataset
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Split of the dataset: train, val or test [default: all]
    #[arg(long, requires = "data", value_parser = samples::parse_split)]
    split: Option<Split>,
    /// Embed N images, spread evenly over the dataset [default: all]
    #[arg(long, value_name = "N", requires = "data", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Output: FILE.npy, with FILE.csv beside it, or FILE.npz
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    reading: ImageArgs,
    #[command(flatten)]
    force: ForceArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    encoder: String,
    arithmetic: String,
    images: usize,
    feature_dim: usize,
    out: PathBuf,
    /// Files written.
    files: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    rows::files(&args.out).iter().try_for_each(|file| args.force.check(file))?;
    let quiet = args.common.quiet || args.common.json;
    let (seed, natural) = (args.common.seed, EncoderRange::Known(None));
    let mut dataset = args.data.as_deref().map(|name| args.reading.open(name, seed, natural, quiet)).transpose()?;
    let opened = open(&args, dataset.as_ref())?;
    let encoder = &*opened.encoder;
    let range = EncoderRange::Known(encoder.preprocessing().range);
    if let (Some(dataset), None) = (&mut dataset, args.reading.given()) {
        args.reading.set_range(dataset, range, quiet)?;
    }
    let (rows, features) = match &dataset {
        None => {
            let images = args.reading.read(&args.images, range, quiet)?;
            let embed = |named: &NamedImage| encoder.encode_image(&named.image).with_context(|| named.name.clone());
            let features = images.iter().map(embed);
            let rows = images.iter().map(|named| Row::of_file(&named.name)).collect();
            (rows, features.collect::<anyhow::Result<Vec<_>>>()?.concat())
        }
        Some(dataset) => embed_dataset(&args, encoder, dataset)?,
    };
    let dim = encoder.feature_dim();
    rows::write(&args.out, &rows, &features, dim)?;
    let (images, files, arithmetic) = (rows.len(), rows::files(&args.out), encoder.info().arithmetic.clone());
    let report = Report { encoder: opened.name, arithmetic, images, feature_dim: dim, out: args.out, files };
    match args.common.json {
        true => print_json(&report)?,
        false if args.common.quiet => {}
        false => println!(
            "{}: {} of {dim}, in {}",
            text::shown_path(&report.out),
            text::count(images, "feature"),
            report.arithmetic
        ),
    }
    Ok(())
}

/// Opens the encoder; a random one is fitted to the images of the dataset.
fn open(args: &Args, dataset: Option<&Dataset>) -> anyhow::Result<Opened> {
    let (trusted, stated, seed) = (args.keys.read()?, args.preprocessing.stated()?, args.common.seed);
    let host = args.preprocessing.values.limits.host(None);
    let stated = stated.map(|stated| Stated { range: args.reading.stated(), ..stated });
    let mut options = OpenOptions { host, trusted: &trusted, stated: stated.as_ref(), seed, ..OpenOptions::default() };
    let train = dataset.map(|dataset| dataset.split_or_all(Split::Train)).unwrap_or_default();
    if let Some(dataset) = dataset.filter(|_| encoders::untiled_name(&args.encoder).starts_with("random:")) {
        let channels = encoders::channels_of(dataset, &train);
        options.fit = Some(EncoderInput { dataset, unlabelled: &train, channels, height: 32, width: 32 });
    }
    let name = args.tiles.as_ref().map(|spec| encoders::tiled_name(spec, &args.encoder));
    open_encoder(name.as_deref().unwrap_or(&args.encoder), &options)
}

/// The rows of the dataset and their features `[N, D]`.
fn embed_dataset(args: &Args, encoder: &dyn HostEncoder, dataset: &Dataset) -> anyhow::Result<(Vec<Row>, Vec<f32>)> {
    let name = &dataset.name;
    let all = dataset.indices(args.split);
    ensure!(!all.is_empty(), "{name} has no images in this split");
    let count = args.count.map_or(all.len(), |count| count as usize);
    ensure!(count <= all.len(), "--count is {count}; {name} has {}", text::count(all.len(), "image"));
    let spread = evenly_spread(&all, count);
    let mut block = Block::default();
    let mut rows = Vec::new();
    samples::for_each_image(dataset, &spread, &args.common, args.reading.strict, |index, named| {
        rows.push(Row::of(dataset, &dataset.records[index]));
        if encoder.is_tiled() {
            block.rows.extend(encoder.encode_image(&named.image).with_context(|| named.name.clone())?);
            return Ok(());
        }
        block.names.push(named.name.clone());
        block.pixels.extend(encoder.preprocessing().to_pixels(&named.image).pixels);
        if block.is_full(encoder) { block.embed(encoder) } else { Ok(()) }
    })?;
    if !block.names.is_empty() {
        block.embed(encoder)?;
    }
    Ok((rows, block.rows))
}

/// Images per call: enough for every thread, and to spread the cost of a call to an encoder in another process.
const IMAGES_AT_ONCE: usize = 64;

/// Pixel values per call, at most.
const VALUES_AT_ONCE: usize = 16 << 20;

/// The images of the next call, and the features so far.
#[derive(Default)]
struct Block {
    names: Vec<String>,
    pixels: Vec<u8>,
    rows: Vec<f32>,
}

impl Block {
    fn is_full(&self, encoder: &dyn HostEncoder) -> bool {
        let next = self.pixels.len() + encoder.preprocessing().input_len();
        self.names.len() == IMAGES_AT_ONCE || next > VALUES_AT_ONCE
    }

    fn embed(&mut self, encoder: &dyn HostEncoder) -> anyhow::Result<()> {
        if let Ok(rows) = encoder.encode_batch(&self.pixels) {
            self.rows.extend(rows);
        } else {
            // One image at a time, to name the one that fails.
            for (name, pixels) in self.names.iter().zip(self.pixels.chunks(encoder.preprocessing().input_len())) {
                self.rows.extend(encoder.encode_batch(pixels).with_context(|| name.clone())?);
            }
        }
        self.names.clear();
        self.pixels.clear();
        Ok(())
    }
}
