//! `macula why --heatmap`: draws which part of an image decided.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use macula_edge::feature::quantise;
use macula_edge::head::HeadKind;

use super::embed::rows::npy;
use super::predict::probabilities;
use crate::cli::classes::ClassNames;
use crate::cli::overwrite::ForceArgs;
use crate::data::{Image, TileSpec};
use crate::device::NamedImage;
use crate::encoder::{CorpusStatistics, HostEncoder, TileFeatures, tile_features};
use crate::explain::{HeatMap, Margin, Occlusion, contributions, overlay, scores};
use crate::files::write_atomic;
use crate::link::{Client, Sample};
use crate::report::sheet::write_png;
use crate::report::text::{count, shown, shown_path};

/// Options of a heat map.
#[derive(clap::Args, Clone, Debug)]
pub struct HeatMapArgs {
    /// Draw which part of the image decided, over the image: what each tile adds if the encoder reads tiles, else how far the
    /// class falls behind when a patch hides the part
    #[arg(long, value_name = "FILE.png")]
    heatmap: Option<PathBuf>,
    /// Write the values of the heat map as a NumPy array [height, width] of f32, NaN where there are none
    #[arg(long, value_name = "FILE.npy")]
    heatmap_values: Option<PathBuf>,
    /// Class of the heat map [default: the decided class]
    #[arg(long, value_name = "NAME")]
    heatmap_class: Option<String>,
    /// Decide each tile of the image as an image of its own, for an encoder that does not read tiles:
    /// SCALE[+SCALE…][,overlap=SHARE][,empty=LEVELS][,max=N]
    #[arg(long, value_name = "TILES", conflicts_with = "heatmap_patch")]
    heatmap_tiles: Option<TileSpec>,
    /// Hide a patch of this share of the sides, 0.02 to 0.9, also if the encoder reads tiles [default: 0.125]
    #[arg(long, value_name = "SHARE")]
    heatmap_patch: Option<f32>,
    #[command(flatten)]
    force: ForceArgs,
}

/// A heat map that was drawn.
#[derive(serde::Serialize)]
pub struct Drawn {
    class: String,
    /// `tiles`, `tile-decisions` or `occlusion`.
    method: &'static str,
    /// Score of the class minus the mean score of the others, for the whole image.
    margin: f64,
    /// Tiles or places of the patch.
    parts: usize,
    /// Least and greatest value: the ends of the colours.
    range: [f32; 2],
    /// Files written.
    files: Vec<PathBuf>,
}

