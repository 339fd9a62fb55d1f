//! `macula class`: adds, renames and removes classes of a device.

use crate::cli::atomic::atomically;
use crate::cli::classes::{ClassCount, ClassNames};
use crate::cli::connect::DeviceArgs;
use crate::cli::local_device::{Missing, SUPPORTS_DEFAULT};
use crate::cli::{Common, print_json};

/// Arguments of `macula class`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    macula class add --device clinic.store nodule vessel\n  \
    macula class rename --device clinic.store nodule 'nodule, solid'\n  \
    macula class remove --device clinic.store vessel")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Add classes without samples; existing classes do not change
    #[command(after_help = "Example:\n  macula class add --device clinic.store nodule vessel")]
    Add {
        #[command(flatten)]
        device: DeviceArgs,
        /// Names of the classes
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Rename a class
    #[command(after_help = "Example:\n  macula class rename --device clinic.store nodule 'nodule, solid'")]
    Rename {
        #[command(flatten)]
        device: DeviceArgs,
        /// Name of the class
        #[arg(value_name = "NAME")]
        name: String,
        /// New name
        #[arg(value_name = "NEW_NAME")]
        new_name: String,
        #[command(flatten)]
        common: Common,
    },
    /// Remove a class with all its samples
    #[command(after_help = "Example:\n  macula class remove --device clinic.store vessel")]
    Remove {
        #[command(flatten)]
        device: DeviceArgs,
        /// Name of the class
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    classes: Vec<ClassCount>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (device, common, names) = match args.action {
        Action::Add { device, names, common } => {
            let listed = device.connect(Missing::Create(SUPPORTS_DEFAULT), |client| {
                atomically(client, common.json, |client, changes| {
                    names.iter().try_for_each(|name| changes.class(client, name).map(drop))?;
                    Ok(())
                })?;
                ClassNames::of(client)
            })?;
            (device, common, listed)
        }
        Action::Rename { device, name, new_name, common } => {
            let listed = device.connect(Missing::Refuse, |client| {
                let slot = ClassNames::of(client)?.slot(&name)?;
                client.rename_class(slot, &new_name)?;
                ClassNames::of(client)
            })?;
            (device, common, listed)
        }
        Action::Remove { device, name, common } => {
            let listed = device.connect(Missing::Refuse, |client| {
                let slot = ClassNames::of(client)?.slot(&name)?;
                client.remove_class(slot)?;
                ClassNames::of(client)
            })?;
            (device, common, listed)
        }
    };
    if common.json {
        return print_json(&Report { device: device.device.to_string(), classes: names.counts() });
    }
    names.print();
    Ok(())
}
