//! The heat map of a device's decision: for any device, and for the tiles of an encoder in this process.

use macula_edge::feature::{FeatureError, quantise};
use macula_edge::head::{HeadError, HeadKind};

use super::map::HeatMap;
use super::margin::Margin;
use super::occlusion::Occlusion;
use super::tiles::{contributions, scores};
use crate::data::{Image, TileSpec};
use crate::encoder::{CorpusStatistics, EncodeError, HostEncoder, TileFeatures, tile_features};
use crate::link::{Client, LinkError, Sample};

/// What a heat map shows.
#[derive(Clone, Debug)]
pub enum Method {
    /// What each tile adds if the encoder in this process reads tiles, else [`Method::Occlusion`] with its default patch.
    Auto,
    /// How each tile is decided as an image of its own, by an encoder in this process that does not read tiles.
    TileDecisions(TileSpec),
    /// How far the margin falls when a part is hidden.
    Occlusion(Occlusion),
}

/// The heat map of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Slot of the class that it is for.
    pub class: u8,
    /// `tiles`, `tile-decisions` or `occlusion`.
    pub method: &'static str,
    /// The margin of the class, for the whole image.
    pub margin: f64,
    /// The map.
    pub map: HeatMap,
}

/// A heat map cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The device did not answer, or refused the image.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A part of the image has no feature.
    #[error("a part of the image: {0}")]
    Feature(#[from] FeatureError),
    /// The head cannot be solved.
    #[error("a heat map needs samples: {0}")]
    Head(#[from] HeadError),
    /// The class is the only one, or has no samples.
    #[error("a heat map of the class in slot {class} needs samples of it and of another class")]
    NoOther {
        /// Its slot.
        class: u8,
    },
    /// Tiles need the encoder.
    #[error("deciding tiles needs an encoder in this process: that of a store, or one that is named")]
    NoEncoder,
    /// The encoder reads tiles itself.
    #[error("{encoder} reads tiles itself")]
    ReadsTiles {
        /// Its name.
        encoder: String,
    },
}

/// The heat map of `image` by the head of the device behind `client`, which is solved here from its samples.
///
/// * `encoder`: that of the device, if it runs in this process
/// * `class`: a slot; the decided class if `None`
///
/// # Errors
/// See [`ExplainError`].
pub fn explain(
    client: &mut Client<'_>,
    encoder: Option<&dyn HostEncoder>,
    image: &Image,
    class: Option<u8>,
    method: &Method,
) -> Result<Explanation, ExplainError> {
    let (state, mut scratch) = (client.export()?, Vec::new());
    let head = state.head(HeadKind::Auto, client.device(), &mut scratch)?;
    let feature = client.embed(Sample::Image(image))?.quantised();
    let class = match class {
        Some(class) => class,
        None => head.predict(&feature, &mut vec![0.0; head.biases().len()])?.class,
    };
    let margin = Margin::of(&head, class).ok_or(ExplainError::NoOther { class })?;
    let (method, map) = map(client, encoder, &margin, image, method)?;
    Ok(Explanation { class, method, margin: margin.value(&feature), map })
}

fn map(
    client: &mut Client<'_>,
    encoder: Option<&dyn HostEncoder>,
    margin: &Margin,
    image: &Image,
    method: &Method,
) -> Result<(&'static str, HeatMap), ExplainError> {
    let corpus = encoder.and_then(HostEncoder::corpus);
    let of_tiles = |tiles: TileFeatures, values: Vec<f32>| {
        let cells = tiles.areas.into_iter().zip(values).collect();
        HeatMap { width: image.width, height: image.height, cells }
    };
    let occlusion = match (method, encoder) {
        (Method::TileDecisions(_), None) => return Err(ExplainError::NoEncoder),
        (Method::TileDecisions(_), Some(encoder)) if encoder.is_tiled() => {
            return Err(ExplainError::ReadsTiles { encoder: encoder.name().to_owned() });
        }
        (Method::TileDecisions(spec), Some(encoder)) => {
            let tiles = tile_features(encoder, spec, image)?;
            let values = scores(&tiles, corpus, margin)?;
            return Ok(("tile-decisions", of_tiles(tiles, values)));
        }
        (Method::Auto, Some(encoder)) if encoder.is_tiled() => {
            let tiles = encoder.tile_features(image)?;
            let values = contributions(&tiles, corpus, margin);
            return Ok(("tiles", of_tiles(tiles, values)));
        }
        (Method::Auto, _) => Occlusion::DEFAULT,
        (Method::Occlusion(occlusion), _) => *occlusion,
    };
    let source = [image.width, image.height];
    let map = match encoder.filter(|encoder| !encoder.is_tiled()) {
        // At the input size the same feature, and less to copy.
        Some(encoder) => {
            let small = encoder.preprocessing().to_pixels(image);
            occlusion.map(&small, source, |images| margins_of(encoder, corpus, margin, images))?
        }
        None => occlusion.map(image, source, |images| {
            let value = |image| Ok::<_, ExplainError>(margin.value(&client.embed(Sample::Image(image))?.quantised()));
            images.iter().map(value).collect::<Result<Vec<f64>, _>>()
        })?,
    };
    Ok(("occlusion", map))
}

/// The margins of images of the encoder's input size. An image without direction has the bias alone.
fn margins_of(
    encoder: &dyn HostEncoder,
    corpus: Option<&CorpusStatistics>,
    margin: &Margin,
    images: &[Image],
) -> Result<Vec<f64>, ExplainError> {
    let pixels: Vec<u8> = images.iter().flat_map(|image| &image.pixels).copied().collect();
    let (features, dim) = (encoder.encode_batch(&pixels)?, encoder.feature_dim());
    let mut quantised = vec![0i16; dim];
    let of = |feature: &[f32]| match quantise(feature, corpus.map(CorpusStatistics::view), &mut quantised) {
        Ok(_) => Ok(margin.value(&quantised)),
        Err(FeatureError::ZeroLength) => Ok(margin.bias()),
        Err(error) => Err(error.into()),
    };
    features.chunks_exact(dim).map(of).collect()
}
