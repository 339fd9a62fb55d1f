//! Nearest neighbours of images by raw pixels and by features, and how often they are of the same class.

use super::error::ReproduceError;
use super::findings::{Findings, share};
use super::lab::Lab;
use super::tasks;
use crate::data::{Image, Preprocessing};
use crate::encoder::HostEncoder;
use crate::evaluate::{embed_dataset, labels};
use crate::measure::nearest;
use crate::pretrain::Method;
use crate::report::sheet::grid;
use crate::report::table::Table;
use crate::rng::Rng;

/// Neighbours per image whose class is compared.
const RETRIEVED: usize = 10;

/// Neighbours per encoder in a row of the picture, and rows.
const SHOWN: usize = 6;
const QUERIES_SHOWN: usize = 10;

/// Fewest test images: the image itself and its neighbours.
const IMAGES_MIN: usize = RETRIEVED + 1;

pub(super) fn reproduce(lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
    let task = lab.task(tasks::CIFAR_10);
    let images = lab.images(&task)?;
    if images.test.len() < IMAGES_MIN {
        let (data, found) = (images.dataset.name.clone(), images.test.len());
        return Err(ReproduceError::TooFewImages { data, part: "test", found, needed: IMAGES_MIN });
    }
    let run = lab.run_of(&task, &images, Method::Simclr)?;
    let (pixels, random) = (lab.raw_pixels(&task, &images)?, lab.random(&task, &images)?);
    let encoders: [(&str, &dyn HostEncoder); 3] =
        [("raw pixels", &*pixels), ("random nano", &*random), ("simclr nano", &run)];
    let truth = labels(&images.dataset, &images.test)?;
    let mut table = Table::new(&["features", "images", "precision at 1", "precision at 10"]);
    let mut found = Vec::new();
    for (name, encoder) in encoders {
        let features = embed_dataset(encoder, &images.dataset, &images.test, &|_| ())?;
        // The nearest is the image itself, unless another has an equal feature.
        let neighbours: Vec<Vec<usize>> = (nearest(&features, &features, RETRIEVED + 1).into_iter().enumerate())
            .map(|(query, near)| near.into_iter().filter(|&other| other != query).take(RETRIEVED).collect())
            .collect();
        let precision = |count: usize| {
            let right = neighbours
                .iter()
                .zip(&truth)
                .map(|(near, &class)| near.iter().take(count).filter(|&&other| truth[other] == class).count());
            right.sum::<usize>() as f64 / (count * truth.len()) as f64
        };
        table.push(vec![name.into(), truth.len().to_string(), share(precision(1)), share(precision(RETRIEVED))]);
        found.push((precision(RETRIEVED), neighbours));
    }
    let queries = Rng::for_purpose(lab.seed, "representations").sample(images.test.len(), QUERIES_SHOWN);
    let tile = |position: usize| -> Result<Image, ReproduceError> {
        let image = images.dataset.load(images.test[position])?;
        Ok(Preprocessing::unit(3, task.size, task.size).to_pixels(&image))
    };
    let blank =
        Image { width: task.size, height: task.size, channels: 3, pixels: vec![255; task.size * task.size * 3] };
    let mut tiles = Vec::new();
    for query in queries {
        tiles.extend([tile(query)?, blank.clone()]);
        for neighbour in &found[0].1[query][..SHOWN] {
            tiles.push(tile(*neighbour)?);
        }
        tiles.push(blank.clone());
        for neighbour in &found[2].1[query][..SHOWN] {
            tiles.push(tile(*neighbour)?);
        }
    }
    let sentence = format!(
        "Of the {RETRIEVED} nearest images {} are of the same class by raw pixels and {} by features of SimCLR.",
        share(found[0].0),
        share(found[2].0)
    );
    Ok(Findings {
        tables: vec![("", table)],
        pictures: vec![("", grid(&tiles, 2 * SHOWN + 3))],
        sentences: vec![
            sentence,
            "The picture: an image, its nearest by raw pixels, its nearest by features.".to_owned(),
        ],
        ..Findings::default()
    })
}
