//! `macula export`: writes the encoder of a run as ONNX (f32, f16) and device blobs, after a parity check.

use std::path::PathBuf;

use crate::cli::Common;
use crate::cli::host::readout::ReadoutArgs;
use crate::cli::overwrite::ForceArgs;
use crate::encoder::InputShape;

/// Arguments of `macula export`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  macula export runs/cifar-rotation --out exported --data cifar10
  macula export runs/cifar-rotation --out exported --blob f16,int8 --ram 262144 --flash 1048576
  macula export grey-64 --input 1x128x128 --out larger --data phantoms:128:40 --weights
  macula export runs/cifar-rotation --out exported-stages --readout stages --feature-dim 64 --data cifar10

--readout and --feature-dim replace the readout of a trained encoder; its weights stay the same. Statistics of the new
features and the linear map are taken from the training images of --data, without labels.
Writes encoder.onnx, encoder.f16.onnx and parity.json; with --blob also encoder.f16.blob and encoder.int8.blob for bare
metal. Exit code 3: a blob exceeds the given RAM or flash, or the features of a file differ from those of the trained
encoder; then parity.json has the errors, no encoder is written, and an older one in the folder is removed.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Run folder written by `macula pretrain`, an export made with --weights, or a shipped model
    run: PathBuf,
    /// Input to give the encoder instead of its own: CHANNELSxHEIGHTxWIDTH; 1 channel makes a colour encoder grey
    #[arg(long, value_name = "SHAPE")]
    input: Option<InputShape>,
    /// Folder to write to
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    force: ForceArgs,
    #[command(flatten)]
    readout: ReadoutArgs,
    /// Dataset for the parity check, and to fit another readout to [default: that of the run; for the parity check alone also
    /// phantoms]
    #[arg(long)]
    data: Option<String>,
    /// Number of images for the parity check
    #[arg(long, alias = "images", value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Largest error of a feature of the f32 file, relative to its length [default: 1e-4]
    #[arg(long)]
    f32_tolerance: Option<f64>,
    /// Largest error of a feature of the f16 file, relative to its length [default: 2e-2]
    #[arg(long)]
    f16_tolerance: Option<f64>,
    /// Also write encoder.safetensors, the checkpoint without head and optimiser, for --init of other runs
    #[arg(long)]
    weights: bool,
    /// Also write device blobs in these precisions
    #[arg(long, value_delimiter = ',', value_enum)]
    blob: Vec<BlobKind>,
    /// RAM of the device for the arena of the encoder, in bytes
    #[arg(long, requires = "blob", value_name = "BYTES")]
    ram: Option<usize>,
    /// Flash of the device for the blob, in bytes
    #[arg(long, requires = "blob", value_name = "BYTES")]
    flash: Option<usize>,
    /// Number of calibration images for int8
    #[arg(long, alias = "calibrate", default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    calibration_count: u32,
    /// Largest error of a feature of the int8 blob, relative to its length [default: 1e-1]
    #[arg(long)]
    int8_tolerance: Option<f64>,
}

/// Precision of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum BlobKind {
    /// f16 weights, f32 arithmetic
    F16,
    /// int8 weights with a scale per channel, integer arithmetic
    Int8,
}

/// Runs the command.
#[cfg(not(feature = "onnx"))]
pub fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        common: _, run, input: _, out: _, force: _, data: _, count: _, f32_tolerance: _, f16_tolerance: _, ..
    } = args;
    let _ = (args.blob, args.ram, args.flash, args.calibration_count, args.int8_tolerance);
    anyhow::bail!("cannot export {}: this build lacks ONNX: build with `--features onnx`", run.display())
}

#[cfg(feature = "onnx")]
pub use with_onnx::{metadata, run};

#[cfg(feature = "onnx")]
mod with_onnx {
    use anyhow::Context as _;
    use sha2::{Digest, Sha256};

    use super::{Args, BlobKind};
    use crate::blob::{Arithmetic, Limits, MakeBlobError};
    use crate::cli::failure::check_failed;
    use crate::cli::print_json;
    use crate::data::{Dataset, Split, open_named, short_name};
    use crate::encoder::{CorpusStatistics, FoldedEncoder, HostEncoder};
    use crate::encoders::open_run;
    use crate::export::{
        BlobRequest, BlobsError, Exported, INT8_TOLERANCE, MadeBlob, Sample, Tolerances, export, measure_corpus,
    };
    use crate::files::write_atomic;
    use crate::pretrain::{Run, WEIGHTS};
    use crate::report::text::count;
    use crate::runtime::{Metadata, Provenance};

