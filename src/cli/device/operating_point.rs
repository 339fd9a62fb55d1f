//! `macula operating-point`: shows, sets or removes the operating point of a device.

use crate::cli::classes::ClassNames;
use crate::cli::connect::DeviceArgs;
use crate::cli::local_device::Missing;
use crate::cli::operating_point::{PointRow, parse_target, point, refused};
use crate::cli::{Common, print_json};
use crate::link::Target;

/// Arguments of `macula operating-point`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula operating-point --device clinic.store --set sensitivity=0.95 --positive nodule\n  \
    macula operating-point --device clinic.store\n  \
    macula operating-point --device clinic.store --clear\n\n\
    The device keeps the operating point and chooses its threshold again whenever its samples change: each sample is left out and \
    scored by the others. It is removed with its class.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Set what the threshold shall reach: sensitivity=SHARE, specificity=SHARE, or the least of the costs=MISSED:FALSE_ALARM
    #[arg(long, value_name = "TARGET", value_parser = parse_target, requires = "positive")]
    set: Option<Target>,
    /// Class whose images are positive; those of all other classes are negative
    #[arg(long, value_name = "CLASS", requires = "set")]
    positive: Option<String>,
    /// Remove the operating point
    #[arg(long, conflicts_with = "set")]
    clear: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    operating_point: Option<PointRow>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    args.device.connect(Missing::Refuse, |client| {
        let names = ClassNames::of(client)?;
        let report = match (args.set, &args.positive) {
            (Some(target), Some(positive)) => {
                client.set_operating_point(Some(point(target, positive, &names)?)).map_err(refused)?
            }
            _ if args.clear => client.set_operating_point(None).map_err(refused)?,
            _ => client.operating_point()?,
        };
        let operating_point = report.map(|report| PointRow::of(&report, &names));
        if args.common.json {
            return print_json(&Report { device: client.address().to_owned(), operating_point });
        }
        match operating_point {
            Some(row) => row.print(),
            None => println!("the device has no operating point"),
        }
        Ok(())
    })
}
