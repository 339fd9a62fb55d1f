//! `macula status`: what a head knows.

use std::path::PathBuf;

use macula_edge::head::{ClassSums, Gaussian};
use sha2::{Digest, Sha256};

use super::{Common, print_json, teach};
use crate::device::TaughtHead;

/// Arguments of `macula status`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula status --head tissue.head --samples")]
pub struct Args {
    /// The head
    #[arg(long, value_name = "FILE")]
    head: PathBuf,
    /// List every sample with the start of its hash
    #[arg(long)]
    samples: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    head: String,
    file_bytes: u64,
    encoder: String,
    encoder_identity: String,
    feature_dim: usize,
    centred_by_corpus: bool,
    classes: Vec<teach::ClassCount>,
    /// Memory of the sums on a device, without and with outer products, and to solve the Gaussian head.
    prototype_bytes: usize,
    gaussian_bytes: usize,
    gaussian_scratch_bytes: usize,
    /// SHA-256 of the sums' canonical bytes; null before anything was taught.
    state_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<Vec<SampleRow>>,
}

#[derive(serde::Serialize)]
struct SampleRow {
    hash: String,
    class: String,
    name: String,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let head = teach::load_head(&args.head)?;
    let report = report(&args, &head)?;
    if args.common.json {
        return print_json(&report);
    }
    println!("head      {} ({} bytes)", report.head, report.file_bytes);
    println!("encoder   {} ({}…), {} dimensions", report.encoder, &report.encoder_identity[..8], report.feature_dim);
    let centring =
        if report.centred_by_corpus { "centred and scaled by the corpus" } else { "as the encoder gives them" };
    println!("features  {centring}");
    println!(
        "memory    prototype {} bytes, gaussian {} bytes and {} of scratch",
        report.prototype_bytes, report.gaussian_bytes, report.gaussian_scratch_bytes
    );
    println!("state     {}\n", report.state_sha256.as_deref().unwrap_or("nothing learned"));
    teach::print_classes(&report.classes);
    if let Some(samples) = &report.samples {
        println!("\n{:<16} {:<24} sample", "hash", "class");
        samples.iter().for_each(|row| println!("{:<16} {:<24} {}", &row.hash[..16], row.class, row.name));
    }
    Ok(())
}

fn report(args: &Args, head: &TaughtHead) -> anyhow::Result<Report> {
    let (dim, classes) = (head.encoder().feature_dim as usize, head.classes().len());
    let prototype_bytes = 4 * classes + 8 * ClassSums::sums_len(dim, classes);
    let state_sha256 = match head.samples() {
        [] => None,
        _ => Some(hexadecimal(&Sha256::digest(head.state()?))),
    };
    let row = |sample: &crate::device::Sample| SampleRow {
        hash: hexadecimal(&sample.pixels_sha256),
        class: head.classes()[usize::from(sample.class)].clone(),
        name: sample.name.clone(),
    };
    Ok(Report {
        head: args.head.display().to_string(),
        file_bytes: std::fs::metadata(&args.head)?.len(),
        encoder: head.encoder().name.clone(),
        encoder_identity: hexadecimal(&head.encoder().identity),
        feature_dim: dim,
        centred_by_corpus: head.corpus().is_some(),
        classes: teach::class_counts(head),
        prototype_bytes,
        gaussian_bytes: prototype_bytes + 8 * ClassSums::products_len(dim),
        gaussian_scratch_bytes: 8 * Gaussian::scratch_len(dim, classes),
        state_sha256,
        samples: args.samples.then(|| head.samples().iter().map(row).collect()),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
