//! Readouts of trained encoders: runs with one, and a readout that replaces that of a finished run.

mod stop_after;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use macula::data::{self, Dataset};
use macula::encoder::{HostEncoder, Pooling, Preset, Readout};
use macula::pretrain::{
    CHECKPOINT, Checkpoint, METRICS, Method, Options, PretrainConfig, PretrainError, Run, Silent, TrainOn, extend,
    pretrain,
};
use macula::ranks::Ranks;
use stop_after::StopAfter;

const PHANTOMS: &str = "phantoms:16:48";
const RESUME: Options = Options {
    resume: true,
    strict: false,
    cache_bytes: 1 << 20,
    prefetch: 1,
    memory: None,
    ranks: Ranks::ONE,
    pictures: false,
};
const BEGIN: Options = Options { resume: false, ..RESUME };

/// A few steps of the smallest encoder, whose stages give 112 values.
fn tiny(readout: Readout, train_on: TrainOn) -> PretrainConfig {
    let mut config = PretrainConfig::new(PHANTOMS, Method::Simclr);
    (config.encoder, config.channels, config.size) = (Preset::Pico, 1, 16);
    (config.epochs, config.batch_size, config.limit) = (2, 8, Some(29));
    (config.readout, config.train_on) = (readout, train_on);
    config.learning_rate = config.default_learning_rate();
    config
}

fn with_map(pooling: Pooling, dim: usize, whiten: bool) -> Readout {
    Readout { pooling, dim: Some(dim), whiten }
}

fn phantoms() -> Dataset {
    data::open_named(PHANTOMS, 1).unwrap()
}

fn train(config: &PretrainConfig, out: &Path, options: Options) -> Result<Run, PretrainError> {
    pretrain(config, &phantoms(), out, options, &mut Silent, &AtomicBool::new(false))?;
    Ok(Run::load(out)?)
}

fn result(out: &Path) -> [Vec<u8>; 2] {
    [METRICS, CHECKPOINT].map(|name| std::fs::read(out.join(name)).unwrap())
}

fn features(run: &Run) -> Vec<f32> {
    let dataset = phantoms();
    let pixels = |index| run.preprocessing().to_pixels(&dataset.load(index).unwrap()).pixels;
    run.encode_batch(&(0..48).flat_map(pixels).collect::<Vec<u8>>()).unwrap()
}

#[test]
fn threads_and_interruptions_do_not_change_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let config = tiny(with_map(Pooling::Grid, 12, true), TrainOn::Readout);
    let results = [1, 3].map(|threads| {
        let out = folder.path().join(threads.to_string());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(&config, &out, BEGIN)).unwrap();
        result(&out)
    });
    assert!(results[0] == results[1], "the number of threads changes bytes");
    let (out, stop) = (folder.path().join("stopped"), AtomicBool::new(false));
    pretrain(&config, &phantoms(), &out, BEGIN, &mut StopAfter { after: 4, stop: &stop }, &stop).unwrap();
    let unfinished = Run::load(&out).unwrap();
    assert_eq!(unfinished.feature_dim(), 240, "without a map the feature is the pooled values");
    let run = train(&config, &out, RESUME).unwrap();
    assert!(result(&out) == results[0], "an interruption changes bytes");
    assert_eq!((run.feature_dim(), run.corpus().unwrap().std.len()), (12, 12));
    assert_eq!(features(&run).len(), 48 * 12);
}

#[test]
fn the_readout_changes_the_weights_only_if_the_objective_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let run =
        |name: &str, readout, train_on| train(&tiny(readout, train_on), &folder.path().join(name), BEGIN).unwrap();
    let mean = run("mean", Readout::default(), TrainOn::Mean);
    let stages = run("stages", with_map(Pooling::Stages, 20, false), TrainOn::Mean);
    let trained = run("trained", Readout::pooled(Pooling::Stages), TrainOn::Readout);
    assert_eq!(mean.network.parameters, stages.network.parameters);
    assert_ne!(mean.network.parameters, trained.network.parameters);
    assert_eq!([&mean, &stages, &trained].map(|run| run.feature_dim()), [32, 20, 112]);
    assert!(mean.id() != stages.id() && stages.id() != trained.id());
    // The outputs of a map vary alike, so that scaling each by its deviation keeps their distances.
    let std = &stages.corpus().unwrap().std;
    assert!(std.iter().all(|value| (value / std[0] - 1.0).abs() < 0.01), "{std:?}");
}

