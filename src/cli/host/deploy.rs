//! `macula deploy`: deploys the device program and a bundle to another machine over SSH, and tests them there.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::failure::Kind;
use crate::cli::{Common, print_json};
use crate::deploy::{DeployError, LISTEN_DEFAULT, Report, Settings, SshOptions, deploy};
use crate::encoders::model_file;
use crate::link::Address;
use crate::report::text::count;

/// Arguments of `macula deploy`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    ./build-device aarch64 && macula deploy pi@ward-3.local --encoder nano.macula --trust maker.pub\n  \
    macula deploy emulated --binary target/device/macula-aarch64 --runner qemu-aarch64 --encoder encoder.onnx\n\n\
    The bundle is checked there first. Then the new release starts as pending. If it does not answer, fails its self-test or \
    cannot be measured, or if another device has the port, then program, bundle and store are restored and the exit code \
    is 3; samples that it learned are lost. The command may be repeated: existing files are not copied again, and a \
    running release is not restarted.\n\n\
    With systemd and a login as root, systemd runs the service under its own user with the store in \
    /var/lib/macula-device. Otherwise a script keeps it running until the machine stops.")]
pub struct Args {
    /// Machine, as the SSH client knows it
    #[arg(value_name = "[USER@]HOST")]
    host: String,
    /// Encoder to run: FILE.macula, FILE.onnx, FILE.blob or an export folder
    #[arg(long, alias = "bundle", value_name = "ENCODER")]
    encoder: String,
    /// Public key that the bundle must be signed by
    #[arg(long, alias = "key", value_name = "NAME.pub")]
    trust: Option<PathBuf>,
    /// Device program, or a folder of programs made by build-device, of which the one for the machine is chosen
    #[arg(long, value_name = "PATH", default_value = "target/device")]
    binary: PathBuf,
    /// Folder on the machine
    #[arg(long, value_name = "PATH")]
    dir: Option<String>,
    /// Address of the device on the machine
    #[arg(long, value_name = "LINE", default_value = LISTEN_DEFAULT)]
    listen: Address,
    /// Accept connections from other machines
    #[arg(long)]
    allow_remote: bool,
    /// Port of the SSH server
    #[arg(long)]
    port: Option<u16>,
    /// User to log in as
    #[arg(long)]
    user: Option<String>,
    /// Private key file for the login
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Configuration file for the SSH client, instead of your own
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// Emulator with its arguments, to run a program for another processor
    #[arg(long, value_name = "COMMAND")]
    runner: Option<String>,
    /// Keep the device running by a script, even if the machine has systemd
    #[arg(long)]
    no_systemd: bool,
    /// Time limit for the first answer of the device, in seconds
    #[arg(long = "patience", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Args { port, user, identity, ssh_config: config, .. } = args;
    let settings = Settings {
        host: args.host,
        ssh: SshOptions { port, user, identity, config },
        dir: args.dir,
        program: args.binary,
        bundle: model_file(&args.encoder)?,
        key: args.trust,
        listen: args.listen,
        allow_remote: args.allow_remote,
        runner: args.runner,
        systemd: !args.no_systemd,
        timeout: Duration::from_secs(args.timeout),
    };
    let quiet = args.common.quiet || args.common.json;
    let tell = |step: &str| {
        if !quiet {
            eprintln!("{step}");
        }
    };
    let report = deploy(&settings, &tell).map_err(explain)?;
    match args.common.json {
        true => print_json(&report)?,
        false => print(&report),
    }
    Ok(())
}

/// The error with its kind and exit code.
fn explain(error: DeployError) -> anyhow::Error {
    match &error {
        DeployError::Unreachable { .. } => Kind::Unreachable.error(error),
        error if error.is_failed_check() => Kind::CheckFailed.error(error),
        error if error.is_device_fault() => Kind::DeviceFault.error(error),
        _ => error.into(),
    }
}

fn print(report: &Report) {
    let Report { host, machine, service, address, release, .. } = report;
    println!("machine   {host}: {machine}{}", report.runner.as_deref().map_or(String::new(), emulated));
    for file in &report.files {
        let state = if file.copied { "copied" } else { "exists" };
        println!("file      {} {}…, {} bytes, {state}", file.name, &file.sha256[..8], file.bytes);
    }
    let state = if report.started { "started" } else { "already running" };
    println!("service   {address}, release {release}, {state}, kept running by {}", keeper(service));
    if let Some(before) = report.before.as_ref().filter(|before| *before != release) {
        println!("before    release {before}");
    }
    if report.golden.is_some() {
        println!("bundle    verified there: signature, parts, golden images");
    }
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
    let status = &report.status;
    println!(
        "status    {} in {}",
        count(status["supports"].as_u64().unwrap_or(0), "sample"),
        count(status["classes"].as_array().map_or(0, Vec::len), "class")
    );
    println!("self-test passed");
    let image = &report.bench["image_ms"];
    println!(
        "latency   one image p50 {:.3} ms, p95 {:.3} ms, p99 {:.3} ms; loaded in {:.1} ms{}",
        number(&image["p50"]),
        number(&image["p95"]),
        number(&image["p99"]),
        number(&report.bench["load_ms"]),
        if report.runner.is_some() { " (in an emulator)" } else { "" }
    );
}

fn emulated(runner: &str) -> String {
    format!(", program runs in {runner}")
}

fn keeper(service: &str) -> &str {
    match service {
        "systemd" => "systemd",
        _ => "a script, until the machine stops",
    }
}
