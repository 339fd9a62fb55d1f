//! `macula why --heatmap`: draws which part of an image decided.

use std::path::PathBuf;

use anyhow::{Context, ensure};

use super::embed::rows::npy;
use crate::cli::classes::ClassNames;
use crate::cli::overwrite::ForceArgs;
use crate::data::TileSpec;
use crate::device::NamedImage;
use crate::encoder::HostEncoder;
use crate::explain::{ExplainError, Explanation, Method, Occlusion, explain, overlay};
use crate::files::write_atomic;
use crate::link::Client;
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
        self.method()?;
        self.files().try_for_each(|file| self.force.check(file))
    }

    fn method(&self) -> anyhow::Result<Method> {
        Ok(match (&self.heatmap_tiles, self.heatmap_patch) {
            (Some(spec), _) => Method::TileDecisions(spec.clone()),
            (None, Some(patch)) => Method::Occlusion(Occlusion::new(patch).context("--heatmap-patch")?),
            (None, None) => Method::Auto,
        })
    }

    /// Draws the heat map of `named` by the head of the device.
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
        let class = self.heatmap_class.as_deref().map(|name| names.slot(name)).transpose()?;
        let explained = explain(client, encoder, &named.image, class, &self.method()?);
        let explained = explained.map_err(|error| match error {
            // Its kind decides the exit code.
            ExplainError::Link(error) => error.into(),
            error => anyhow::Error::from(error),
        });
        let Explanation { class, method, margin, map } = explained.with_context(|| named.name.clone())?;
        let range = map.range().unwrap_or_default();
        if let Some(path) = &self.heatmap {
            write_png(path, &overlay(&named.image, &map))?;
        }
        if let Some(path) = &self.heatmap_values {
            let raster = map.raster();
            write_atomic(path, &npy(&raster.values, [raster.height, raster.width])?)?;
        }
        let (class, files) = (names.name(class), self.files().cloned().collect());
        Ok(Some(Drawn { class, method, margin, parts: map.cells.len(), range, files }))
    }
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
