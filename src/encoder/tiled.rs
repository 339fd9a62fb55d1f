//! An encoder that reads large images tile by tile.
//!
//! T tiles, D feature dimensions.

use super::host::{EncodeError, HostEncoder, HostEncoderInfo};
use super::id::IdHash;
use super::tile_features::TileFeatures;
use crate::data::{Image, TileSpec, Tiles, TilesError};

/// Tiles per call of the encoder: enough for every thread; their pixels take 9 MiB at 224×224 in colour.
const TILES_AT_ONCE: usize = 64;

/// Reads the tiles of an image with another encoder. The feature of an image is the mean over its tiles.
///
/// The mean makes the feature of any number of tiles one point of the encoder's own space, so heads, stores and devices
/// take it like any feature, and a linear score of it is the sum of what each tile adds.
///
/// * [`HostEncoder::encode_image`]: an image of any size, cut into tiles
/// * [`HostEncoder::encode_batch`]: images that are one tile each
pub struct TiledEncoder {
    inner: Box<dyn HostEncoder>,
    spec: TileSpec,
    info: HostEncoderInfo,
}

impl TiledEncoder {
    /// `inner` on the tiles of `spec`.
    ///
    /// The statistics of the corpus stay those of `inner`: they centre the mean over tiles as they centre a tile. Lengths
    /// are not comparable, because a mean is shorter than what it is the mean of, so their limit is left out.
    pub fn new(inner: Box<dyn HostEncoder>, spec: TileSpec) -> Self {
        let own = inner.info();
        let mut corpus = own.corpus.clone();
        if let Some(corpus) = &mut corpus {
            corpus.length_max = None;
        }
        let info = HostEncoderInfo {
            name: format!("{} in tiles at {spec}", own.name),
            id: IdHash::new(format!("tiles 1 {spec} mean ")).bytes(own.id.0).finish(),
            corpus,
            ..own.clone()
        };
        Self { inner, spec, info }
    }
}

/// The features of the tiles of `image` by `encoder`, which reads a tile as a whole.
///
/// # Errors
/// If there are too many tiles, or the encoder fails on one.
pub fn tile_features(encoder: &dyn HostEncoder, spec: &TileSpec, image: &Image) -> Result<TileFeatures, EncodeError> {
    let recipe = encoder.preprocessing();
    let refused =
        |error: TilesError| EncodeError::Encoder { encoder: encoder.name().to_owned(), message: error.to_string() };
    let tiles = Tiles::of(image, spec, recipe).map_err(refused)?;
    let mut rows = Vec::with_capacity(tiles.len() * encoder.feature_dim());
    let mut pixels = Vec::with_capacity(tiles.len().min(TILES_AT_ONCE) * recipe.input_len());
    for block in tiles.tiles().chunks(TILES_AT_ONCE) {
        pixels.clear();
        block.iter().for_each(|&tile| tiles.write(tile, &mut pixels));
        rows.extend(encoder.encode_batch(&pixels)?);
    }
    let areas = tiles.tiles().iter().map(|&tile| tiles.area(tile)).collect();
    Ok(TileFeatures { dim: encoder.feature_dim(), rows, areas })
}

impl HostEncoder for TiledEncoder {
    fn info(&self) -> &HostEncoderInfo {
        &self.info
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        self.inner.encode_batch(pixels)
    }

    fn encode_image(&self, image: &Image) -> Result<Vec<f32>, EncodeError> {
        Ok(self.tile_features(image)?.mean())
    }

    fn is_tiled(&self) -> bool {
        true
    }

    fn tile_features(&self, image: &Image) -> Result<TileFeatures, EncodeError> {
        tile_features(&*self.inner, &self.spec, image)
    }

    fn self_test(&self) -> Option<bool> {
        self.inner.self_test()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Preprocessing;
    use crate::encoder::{CorpusStatistics, EncoderId, encode_each};

    /// The mean and the largest pixel of a tile.
    struct Brightness(HostEncoderInfo);

    fn brightness() -> Brightness {
        let corpus = CorpusStatistics { mean: vec![1.0, 2.0], std: vec![1.0, 1.0], length_max: Some(9) };
        let (name, arithmetic) = ("brightness".to_owned(), "f32".to_owned());
        let (id, preprocessing) = (EncoderId::of_bytes(b"b"), Preprocessing::unit(1, 4, 4));
        Brightness(HostEncoderInfo { name, id, feature_dim: 2, preprocessing, corpus: Some(corpus), arithmetic })
    }

    impl HostEncoder for Brightness {
        fn info(&self) -> &HostEncoderInfo {
            &self.0
        }

        fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
            encode_each(&self.0, pixels, |image, feature| {
                let sum: f32 = image.iter().map(|&value| f32::from(value)).sum();
                feature.copy_from_slice(&[sum / image.len() as f32, image.iter().copied().max().unwrap_or(0).into()]);
                Ok(())
            })
        }
    }

    /// 100 tiles, more than one call takes, against pixels cut out by hand.
    #[test]
    fn the_feature_is_the_mean_over_tiles() {
        let image =
            Image { width: 40, height: 40, channels: 1, pixels: (0..1600).map(|i| (i * 7 % 251) as u8).collect() };
        let tiled = TiledEncoder::new(Box::new(brightness()), "1".parse().unwrap());
        let found = tiled.tile_features(&image).unwrap();
        assert_eq!(found.len(), 100);
        let mut expected = [0.0f64; 2];
        for tile in 0..100 {
            let (top, left) = (tile / 10 * 4, tile % 10 * 4);
            let pixels: Vec<u8> = (0..16).map(|i| image.pixels[(top + i / 4) * 40 + left + i % 4]).collect();
            let own = brightness().encode_batch(&pixels).unwrap();
            assert_eq!(
                (found.row(tile), found.areas[tile].left, found.areas[tile].top),
                (&own[..], left as f32, top as f32)
            );
            expected.iter_mut().zip(own).for_each(|(sum, value)| *sum += f64::from(value) / 100.0);
        }
        let feature = tiled.encode_image(&image).unwrap();
        assert!(feature.iter().zip(expected).all(|(found, expected)| (f64::from(*found) - expected).abs() < 1e-3));
        assert_eq!(feature, found.mean());
        // An image of one tile is encoded as by the encoder itself.
        let one = Image { width: 4, height: 4, channels: 1, pixels: image.pixels[..16].to_vec() };
        assert_eq!(tiled.encode_image(&one).unwrap(), brightness().encode_batch(&one.pixels).unwrap());
    }

    #[test]
    fn identity_and_statistics_tell_tiles_from_whole_images() {
        let of = |spec: &str| TiledEncoder::new(Box::new(brightness()), spec.parse().unwrap());
        assert!(of("1").is_tiled() && !brightness().is_tiled());
        assert_eq!(of("1,overlap=0.0").id(), of("1").id());
        assert!(of("1").id() != of("2").id() && of("1").id() != brightness().id());
        assert_eq!(of("1").corpus().map(|corpus| (corpus.mean[1], corpus.length_max)), Some((2.0, None)));
        let large = Image { width: 400, height: 400, channels: 1, pixels: vec![0; 160_000] };
        let error = of("1").encode_image(&large).unwrap_err().to_string();
        assert!(error.contains("10000 tiles") && error.contains("4096"), "{error}");
        // By default an image is its only tile.
        let whole = brightness().tile_features(&large).unwrap();
        assert_eq!((whole.len(), whole.areas[0].width, whole.mean()), (1, 400.0, vec![0.0, 0.0]));
    }
}
