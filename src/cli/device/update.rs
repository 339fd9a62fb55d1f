//! `macula update`: sends a new bundle to a device and reports the outcome.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use macula_edge::bundle::BUNDLE_LEN_MAX;
use macula_edge::protocol::Reason;
use sha2::{Digest, Sha256};

use crate::cli::classes::ClassNames;
use crate::cli::connect::DeviceArgs;
use crate::cli::failure::Kind;
use crate::cli::local_device::Missing;
use crate::cli::progress::bar;
use crate::cli::{Common, print_json};
use crate::files::read_bounded;
use crate::link::{BundleReport, CandidateState, Client, LinkError, rollback_reason};
use crate::report::text::count;

/// Attempts to reach a device that is trying the bundle; each takes up to 7 s.
const ATTEMPTS: usize = 9;

/// Arguments of `macula update`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula update --device tcp:ward-3.local:7000 nano-2.macula\n  \
    macula update --device serial:/dev/ttyACM0 nano-2.macula\n\n\
    An interrupted upload is resumed. The device checks signature, counter and every byte, tries the bundle (a board at its \
    next start), and keeps it if its golden images pass; otherwise it rolls back, which is exit code 3. Classes and samples \
    stay. If the bundle has another encoder, samples whose images the device keeps are encoded again; the command asks \
    before others are lost.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Without asking, discard samples whose images the device does not keep if the bundle has another encoder
    #[arg(long)]
    discard_taught: bool,
    /// Bundle to send
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    bytes: usize,
    slot: u8,
    sha256: String,
    /// `confirmed`, `waiting` (pending until the next start) or `rolled back`; `unknown` from an older device.
    outcome: &'static str,
    /// Rollback reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Outcome of an update.
enum Outcome {
    Confirmed,
    Waiting,
    RolledBack(u8),
    Unknown,
}

/// Runs the command. Exit code 3 if the bundle was rolled back.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bundle = read_bounded(&args.bundle, BUNDLE_LEN_MAX.into())?;
    let (slot, device) = args.device.connect(Missing::Refuse, |client| {
        let limit = client.device().bundle_bytes_max;
        ensure!(limit > 0, "the device at {} takes no bundles: it was not started with one", client.address());
        Ok((send(&args, client, &bundle)?, client.address().to_owned()))
    })?;
    let sha256: [u8; 32] = Sha256::digest(&bundle).into();
    let outcome = outcome(&args, sha256)?;
    let rolled_back = match outcome {
        Outcome::RolledBack(why) => Some(why),
        _ => None,
    };
    let reason = rolled_back.map(rollback_reason);
    let word = match outcome {
        Outcome::Confirmed => "confirmed",
        Outcome::Waiting => "waiting",
        Outcome::RolledBack(_) => "rolled back",
        Outcome::Unknown => "unknown",
    };
    if args.common.json {
        let sha256 = crate::report::text::hexadecimal(&sha256);
        print_json(&Report { device, bytes: bundle.len(), slot, sha256, outcome: word, reason: reason.clone() })?;
    } else if reason.is_none() {
        let what = match outcome {
            Outcome::Confirmed => "confirmed",
            _ => "pending until the device starts again",
        };
        println!("sent {} to slot {slot}; {what}", count(bundle.len(), "byte"));
    }
    match (rolled_back, reason) {
        (Some(why), Some(reason)) => Err(Kind::RolledBack
            .because(u64::from(why), format!("the device rolled back to the previous bundle: {reason}"))),
        _ => Ok(()),
    }
}

/// Sends the bundle, and asks for confirmation if samples would be lost.
fn send(args: &Args, client: &mut Client<'_>, bundle: &[u8]) -> anyhow::Result<u8> {
    let template = "{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    let bar = bar(args.common.quiet, bundle.len() as u64, template);
    let progress = |sent: usize| bar.set_position(sent as u64);
    let sent = client.send_bundle(bundle, args.discard_taught, &progress);
    bar.finish_and_clear();
    let refusal = match sent {
        Err(LinkError::Refused { refusal, .. }) if refusal.reason() == Some(Reason::WouldForget) => refusal,
        done => return Ok(done?),
    };
    let classes = ClassNames::of(client)?.0;
    let classes: Vec<_> = classes.iter().map(|class| format!("{} ({})", class.name, class.supports)).collect();
    let loss = format!(
        "{} has another encoder: of {} samples in {} the device would lose {}, because it does not keep their images",
        args.bundle.display(),
        refusal.limit,
        classes.join(", "),
        refusal.found
    );
    if args.common.json || args.common.quiet || !std::io::stdin().is_terminal() || !confirmed(&loss)? {
        bail!(Kind::ConfirmationNeeded.error(format!("{loss}; confirm with --discard-taught; nothing was changed")));
    }
    Ok(client.send_bundle(bundle, true, &progress)?)
}

fn confirmed(loss: &str) -> anyhow::Result<bool> {
    print!("{loss}.\nGo ahead? [y/N] ");
    std::io::stdout().flush().context("cannot print")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// Asks the device for the outcome. It may still be loading the encoder.
fn outcome(args: &Args, sha256: [u8; 32]) -> anyhow::Result<Outcome> {
    for attempt in 1.. {
        // A store of this machine tries the bundle when it is opened.
        match args.device.connect(Missing::Refuse, |client| Ok(client.bundles()?)) {
            Ok(report) => return Ok(report.map_or(Outcome::Unknown, |report| of_report(&report, sha256))),
            Err(error) if attempt < ATTEMPTS && is_silence(&error) => std::thread::sleep(Duration::from_millis(500)),
            Err(error) => {
                return Err(error.context("the bundle was sent, but the device does not report the outcome"));
            }
        }
    }
    Ok(Outcome::Unknown)
}

fn is_silence(error: &anyhow::Error) -> bool {
    error.downcast_ref::<LinkError>().is_some_and(LinkError::is_silence)
}

fn of_report(report: &BundleReport, sha256: [u8; 32]) -> Outcome {
    let candidate = report.candidate.filter(|candidate| candidate.sha256 == sha256);
    match candidate.map(|candidate| candidate.state) {
        Some(CandidateState::Pending { .. }) => Outcome::Waiting,
        Some(CandidateState::RolledBack { reason: why }) => Outcome::RolledBack(why),
        None if report.sha256 == sha256 => Outcome::Confirmed,
        // Another host has sent another bundle meanwhile.
        None => Outcome::Unknown,
    }
}
