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
pub const FEATURE_SIMILARITY_MIN: f32 = 0.8;

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
                    let feature_similarity = (orientation == Orientation::Upright).then(|| cosine(image, other));
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
