//! `macula status`: shows the state of a device.

use crate::cli::classes::{ClassCount, ClassNames};
use crate::cli::connect::DeviceArgs;
use crate::cli::local_device::Missing;
use crate::cli::operating_point::PointRow;
use crate::cli::{Common, print_json};
use crate::device::StoreFile;
use crate::link::{Address, BundleReport, CandidateState, Client, DeviceState, Status, rollback_reason};
use crate::report::text::{count, date, hexadecimal, left, shown};

/// Arguments of `macula status`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula status --device clinic.store --samples")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// List every sample and its source
    #[arg(long)]
    samples: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    program: String,
    /// Name of the encoder of a store file.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoder: Option<String>,
    encoder_identity: String,
    feature_dim: usize,
    supports: u32,
    supports_limit: u32,
    classes: Vec<ClassCount>,
    classes_limit: u8,
    bytes_programmed: u64,
    erases: u32,
    free_bytes: u32,
    learned: u32,
    learned_bytes: u64,
    learned_erases: u32,
    requests: u32,
    requests_repeated: u32,
    frames_dropped: u32,
    now_s: u64,
    /// The bundle in use and the last one sent, if the device takes bundles.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<BundleRow>,
    /// The operating point, if the device has one.
    operating_point: Option<PointRow>,
    /// SHA-256 of the canonical state, equal on devices with equal classes and samples.
    state_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<Vec<SampleRow>>,
}

#[derive(serde::Serialize)]
struct BundleRow {
    slot: u8,
    sha256: String,
    /// Lowest counter that the next bundle may have.
    counter: u64,
    /// `waiting` (pending until the next start), `rolled back` or `arriving`; absent if there is no other bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_slot: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_sha256: Option<String>,
    /// Starts that have tried it.
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u8>,
    /// Rollback reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    bytes_received: u32,
    bytes_expected: u32,
}

impl BundleRow {
    fn of(report: &BundleReport, status: &Status) -> Self {
        let candidate = report.candidate;
        let (mut other, mut tries, mut reason) = (None, None, None);
        match candidate.map(|candidate| candidate.state) {
            Some(CandidateState::Pending { attempts: begun }) => (other, tries) = (Some("waiting"), Some(begun)),
            Some(CandidateState::RolledBack { reason: why }) => {
                (other, reason) = (Some("rolled back"), Some(rollback_reason(why)))
            }
            None if status.bundle_len > status.bundle_received => other = Some("arriving"),
            None => {}
        }
        Self {
            slot: report.slot,
            sha256: hexadecimal(&report.sha256),
            counter: report.counter,
            other,
            other_slot: candidate.map(|candidate| candidate.slot),
            other_sha256: candidate.map(|candidate| hexadecimal(&candidate.sha256)),
            tries,
            reason,
            bytes_received: status.bundle_received,
            bytes_expected: status.bundle_len,
        }
    }

    fn print(&self) {
        let is_factory = self.sha256.bytes().all(|digit| digit == b'0');
        let which = if is_factory { "built in" } else { &format!("{}…", &self.sha256[..8]) };
        println!("bundle    {which} in slot {}, counter {}", self.slot, self.counter);
        let sha256 = self.other_sha256.as_deref().map_or("", |sha256| &sha256[..8]);
        match (self.other, self.tries, &self.reason) {
            (_, Some(tries), _) => {
                println!("          {sha256}… pending, tried by {}", count(tries, "start"))
            }
            (_, _, Some(reason)) => println!("          {sha256}… was rolled back: {reason}"),
            (Some(_), ..) => {
                println!(
                    "          {} of {} bytes of another bundle received",
                    self.bytes_received, self.bytes_expected
                )
            }
            _ => {}
        }
    }
}

