//! `macula merge`: copies classes and samples from one device to another.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use macula_edge::protocol::Reason;
use macula_edge::support_set::SourceId;

use crate::cli::atomic::{atomically, check_places};
use crate::cli::classes::{ClassCount, ClassNames};
use crate::cli::connect::DeviceArgs;
use crate::cli::failure::{Failure, Kind};
use crate::cli::local_device::{Missing, SUPPORTS_DEFAULT};
use crate::cli::preprocessing::PreprocessingArgs;
use crate::cli::{Common, print_json};
use crate::link::{Address, Client, DeviceState, Support};
use crate::report::text::{count, hexadecimal};

/// Arguments of `macula merge`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula merge --device clinic.store --from tcp:ward-3.local:7000\n\n\
    The result is the same as teaching one device the samples of both.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Device to copy from; it is not changed
    #[arg(long, value_name = "DEVICE")]
    from: Address,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    from: String,
    learned: usize,
    known: usize,
    classes: Vec<ClassCount>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    ensure!(args.from != args.device.device, "{}: --from and --device are the same device", args.from);
    let (device, keys) = (args.from.clone(), args.device.keys.clone());
    let other = DeviceArgs {
        device,
        encoder: None,
        keys,
        tiles: None,
        preprocessing: PreprocessingArgs::default(),
        range: None,
    };
    let (state, identity) =
        other.connect(Missing::Refuse, |client| Ok((client.export()?, client.device().identity)))?;
    args.device.connect(Missing::Create(SUPPORTS_DEFAULT), |client| {
        let own = client.device().identity;
        ensure!(
            own == identity,
            Kind::OtherEncoder.error(format!(
                "{} has encoder {}, {} has encoder {}: features of different encoders cannot be compared",
                args.from,
                hexadecimal(&identity),
                client.address(),
                hexadecimal(&own)
            ))
        );
        let (learned, known) = merge(client, &state, args.common.json)?;
        let names = ClassNames::of(client)?;
        if args.common.json {
            let (device, from) = (args.device.device.to_string(), args.from.to_string());
            return print_json(&Report { device, from, learned, known, classes: names.counts() });
        }
        println!("learned {}, {known} already known", count(learned, "sample"));
        names.print();
        Ok(())
    })
}

/// Copies classes, then samples, after contradictions have been ruled out.
fn merge(client: &mut Client<'_>, state: &DeviceState, json: bool) -> anyhow::Result<(usize, usize)> {
    check_contradictions(&client.export()?, state)?;
    let sources: Vec<SourceId> = state.supports.iter().map(|support| support.from.source).collect();
    check_places(client, &sources)?;
    let (mut learned, mut known) = (0, 0);
    atomically(client, json, |client, changes| {
        state.classes.iter().try_for_each(|(_, name)| changes.class(client, name).map(drop))?;
        for support in &state.supports {
            let name = state.name(support.slot);
            let name = name.with_context(|| format!("slot {}: a sample has no class", support.slot))?;
            let answer = client.merge(name, support)?;
            changes.note(support.from.source, &answer);
            *(if answer.new { &mut learned } else { &mut known }) += 1;
        }
        Ok(())
    })?;
    Ok((learned, known))
}

/// Refuses samples that the two devices have as different classes.
fn check_contradictions(own: &DeviceState, other: &DeviceState) -> anyhow::Result<()> {
    let classes: BTreeMap<SourceId, Option<&str>> =
        own.supports.iter().map(|support| (support.from.source, own.name(support.slot))).collect();
    let contradicts = |support: &&Support| {
        let own = classes.get(&support.from.source);
        own.is_some_and(|&class| class != other.name(support.slot))
    };
    let found: Vec<&Support> = other.supports.iter().filter(contradicts).collect();
    let Some(first) = found.first() else { return Ok(()) };
    let message = format!(
        "{} known as another class on the other device, the first of source {}; forget them on one device; nothing was changed",
        count(found.len(), "sample"),
        hexadecimal(&first.from.source[..8])
    );
    bail!(Failure::refused(Reason::SourceTaken.with(found.len() as u64, 0), false, message))
}
