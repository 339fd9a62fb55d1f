//! `macula inspect`: shows the content of a bundle and checks its signature.

use std::path::PathBuf;

use crate::bundle::{Bundle, Manifest, PartKind};
use crate::cli::trust::{KeyArgs, refused};
use crate::cli::{Common, print_json};
use crate::report::text::shown_path;

/// Arguments of `macula inspect`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  macula inspect nano.macula --trust maker.pub\n  macula inspect unknown.macula --json\n\n\
    Without --trust the signature is checked with the key that the bundle itself names: this shows whether the bundle was \
    changed, not who made it. Exit code 3: the bundle was changed, or another key signed it; its content is not read."
)]
pub struct Args {
    /// Bundle
    #[arg(value_name = "FILE.macula")]
    bundle: PathBuf,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Part {
    kind: u16,
    name: &'static str,
    offset: u32,
    bytes: u32,
    sha256: String,
}

#[derive(serde::Serialize)]
struct Report<'a> {
    bundle: PathBuf,
    bytes: usize,
    signer: String,
    /// Whether a key given by `--trust` signed it. Otherwise its origin is unknown.
    verified: bool,
    counter: u64,
    parts: Vec<Part>,
    manifest: &'a Manifest,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let verified = !args.keys.keys.is_empty();
    let trusted = match verified {
        true => args.keys.read()?,
        false => vec![Bundle::claimed_signer(&args.bundle).map_err(refused)?],
    };
    let bundle = Bundle::open(&args.bundle, &trusted).map_err(refused)?;
    let header = bundle.header();
    let parts = header.parts().iter().map(|part| Part {
        kind: part.kind,
        name: PartKind::from_repr(part.kind).map_or("unknown", PartKind::name),
        offset: part.offset,
        bytes: part.len,
        sha256: crate::report::text::hexadecimal(&part.sha256),
    });
    let report = Report {
        bytes: bundle.bytes().len(),
        signer: header.signer.to_string(),
        verified,
        counter: header.counter,
        parts: parts.collect(),
        manifest: bundle.manifest(),
        bundle: args.bundle,
    };
    match args.common.json {
        true => print_json(&report),
        false => print(&report),
    }
}

fn print(report: &Report<'_>) -> anyhow::Result<()> {
    println!("bundle   {} ({:.1} KB)", shown_path(&report.bundle), report.bytes as f64 / 1e3);
    let belief = match report.verified {
        true => "verified",
        false => "NOT VERIFIED: this key signed these bytes, but no key was given to trust; use --trust NAME.pub",
    };
    println!("signed   by {}\n         {belief}", report.signer);
    println!("counter  {}", report.counter);
    for Part { name, offset, bytes, sha256, .. } in &report.parts {
        println!("part     {name:<18} {bytes:>10} bytes at {offset:<8} {}…", &sha256[..16]);
    }
    println!("{}", serde_json::to_string_pretty(report.manifest)?);
    Ok(())
}
