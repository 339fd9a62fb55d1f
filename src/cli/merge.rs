//! `macula merge`: brings what one device knows to another.

use anyhow::{bail, ensure};
use macula_edge::protocol::Reason;

use super::connect::{ClassCount, DeviceArgs, Missing, Names, SUPPORTS_DEFAULT, hexadecimal};
use super::preprocessing::PreprocessingArgs;
use super::{Common, print_json};
use crate::link::{Address, Client, Knowledge};
use crate::report::text::count;

/// Arguments of `macula merge`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula merge --device clinic.store --from tcp:ward-3.local:7000\n\n\
    The device then knows what it would know had it been taught the samples of both.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// The device whose samples are brought; it keeps them
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

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    ensure!(args.from != args.device.device, "{} is merged with itself", args.from);
    let (device, keys) = (args.from.clone(), args.device.keys.clone());
    let other = DeviceArgs { device, encoder: None, keys, preprocessing: PreprocessingArgs::default(), range: None };
    let (knowledge, identity) =
        other.with(Missing::Refuse, |client| Ok((client.export()?, client.device().identity)))?;
    args.device.with(Missing::Make(SUPPORTS_DEFAULT), |client| {
        let own = client.device().identity;
        ensure!(
            own == identity,
            "{} has encoder {}, {} has encoder {}: features of one mean nothing to the other",
            args.from,
            hexadecimal(&identity),
            client.address(),
            hexadecimal(&own)
        );
        let (learned, known) = merge(client, &knowledge)?;
        let names = Names::of(client)?;
        if args.common.json {
            let (device, from) = (args.device.device.to_string(), args.from.to_string());
            return print_json(&Report { device, from, learned, known, classes: names.counts() });
        }
        println!("learned {}, {known} known before", count(learned, "sample"));
        names.print();
        Ok(())
    })
}

/// Brings classes, then supports. What contradicts is left out and told at the end.
fn merge(client: &mut Client<'_>, knowledge: &Knowledge) -> anyhow::Result<(usize, usize)> {
    for (_, name) in &knowledge.classes {
        client.add_class(name)?;
    }
    let (mut learned, mut known, mut refused) = (0, 0, Vec::new());
    for support in &knowledge.supports {
        let Some(name) = knowledge.name(support.slot) else { bail!("a sample of slot {} has no class", support.slot) };
        match client.merge(name, support) {
            Ok(answer) if answer.new => learned += 1,
            Ok(_) => known += 1,
            Err(error) if error.reason() == Some(Reason::TaughtOtherwise) => refused.push(support.from.source),
            Err(error) => return Err(error.into()),
        }
    }
    let Some(first) = refused.first() else { return Ok((learned, known)) };
    bail!(
        "learned {learned} samples, {known} were known, and {} are known as another class, the first of source {}; \
         forget them on one of the devices",
        refused.len(),
        hexadecimal(&first[..8])
    )
}
