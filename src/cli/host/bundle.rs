//! `macula bundle`: creates the signed file for devices from an export or a foreign ONNX file.

#[cfg(feature = "onnx")]
use std::path::Path;
use std::path::PathBuf;

use crate::cli::Common;
use crate::cli::images::ImageArgs;
use crate::cli::overwrite::ForceArgs;
use crate::cli::preprocessing::PreprocessingArgs;

/// Arguments of `macula bundle`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula bundle SHIPPED --signing-key maker.key --out nano.macula --counter 2\n  \
    macula bundle --encoder mobilenet_v2.onnx --preprocessing imagenet --size 224 --data SCANS \\\n      \
    --signing-key maker.key --out mobilenet.macula\n\n\
    SHIPPED is a folder written by `macula export`. A foreign encoder is an ONNX file with one image as input and one vector \
    as output; an unsupported node is reported by name. The bundle contains golden images: images of --data, or generated \
    ones. Their features are computed here, or read by --reference from another runtime, which shows that both runtimes \
    agree.")]
pub struct Args {
    /// Encoder: a folder written by `macula export`, or a foreign ONNX file
    #[arg(value_name = "ENCODER", required_unless_present = "named", conflicts_with = "named")]
    encoder: Option<String>,
    /// Same as ENCODER
    #[arg(id = "named", long = "encoder", alias = "onnx", value_name = "ENCODER")]
    named: Option<String>,
    /// Secret key that signs the bundle
    #[arg(long, alias = "key", value_name = "NAME.key")]
    signing_key: PathBuf,
    /// Bundle to write
    #[arg(long, value_name = "FILE.macula")]
    out: PathBuf,
    #[command(flatten)]
    force: ForceArgs,
    /// Anti-rollback counter, higher with each release: devices refuse lower ones, and a different bundle of the same one
    #[arg(long, value_name = "N", default_value_t = 1)]
    counter: u64,
    /// Name of the encoder [default: name of the network or file]
    #[arg(long)]
    name: Option<String>,
    /// Origin of a foreign encoder, as free text
    #[arg(long, value_name = "TEXT")]
    origin: Option<String>,
    /// Suggested class names [default: those of --data]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    labels: Vec<String>,
    /// Dataset for golden images, and for the corpus statistics of an encoder that has none of its own
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Number of golden images
    #[arg(long, value_name = "N", alias = "golden", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    golden_count: u32,
    /// Golden features from another runtime: f32 [N, D] of the first images of --data, in the order of `macula embed --data`,
    /// at most 64 rows. Exit code 3 if this runtime gives other features
    #[arg(long, value_name = "FEATURES.npy", requires = "data", conflicts_with = "golden_count")]
    reference: Option<PathBuf>,
    /// Largest error of a golden feature, relative to its length [default: 2e-2 for f16, 1e-4 for f32]
    #[arg(long)]
    tolerance: Option<f64>,
    /// Blob of the export to include [default: int8 if it exists, else f16]
    #[arg(long, value_enum)]
    blob: Option<BlobChoice>,
    /// Largest number of classes of a store
    #[arg(long, alias = "classes", value_name = "N")]
    max_classes: Option<u32>,
    /// Largest number of samples of a store
    #[arg(long, alias = "supports", value_name = "N")]
    max_samples: Option<u32>,
    /// How images are resized [default: triangle]
    #[arg(long, value_parser = ["triangle"], hide = true)]
    filter: Option<String>,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    #[command(flatten)]
    reading: ImageArgs,
    #[command(flatten)]
    common: Common,
}

/// The blob to include in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum BlobChoice {
    /// encoder.f16.blob
    F16,
    /// encoder.int8.blob
    Int8,
    /// None
    None,
}

#[cfg(feature = "onnx")]
impl Args {
    fn encoder(&self) -> &str {
        self.encoder.as_deref().or(self.named.as_deref()).unwrap_or_default()
    }

    /// The folder of the export, if the encoder is one.
    fn folder(&self) -> Option<&Path> {
        Some(Path::new(self.encoder())).filter(|path| path.is_dir())
    }
}

/// Runs the command.
#[cfg(not(feature = "onnx"))]
pub fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        encoder: _,
        named: _,
        signing_key: _,
        counter: _,
        name: _,
        origin: _,
        labels: _,
        data: _,
        common: _,
        ..
    } = args;
    let _ = (args.golden_count, args.tolerance, args.blob, args.max_classes, args.max_samples);
    let _ = (args.filter, args.preprocessing, args.reading);
    anyhow::bail!("cannot create {}: this build lacks ONNX: build with `--features onnx`", args.out.display())
}

#[cfg(feature = "onnx")]
pub use with_onnx::run;