impl HeatMapArgs {
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.heatmap.iter().chain(&self.heatmap_values)
    }

    /// Checks what can be checked before any work is done.
    pub fn check(&self, images: usize) -> anyhow::Result<()> {
        let options = [
            ("--heatmap-class", self.heatmap_class.is_some()),
            ("--heatmap-tiles", self.heatmap_tiles.is_some()),
            ("--heatmap-patch", self.heatmap_patch.is_some()),
        ];
        if self.files().next().is_none() {
            let unused = options.iter().find(|option| option.1);
            ensure!(unused.is_none(), "{} needs --heatmap or --heatmap-values", unused.map_or("", |option| option.0));
            return Ok(());
        }
        ensure!(images == 1, "a heat map is of one image; {} were given", count(images, "image"));
        self.patch()?;
        self.files().try_for_each(|file| self.force.check(file))
    }

    fn patch(&self) -> anyhow::Result<Occlusion> {
        Ok(self.heatmap_patch.map_or(Ok(Occlusion::DEFAULT), Occlusion::new).context("--heatmap-patch")?)
    }

    /// Draws the heat map of `named` by the head of the device, which is solved here from its samples.
    ///
    /// * `encoder`: that of the device, if it runs in this process
    pub fn draw(
        &self,
        client: &mut Client<'_>,
        encoder: Option<&dyn HostEncoder>,
        names: &ClassNames,
        named: &NamedImage,
    ) -> anyhow::Result<Option<Drawn>> {
        if self.files().next().is_none() {
            return Ok(None);
        }
        let (state, mut scratch) = (client.export()?, Vec::new());
        let head = probabilities::head(HeadKind::Auto, &state, client.device(), &mut scratch);
        let head = head.context("a heat map needs a class with samples")?;
        let feature = client.embed(Sample::Image(&named.image))?.quantised();
        let slot = match &self.heatmap_class {
            Some(name) => names.slot(name)?,
            None => head.predict(&feature, &mut vec![0.0; head.biases().len()])?.class,
        };
        let class = names.name(slot);
        let margin = Margin::of(&head, slot);
        let margin =
            margin.with_context(|| format!("a heat map of class '{class}' needs samples of it and of another class"))?;
        let (method, map) = self.map(client, encoder, &margin, &named.image).with_context(|| named.name.clone())?;
        let range = map.range().unwrap_or_default();
        if let Some(path) = &self.heatmap {
            write_png(path, &overlay(&named.image, &map))?;
        }
        if let Some(path) = &self.heatmap_values {
            let raster = map.raster();
            write_atomic(path, &npy(&raster.values, [raster.height, raster.width])?)?;
        }
        let files = self.files().cloned().collect();
        Ok(Some(Drawn { class, method, margin: margin.value(&feature), parts: map.cells.len(), range, files }))
    }

    fn map(
        &self,
        client: &mut Client<'_>,
        encoder: Option<&dyn HostEncoder>,
        margin: &Margin,
        image: &Image,
    ) -> anyhow::Result<(&'static str, HeatMap)> {
        let corpus = encoder.and_then(HostEncoder::corpus);
        let of_tiles = |tiles: TileFeatures, values: Vec<f32>| {
            let cells = tiles.areas.into_iter().zip(values).collect();
            HeatMap { width: image.width, height: image.height, cells }
        };
        if let Some(spec) = &self.heatmap_tiles {
            let encoder = encoder.context("--heatmap-tiles needs the encoder in this process: a store, or --encoder")?;
            ensure!(!encoder.is_tiled(), "--heatmap-tiles: the encoder of the device reads tiles itself");
            let tiles = tile_features(encoder, spec, image)?;
            let values = scores(&tiles, corpus, margin)?;
            return Ok(("tile-decisions", of_tiles(tiles, values)));
        }
        if let (Some(encoder), None) = (encoder.filter(|encoder| encoder.is_tiled()), self.heatmap_patch) {
            let tiles = encoder.tile_features(image)?;
            let values = contributions(&tiles, corpus, margin);
            return Ok(("tiles", of_tiles(tiles, values)));
        }
        let source = [image.width, image.height];
        let map = match encoder {
            // At the input size the same feature, and less to copy.
            Some(encoder) if !encoder.is_tiled() => {
                let small = encoder.preprocessing().to_pixels(image);
                self.patch()?.map(&small, source, |images| margins_of(encoder, corpus, margin, images))?
            }
            _ => self.patch()?.map(image, source, |images| {
                let feature = |image| anyhow::Ok(margin.value(&client.embed(Sample::Image(image))?.quantised()));
                images.iter().map(feature).collect::<anyhow::Result<Vec<f64>>>()
            })?,
        };
        Ok(("occlusion", map))
    }
}

/// The margins of images of the encoder's input size.
fn margins_of(
    encoder: &dyn HostEncoder,
    corpus: Option<&CorpusStatistics>,
    margin: &Margin,
    images: &[Image],
) -> anyhow::Result<Vec<f64>> {
    let pixels: Vec<u8> = images.iter().flat_map(|image| &image.pixels).copied().collect();
    let (features, dim) = (encoder.encode_batch(&pixels)?, encoder.feature_dim());
    let mut quantised = vec![0i16; dim];
    let of = |feature: &[f32]| {
        quantise(feature, corpus.map(CorpusStatistics::view), &mut quantised)?;
        Ok(margin.value(&quantised))
    };
    features.chunks_exact(dim).map(of).collect()
}

impl Drawn {
    /// Prints what the colours mean.
    pub fn print(&self) {
        let Self { class, method, margin, parts, range: [least, greatest], files } = self;
        let files: Vec<String> = files.iter().map(|file| shown_path(file)).collect();
        let what = match *method {
            "tiles" => "what each tile adds",
            "tile-decisions" => "how each tile is decided alone",
            _ => "how far it falls when a part is hidden",
        };
        println!(
            "heat map of class '{}' (margin {margin:.2}): {what}, {parts} parts from {least:.2} to {greatest:.2}, in {}",
            shown(class),
            files.join(", ")
        );
    }
}
