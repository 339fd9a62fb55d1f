//! Ranks that are threads of one process: the same training as in one process.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::checkpoint::Checkpoint;
use super::config::{Init, PretrainConfig};
use super::error::PretrainError;
use super::learner::Learner;
use super::observer::{Event, Observer, Silent};
use super::options::Options;
use super::prepare::pretrain;
use super::run::Run;
use super::run_folder::{CHECKPOINT, CONFIG, METRICS};
use super::train_loop::Outcome;
use crate::data;
use crate::encoder::Preset;
use crate::measure::Features;
use crate::nn::l2_normalize::l2_normalize;
use crate::objective::{Distillation, Freeze, Method, Targets, Teacher};
use crate::ranks::threads::run;
use crate::ranks::{Part, Ranks};
use crate::rng::Rng;

const IMAGES: usize = 13;
const STEPS: u64 = 5;
const PIXELS: usize = 8 * 8;
const TEACHER_DIM: usize = 3;

fn normal(seed: u64, len: usize) -> Vec<f32> {
    let mut rng = Rng::for_purpose(seed, "test");
    (0..len).map(|_| rng.normal()).collect()
}

fn config(method: Method) -> PretrainConfig {
    let mut config = PretrainConfig::new("phantoms:8", method);
    (config.channels, config.size, config.encoder) = (1, 8, Preset::Pico);
    (config.sync_batch_norm, config.comparison.queue) = (true, 32);
    if method == Method::Distill {
        let teacher = Teacher { encoder: "t".into(), sha256: String::new(), dim: TEACHER_DIM, preprocessing: None };
        let weights = Distillation { seed_weight: 0.5, simclr_weight: 0.5, ..Distillation::default() };
        config.distill = Some(Distillation { teachers: vec![teacher], ..weights });
    }
    config
}

/// Losses of some steps and the parameters after them, on this rank's part of the images.
fn train(config: &PretrainConfig, ranks: Ranks) -> (Vec<f64>, Vec<f32>) {
    let mut network = config.network().unwrap();
    network.synchronise(ranks);
    let mut learner = Learner::new(config, network, config.objective(4));
    let views = learner.objective.views().count();
    let part = ranks.part(IMAGES);
    let losses = (0..STEPS).map(|step| {
        let input = normal(step, IMAGES * views * PIXELS);
        let labels: Vec<Option<usize>> = (0..IMAGES).map(|image| Some((image + step as usize) % 4)).collect();
        let drawn = normal(100 + step, IMAGES * views * TEACHER_DIM);
        let mut rows = vec![0.0; drawn.len()];
        l2_normalize(&mut rows, &drawn, TEACHER_DIM);
        let own = |values: &[f32], each: usize| values[part.first * each..part.range().end * each].to_vec();
        let taught = [Features { dim: TEACHER_DIM, rows: own(&rows, views * TEACHER_DIM) }];
        let teachers = if config.distill.is_some() { &taught[..] } else { &[] };
        let targets = Targets { labels: &labels[part.range()], teachers, part };
        let output = learner.step(&mut own(&input, views * PIXELS), targets, 0.05, step);
        assert_eq!(output.targets.len(), output.predictions.len());
        output.loss
    });
    (losses.collect(), learner.network.parameters.clone())
}

/// 13 images on two and three ranks, so that parts differ in length.
#[test]
fn with_synchronised_batch_norm_every_method_trains_as_in_one_process() {
    for &method in Method::ALL {
        let config = config(method);
        let (expected, parameters) = train(&config, Ranks::ONE);
        for size in [2, 3] {
            let found = run(size, |ranks| train(&config, ranks));
            for (losses, own) in &found {
                for (loss, expected) in losses.iter().zip(&expected) {
                    let relative = (loss - expected).abs() / expected.abs();
                    assert!(relative < 1e-4, "{method:?} on {size}: {losses:?} {expected:?}");
                }
                assert_eq!((losses, own), (&found[0].0, &found[0].1), "{method:?}: all ranks have the same bytes");
            }
            let distance = |of: &[f32]| of.iter().zip(&parameters).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            let moved = distance(&config.network().unwrap().parameters);
            assert!(distance(&found[0].1) < 1e-6 * moved, "{method:?}: {} {moved}", distance(&found[0].1));
        }
    }
}

#[test]
fn without_synchronisation_each_rank_has_its_own_batch_statistics_and_all_the_same_network() {
    let config = PretrainConfig { sync_batch_norm: false, ..config(Method::Simclr) };
    let steps = |ranks: Ranks| {
        let mut learner = Learner::new(&config, config.network().unwrap(), config.objective(0));
        let part: Part = ranks.part(IMAGES);
        let mut input = normal(1, IMAGES * 2 * PIXELS);
        let own = &mut input[part.first * 2 * PIXELS..part.range().end * 2 * PIXELS];
        let targets = Targets { part, ..Targets::labels(&[None; IMAGES][part.range()]) };
        let loss = learner.step(own, targets, 0.05, 0).loss;
        (loss, learner.network.parameters.clone(), learner.network.statistics())
    };
    let found = run(2, steps);
    assert_eq!(found[0], found[1]);
    let relative = (found[0].0 - steps(Ranks::ONE).0).abs() / found[0].0;
    assert!(relative > 1e-3, "other statistics, another loss: {relative}");
}

