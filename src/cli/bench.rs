//! `macula bench`: latency, rate and memory of training, augmentation, encoder and head.

#[cfg(feature = "desk")]
mod augment;
mod encoder;
mod head;
mod measure;
#[cfg(feature = "desk")]
mod train;

/// Arguments of `macula bench`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  macula bench encoder --encoder raw-pixels\n  macula bench head --dim 64 --classes 3"
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Training steps on random images: forward, backward, SGD with momentum
    #[cfg(feature = "desk")]
    Train(train::Args),
    /// Views of random images on one thread: rate
    #[cfg(feature = "desk")]
    Augment(augment::Args),
    /// Features: latency of one image, rate of a batch, time to load
    Encoder(encoder::Args),
    /// A head: latency to learn, forget, fit and predict, and its memory
    Head(head::Args),
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        #[cfg(feature = "desk")]
        What::Train(args) => train::run(&args),
        #[cfg(feature = "desk")]
        What::Augment(args) => augment::run(&args),
        What::Encoder(args) => encoder::run(&args),
        What::Head(args) => head::run(&args),
    }
}
