//! Foreign ONNX encoders in a child process: equal features, and failures that affect one request only.
#![cfg(all(feature = "cli", feature = "onnx", unix))]

mod crafted;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crafted::{convolution, encoded, flat};
use macula::data::Preprocessing;
use macula::encoder::{EncodeError, HostEncoder};
use macula::isolated::{
    HostedEncoder, IsolatedEncoder, IsolatedError, OnnxHost, OnnxSource, Runtime, Worker, WorkerLimits,
};
use macula::runtime::{OnnxEncoder, OpenOptions};

fn worker(limits: WorkerLimits) -> Worker {
    Worker {
        program: env!("CARGO_BIN_EXE_macula").into(),
        argument: "encode-worker",
        limits,
        runtime: Runtime::Auto,
        stop: None,
    }
}

fn open(source: OnnxSource, recipe: Preprocessing, worker: Worker) -> Result<Box<IsolatedEncoder>, IsolatedError> {
    let options = OpenOptions { preprocessing: Some(recipe), arithmetic: None };
    match OnnxHost::Child(worker).open("net", source, &options)? {
        HostedEncoder::Isolated(encoder) => Ok(encoder),
        _ => panic!("a foreign encoder runs in this process"),
    }
}

fn foreign() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/torch_net.onnx")
}

fn recipe() -> Preprocessing {
    Preprocessing { mean: vec![0.5; 3], std: vec![0.25; 3], ..Preprocessing::unit(3, 64, 64) }
}

fn pixels(images: usize) -> Vec<u8> {
    (0..images * 3 * 64 * 64).map(|at| (at * 7 % 251) as u8).collect()
}

#[test]
fn features_equal_those_of_this_process() {
    let options = OpenOptions { preprocessing: Some(recipe()), arithmetic: None };
    let here = OnnxEncoder::open_with(&foreign(), &options).unwrap();
    for source in [OnnxSource::Path(foreign()), OnnxSource::Bytes(std::fs::read(foreign()).unwrap())] {
        let there = open(source, recipe(), worker(WorkerLimits::default())).unwrap();
        assert_eq!((there.id(), there.feature_dim()), (here.id(), here.feature_dim()));
        assert_eq!((there.preprocessing(), there.arithmetic()), (here.preprocessing(), here.arithmetic()));
        for images in [0, 1, 5, 150] {
            let pixels = pixels(images);
            assert_eq!(there.encode_batch(&pixels).unwrap(), here.encode_batch(&pixels).unwrap(), "{images} images");
        }
        assert!(matches!(there.encode_batch(&[0; 7]), Err(EncodeError::Encoder { .. })));
    }
}

#[test]
fn files_of_our_own_run_on_the_native_engine_with_the_features_of_tract() {
    for model in macula::models::MODELS {
        for file in ["encoder.onnx", "encoder.f16.onnx"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model.name).join(file);
            let open = |runtime| {
                let worker = Worker { runtime, ..worker(WorkerLimits::default()) };
                OnnxHost::Child(worker).open("own", OnnxSource::Path(path.clone()), &OpenOptions::default()).unwrap()
            };
            let [auto, native, tract] = [Runtime::Auto, Runtime::Native, Runtime::Tract].map(open);
            assert!(matches!(auto, HostedEncoder::Native(_)) && matches!(native, HostedEncoder::Native(_)));
            assert!(matches!(tract, HostedEncoder::InProcess(_)));
            assert_eq!((native.id(), native.feature_dim()), (tract.id(), tract.feature_dim()));
            assert_eq!(native.preprocessing(), tract.preprocessing());
            assert_eq!((native.corpus(), native.provenance()), (tract.corpus(), tract.provenance()));
            let pixels: Vec<u8> = (0..5 * native.preprocessing().input_len()).map(|at| (at * 37 % 251) as u8).collect();
            let [auto, native, tract] = [&auto, &native, &tract].map(|encoder| encoder.encode_batch(&pixels).unwrap());
            assert_eq!(auto, native);
            let dim = native.len() / 5;
            for (native, tract) in native.chunks(dim).zip(tract.chunks(dim)) {
                let length = tract.iter().map(|value| value * value).sum::<f32>().sqrt();
                let error = native.iter().zip(tract).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt() / length;
                assert!(error < 1e-4, "{} {file}: {error}", model.name);
            }
        }
    }
}

#[test]
fn the_native_engine_refuses_a_foreign_file() {
    let worker = Worker { runtime: Runtime::Native, ..worker(WorkerLimits::default()) };
    let options = OpenOptions { preprocessing: Some(recipe()), arithmetic: None };
    let refused = OnnxHost::Child(worker).open("net", OnnxSource::Path(foreign()), &options);
    assert!(matches!(refused, Err(IsolatedError::NotNative { encoder }) if encoder == "net"));
}

