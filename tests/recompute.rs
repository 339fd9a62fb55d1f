//! Training with a limit of memory (`--memory`): the same bytes as without, and the peak that was stated.
#![cfg(feature = "host")]

mod cases;
mod reference;
mod shell;

use std::path::Path;
use std::sync::Arc;

use macula::encoder::{
    Algorithm, EncoderSpec, InputShape, Network, Pooling, Precision, Preset, Readout, Schedule, Workspace,
};
use macula::pretrain::{CHECKPOINT, METRICS, TIMINGS};
use macula::rng::Rng;
use serde_json::Value;
use shell::{expect, fails, json};

/// Features, feature map and gradient of two steps with a change of the parameters between them.
fn steps(network: &Network, schedule: Option<Arc<Schedule>>, input: &[f32]) -> Vec<Vec<f32>> {
    let mut network = network.clone();
    let mut workspace = schedule.map_or_else(Workspace::default, Workspace::with_schedule);
    let mut found = Vec::new();
    for step in 0..2 {
        let mut gradient = vec![f32::NAN; network.parameters.len()];
        let features = network.forward(&mut workspace, input).to_vec();
        let map = network.feature_map(&workspace);
        let mut rng = Rng::for_purpose(step, "gradient");
        let mut random = |like: &[f32]| like.iter().map(|_| rng.normal()).collect::<Vec<f32>>();
        match step {
            0 => network.backward(&mut workspace, input, &random(&features), &mut gradient),
            _ => network.backward_feature_map(&mut workspace, input, &random(&map), &mut gradient),
        }
        network.parameters.iter_mut().zip(&gradient).for_each(|(p, g)| *p -= 1e-3 * g);
        found.extend([features, map, gradient, network.parameters.clone()]);
    }
    found.extend(network.statistics().into_iter().map(|tensor| tensor.data));
    found
}

fn random_input(network: &Network, images: usize) -> Vec<f32> {
    let InputShape { channels, height, width } = network.spec().input;
    let mut rng = Rng::for_purpose(7, "images");
    (0..images * channels * height * width).map(|_| rng.normal()).collect()
}

/// Steps within several limits, down to the least memory, give the bits of steps that keep everything.
fn check_limits(name: &str, network: &Network, images: usize) {
    let input = random_input(network, images);
    let expected = steps(network, None, &input);
    let bits = |arrays: &[Vec<f32>]| arrays.concat().iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
    let (whole, least) = (network.whole_schedule(), network.least_schedule());
    assert!(least.recomputed_macs() > 0, "{name}");
    let middle = (whole.bytes(images) + least.bytes(images)) / 2;
    let limits = [least.bytes(images), middle, whole.bytes(images) - 1];
    let within = limits.map(|bytes| network.schedule_within(bytes, images).unwrap());
    for schedule in within.into_iter().chain([least]) {
        let share = schedule.bytes(images) as f64 / whole.bytes(images) as f64;
        let found = steps(network, Some(schedule), &input);
        assert!(bits(&found) == bits(&expected), "{name} with {share:.2} of the memory");
    }
}

#[test]
fn every_limit_gives_the_same_gradients() {
    let arithmetic = [
        (Precision::F32, Algorithm::Direct),
        (Precision::F32, Algorithm::Winograd),
        (Precision::Bf16, Algorithm::Direct),
    ];
    for preset in Preset::ALL {
        let spec = EncoderSpec::preset(preset, preset.usual_input()).unwrap();
        for (precision, algorithm) in arithmetic {
            let mut network = Network::new(spec.clone(), 1).unwrap();
            network.set_arithmetic(precision, algorithm);
            check_limits(&format!("{}, {precision:?}, {algorithm:?}", preset.name()), &network, 3);
        }
        for pooling in [Pooling::MeanStd, Pooling::Stages, Pooling::Grid] {
            let readout = Readout::pooled(pooling);
            let mut network = Network::new(EncoderSpec { readout, ..spec.clone() }, 1).unwrap();
            network.train_on(pooling);
            check_limits(&format!("{}, {}", preset.name(), pooling.name()), &network, 2);
        }
    }
}

/// Graphs with several readers of a value, sums in the middle of a stage, and each kind of convolution. More images than groups.
#[test]
fn every_limit_gives_the_same_gradients_of_small_graphs() {
    let mut checked = 0;
    for (name, spec) in cases::layers() {
        let network = cases::network(spec, &mut Rng::for_purpose(3, &name));
        if network.least_schedule().recomputed_macs() > 0 {
            check_limits(&name, &network, 19);
            checked += 1;
        }
    }
    assert!(checked >= 3, "{checked}");
}

/// The number of threads does not matter either.
#[test]
fn threads_do_not_change_what_is_computed_again() {
    let spec = EncoderSpec::preset(Preset::Nano, Preset::Nano.usual_input()).unwrap();
    let network = Network::new(spec, 1).unwrap();
    let input = random_input(&network, 20);
    let expected = steps(&network, None, &input);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| steps(&network, Some(network.least_schedule()), &input));
        assert!(found == expected, "{threads} threads");
    }
}

/// The last line of timings: measured and expected peak.
fn peaks(out: &Path) -> [f64; 2] {
    let timings = std::fs::read_to_string(out.join(TIMINGS)).unwrap();
    let line: Value = json(timings.lines().last().unwrap());
    ["peak_memory_bytes", "expected_memory_bytes"].map(|name| line[name].as_f64().unwrap())
}

