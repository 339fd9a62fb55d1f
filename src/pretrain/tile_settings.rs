//! Settings of training on random tiles: their defaults and what is allowed.

use crate::data::TileSpec;

/// Random tiles of an image per epoch, unless stated.
pub(super) fn one() -> usize {
    1
}

/// Whether this is the default, which is not written.
pub(super) fn is_one(count: &usize) -> bool {
    *count == one()
}

/// The first setting that is out of range: its name, its value and the allowed range.
///
/// * `is_frozen`, `is_taught`: whether the encoder is frozen, and whether it learns from teachers; both use features that are
///   computed once for each image, and random tiles have none
pub(super) fn out_of_range(
    tiles: Option<&TileSpec>,
    per_image: usize,
    is_frozen: bool,
    is_taught: bool,
) -> Option<(&'static str, String, &'static str)> {
    let count = |allowed| Some(("tiles_per_image", per_image.to_string(), allowed));
    if !(1..=65_536).contains(&per_image) {
        return count("1 to 65536");
    }
    let Some(spec) = tiles else {
        return if is_one(&per_image) { None } else { count("1 unless tiles is set") };
    };
    let refused = |allowed| Some(("tiles", spec.to_string(), allowed));
    if spec.overlap() != 0.0 || spec.max() != TileSpec::MAX {
        return refused("scales and empty alone: random tiles have neither overlap nor a largest number");
    }
    match (is_frozen, is_taught) {
        (true, _) => refused("absent if freeze is set"),
        (_, true) => refused("absent for the method distill"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_random_tiles_do_not_have_is_refused() {
        let spec = |text: &str| text.parse::<TileSpec>().unwrap();
        let refused = |tiles: Option<&str>, per_image, frozen, taught| {
            out_of_range(tiles.map(spec).as_ref(), per_image, frozen, taught).map(|(setting, ..)| setting)
        };
        assert_eq!(refused(None, 1, true, true), None);
        assert_eq!(refused(Some("1+2,empty=5"), 16, false, false), None);
        assert_eq!(refused(None, 2, false, false), Some("tiles_per_image"));
        assert_eq!(refused(Some("1"), 0, false, false), Some("tiles_per_image"));
        for (text, frozen, taught) in
            [("1,overlap=0.5", false, false), ("1,max=9", false, false), ("1", true, false), ("1", false, true)]
        {
            assert_eq!(refused(Some(text), 1, frozen, taught), Some("tiles"), "{text}");
        }
    }
}
