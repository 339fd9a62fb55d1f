//! `macula bench device`: measures the time from a request to the reply of a device.

use std::path::PathBuf;

use macula_edge::head::HeadKind;
use serde::Serialize;

use super::measure::{self, Percentiles, count_to, timed};
use crate::cli::classes::ClassNames;
use crate::cli::connect::DeviceArgs;
use crate::cli::images::ImageArgs;
use crate::cli::local_device::Missing;
use crate::cli::{Common, print_json};
use crate::data::Image;
use crate::device::{now_s, source_of};
use crate::link::{Client, LinkError, PredictOptions, Provenance, Sample};
use crate::rng::Rng;

/// Error rate of the predictions, in thousandths: the default of `macula predict`.
const ERROR_RATE: u16 = 100;

/// Arguments of `macula bench device`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula bench device --device clinic.store --requests 20\n  \
    macula bench device --device clinic.store --teach nodule --requests 20\n\n\
    Needs a device that was taught at least one class. --teach learns a random image and forgets it, again and \
    again; the store is written each time.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Image to predict [default: 64 × 64 random pixels]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Also learn a random image as this class of the device, and forget it
    #[arg(long, value_name = "CLASS")]
    teach: Option<String>,
    /// Requests of each kind, after a warm-up of 3
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count_to(1_000_000))]
    requests: usize,
    #[command(flatten)]
    reading: ImageArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Report {
    device: String,
    requests: usize,
    /// By kind of request: durations from sending it to the end of the reply.
    results: Vec<Measured>,
}

#[derive(Serialize)]
struct Measured {
    request: &'static str,
    ms: Percentiles,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    args.device.connect(Missing::Refuse, |client| {
        let image = match &args.image {
            Some(path) => {
                let paths = std::slice::from_ref(path);
                args.reading.read(paths, client.range(), args.common.quiet)?.remove(0).image
            }
            None => random_image(client, args.common.seed, 0),
        };
        let options = PredictOptions { head: HeadKind::Auto as u8, error_rate_permille: ERROR_RATE, point: None };
        let mut results = vec![
            measure("status", args, client, |client| client.status())?,
            measure("predict", args, client, |client| client.predict(Sample::Image(&image), options))?,
            measure("why", args, client, |client| client.why(Sample::Image(&image)))?,
        ];
        if let Some(class) = &args.teach {
            let slot = ClassNames::of(client)?.slot(class)?;
            results.extend(teach(args, client, slot)?);
        }
        let report = Report { device: args.device.device.to_string(), requests: args.requests, results };
        if args.common.json {
            return print_json(&report);
        }
        println!("{}, {} requests of each kind\n", report.device, report.requests);
        println!("{:<8} {:>9} {:>9} {:>9}", "request", "p50 ms", "p95 ms", "p99 ms");
        for Measured { request, ms: Percentiles { p50, p95, p99 } } in report.results {
            println!("{request:<8} {p50:>9.3} {p95:>9.3} {p99:>9.3}");
        }
        Ok(())
    })
}

/// Requests of the warm-up.
const WARM_UP: usize = 3;

fn measure<T>(
    request: &'static str,
    args: &Args,
    client: &mut Client<'_>,
    mut once: impl FnMut(&mut Client<'_>) -> Result<T, LinkError>,
) -> anyhow::Result<Measured> {
    let mut durations = Vec::new();
    for _ in 0..WARM_UP + args.requests {
        let (duration, done) = timed(|| once(client));
        done?;
        durations.push(duration);
    }
    Ok(Measured { request, ms: Percentiles::ms(&durations[WARM_UP..]) })
}

/// Learns a sample and forgets it before the next, so that at most one is left if this program is killed.
fn teach(args: &Args, client: &mut Client<'_>, slot: u8) -> anyhow::Result<[Measured; 2]> {
    let (mut learn, mut forget) = (Vec::new(), Vec::new());
    for index in 0..WARM_UP + args.requests {
        let image = random_image(client, args.common.seed, 1 + index as u64);
        let from = Provenance { source: source_of(&image), operator: 0, time_s: now_s() };
        let (duration, learned) = timed(|| client.learn(slot, &from, Sample::Image(&image)));
        anyhow::ensure!(learned?.new, "the device has the random image of --seed {} already", args.common.seed);
        learn.push(duration);
        let (duration, forgotten) = timed(|| client.forget(from.source));
        forgotten?;
        forget.push(duration);
    }
    let of = |request, durations: &[_]| Measured { request, ms: Percentiles::ms(&durations[WARM_UP..]) };
    Ok([of("learn", &learn), of("forget", &forget)])
}

/// An image of 64 × 64 random pixels, or smaller if the device takes no more bytes.
fn random_image(client: &Client<'_>, seed: u64, index: u64) -> Image {
    let device = client.device();
    let channels = if device.channels == 1 { 1 } else { 3 };
    // A device without an encoder takes features, which the host makes of an image of any size.
    let side = if device.channels == 0 { 64 } else { (device.image_bytes_max / channels).isqrt().clamp(1, 64) };
    measure::random_image(side, channels, &mut Rng::for_item(seed, "bench", 1, index))
}
