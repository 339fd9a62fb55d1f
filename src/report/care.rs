//! Findings of data care as text, and their images as a contact sheet.

use super::sheet;
use super::text::count;
use crate::care::{DuplicateGroup, Findings, ImageName, SuspiciousLabel, UnlikeImage};
use crate::data::{DataError, Dataset, Image, Orientation};

/// Side of a tile in pixels.
const TILE: usize = 96;

/// Tiles per row.
const COLUMNS: usize = 8;

/// Rows of each kind of finding.
const ROWS: usize = 8;

/// `name (split)`.
pub fn named(image: &ImageName) -> String {
    match image.split {
        // A name such as `train[17]` has the split already.
        Some(split) if !image.name.starts_with(&format!("{}[", split.name())) => {
            format!("{} ({})", image.name, split.name())
        }
        _ => image.name.clone(),
    }
}

/// A group on one line: its images, what is wrong with them, and how similar they are.
pub fn group_line(group: &DuplicateGroup) -> String {
    let names: Vec<String> = group.images.iter().map(named).collect();
    let mut line = names.join(if group.equal { " = " } else { " ≈ " });
    if group.different_labels {
        let mut classes: Vec<&str> =
            group.images.iter().map(|image| image.class.as_deref().unwrap_or("no label")).collect();
        classes.dedup();
        line += &format!("; labels {}", classes.join(", "));
    }
    if let Some(link) = group.links.iter().find(|link| link.orientation != Orientation::Upright) {
        line += &format!("; {}", link.orientation.name());
    }
    line
}

/// The heading of the near-duplicates.
pub fn groups_title(findings: &Findings) -> String {
    let groups = &findings.near_duplicates;
    let across = groups.iter().filter(|group| group.across_splits).count();
    let different = groups.iter().filter(|group| group.different_labels).count();
    format!(
        "equal and nearly equal images: {}, {across} across splits, {different} with different labels",
        count(groups.len(), "group")
    )
}

/// A suspicious label on one line.
pub fn label_line(found: &SuspiciousLabel) -> String {
    let label = found.image.class.as_deref().unwrap_or("no label");
    let mark = if found.is_estimated_error { "" } else { ", uncertain" };
    format!(
        "{}: labelled {label} ({:.2}), predicted {} ({:.2}){mark}",
        named(&found.image),
        found.probability,
        found.suggested,
        found.suggested_probability
    )
}

/// The heading of the suspicious labels.
pub fn labels_title(findings: &Findings) -> String {
    match &findings.labels {
        None => "suspicious labels: not searched; the head takes 2 to 255 classes and 4,096 feature values".to_owned(),
        Some(labels) => format!(
            "suspicious labels: {} of {}, about {} wrong",
            labels.suspicious.len(),
            labels.checked,
            labels.estimated_errors
        ),
    }
}

/// An image unlike all others on one line.
pub fn unlike_line(found: &UnlikeImage) -> String {
    format!("{}: distance {:.3}, nearest {}", named(&found.image), found.distance, named(&found.nearest))
}

/// The heading of the images unlike all others.
pub fn unlike_title(findings: &Findings) -> String {
    let unlike = &findings.unlike;
    format!(
        "images unlike all others: {}, distance to the {} nearest image above {:.3}, median {:.3}",
        unlike.images.len(),
        ordinal(unlike.neighbour),
        unlike.threshold,
        unlike.median
    )
}

fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Image `index` at most `side` pixels wide and high.
pub(super) fn thumbnail(dataset: &Dataset, index: usize, side: usize) -> Result<Image, DataError> {
    Ok(sheet::scaled(&dataset.load(index)?, side))
}

/// The first findings of each kind: a row per group of nearly equal images, then rows of suspicious labels, then rows of
/// images unlike all others; a white row between the kinds.
///
/// # Errors
/// When an image can no longer be read.
pub fn contact_sheet(findings: &Findings, dataset: &Dataset) -> Result<Image, DataError> {
    let groups = findings.near_duplicates.iter().take(ROWS).map(|group| group.images.iter().collect::<Vec<_>>());
    let labels = findings.labels.iter().flat_map(|labels| &labels.suspicious).map(|found| &found.image);
    let unlike = findings.unlike.images.iter().map(|found| &found.image);
    let rows = |images: Vec<&ImageName>| -> Vec<Vec<usize>> {
        images.chunks(COLUMNS).take(ROWS).map(|row| row.iter().map(|image| image.index).collect()).collect()
    };
    let groups = groups.map(|group| group.iter().take(COLUMNS).map(|image| image.index).collect()).collect();
    let mut tiles = Vec::new();
    for kind in [groups, rows(labels.collect()), rows(unlike.collect())] {
        if !tiles.is_empty() && !kind.is_empty() {
            tiles.extend((0..COLUMNS).map(|_| white()));
        }
        for row in kind {
            for &index in &row {
                tiles.push(tile(&thumbnail(dataset, index, TILE)?));
            }
            tiles.extend((row.len()..COLUMNS).map(|_| white()));
        }
    }
    if tiles.is_empty() {
        tiles.push(white());
    }
    Ok(sheet::grid(&tiles, COLUMNS))
}

fn white() -> Image {
    Image { width: TILE, height: TILE, channels: 3, pixels: vec![255; TILE * TILE * 3] }
}

/// `image` in the middle of a white tile.
fn tile(image: &Image) -> Image {
    let (mut tile, image) = (white(), image.to_rgb());
    let (left, top) = ((TILE - image.width) / 2, (TILE - image.height) / 2);
    for (row, pixels) in image.pixels.chunks_exact(3 * image.width).enumerate() {
        tile.pixels[3 * ((top + row) * TILE + left)..][..pixels.len()].copy_from_slice(pixels);
    }
    tile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_english() {
        assert_eq!([1, 2, 3, 10, 11, 21].map(ordinal), ["1st", "2nd", "3rd", "10th", "11th", "21st"]);
    }
}