/// The least limit of a run, which the error states in MiB.
fn least_mib(error: &str) -> f64 {
    let rest = error.split("at least ").nth(1).unwrap_or_else(|| panic!("no least memory in {error}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Runs `macula` with the words of `line`, and more; returns what it reports.
fn macula(path: &Path, line: &str, more: &str) -> String {
    expect(0, path, &line.split_whitespace().chain(more.split_whitespace()).collect::<Vec<_>>()).1
}

/// Each kind of method, resumed with another limit. Each run is a process of its own, because the limit is that of a process.
#[test]
fn runs_within_a_limit_give_the_same_bytes() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path();
    for (method, more) in [
        ("supervised", "--precision bf16"),
        ("simclr", "--chunk 200 --readout stages --train-on readout"),
        ("moco", "--queue 64"),
        ("masked", ""),
    ] {
        let line = format!(
            "pretrain --data phantoms:28:128 --channels 1 --size 28 --method {method} {more} --encoder pico --batch-size 128 \
             --health never --threads 2 --out"
        );
        let [whole, limited, refused] = ["whole", "limited", "refused"].map(|kind| format!("{method}-{kind}"));
        let first = |out: &str, limit: &str| macula(path, &format!("{line} {out} --epochs 1"), limit);
        let second = |out: &str, limit: &str| macula(path, &format!("pretrain --resume --epochs 2 --out {out}"), limit);
        first(&whole, "");
        second(&whole, "");
        let too_little = format!("{line} {refused} --epochs 1 --memory 1MiB");
        let (_, error) = expect(2, path, &too_little.split_whitespace().collect::<Vec<_>>());
        assert!(!path.join(&refused).exists(), "a run that never started leaves nothing");
        // A process that has read a checkpoint is a few MiB larger.
        let [low, high] = [1.0, 5.0].map(|more| format!("--memory {:.1}MiB", least_mib(&error) + more));
        let report = first(&limited, &low);
        assert!(report.contains("of its forward pass again"), "{method}: {report}");
        second(&limited, &high);
        for file in [METRICS, CHECKPOINT] {
            let [expected, found] = [&whole, &limited].map(|run| std::fs::read(path.join(run).join(file)).unwrap());
            assert!(found == expected, "{method}: {file} differs");
        }
    }
}

/// Training from the command line: the peak is within 10 % of the stated one, with and without a limit, and a resumed run with another
/// limit ends in the same bytes. Batches are large enough that the program itself is a small part.
#[test]
fn the_peak_is_the_stated_one() {
    const TOLERANCE: f64 = 0.1;
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path();
    for (preset, batch, count) in
        [(Preset::Pico, 512, 1024), (Preset::Nano, 96, 192), (Preset::Micro, 48, 96), (Preset::Mobile, 96, 192)]
    {
        let InputShape { channels, height: size, .. } = preset.usual_input();
        let name = preset.name();
        let data = format!("phantoms:{size}:{count}");
        let line = |out: &str, memory: &str| {
            format!(
                "pretrain --data {data} --channels {channels} --size {size} --method simclr --encoder {name} --batch-size {batch} \
                 --epochs 1 --health never --convolution winograd --out {out}{memory}"
            )
        };
        let run = |out: &str, memory: &str| {
            macula(path, &line(out, memory), "");
            let [peak, stated] = peaks(&path.join(out));
            let error = peak / stated - 1.0;
            assert!(error.abs() <= TOLERANCE, "{out}: peak {peak}, stated {stated}");
            stated
        };
        let whole = run(&format!("{name}-whole"), "");
        let refused = line(&format!("{name}-refused"), " --memory 9MiB");
        let refused: Vec<&str> = refused.split_whitespace().collect();
        let error = fails(2, "input", path, &refused, &["9.0 MiB", "--memory", "--batch-size", "--size"]);
        let least = least_mib(error["message"].as_str().unwrap());
        assert!(least * 1048576.0 < 0.85 * whole, "{name}: {least} of {whole}");
        let limit = (least + 4.0) * 1048576.0;
        let stated = run(&format!("{name}-least"), &format!(" --memory {limit}B", limit = limit as u64));
        assert!(stated <= limit, "{name}: {stated} {limit}");
        let [expected, found] =
            ["whole", "least"].map(|kind| std::fs::read(path.join(format!("{name}-{kind}")).join(CHECKPOINT)).unwrap());
        assert!(found == expected, "{name}: checkpoints differ");

        // The same peak without a run; images in memory are the training images.
        let table = format!(
            "encoders --channels {channels} --size {size} --batch-size {batch} --count {count} --method simclr --json"
        );
        let table = json(&expect(0, path, &table.split_whitespace().collect::<Vec<_>>()).0);
        let row = table["encoders"].as_array().unwrap().iter().find(|row| row["encoder"] == name).unwrap();
        let listed = row["training"]["bytes"].as_f64().unwrap();
        let [peak, _] = peaks(&path.join(format!("{name}-whole")));
        assert!((peak / listed - 1.0).abs() <= TOLERANCE, "{name}: peak {peak}, listed {listed}");
    }
}
