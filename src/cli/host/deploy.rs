//! `macula deploy`: a device's program and a bundle to another machine, over SSH, proved there.

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
    The bundle is checked there before anything is touched. The new release then serves on trial; where it does not \
    answer, is not the one that was started (another device has the port), fails its self-test or cannot be measured, \
    program, bundle and store are again what they were, and the exit code is 3. What was taught during such a trial is lost. The same command may be repeated: what is there is not \
    copied again, and what serves is not started again.\n\n\
    systemd runs the service where it is the machine's own and you log in as root, with a user of its own and its store in \
    /var/lib/macula-device; elsewhere a script keeps it running until the machine stops.")]
pub struct Args {
    /// The machine, as your SSH client knows it
    #[arg(value_name = "[USER@]HOST")]
    host: String,
    /// What the device is to run: FILE.macula, FILE.onnx, FILE.blob or an export's folder
    #[arg(long, alias = "bundle", value_name = "ENCODER")]
    encoder: String,
    /// The public key that must have signed the bundle
    #[arg(long, alias = "key", value_name = "NAME.pub")]
    trust: Option<PathBuf>,
    /// The device's program, or a folder with those that build-device makes: the one for the machine is taken
    #[arg(long, value_name = "PATH", default_value = "target/device")]
    binary: PathBuf,
    /// The folder there that keeps it all
    #[arg(long, value_name = "PATH")]
    dir: Option<String>,
    /// Where the device is reached there
    #[arg(long, value_name = "LINE", default_value = LISTEN_DEFAULT)]
    listen: Address,
    /// Let other machines reach it, too
    #[arg(long)]
    allow_remote: bool,
    /// The SSH server's port
    #[arg(long)]
    port: Option<u16>,
    /// Who logs in
    #[arg(long)]
    user: Option<String>,
    /// The file of the private key to log in with
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// A configuration for the SSH client in the place of yours
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// What runs the program there, if it is for another processor: an emulator with its arguments
    #[arg(long, value_name = "COMMAND")]
    runner: Option<String>,
    /// Have a script keep it running, even where there is systemd
    #[arg(long)]
    no_systemd: bool,
    /// Seconds the device may take until it answers
    #[arg(long = "patience", value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
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

/// The error with the exit code that it calls for.
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
        let state = if file.copied { "copied" } else { "was there" };
        println!("file      {} {}…, {} bytes, {state}", file.name, &file.sha256[..8], file.bytes);
    }
    let state = if report.started { "started" } else { "serves already" };
    println!("service   {address}, release {release}, {state}, kept running by {}", keeper(service));
    if let Some(before) = report.before.as_ref().filter(|before| *before != release) {
        println!("before    release {before}");
    }
    if report.golden.is_some() {
        println!("bundle    signed, whole, and its golden images give their features there");
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
        if report.runner.is_some() { " (an emulator's times)" } else { "" }
    );
}

fn emulated(runner: &str) -> String {
    format!(", the program runs in {runner}")
}

fn keeper(service: &str) -> &str {
    match service {
        "systemd" => "systemd",
        _ => "a script until the machine stops",
    }
}
