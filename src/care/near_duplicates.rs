//! Images that are nearly equal: candidates by perceptual hash, confirmed by their features.

use std::collections::HashMap;
use std::ops::ControlFlow;

use rayon::prelude::*;

use super::findings::{DuplicateGroup, ImageName, Link};
use crate::data::{
    CANDIDATE_SIMILARITY_MIN, Dataset, ImageDigest, Look, Near, NearIndex, Orientation, SIMILARITY_MIN, Split,
};

/// Least cosine of the features of two nearly equal images whose fingerprints leave a doubt, centred and scaled over the
/// dataset.
pub const FEATURE_SIMILARITY_MIN: f64 = 0.8;

/// Links of one image to earlier ones that are kept, the most similar. The groups need one.
const LINKS_MAX: usize = 16;

/// Pairs of nearly equal images, each with the earlier image first. Of equal images only the first takes part.
///
/// * `looks`: of all images of a dataset
/// * `rows`: `[N, dim]`, their features, centred, scaled and of length 1
pub fn links(looks: &[Look], rows: &[f32], dim: usize) -> Vec<Link> {
    let mut first_of: HashMap<ImageDigest, usize> = HashMap::new();
    let is_first = |(index, look): &(usize, &Look)| *first_of.entry(look.digest).or_insert(*index) == *index;
    let distinct: Vec<(usize, &Look)> = looks.iter().enumerate().filter(is_first).collect();
    let index = NearIndex::new(distinct.iter().filter_map(|(index, look)| Some((*index, look.fingerprint?))));
    let cosine = |a: usize, b: usize| -> f32 {
        rows[a * dim..][..dim].iter().zip(&rows[b * dim..][..dim]).map(|(a, b)| a * b).sum()
    };
    let of_image = |&(image, look): &(usize, &Look)| {
        let mut links = Vec::new();
        let Some(print) = look.fingerprint else { return links };
        for orientation in Orientation::ALL {
            let oriented = print.oriented(orientation);
            let _: ControlFlow<()> = index.near(&oriented, CANDIDATE_SIMILARITY_MIN, |near| {
                let Near { image: other, distance, similarity } = near;
                if other < image {
                    let feature_similarity =
                        (orientation == Orientation::Upright).then(|| f64::from(cosine(image, other)));
                    let link = Link { images: [other, image], distance, similarity, feature_similarity, orientation };
                    keep(&mut links, link);
                }
                ControlFlow::Continue(())
            });
        }
        shorten(&mut links);
        links
    };
    distinct.par_iter().flat_map_iter(of_image).collect()
}

/// Adds `link` if its fingerprints or its features confirm it, and keeps the memory of links bounded. An encoder may see a
/// mirrored or rotated image differently, so that its fingerprints alone decide.
fn keep(links: &mut Vec<Link>, link: Link) {
    let is_alike = link.feature_similarity.is_some_and(|cosine| cosine >= FEATURE_SIMILARITY_MIN);
    if is_alike || link.similarity >= SIMILARITY_MIN {
        links.push(link);
        if links.len() >= 4 * LINKS_MAX {
            shorten(links);
        }
    }
}

/// Keeps the most similar links, one for each other image. An upright one comes before others.
fn shorten(links: &mut Vec<Link>) {
    links.sort_by_key(|link| (link.images, link.orientation));
    links.dedup_by_key(|link| link.images);
    sort(links);
    links.truncate(LINKS_MAX);
}

/// Sorts by similarity, most similar first.
fn sort(links: &mut [Link]) {
    links.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.images.cmp(&b.images)));
}

/// Groups of equal images and of those that `links` connect.
///
/// * `splits`: of all images of `dataset`
pub(super) fn groups(
    dataset: &Dataset,
    looks: &[Look],
    splits: &[Option<Split>],
    mut links: Vec<Link>,
) -> Vec<DuplicateGroup> {
    let mut root: Vec<usize> = (0..looks.len()).collect();
    let mut first_of: HashMap<ImageDigest, usize> = HashMap::new();
    for (index, look) in looks.iter().enumerate() {
        tie(&mut root, *first_of.entry(look.digest).or_insert(index), index);
    }
    // The most similar links that connect: a spanning forest.
    sort(&mut links);
    links.retain(|link| tie(&mut root, link.images[0], link.images[1]));
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    for index in 0..looks.len() {
        members.entry(find(&mut root, index)).or_default().push(index);
    }
    let mut links_of: HashMap<usize, Vec<Link>> = HashMap::new();
    for link in links {
        links_of.entry(find(&mut root, link.images[0])).or_default().push(link);
    }
    let mut groups: Vec<DuplicateGroup> = (members.into_iter().filter(|(_, members)| members.len() > 1))
        .map(|(first, members)| {
            let links = links_of.remove(&first).unwrap_or_default();
            let differ = |other: &dyn Fn(usize, usize) -> bool| members.iter().any(|&image| other(image, members[0]));
            DuplicateGroup {
                across_splits: differ(&|a, b| splits[a] != splits[b]),
                different_labels: differ(&|a, b| dataset.records[a].label != dataset.records[b].label),
                equal: links.is_empty(),
                images: members.iter().map(|&index| ImageName::new(dataset, index, splits[index])).collect(),
                links,
            }
        })
        .collect();
    groups.sort_by_key(|group| (!group.across_splits, !group.different_labels, group.images[0].index));
    groups
}

