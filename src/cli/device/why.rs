//! `macula why`: shows the nearest samples of a decision and their origin.

use std::collections::BTreeMap;
use std::path::PathBuf;

use macula_edge::support_set::SourceId;
use rayon::prelude::*;

use super::heat_map::{Drawn, HeatMapArgs};
use crate::cli::classes::ClassNames;
use crate::cli::connect::DeviceArgs;
use crate::cli::images::{EncoderRange, ImageArgs};
use crate::cli::local_device::Missing;
use crate::cli::{Common, print_json};
use crate::device::source_of;
use crate::link::{Neighbour, Sample};
use crate::report::text::{date, hexadecimal, left, shown};

/// Arguments of `macula why`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  macula why --device clinic.store new.png\n  \
    macula why --device clinic.store new.png --data SLIDES\n  \
    macula why --device clinic.store new.png --heatmap new-heat.png\n\n\
    The source of a sample is the SHA-256 of its pixels. --data looks up the image files by source. In a heat map yellow \
    speaks most for the class and dark blue least; docs/tiles.md explains it.")]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Image files
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Dataset of the learned images, to name the file of each sample
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    #[command(flatten)]
    heat_map: HeatMapArgs,
    #[command(flatten)]
    reading: ImageArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(serde::Serialize)]
struct Report {
    device: String,
    /// Whether only one class has samples.
    only_one_class: bool,
    images: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heat_map: Option<Drawn>,
}

#[derive(serde::Serialize)]
struct Row {
    image: String,
    nearest: Vec<NearestSample>,
}

/// A sample near the image.
#[derive(serde::Serialize)]
pub struct NearestSample {
    class: String,
    /// Cosine similarity, -1 to 1.
    similarity: f32,
    source: String,
    /// File of the sample, if it is in `--data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    operator: u32,
    time_s: u64,
}

impl NearestSample {
    /// Converts the answer of the device.
    pub fn of(neighbour: &Neighbour, names: &ClassNames) -> Self {
        let Neighbour { slot, from, similarity } = *neighbour;
        let source = hexadecimal(&from.source);
        Self { class: names.name(slot), similarity, source, file: None, operator: from.operator, time_s: from.time_s }
    }

    /// Class and similarity, as text.
    pub fn short(&self) -> String {
        format!("{} {:.2}", self.class, self.similarity)
    }
}

/// Runs the command.
pub fn run(mut args: Args) -> anyhow::Result<()> {
    args.device.range = args.reading.stated();
    args.heat_map.check(args.images.len())?;
    args.device.connect_with_encoder(Missing::Refuse, |client, encoder| {
        let images = args.reading.read(&args.images, client.range(), args.common.quiet)?;
        let files = args.data.as_deref().map(|name| files_of(name, client.range(), &args)).transpose()?;
        let files = files.unwrap_or_default();
        let names = ClassNames::of(client)?;
        let mut rows = Vec::new();
        for named in &images {
            let nearest = client.why(Sample::Image(&named.image))?;
            let witness = |neighbour: &Neighbour| {
                let file = files.get(&neighbour.from.source).cloned();
                NearestSample { file, ..NearestSample::of(neighbour, &names) }
            };
            let nearest = nearest.iter().map(witness).collect();
            rows.push(Row { image: named.name.clone(), nearest });
        }
        let heat_map = match images.first() {
            Some(named) => args.heat_map.draw(client, encoder, &names, named)?,
            None => None,
        };
        if args.common.json {
            let (device, only_one_class) = (args.device.device.to_string(), names.only_class().is_some());
            return print_json(&Report { device, only_one_class, images: rows, heat_map });
        }
        rows.iter().for_each(print);
        heat_map.iter().for_each(Drawn::print);
        if let Some(class) = names.only_class() {
            println!("{}", only_class_remark(class));
        }
        Ok(())
    })
}

/// The remark on decisions of a device that has samples of one class only.
pub fn only_class_remark(class: &str) -> String {
    format!("only class '{class}' has samples, so there is no probability; teach another class")
}

/// Names of the images of a dataset by source. Unreadable images are left out.
fn files_of(name: &str, range: EncoderRange, args: &Args) -> anyhow::Result<BTreeMap<SourceId, String>> {
    let dataset = args.reading.open(name, args.common.seed, range, args.common.quiet || args.common.json)?;
    let of = |index: usize| Some((source_of(&dataset.load(index).ok()?), dataset.records[index].name.clone()));
    Ok((0..dataset.len()).into_par_iter().filter_map(of).collect())
}

fn print(row: &Row) {
    println!("{}", shown(&row.image));
    if row.nearest.is_empty() {
        println!("  the device has no samples");
    }
    for witness in &row.nearest {
        let NearestSample { class, similarity, source, file, operator, time_s } = witness;
        let file = file.as_deref().map_or(String::new(), |file| format!("  {}", shown(file)));
        let class = left(class, 24);
        println!("  {similarity:>6.3}  {class} source {}  operator {operator}  {}{file}", &source[..16], date(*time_s));
    }
}
