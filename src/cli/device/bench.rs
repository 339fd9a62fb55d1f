//! `macula bench`: measures latency, rate and memory of training, data, encoders, heads and devices.

mod device;
pub mod encoder;
mod head;
pub mod measure;

/// Arguments of `macula bench`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  macula bench encoder --encoder raw-pixels\n  macula bench head --dim 64 --classes 3\n\n\
                  On a host, --compare measures what other runtimes and libraries take for the same work."
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    #[cfg(feature = "host")]
    #[command(flatten)]
    Training(crate::cli::host::bench::Training),
    /// Measure an encoder: latency of one image, rate of a batch, time to load
    Encoder(encoder::Args),
    /// Measure a head: latency of learn, forget, fit and predict, and memory
    Head(head::Args),
    /// Measure a device: time from request to reply
    Device(Box<device::Args>),
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        #[cfg(feature = "host")]
        What::Training(training) => crate::cli::host::bench::run(training),
        What::Encoder(args) => encoder::run(&args),
        What::Head(args) => head::run(&args),
        What::Device(args) => device::run(&args),
    }
}