#[cfg(feature = "onnx")]
mod with_onnx {
    use std::path::{Path, PathBuf};

    use anyhow::{Context, ensure};

    use super::{Args, BlobChoice};
    use crate::bundle::{self, Bundle, BundleContents, KeyPair, Limits, MakeError, Origin};
    use crate::cli::failure::check_failed;
    use crate::cli::images::EncoderRange;
    use crate::cli::print_json;
    use crate::data::{Dataset, Image, Split};
    use crate::encoder::{CorpusStatistics, HostEncoder};
    use crate::encoders;
    use crate::export::{F16_BLOB_FILE, INT8_BLOB_FILE, PARITY_FILE};
    use crate::files::{MODEL_MAX, TEXT_MAX, read_bounded, write_atomic};
    use crate::report::text;
    use crate::runtime::{decode, self_contained};

    #[derive(serde::Serialize)]
    struct Report<'a> {
        bundle: &'a Path,
        bytes: usize,
        counter: u64,
        signer: String,
        name: &'a str,
        encoder_identity: &'a str,
        feature_dim: usize,
        golden_images: u32,
    }

    /// Runs it.
    pub fn run(args: Args) -> anyhow::Result<()> {
        args.force.check(&args.out)?;
        let key = KeyPair::read(&args.signing_key)?;
        let folder = args.folder();
        let onnx_path = onnx_path(&args)?;
        let onnx_name = onnx_path.display().to_string();
        let onnx = self_contained(&onnx_path)?;
        let stated = args.preprocessing.stated()?;
        let (mut preprocessing, _) =
            encoders::preprocessing_of(&decode(&onnx, &onnx_name)?, &onnx_name, stated.as_ref())?;
        let blob = folder.map(|folder| blob(folder, args.blob)).transpose()?.flatten();
        let (own, quiet) = (EncoderRange::Known(preprocessing.range), args.common.quiet || args.common.json);
        let open = |name: &str| args.reading.open(name, args.common.seed, own, quiet);
        let dataset = args.data.as_deref().map(open).transpose()?;
        let range = dataset.as_ref().and_then(|dataset| dataset.decode.range).or_else(|| args.reading.stated());
        preprocessing.range = range.or(preprocessing.range);
        let mut contents = BundleContents {
            onnx_name: &onnx_name,
            onnx: &onnx,
            blob: blob.as_deref(),
            preprocessing,
            corpus: None,
            golden: Vec::new(),
            reference: None,
            tolerance: args.tolerance,
            labels: args.labels.clone(),
            limits: Limits {
                classes: args.max_classes.unwrap_or(Limits::default().classes),
                supports: args.max_samples.unwrap_or(Limits::default().supports),
                arena_bytes: None,
            },
            origin: Origin { name: String::new(), origin: args.origin.clone() },
            host: args.preprocessing.values.limits.host(None),
        };
        let encoder = contents.encoder()?;
        let own_name = encoder.provenance().map(|own| own.encoder.name.clone());
        let stem = onnx_path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        contents.origin.name = args.name.clone().or(own_name).unwrap_or(stem);
        match &dataset {
            Some(dataset) => {
                contents.reference = args.reference.as_deref().map(read_reference).transpose()?;
                contents.golden = match &contents.reference {
                    Some(values) => first(dataset, values.len() / encoder.feature_dim())?,
                    None => golden(dataset, args.golden_count as usize, &args)?,
                };
                let unlabelled =
                    chosen(dataset, &dataset.split_or_all(Split::Train), CorpusStatistics::IMAGES_MAX, &args)?;
                contents.corpus = Some(bundle::measure(&encoder, dataset, &unlabelled)?);
                if contents.labels.is_empty() {
                    contents.labels.clone_from(&dataset.class_names);
                }
            }
            None => {
                let recipe = &contents.preprocessing;
                contents.golden = bundle::drawn(recipe, args.golden_count as usize, args.common.seed)?;
            }
        }
        let bundle = bundle::make(&contents, args.counter, &key).map_err(|error| match error {
            // The encoder does not reproduce the golden features.
            MakeError::Made(error) if error.is_check() => check_failed(error),
            error => anyhow::Error::from(error),
        })?;
        write_atomic(&args.out, bundle.bytes())?;
        report(&args, &bundle)
    }

    /// The f16 file of an export that passed its parity check, or the given file.
    fn onnx_path(args: &Args) -> anyhow::Result<PathBuf> {
        let report = args.folder().map(|folder| folder.join(PARITY_FILE)).filter(|report| report.exists());
        if let Some(report) = report {
            let text = read_bounded(&report, TEXT_MAX)?;
            let parity: serde_json::Value =
                serde_json::from_slice(&text).with_context(|| report.display().to_string())?;
            if parity["passed"] != true {
                let message = format!("{}: the export failed its parity check", args.encoder());
                return Err(check_failed(message));
            }
        }
        Ok(encoders::onnx_file(args.encoder())?)
    }

    fn blob(folder: &Path, choice: Option<BlobChoice>) -> anyhow::Result<Option<Vec<u8>>> {
        let read = |file: &str| {
            read_bounded(&folder.join(file), MODEL_MAX).with_context(|| format!("{file} of {}", folder.display()))
        };
        match choice {
            Some(BlobChoice::None) => Ok(None),
            Some(BlobChoice::F16) => read(F16_BLOB_FILE).map(Some),
            Some(BlobChoice::Int8) => read(INT8_BLOB_FILE).map(Some),
            None => {
                let found = [INT8_BLOB_FILE, F16_BLOB_FILE].into_iter().find(|file| folder.join(file).exists());
                found.map(read).transpose()
            }
        }
    }

    /// At most `count` readable images of `indices`. Unreadable ones are reported; with `--strict` they are an error.
    fn chosen(dataset: &Dataset, indices: &[usize], count: usize, args: &Args) -> anyhow::Result<Vec<usize>> {
        let (chosen, skipped) = dataset.readable_spread(indices, count);
        if let Some((name, reason)) = skipped.first() {
            ensure!(!args.reading.strict, "{name}: {reason}");
            if !args.common.quiet {
                let left_out = text::count(skipped.len(), "unreadable image");
                eprintln!("left out: {left_out}, the first {}: {}", text::shown(name), text::shown(reason));
            }
        }
        ensure!(!chosen.is_empty(), "{}: no image can be read", dataset.name);
        Ok(chosen)
    }

    fn golden(dataset: &Dataset, count: usize, args: &Args) -> anyhow::Result<Vec<Image>> {
        Ok(chosen(dataset, &dataset.split_or_all(Split::Test), count, args)?
            .iter()
            .map(|&index| dataset.load(index))
            .collect::<Result<_, _>>()?)
    }

    /// Largest number of rows of a reference, and of bytes of its file.
    const REFERENCE_ROWS_MAX: u64 = 64;
    const REFERENCE_BYTES_MAX: u64 = 64 << 20;

    /// Reads features `[N, D]` from a NumPy file.
    fn read_reference(path: &Path) -> anyhow::Result<Vec<f32>> {
        let name = path.display().to_string();
        let bytes = read_bounded(path, REFERENCE_BYTES_MAX)?;
        let file = npyz::NpyFile::new(&bytes[..]).with_context(|| format!("{name} is not a NumPy file"))?;
        let (shape, is_f32) = (file.shape().to_vec(), file.dtype().descr() == "'<f4'");
        ensure!(
            is_f32 && shape.len() == 2 && (1..=REFERENCE_ROWS_MAX).contains(&shape[0]),
            "{name} has shape {shape:?} and type {}; use f32 [N, D] with 1 to {REFERENCE_ROWS_MAX} rows",
            file.dtype().descr()
        );
        ensure!(file.order() == npyz::Order::C, "{name} is in Fortran order; convert it with numpy.ascontiguousarray");
        file.into_vec().with_context(|| name)
    }

    /// The first images of the dataset.
    fn first(dataset: &Dataset, count: usize) -> anyhow::Result<Vec<Image>> {
        let all = dataset.indices(None);
        ensure!(count <= all.len(), "{} has {} images, but the reference has {count} rows", dataset.name, all.len());
        Ok(all[..count].iter().map(|&index| dataset.load(index)).collect::<Result<_, _>>()?)
    }

    fn report(args: &Args, bundle: &Bundle) -> anyhow::Result<()> {
        let (header, manifest) = (bundle.header(), bundle.manifest());
        let report = Report {
            bundle: &args.out,
            bytes: bundle.bytes().len(),
            counter: header.counter,
            signer: header.signer.to_string(),
            name: &manifest.name,
            encoder_identity: &manifest.encoder.identity,
            feature_dim: manifest.encoder.feature_dim,
            golden_images: bundle.golden().map_or(0, |golden| golden.count() as u32),
        };
        if args.common.json {
            return print_json(&report);
        }
        if !args.common.quiet {
            let Report { bytes, counter, signer, name, feature_dim, encoder_identity, .. } = report;
            println!("encoder  {name}, {feature_dim} dimensions ({}…)", &encoder_identity[..8]);
            println!("signed   by {signer}, counter {counter}");
            println!("wrote    {} ({:.1} KB)", args.out.display(), bytes as f64 / 1e3);
        }
        Ok(())
    }
}
