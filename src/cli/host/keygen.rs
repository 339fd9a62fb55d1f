//! `macula keygen`: a pair of keys to sign bundles with.

use std::path::PathBuf;

use crate::bundle::KeyPair;
use crate::cli::{Common, print_json};

/// Arguments of `macula keygen`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula keygen --out maker\n\n\
    Writes maker.key, which signs bundles and belongs to you alone, and maker.pub, which devices verify them with. \
    The key comes from the system's generator: --seed has no part in it. Nothing is written over.")]
pub struct Args {
    /// The files are NAME.key and NAME.pub
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
        println!("secret key  {}: keep it to yourself", report.secret.display());
        println!("public key  {}: {}", report.public.display(), report.public_key);
    }
    Ok(())
}