    /// Runs it.
    pub fn run(args: Args) -> anyhow::Result<()> {
        args.force.check(&args.out.join(crate::export::PARITY_FILE))?;
        let mut run = open_run(&args.run.to_string_lossy())?;
        if let Some(input) = args.input {
            run = run.with_input(input)?;
        }
        // Before the work, to fail early.
        std::fs::create_dir_all(&args.out).with_context(|| format!("cannot create folder {}", args.out.display()))?;
        let (mut dataset, remark) = images(&args, &run)?;
        dataset.decode.range = run.info.preprocessing.range;
        if let Some(remark) = remark.as_ref().filter(|_| !args.common.quiet) {
            eprintln!("{remark}");
        }
        let refitted = args.readout.over(run.config.readout);
        if let Some(readout) = refitted {
            anyhow::ensure!(remark.is_none(), "the images of the run cannot be read; name others with --data");
            run.refit(readout, &dataset, &Run::refit_images(&dataset))?;
        }
        let chosen = dataset.readable_spread(&dataset.split_or_all(Split::Test), args.count as usize).0;
        anyhow::ensure!(!chosen.is_empty(), "{}: no image can be read", dataset.name);
        let mut sample = Sample::load(&dataset, &chosen, &run.info.preprocessing)?;
        sample.data = remark.map_or_else(|| dataset.name.clone(), |remark| format!("phantoms: {remark}"));
        let tolerances = Tolerances {
            f32: args.f32_tolerance.unwrap_or(Tolerances::default().f32),
            f16: args.f16_tolerance.unwrap_or(Tolerances::default().f16),
        };
        let mut metadata = metadata(&run)?;
        if metadata.corpus.is_none() && run.info.corpus.is_none() && run.has_other_input() {
            metadata.corpus = corpus_of_data(&args, &run, &dataset)?;
        }
        let folded = run.network.folded();
        let blobs = blobs(&args, &run, &folded, &metadata, &dataset)?;
        let exported = export(&run, &folded, &metadata, &blobs, &sample, tolerances, &args.out)?;
        if args.weights && exported.parity.passed {
            let weights = run.encoder_checkpoint(&args.run, metadata.corpus.as_ref())?;
            write_atomic(&args.out.join(WEIGHTS), &weights)?;
        }
        if args.common.json {
            print_json(&exported.parity)?;
        } else {
            print_table(&exported);
        }
        match exported.parity.steps.iter().find(|step| !step.passed) {
            None => Ok(()),
            Some(step) => Err(check_failed(format!(
                "the {} file differs from {} by {:.2e} of the feature length on {}; allowed are {:.2e}; no encoder was written, see {}",
                step.file,
                exported.parity.trainer,
                step.max_error,
                step.worst_image,
                step.tolerance,
                args.out.join(crate::export::PARITY_FILE).display()
            ))),
        }
    }

    /// Statistics of the features of an encoder with another input, on the images of `--data`: those of the run cannot be
    /// read, and statistics of the trained input no longer hold.
    fn corpus_of_data(args: &Args, run: &Run, dataset: &Dataset) -> anyhow::Result<Option<CorpusStatistics>> {
        let result = match args.data {
            Some(_) => format!("statistics of the features were measured on {}", dataset.name),
            None => "the files have no statistics of the features; pass --data to measure them".to_owned(),
        };
        if !args.common.quiet {
            eprintln!("the images of the run cannot be read: {result}");
        }
        let measure = |_| measure_corpus(run, dataset, &dataset.split_or_all(Split::Train));
        Ok(args.data.as_ref().map(measure).transpose()?)
    }