#[test]
fn extending_a_run_fits_the_map_again() {
    let folder = tempfile::tempdir().unwrap();
    let (out, mut config) = (folder.path().join("run"), tiny(with_map(Pooling::Stages, 8, false), TrainOn::Mean));
    let before = train(&config, &out, BEGIN).unwrap();
    config = extend(&out, 3).unwrap();
    assert!(Checkpoint::read(&out.join(CHECKPOINT)).unwrap().tensor("readout.weight").is_none());
    let after = train(&config, &out, RESUME).unwrap();
    assert_ne!(before.network.map(), after.network.map());
    let fresh = train(&config, &folder.path().join("fresh"), BEGIN).unwrap();
    assert_eq!((after.id(), after.network.map()), (fresh.id(), fresh.network.map()));
}

#[test]
fn a_frozen_encoder_keeps_its_readout() {
    let folder = tempfile::tempdir().unwrap();
    let initial = folder.path().join("initial");
    let readout = with_map(Pooling::Stages, 10, false);
    let encoder = train(&tiny(readout, TrainOn::Mean), &initial, BEGIN).unwrap();
    let mut config = tiny(readout, TrainOn::Mean);
    (config.method, config.freeze) = (Method::Supervised, Some(macula::pretrain::Freeze::default()));
    config.init = Some(macula::pretrain::Init::of(&initial).unwrap());
    let probe = train(&config, &folder.path().join("probe"), BEGIN).unwrap();
    assert_eq!((probe.network.map(), probe.feature_dim()), (encoder.network.map(), 10));
    assert_eq!(features(&probe), features(&encoder));
    config.readout = Readout::default();
    let refused = train(&config, &folder.path().join("other"), BEGIN).err();
    assert!(matches!(refused, Some(PretrainError::InitReadout { .. })), "{refused:?}");
}

#[test]
fn another_readout_keeps_the_weights_and_is_stored_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let plain = train(&tiny(Readout::default(), TrainOn::Mean), &out, BEGIN).unwrap();
    let (dataset, indices) = (phantoms(), (0..40).collect::<Vec<_>>());
    let mut ids = vec![plain.id()];
    for readout in
        [Readout::pooled(Pooling::Grid), with_map(Pooling::Stages, 30, false), with_map(Pooling::Stages, 30, true)]
    {
        let mut run = Run::load(&out).unwrap();
        run.refit(readout, &dataset, &indices).unwrap();
        assert_eq!(run.network.parameters, plain.network.parameters);
        assert!(!ids.contains(&run.id()), "{readout}");
        ids.push(run.id());
        let weights = folder.path().join("encoder.safetensors");
        std::fs::write(&weights, run.encoder_checkpoint(&out, run.corpus()).unwrap()).unwrap();
        let stored = Run::load(&weights).unwrap();
        assert_eq!((stored.id(), stored.corpus()), (run.id(), run.corpus()), "{readout}");
        assert_eq!(features(&stored), features(&run), "{readout}");
    }
    let mut again = Run::load(&out).unwrap();
    again.refit(Readout::default(), &dataset, &indices).unwrap();
    assert_eq!(again.id(), plain.id(), "the identity of an encoder with the usual readout is as before");
    assert!(again.refit(with_map(Pooling::Mean, 33, false), &dataset, &indices).is_err(), "more outputs than inputs");
    assert!(again.refit(with_map(Pooling::Mean, 3, false), &dataset, &[0]).is_err(), "one image");
}
