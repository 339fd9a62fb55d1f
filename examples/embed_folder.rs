//! Embeds a folder of images with an encoder that comes with the program, and prints the nearest other image of each.
//!
//! cargo run --release --example embed_folder -- FOLDER
//!
//! Without an argument it embeds phantoms, which need no download.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use macula::data;
use macula::encoders::{self, OpenOptions};

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "phantoms:32:24".to_owned());
    let dataset = data::open_named(&name, 1)?;
    // Any name that `--encoder` takes: a run, an export, an ONNX file, a bundle, raw-pixels …
    let encoder = encoders::open("grey-64", &OpenOptions::default())?.encoder;

    let mut pixels = Vec::new();
    for index in 0..dataset.len() {
        pixels.extend(encoder.preprocessing().to_pixels(&dataset.load(index)?).pixels);
    }
    let features = encoder.encode_batch(&pixels)?; // [N, D], row-major
    let rows: Vec<&[f32]> = features.chunks(encoder.feature_dim()).collect();

    for (index, row) in rows.iter().enumerate() {
        let others = (0..rows.len()).filter(|&other| other != index);
        let nearest = others.max_by(|&a, &b| cosine(row, rows[a]).total_cmp(&cosine(row, rows[b])));
        let nearest = nearest.ok_or("one image has no neighbour")?;
        let (name, neighbour) = (&dataset.records[index].name, &dataset.records[nearest].name);
        println!("{name}: nearest is {neighbour}, cosine similarity {:.3}", cosine(row, rows[nearest]));
    }
    Ok(())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