/// A few steps of the smallest encoder.
fn tiny(epochs: u64) -> PretrainConfig {
    let mut config = PretrainConfig::new("phantoms:16:48", Method::Simclr);
    (config.encoder, config.channels, config.size, config.limit) = (Preset::Pico, 1, 16, Some(29));
    (config.epochs, config.batch_size, config.metrics_steps) = (epochs, 8, 1);
    config
}

fn pretrain_on(size: usize, config: &PretrainConfig, out: &Path, resume: bool) -> Vec<Outcome> {
    let dataset = data::open_named(&config.data, 1).unwrap();
    let start = |ranks| {
        let options = Options { resume, ranks, cache_bytes: 0, ..Options::default() };
        pretrain(config, &dataset, out, options, &mut Silent, &AtomicBool::new(false)).unwrap()
    };
    run(size, start)
}

#[test]
fn the_first_rank_writes_a_run_that_any_number_of_ranks_continues() {
    let folder = tempfile::tempdir().unwrap();
    let [run, again] = ["run", "again"].map(|name| folder.path().join(name));
    let config = tiny(2);
    for out in [&run, &again] {
        let outcomes = pretrain_on(2, &config, out, false);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Finished { skipped: 0, .. })));
    }
    let bytes = |out: &Path| [CONFIG, METRICS, CHECKPOINT].map(|name| std::fs::read(out.join(name)).unwrap());
    assert!(bytes(&run) == bytes(&again), "the same number of ranks gives the same bytes");
    for (size, epochs) in [(3, 3), (1, 4)] {
        let config = super::extend(&run, epochs).unwrap();
        pretrain_on(size, &config, &run, true);
        let stored = Checkpoint::read(&run.join(CHECKPOINT)).unwrap();
        assert_eq!((stored.progress.step, stored.progress.finished), (3 * epochs, true));
    }
    assert!(Run::load(&run).unwrap().info.corpus.is_some());
}

/// Removes the images that are read for the steps.
struct Removes<'a>(&'a Path);

impl Observer for Removes<'_> {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Started { .. } = event {
            std::fs::remove_dir_all(self.0).ok();
        }
    }
}

#[test]
fn an_image_that_one_rank_cannot_read_ends_all_and_names_the_rank() {
    let folder = tempfile::tempdir().unwrap();
    // Each rank has the images in a folder of its own, as on another machine.
    let images = [0, 1, 2].map(|rank| folder.path().join(format!("images-{rank}")));
    for images in &images {
        std::fs::create_dir(images).unwrap();
        for number in 0..8u8 {
            let draw = |x: u32, y: u32| image::Luma([(x * 9 + y * u32::from(number)) as u8]);
            image::GrayImage::from_fn(20, 20, draw).save(images.join(format!("{number}.png"))).unwrap();
        }
    }
    let mut config = tiny(1);
    (config.data, config.limit, config.batch_size) = ("images".to_owned(), None, 4);
    let errors = run(3, |ranks| {
        let own = &images[ranks.rank()];
        let dataset = data::open_named(&own.display().to_string(), 1).unwrap();
        let options = Options { ranks, cache_bytes: 0, ..Options::default() };
        let mut observer: Box<dyn Observer> = if ranks.rank() == 1 { Box::new(Removes(own)) } else { Box::new(Silent) };
        let out = folder.path().join("run");
        pretrain(&config, &dataset, &out, options, &mut *observer, &AtomicBool::new(false)).unwrap_err()
    });
    assert!(matches!(errors[1], PretrainError::Data(_)), "{}", errors[1]);
    for error in [&errors[0], &errors[2]] {
        assert!(matches!(error, PretrainError::Rank(failure) if failure.reason.contains(".png")), "{error}");
    }
}

#[test]
fn a_batch_that_cannot_be_divided_and_a_frozen_encoder_are_refused() {
    let refused = |config: &PretrainConfig| {
        let dataset = data::open_named(&config.data, 1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let errors = run(3, |ranks| {
            let options = Options { ranks, ..Options::default() };
            let out = folder.path().join("run");
            pretrain(config, &dataset, &out, options, &mut Silent, &AtomicBool::new(false)).unwrap_err()
        });
        assert!(!folder.path().join("run").exists(), "a run that never started leaves nothing");
        errors
    };
    let small = PretrainConfig { batch_size: 2, ..tiny(1) };
    assert!(matches!(refused(&small)[0], PretrainError::TooManyRanks { batch_size: 2, ranks: 3 }));
    let chunks = PretrainConfig { chunk: Some(4), sync_batch_norm: true, ..tiny(1) };
    assert!(matches!(refused(&chunks)[2], PretrainError::UnevenChunks { batch_size: 8, ranks: 3 }));
    let init = Some(Init { encoder: "run".into(), sha256: String::new() });
    let frozen = PretrainConfig { init, freeze: Some(Freeze::default()), method: Method::Supervised, ..tiny(1) };
    assert!(matches!(refused(&frozen)[1], PretrainError::FrozenOnRanks { ranks: 3 }));
}
