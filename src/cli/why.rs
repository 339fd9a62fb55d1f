//! `macula why`: the samples that a decision rests on, and where they came from.

use std::path::PathBuf;

use super::connect::{DeviceArgs, Missing, Names, date, hexadecimal};
use super::images::ImageArgs;
use super::{Common, print_json};
use crate::link::{Neighbour, Sample};
use crate::report::text::{left, shown};

/// Arguments of `macula why`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula why --device clinic.store new.png")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Image files
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    reading: ImageArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    /// Whether the device was taught a single class, so that all samples are of that class.
    only_one_class: bool,
    images: Vec<Row>,
}

#[derive(serde::Serialize)]
struct Row {
    image: String,
    nearest: Vec<Witness>,
}

/// A sample that a decision rests on.
#[derive(serde::Serialize)]
pub struct Witness {
    class: String,
    /// Cosine, -1 to 1.
    similarity: f32,
    source: String,
    operator: u32,
    time_s: u64,
}

impl Witness {
    /// In words and digits.
    pub fn of(neighbour: &Neighbour, names: &Names) -> Self {
        let Neighbour { slot, from, similarity } = *neighbour;
        let source = hexadecimal(&from.source);
        Self { class: names.name(slot), similarity, source, operator: from.operator, time_s: from.time_s }
    }

    /// Class and similarity.
    pub fn short(&self) -> String {
        format!("{} {:.2}", self.class, self.similarity)
    }
}

/// Runs it.
pub fn run(mut args: Args) -> anyhow::Result<()> {
    args.device.range = args.reading.stated();
    args.device.with(Missing::Refuse, |client| {
        let images = args.reading.read(&args.images, client.range(), args.common.quiet)?;
        let names = Names::of(client)?;
        let mut rows = Vec::new();
        for named in &images {
            let nearest = client.why(Sample::Image(&named.image))?;
            let nearest = nearest.iter().map(|neighbour| Witness::of(neighbour, &names)).collect();
            rows.push(Row { image: named.name.clone(), nearest });
        }
        if args.common.json {
            let (device, only_one_class) = (args.device.device.to_string(), names.only_class().is_some());
            return print_json(&Report { device, only_one_class, images: rows });
        }
        rows.iter().for_each(print);
        if let Some(class) = names.only_class() {
            println!("{}", only_class_remark(class));
        }
        Ok(())
    })
}

/// What must be known of the decisions of a device that was taught a single class.
pub fn only_class_remark(class: &str) -> String {
    format!(
        "only one class is taught, '{class}': every image that is known is of that class, so there is no probability"
    )
}

fn print(row: &Row) {
    println!("{}", shown(&row.image));
    if row.nearest.is_empty() {
        println!("  nothing was learned yet");
    }
    for witness in &row.nearest {
        let Witness { class, similarity, source, operator, time_s } = witness;
        let class = left(class, 24);
        println!("  {similarity:>6.3}  {class} source {}  operator {operator}  {}", &source[..16], date(*time_s));
    }
}
