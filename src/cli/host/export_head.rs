//! `macula export-head`: writes the encoder and head of a device as one ONNX classifier.

use std::path::PathBuf;

use crate::cli::Common;
use crate::cli::connect::DeviceArgs;
use crate::cli::overwrite::ForceArgs;

/// Arguments of `macula export-head`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula export-head --device ward.store --out ward.onnx --json-head ward.json\n  \
    macula export-head --device tcp:ward-3.local:7000 --encoder nano.macula --trust maker.pub --out ward.onnx\n\n\
    Writes encoder and head as one ONNX model with a normalised image as input and the probability of each class as output. \
    Class names and preprocessing are in its metadata. --json-head writes the head alone. Conformal prediction sets and \
    out-of-distribution detection are not exported: the model cannot abstain.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// ONNX file to write
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
    /// Also write the head as JSON: weights, biases, classes, quantisation of features
    #[arg(long, value_name = "FILE.json")]
    json_head: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgs,
    /// Head: auto (the device chooses), prototype, gaussian or logistic
    #[arg(long, default_value = "auto", value_parser = crate::cli::device::predict::parse_head)]
    head: macula_edge::head::HeadKind,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
#[cfg(not(feature = "onnx"))]
pub fn run(args: Args) -> anyhow::Result<()> {
    let Args { device: _, json_head: _, force: _, head: _, common: _, .. } = args;
    anyhow::bail!("cannot write {}: this build lacks ONNX: build with `--features onnx`", args.out.display())
}

#[cfg(feature = "onnx")]
pub use with_onnx::run;

#[cfg(feature = "onnx")]
mod with_onnx {
    use std::path::Path;

    use anyhow::{Context, ensure};
    use macula_edge::support_set::Supports;

    use super::Args;
    use crate::bundle::{Bundle, PartKind, PublicKey};
    use crate::cli::connect::DeviceArgs;
    use crate::cli::local_device::{LocalOptions, Missing, remembered, with_local_device};
    use crate::cli::print_json;
    use crate::cli::trust::{open_encoder, refused};
    use crate::device::{Site, StoreFile};
    use crate::encoders::{OpenOptions, Opened, is_bundle, onnx_file};
    use crate::export::{HeadClass, HeadSource, LinearHead, classifier};
    use crate::files::write_atomic;
    use crate::link::{Address, DeviceInfo, DeviceState};
    use crate::log::Log;
    use crate::report::text::{hexadecimal, left, noun, shown, shown_path};
    use crate::runtime::{decode, encode, self_contained};

    #[derive(serde::Serialize)]
    struct Report<'a> {
        out: &'a Path,
        bytes: usize,
        head: &'a str,
        classes: &'a [HeadClass],
    }

    /// Runs it.
    pub fn run(args: Args) -> anyhow::Result<()> {
        args.force.check(&args.out)?;
        args.json_head.iter().try_for_each(|file| args.force.check(file))?;
        let (encoder, onnx) = encoder(&args.device)?;
        let (state, device) = state(&args.device)?;
        let identity = encoder.encoder.id().short();
        ensure!(
            device.identity == identity,
            "{} has samples of encoder {}, '{}' is encoder {}",
            args.device.device,
            hexadecimal(&device.identity),
            encoder.name,
            hexadecimal(&identity)
        );
        let head = solve(&args, &state, &device, &encoder)?;
        let bytes = encode(&classifier(&decode(&onnx, &encoder.name)?, &head)?);
        write_atomic(&args.out, &bytes)?;
        if let Some(path) = &args.json_head {
            write_atomic(path, &serde_json::to_vec_pretty(&head)?)?;
        }
        if args.common.json {
            return print_json(&Report {
                out: &args.out,
                bytes: bytes.len(),
                head: &head.head,
                classes: &head.classes,
            });
        }
        if let ([class], false) = (&head.classes[..], args.common.quiet) {
            eprintln!(
                "note: only class '{}' has samples: the model gives it probability 1 for every image",
                shown(&class.name)
            );
        }
        if !args.common.quiet {
            head.classes.iter().for_each(|class| {
                println!("{} {:>8} {}", left(&class.name, 24), class.samples, noun(class.samples, "sample"));
            });
            println!("wrote {} ({:.1} KB)", shown_path(&args.out), bytes.len() as f64 / 1e3);
        }
        Ok(())
    }

    /// The encoder of the device and its ONNX file.
    fn encoder(device: &DeviceArgs) -> anyhow::Result<(Opened, Vec<u8>)> {
        let mut stated = None;
        let (found, known) = match &device.device {
            Address::Store(path) if Site::has_bundles(path) => bundle_in_use(path, device)?,
            Address::Store(path) => {
                let header = StoreFile::header(path)?;
                stated = header.as_ref().map(remembered).transpose()?.flatten();
                (header.map(|header| header.encoder), Vec::new())
            }
            _ => (None, Vec::new()),
        };
        let name = device.encoder.clone().or(found);
        let name = name.with_context(|| format!("pass --encoder with the encoder of {}", device.device))?;
        let trusted = [device.keys.read()?, known].concat();
        let stated = match device.preprocessing.stated()? {
            None if device.encoder.is_none() => stated,
            given => given,
        };
        let host = device.preprocessing.values.limits.host(None);
        let options = OpenOptions { host, trusted: &trusted, stated: stated.as_ref(), ..OpenOptions::default() };
        let opened = open_encoder(&name, &options)?;
        if is_bundle(&opened.name) {
            let bundle = Bundle::open(Path::new(&opened.name), &trusted).map_err(refused)?;
            let onnx = bundle.needed(PartKind::Onnx).map_err(refused)?.to_vec();
            return Ok((opened, onnx));
        }
        let onnx = self_contained(&onnx_file(&opened.name)?)?;
        Ok((opened, onnx))
    }

    /// Reads classes and samples. A device outside this process has its own encoder or accepts features, so none is opened.
    fn state(device: &DeviceArgs) -> anyhow::Result<(DeviceState, DeviceInfo)> {
        let mut reader = device.clone();
        if !matches!(reader.device, Address::Store(_)) {
            reader.encoder = None;
        }
        reader.connect(Missing::Refuse, |client| Ok((client.export()?, client.device().clone())))
    }

    fn solve(args: &Args, state: &DeviceState, device: &DeviceInfo, encoder: &Opened) -> anyhow::Result<LinearHead> {
        let (records, features) = state.taught();
        let supports = Supports { dim: device.dim, records: &records, features: &features };
        let source = HeadSource {
            classes: &state.classes,
            slots: device.classes,
            encoder_identity: device.identity,
            state_sha256: state.sha256,
            corpus: encoder.encoder.corpus(),
        };
        LinearHead::solve(args.head, supports, &source).with_context(|| args.device.device.to_string())
    }

    /// The path of the bundle that the device on `store` uses, and the keys it trusts.
    fn bundle_in_use(store: &Path, device: &DeviceArgs) -> anyhow::Result<(Option<String>, Vec<PublicKey>)> {
        let given = LocalOptions {
            store,
            encoder: None,
            keys: &device.keys,
            stated: None,
            host: &device.preprocessing.values.limits.host(None),
            missing: Missing::Refuse,
            keep_images: false,
            log: &Log::to_stderr(),
        };
        with_local_device(given, |_, served| match &served.bundle {
            None => (None, Vec::new()),
            Some(used) => {
                let path = Site::slot_path(store, used.bundle.slot);
                (Some(path.to_string_lossy().into_owned()), used.trusted.keys().to_vec())
            }
        })
    }
}
