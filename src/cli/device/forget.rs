//! `macula forget`: removes samples or a class from a device, exactly.

use std::path::PathBuf;

use anyhow::{Context, bail};
use macula_edge::support_set::SourceId;

use crate::cli::classes::{ClassCount, ClassNames};
use crate::cli::connect::DeviceArgs;
use crate::cli::failure::Kind;
use crate::cli::images::ImageArgs;
use crate::cli::local_device::Missing;
use crate::cli::{Common, print_json};
use crate::device::{NamedImage, source_of};
use crate::link::{Client, DeviceState};
use crate::report::text::{count, hexadecimal};

/// Fewest digits of a source that name a sample.
const DIGITS_MIN: usize = 8;

/// Arguments of `macula forget`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula forget --device clinic.store --sample b.png\n  \
    macula forget --device tcp:ward-3.local:7000 --class vessel\n\n\
    `macula status --device clinic.store --samples` lists samples with their sources.")]
#[command(group = clap::ArgGroup::new("what").required(true).args(["class", "sample"]))]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Remove this class and its samples
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Remove these samples: image files, or 8 or more digits of a source
    #[arg(long, value_name = "IMAGE_OR_SOURCE", num_args = 1..)]
    sample: Vec<String>,
    #[command(flatten)]
    reading: ImageArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    forgotten: usize,
    classes: Vec<ClassCount>,
}

/// Runs the command. All names are looked up before the first sample is removed.
pub fn run(mut args: Args) -> anyhow::Result<()> {
    args.device.range = args.reading.stated();
    args.device.connect(Missing::Refuse, |client| {
        let forgotten = match &args.class {
            Some(class) => {
                let slot = ClassNames::of(client)?.slot(class)?;
                client.remove_class(slot)? as usize
            }
            None => forget_samples(client, &args)?,
        };
        let names = ClassNames::of(client)?;
        if args.common.json {
            let device = args.device.device.to_string();
            return print_json(&Report { device, forgotten, classes: names.counts() });
        }
        println!("forgot {}", count(forgotten, "sample"));
        names.print();
        Ok(())
    })
}

fn forget_samples(client: &mut Client<'_>, args: &Args) -> anyhow::Result<usize> {
    let (state, range) = (client.export()?, client.range());
    let of_file = |path| args.reading.read(&[path], range, args.common.quiet);
    let sources: Vec<SourceId> =
        args.sample.iter().map(|name| source_named(&state, name, &of_file)).collect::<Result<_, _>>()?;
    let mut forgotten = 0;
    for source in sources {
        forgotten += usize::from(client.forget(source)?.is_some());
    }
    Ok(forgotten)
}

/// The source that an image file or the first digits of a source stand for.
fn source_named(
    state: &DeviceState,
    name: &str,
    of_file: &dyn Fn(PathBuf) -> anyhow::Result<Vec<NamedImage>>,
) -> anyhow::Result<SourceId> {
    let path = PathBuf::from(name);
    if path.is_file() {
        let images = of_file(path)?;
        let source = source_of(&images.first().context("no image was read")?.image);
        let known = state.supports.iter().any(|support| support.from.source == source);
        return if known {
            Ok(source)
        } else {
            bail!(Kind::UnknownSample.error(format!("{name}: the device has no sample of this image")))
        };
    }
    let digits = name.to_ascii_lowercase();
    if digits.len() < DIGITS_MIN || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        bail!("'{name}' is neither an image file nor at least {DIGITS_MIN} digits of a source");
    }
    let sources = state.supports.iter().map(|support| support.from.source);
    let found: Vec<SourceId> = sources.filter(|source| hexadecimal(source).starts_with(&digits)).collect();
    match found[..] {
        [only] => Ok(only),
        [] => bail!(Kind::UnknownSample.error(format!(
            "no source on the device begins with {name}; the device has {}",
            count(state.supports.len(), "sample")
        ))),
        _ => bail!("{name}: {} sources on the device begin with these digits; give more", found.len()),
    }
}
