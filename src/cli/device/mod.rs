//! Commands that a device's program has as well: serving a device and using one. One command per file.

pub mod bench;
mod class;
mod embed;
mod forget;
mod heat_map;
mod inspect;
pub mod learn;
mod merge;
mod operating_point;
pub mod predict;
mod reset;
mod self_test;
mod serve_line;
#[cfg(feature = "serve")]
mod serve_page;
mod status;
mod update;
mod verify;
mod why;

/// The commands of this folder.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Verify a bundle: signature, parts, and the features of its golden images on this machine
    Verify(verify::Args),
    /// Show the content of a bundle, and check its signature
    Inspect(inspect::Args),
    /// Serve as a device over a socket or a serial line
    Device(serve_line::Args),
    /// Serve a page to teach a device on, and its API
    #[cfg(feature = "serve")]
    Serve(serve_page::Args),
    /// Write the features of images to a NumPy file
    Embed(embed::Args),
    /// Teach a device a class from a few images
    Learn(learn::Args),
    /// Remove samples or a class from a device, exactly
    Forget(forget::Args),
    /// Classify images on a device
    Predict(predict::Args),
    /// Explain a decision: the nearest samples on the device and their origin
    Why(why::Args),
    /// Show the state of a device: classes, samples, bundle, wear
    Status(status::Args),
    /// Copy classes and samples from one device to another
    Merge(merge::Args),
    /// Add, rename or remove classes of a device
    Class(class::Args),
    /// Show, set or remove the operating point of a device: sensitivity, specificity or costs of one class
    OperatingPoint(operating_point::Args),
    /// Run the self-test of a device
    SelfTest(self_test::Args),
    /// Send a new bundle to a device
    Update(update::Args),
    /// Remove all classes and samples from a device
    Reset(reset::Args),
    /// Measure latency, rate and memory of training, data, encoders, heads or devices, also beside other software
    Bench(bench::Args),
}

/// Runs `command`.
pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Device(args) => serve_line::run(args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve_page::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Learn(args) => learn::run(args),
        Command::Forget(args) => forget::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Why(args) => why::run(args),
        Command::Status(args) => status::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Class(args) => class::run(args),
        Command::OperatingPoint(args) => operating_point::run(args),
        Command::SelfTest(args) => self_test::run(args),
        Command::Update(args) => update::run(args),
        Command::Reset(args) => reset::run(args),
        Command::Bench(args) => bench::run(args),
    }
}