#[derive(serde::Serialize)]
struct SampleRow {
    source: String,
    class: String,
    operator: u32,
    time_s: u64,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    args.device.connect(Missing::Refuse, |client| {
        let (status, names) = (client.status()?, ClassNames::of(client)?);
        let report = report(&args, client, &status, &names)?;
        if args.common.json {
            return print_json(&report);
        }
        print(&report);
        println!();
        names.print();
        if let Some(point) = &report.operating_point {
            println!();
            point.print();
        }
        if let Some(samples) = &report.samples {
            println!("\n{:<16} {:<24} {:>10}  time", "source", "class", "operator");
            for SampleRow { source, class, operator, time_s } in samples {
                let class = left(class, 24);
                println!("{:<16} {class} {operator:>10}  {}", &source[..16], date(*time_s));
            }
        }
        Ok(())
    })
}

fn report(args: &Args, client: &mut Client<'_>, status: &Status, names: &ClassNames) -> anyhow::Result<Report> {
    let state = if args.samples { Some(client.export()?) } else { None };
    let state_sha256 = match &state {
        Some(state) => state.sha256,
        None => client.state_sha256()?,
    };
    let operating_point = client.operating_point()?.map(|report| PointRow::of(&report, names));
    let bundle = client.bundles()?.map(|bundles| BundleRow::of(&bundles, status));
    let encoder = match &args.device.device {
        Address::Store(path) => StoreFile::header(path)?.map(|header| header.encoder),
        _ => None,
    };
    let (device, wear, line) = (client.device(), status.wear, status.line);
    Ok(Report {
        device: client.address().to_owned(),
        program: format!("{} {}", device.program, device.program_version),
        encoder,
        encoder_identity: hexadecimal(&device.identity),
        feature_dim: device.dim,
        supports: status.supports,
        supports_limit: status.supports_limit,
        classes: names.counts(),
        classes_limit: status.classes_limit,
        bytes_programmed: wear.bytes_programmed,
        erases: wear.erases,
        free_bytes: wear.free_bytes,
        learned: wear.learned,
        learned_bytes: wear.learned_bytes,
        learned_erases: wear.learned_erases,
        requests: line.requests,
        requests_repeated: line.repeated,
        frames_dropped: line.corrupted.saturating_add(line.oversized).saturating_add(line.stale),
        now_s: status.now_s,
        bundle,
        operating_point,
        state_sha256: hexadecimal(&state_sha256),
        samples: state.map(|state| rows(&state, names)),
    })
}

fn rows(state: &DeviceState, names: &ClassNames) -> Vec<SampleRow> {
    let row = |support: &crate::link::Support| SampleRow {
        source: hexadecimal(&support.from.source),
        class: names.name(support.slot),
        operator: support.from.operator,
        time_s: support.from.time_s,
    };
    state.supports.iter().map(row).collect()
}

fn print(report: &Report) {
    println!("device    {} ({}), clock {}", shown(&report.device), shown(&report.program), date(report.now_s));
    let encoder = report.encoder.as_deref().unwrap_or("built in");
    println!("encoder   {} ({}…), {} dimensions", shown(encoder), &report.encoder_identity[..8], report.feature_dim);
    let (classes, limit) = (report.classes.len(), report.classes_limit);
    let of = count(limit, "class");
    println!("samples   {} of {} in {classes} of {of}", report.supports, report.supports_limit);
    let Report { bytes_programmed, erases, free_bytes, .. } = report;
    let [programmed, free] = [*bytes_programmed, u64::from(*free_bytes)].map(|bytes| count(bytes, "byte"));
    println!("store     {programmed} programmed, {} erased, {free} free", count(*erases, "block"));
    if report.learned > 0 {
        let a_sample = |total: f64| total / f64::from(report.learned);
        println!(
            "wear      {:.0} bytes and {:.3} erases per sample, {} learned since the start",
            a_sample(report.learned_bytes as f64),
            a_sample(report.learned_erases.into()),
            report.learned
        );
    }
    let Report { requests, requests_repeated, frames_dropped, .. } = report;
    let (answered, dropped) = (count(*requests, "request"), count(*frames_dropped, "frame"));
    println!("line      {answered}, {requests_repeated} repeated, {dropped} dropped");
    if let Some(bundle) = &report.bundle {
        bundle.print();
    }
    println!("state     {}", report.state_sha256);
}