#[test]
fn several_threads_share_one_process() {
    let there = open(OnnxSource::Path(foreign()), recipe(), worker(WorkerLimits::default())).unwrap();
    let expected = there.encode_batch(&pixels(3)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(there.encode_batch(&pixels(3)).unwrap(), expected));
        }
    });
}

#[test]
fn a_crash_is_an_error_of_one_request() {
    let there = open(OnnxSource::Path(foreign()), recipe(), worker(WorkerLimits::default())).unwrap();
    let expected = there.encode_batch(&pixels(2)).unwrap();
    for _ in 0..3 {
        let process = there.process_id().unwrap().to_string();
        assert!(Command::new("kill").args(["-KILL", &process]).status().unwrap().success());
        let error = there.encode_batch(&pixels(2)).unwrap_err();
        assert!(matches!(&error, EncodeError::Encoder { message, .. } if message.contains('9')), "{error}");
        assert_eq!(there.process_id(), None);
        assert_eq!(there.encode_batch(&pixels(2)).unwrap(), expected);
    }
}

#[test]
fn dropping_an_encoder_ends_its_process() {
    let there = open(OnnxSource::Path(foreign()), recipe(), worker(WorkerLimits::default())).unwrap();
    let process = format!("/proc/{}", there.process_id().unwrap());
    assert!(Path::new(&process).exists());
    drop(there);
    assert!(!Path::new(&process).exists());
}

#[test]
fn loading_and_encoding_have_time_limits() {
    let limits = |load, image| WorkerLimits { load, image, ..WorkerLimits::default() };
    let usual = Duration::from_secs(60);
    let late = open(OnnxSource::Path(foreign()), recipe(), worker(limits(Duration::from_nanos(1), usual)));
    assert!(matches!(late, Err(IsolatedError::TimedOut { what: "loading", .. })));
    // 13e9 multiply-accumulates.
    let (model, recipe) = (encoded(&convolution(1024, 7, 256)), Preprocessing::unit(1, 1024, 1024));
    let begun = Instant::now();
    let slow = open(OnnxSource::Bytes(model), recipe, worker(limits(usual, Duration::from_millis(50))));
    let error = slow.err().unwrap();
    assert!(
        matches!(&error, IsolatedError::Trial(EncodeError::Encoder { message, .. }) if message.contains("0.05 s")),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn memory_is_limited() {
    // The output of the convolution takes 1 GB. The stack of each thread is allowed in addition to the limit.
    let (model, recipe) = (encoded(&convolution(4096, 1, 15)), Preprocessing::unit(1, 4096, 4096));
    let limits = WorkerLimits { memory_bytes: 64 << 20, ..WorkerLimits::default() };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let opened = one_thread.install(|| open(OnnxSource::Bytes(model), recipe, worker(limits)));
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("alloc"), "{error}");
}

#[test]
fn a_request_to_stop_ends_waiting() {
    let stop = Arc::new(AtomicBool::new(false));
    let (model, recipe) = (encoded(&convolution(1024, 7, 256)), Preprocessing::unit(1, 1024, 1024));
    let worker = Worker { stop: Some(Arc::clone(&stop)), ..worker(WorkerLimits::default()) };
    let waiting = std::thread::spawn(move || open(OnnxSource::Bytes(model), recipe, worker).err());
    std::thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    assert!(waiting.join().unwrap().is_some());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn both_input_layouts_are_read() {
    let image: Vec<f32> = (0..4 * 6 * 3).map(|at| at as f32).collect();
    let feature = |input: &[i64]| {
        let options = OpenOptions { preprocessing: Some(Preprocessing::unit(3, 4, 6)), arithmetic: None };
        let encoder = OnnxEncoder::from_bytes("flat", &encoded(&flat(input)), &options).unwrap();
        encoder.encode_normalised(&image).unwrap()
    };
    assert_eq!(feature(&[1, 4, 6, 3]), image, "[N, H, W, C]");
    let planes: Vec<f32> = (0..3).flat_map(|channel| image.iter().skip(channel).step_by(3).copied()).collect();
    assert_eq!(feature(&[1, 3, 4, 6]), planes, "[N, C, H, W]");
}

#[test]
fn a_missing_program_is_an_error() {
    let missing = Worker { program: "no-such-program".into(), ..worker(WorkerLimits::default()) };
    let error = open(OnnxSource::Path(foreign()), recipe(), missing).err().unwrap();
    assert!(matches!(error, IsolatedError::Start { .. }), "{error}");
    let other = Worker { program: "false".into(), ..worker(WorkerLimits::default()) };
    let error = open(OnnxSource::Path(foreign()), recipe(), other).err().unwrap();
    assert!(matches!(error, IsolatedError::Died { .. }), "{error}");
}