    /// Makes the blobs of `--blob`. One that exceeds a limit is a failed check, and nothing is written.
    fn blobs(
        args: &Args,
        run: &Run,
        folded: &FoldedEncoder,
        metadata: &Metadata,
        dataset: &Dataset,
    ) -> anyhow::Result<Vec<MadeBlob>> {
        if args.blob.is_empty() {
            return Ok(Vec::new());
        }
        let train = dataset.split_or_all(Split::Train);
        let chosen = dataset.readable_spread(&train, args.calibration_count as usize).0;
        let pixels = |&index: &usize| Ok(run.info.preprocessing.to_pixels(&dataset.load(index)?).pixels);
        let images = chosen.iter().map(pixels).collect::<anyhow::Result<Vec<_>>>()?;
        let request = BlobRequest {
            encoder: folded,
            preprocessing: &run.info.preprocessing,
            corpus: metadata.corpus.as_ref().map(CorpusStatistics::view),
            images: &images,
            limits: Limits { ram: args.ram, flash: args.flash },
        };
        let make = |kind: &BlobKind| match kind {
            BlobKind::F16 => request.make(Arithmetic::F16, args.f16_tolerance.unwrap_or(Tolerances::default().f16)),
            BlobKind::Int8 => request.make(Arithmetic::Int8, args.int8_tolerance.unwrap_or(INT8_TOLERANCE)),
        };
        let made = args.blob.iter().map(|kind| {
            make(kind).map_err(|error| match error {
                BlobsError::Make(MakeBlobError::Ram { .. } | MakeBlobError::Flash { .. }) => {
                    check_failed(format!("{kind:?} blob: {error}; nothing was written"))
                }
                error => anyhow::Error::from(error),
            })
        });
        made.collect()
    }

    /// The images for the parity check, with a remark if they are not those of the run.
    fn images(args: &Args, run: &Run) -> anyhow::Result<(Dataset, Option<String>)> {
        if let Some(name) = &args.data {
            let mut dataset = open_named(name, args.common.seed)?;
            dataset.read_dicom(&run.config.dicom)?;
            return Ok((dataset, None));
        }
        match run.config.open_data(&run.config.data) {
            Ok(dataset) => Ok((dataset, None)),
            Err(error) => {
                let phantoms = format!("phantoms:{}:{}", run.info.preprocessing.height, args.count);
                let remark = format!("compared on {phantoms}, because the images of the run cannot be read ({error})");
                Ok((open_named(&phantoms, args.common.seed)?, Some(remark)))
            }
        }
    }

    /// The metadata of an exported file.
    pub fn metadata(run: &Run) -> anyhow::Result<Metadata> {
        let corpus = match run.corpus() {
            // Runs of earlier versions do not have the length of known features.
            Some(corpus) if corpus.length_max.is_some() => Some(corpus.clone()),
            // Only with the images of the run: statistics of others would mislead a head.
            known => (run.config.open_data(&run.config.data))
                .ok()
                .map(|mut dataset| {
                    dataset.decode.range = run.info.preprocessing.range;
                    measure_corpus(run, &dataset, &dataset.split_or_all(Split::Train))
                })
                .transpose()?
                .or_else(|| known.cloned()),
        };
        let config = run.config.to_toml();
        let method = serde_json::to_value(run.config.method)?;
        Ok(Metadata {
            preprocessing: run.info.preprocessing.clone(),
            provenance: Provenance {
                program_version: env!("CARGO_PKG_VERSION").to_owned(),
                method: method.as_str().unwrap_or_default().to_owned(),
                seed: run.config.seed,
                // The name without the path, which may be private.
                data: short_name(&run.config.data),
                encoder: run.network.spec().clone(),
                config_sha256: base16ct::lower::encode_string(&Sha256::digest(config.as_bytes())),
                teachers: run.config.teachers(),
            },
            corpus,
        })
    }

    fn print_table(exported: &Exported) {
        let parity = &exported.parity;
        println!("{} on {} of {}", parity.trainer, count(parity.images, "image"), parity.data);
        println!("file       max error  mean error  tolerance  min cosine  flips  worst image  computed in");
        for step in &parity.steps {
            println!(
                "{:<9}  {:>9.2e}  {:>10.2e}  {:>9.0e}  {:>10.7}  {:>5}  {}  {}",
                step.file,
                step.max_error,
                step.mean_error,
                step.tolerance,
                step.min_cosine,
                step.flips,
                step.worst_image,
                step.arithmetic
            );
        }
        println!("errors are relative to the feature length; flips are changes of the nearest {}", parity.nearest);
        for (path, bytes) in &exported.files {
            println!("wrote {} ({:.1} KB)", path.display(), *bytes as f64 / 1e3);
        }
    }
}