/// Joins the groups of two images; the earlier image is the root. Returns whether they were apart.
fn tie(root: &mut [usize], a: usize, b: usize) -> bool {
    let (a, b) = (find(root, a), find(root, b));
    root[a.max(b)] = a.min(b);
    a != b
}

fn find(root: &mut [usize], mut index: usize) -> usize {
    while root[index] != index {
        root[index] = root[root[index]];
        index = root[index];
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Fingerprint, Image, open_named};

    fn look(image: &Image) -> Look {
        Look { digest: ImageDigest::of(image), fingerprint: Fingerprint::of(image) }
    }

    fn darker(image: &Image) -> Image {
        Image { pixels: image.pixels.iter().map(|&value| value - value / 8).collect(), ..image.clone() }
    }

    fn mirrored(image: &Image) -> Image {
        let rows = image.pixels.chunks(image.width);
        Image { pixels: rows.flat_map(|row| row.iter().rev().copied()).collect(), ..image.clone() }
    }

    #[test]
    fn equal_changed_and_mirrored_images_are_grouped_and_others_are_not() {
        let mut dataset = open_named("phantoms:64:10", 1).unwrap();
        let mut images: Vec<Image> = (0..10).map(|index| dataset.load(index).unwrap()).collect();
        // 0, 4 and 7 show the same; 2 and 9 are equal; 5 mirrors 3.
        (images[4], images[7]) = (darker(&images[0]), darker(&darker(&images[0])));
        (images[9], images[5]) = (images[2].clone(), mirrored(&images[3]));
        let looks: Vec<Look> = images.iter().map(look).collect();
        let splits: Vec<Option<Split>> =
            (0..10).map(|i| Some(if i < 6 { Split::Train } else { Split::Test })).collect();
        dataset.records.iter_mut().for_each(|record| record.label = Some(0));
        dataset.records[5].label = Some(1);
        // Features that tell nothing: the fingerprints alone decide.
        let found = links(&looks, &[0.0; 10], 1);
        let groups = groups(&dataset, &looks, &splits, found);
        let members = |group: &DuplicateGroup| group.images.iter().map(|image| image.index).collect::<Vec<_>>();
        assert_eq!(groups.iter().map(members).collect::<Vec<_>>(), [vec![0, 4, 7], vec![2, 9], vec![3, 5]]);
        let facts =
            |group: &DuplicateGroup| (group.across_splits, group.different_labels, group.equal, group.links.len());
        assert_eq!(
            groups.iter().map(facts).collect::<Vec<_>>(),
            [(true, false, false, 2), (true, false, true, 0), (false, true, false, 1)]
        );
        assert_eq!(groups[2].links[0].orientation, Orientation::Mirrored);
        assert_eq!(groups[2].links[0].feature_similarity, None);
    }

    #[test]
    fn features_confirm_what_fingerprints_leave_in_doubt() {
        let link = |similarity, feature_similarity| {
            let mut links = Vec::new();
            let orientation = Orientation::Upright;
            keep(&mut links, Link { images: [0, 1], distance: 8, similarity, feature_similarity, orientation });
            links.len()
        };
        assert_eq!(
            [link(0.95, Some(0.9)), link(0.95, Some(0.5)), link(0.95, None), link(0.98, Some(0.1))],
            [1, 0, 0, 1]
        );
    }

    #[test]
    fn memory_is_bounded_when_all_images_are_alike() {
        let mut links = Vec::new();
        for other in 0..1000 {
            let similarity = 0.98 + 1e-5 * other as f64;
            let orientation = Orientation::Upright;
            keep(
                &mut links,
                Link { images: [other, 1000], distance: 1, similarity, feature_similarity: None, orientation },
            );
            assert!(links.len() < 4 * LINKS_MAX);
        }
        shorten(&mut links);
        assert_eq!((links.len(), links[0].images[0]), (LINKS_MAX, 999), "the most similar are kept");
    }
}
