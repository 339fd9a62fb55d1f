//! Names of encoders that read large images in tiles: `tiles:SPEC:NAME`, `NAME` the encoder that reads a tile.

use super::OpenError;
use crate::data::TileSpec;

/// What a name of a tiled encoder begins with.
const PREFIX: &str = "tiles:";

/// The name of `encoder` on tiles.
pub fn tiled_name(spec: &TileSpec, encoder: &str) -> String {
    format!("{PREFIX}{spec}:{encoder}")
}

/// The name of the encoder that reads the tiles of `name`, or `name` itself.
pub fn untiled_name(name: &str) -> &str {
    name.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':')).map_or(name, |(_, encoder)| encoder)
}

/// Tiles and encoder of the name of a tiled encoder; `None` for another name.
///
/// # Errors
/// When the tiles are not a specification, or are to be cut into tiles again.
pub(super) fn split(name: &str) -> Result<Option<(TileSpec, &str)>, OpenError> {
    let Some(rest) = name.strip_prefix(PREFIX) else { return Ok(None) };
    let unknown = |found: String| OpenError::Unknown { name: name.to_owned(), found };
    let (spec, encoder) = rest.split_once(':').ok_or_else(|| unknown("tiles:TILES:ENCODER is expected".to_owned()))?;
    if encoder.starts_with(PREFIX) {
        return Err(unknown("tiles of tiles".to_owned()));
    }
    Ok(Some((spec.parse().map_err(|error: crate::data::TileSpecError| unknown(error.to_string()))?, encoder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let spec: TileSpec = "1+2,overlap=0.5".parse().unwrap();
        let name = tiled_name(&spec, "random:nano");
        assert_eq!(name, "tiles:1+2,overlap=0.5:random:nano");
        assert_eq!(split(&name).unwrap(), Some((spec, "random:nano")));
        assert_eq!((untiled_name(&name), untiled_name("random:nano")), ("random:nano", "random:nano"));
        assert_eq!(split("runs/tiles:1").unwrap(), None);
        for name in ["tiles:2", "tiles:x:grey-64", "tiles:1:tiles:2:grey-64"] {
            assert!(matches!(split(name), Err(OpenError::Unknown { .. })), "{name}");
        }
    }
}
