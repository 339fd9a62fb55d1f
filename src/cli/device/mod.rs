//! Commands that the program of a device has, too: serving a device and talking to one. One command a file.

pub mod bench;
mod class;
mod serve;
mod embed;
mod forget;
mod inspect;
pub mod learn;
mod merge;
pub mod predict;
mod reset;
mod self_test;
mod status;
mod update;
mod verify;
mod why;

/// These commands.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Whether a bundle is the one that was signed, and its encoder still the same on this machine
    Verify(verify::Args),
    /// What a bundle is, and whether its signature can be believed
    Inspect(inspect::Args),
    /// Be a device that others reach over a socket or a serial line
    Device(serve::Args),
    /// The features of images, as a file of NumPy
    Embed(embed::Args),
    /// Teach a device a class from a few images
    Learn(learn::Args),
    /// Make a device forget a sample or a class, exactly
    Forget(forget::Args),
    /// Have a device classify images
    Predict(predict::Args),
    /// The samples that a device's decision rests on, and where they came from
    Why(why::Args),
    /// How a device is and what it knows: classes, samples, wear
    Status(status::Args),
    /// Bring what one device knows to another
    Merge(merge::Args),
    /// Add, rename and remove classes of a device
    Class(class::Args),
    /// Have a device test itself
    SelfTest(self_test::Args),
    /// Send a device a new bundle
    Update(update::Args),
    /// Make a device forget everything
    Reset(reset::Args),
    /// Latency, rate and memory of training, encoder or head
    Bench(bench::Args),
}

/// Runs `command`.
pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Device(args) => serve::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Learn(args) => learn::run(args),
        Command::Forget(args) => forget::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Why(args) => why::run(args),
        Command::Status(args) => status::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Class(args) => class::run(args),
        Command::SelfTest(args) => self_test::run(args),
        Command::Update(args) => update::run(args),
        Command::Reset(args) => reset::run(args),
        Command::Bench(args) => bench::run(args),
    }
}
