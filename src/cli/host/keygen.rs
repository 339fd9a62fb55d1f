//! `macula keygen`: creates a key pair for signing bundles.

use std::path::PathBuf;

use crate::bundle::KeyPair;
use crate::cli::{Common, print_json};

/// Arguments of `macula keygen`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula keygen --out maker\n\n\
    Writes maker.key, the private key that signs bundles, and maker.pub, the public key that devices verify them with. \
    The key comes from the random number generator of the system; --seed has no effect. Existing files are kept.")]
pub struct Args {
    /// Write NAME.key and NAME.pub
    #[arg(long, value_name = "NAME")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    secret: PathBuf,
    public: PathBuf,
    public_key: String,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let named = |extension: &str| {
        let mut name = args.out.clone().into_os_string();
        name.push(extension);
        PathBuf::from(name)
    };
    let (secret, public) = (named(".key"), named(".pub"));
    let pair = KeyPair::generate()?;
    pair.write_new(&secret, &public)?;
    let report = Report { secret, public, public_key: pair.public().to_string() };
    if args.common.json {
        return print_json(&report);
    }
    if !args.common.quiet {
        println!("secret key  {} (keep it private)", report.secret.display());
        println!("public key  {}: {}", report.public.display(), report.public_key);
    }
    Ok(())
}
