//! The encoder of an evaluation, its baselines, and their features.

use indicatif::ProgressBar;

use super::images::Images;
use super::probe_args::ProbeArgs;
use crate::cli::progress::bar;
use crate::cli::trust::open_encoder;
use crate::encoder::{CorpusStatistics, HostEncoder, TileFeatures};
use crate::encoders::{self, EncoderInput, OpenOptions, Stated};
use crate::evaluate::Features;
use crate::report::text::shown;

/// Default side of the input of an encoder without an own size.
const IMAGE_SIZE: usize = 32;

impl ProbeArgs {
    /// The encoder of `--encoder`, without tiles.
    pub fn open_encoder(&self, fit: Option<EncoderInput<'_>>) -> anyhow::Result<Box<dyn HostEncoder>> {
        self.open_named(&self.encoder, fit)
    }

    fn open_named(&self, name: &str, fit: Option<EncoderInput<'_>>) -> anyhow::Result<Box<dyn HostEncoder>> {
        let trusted = self.keys.read()?;
        let stated = self.preprocessing.stated(self.size.map(|side| (side, side)), self.channels)?;
        let stated = stated.map(|stated| Stated { range: self.reading.stated(), ..stated });
        let (host, seed) = (self.preprocessing.limits.host(None), self.common.seed);
        let options =
            OpenOptions { host, trusted: &trusted, stated: stated.as_ref(), fit, seed, ..OpenOptions::default() };
        Ok(open_encoder(name, &options)?.encoder)
    }

    /// The encoder of `--encoder`, in tiles first if there are `--tiles`, then the baselines of `--baselines`, without the
    /// encoder itself.
    pub fn encoders(&self, images: &Images) -> anyhow::Result<Vec<Box<dyn HostEncoder>>> {
        let channels = match self.channels {
            Some(channels) => channels,
            None => encoders::channels_of(&images.dataset, &images.train),
        };
        let side = self.size.unwrap_or(IMAGE_SIZE);
        let own =
            EncoderInput { dataset: &images.dataset, unlabelled: &images.train, channels, height: side, width: side };
        let mut all = vec![self.open_encoder(Some(own))?];
        if let Some(spec) = &self.tiles {
            all.insert(0, self.open_named(&encoders::tiled_name(spec, &self.encoder), Some(own))?);
        }
        let preset = encoders::preset_of(&self.encoder);
        for baseline in &self.baselines.0 {
            let name = baseline.encoder(preset);
            if name == self.encoder {
                continue;
            }
            let fit = Some(baseline.input(own, all[0].preprocessing()));
            let options = OpenOptions { fit, seed: self.common.seed, ..OpenOptions::default() };
            all.push(open_encoder(&name, &options)?.encoder);
        }
        Ok(all)
    }

    /// A progress bar of `length` images or episodes.
    pub fn bar(&self, length: usize, what: &str) -> ProgressBar {
        let template = "{msg:32} {bar:30} {pos}/{len}  {rate}  {eta} left";
        bar(self.common.quiet, length as u64, template).with_message(shown(what).into_owned())
    }

    /// Features of the images `indices`.
    pub fn embed(&self, encoder: &dyn HostEncoder, images: &Images, indices: &[usize]) -> anyhow::Result<Features> {
        let bar = self.bar(indices.len(), &format!("{}: features", encoder.name()));
        let features = images.source().features(encoder, indices, &|count| bar.inc(count as u64))?;
        bar.finish_and_clear();
        Ok(features)
    }

    /// Features of the tiles of the images `indices`.
    pub fn embed_tiles(
        &self,
        encoder: &dyn HostEncoder,
        images: &Images,
        indices: &[usize],
    ) -> anyhow::Result<Vec<TileFeatures>> {
        let bar = self.bar(indices.len(), &format!("{}: tiles", encoder.name()));
        let tiles = images.source().tiles(encoder, indices, &|count| bar.inc(count as u64))?;
        bar.finish_and_clear();
        Ok(tiles)
    }

    /// Statistics of the features of the training split.
    pub fn corpus(&self, encoder: &dyn HostEncoder, images: &Images) -> anyhow::Result<CorpusStatistics> {
        let bar = self.bar(images.train.len(), &format!("{}: unlabelled part", encoder.name()));
        let corpus = images.source().corpus(encoder, &images.train, &|count| bar.inc(count as u64))?;
        bar.finish_and_clear();
        Ok(corpus)
    }
}
