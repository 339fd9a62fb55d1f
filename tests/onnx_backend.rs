//! Supported operators against ONNX's backend test vectors and ONNX Runtime.
//!
//! `tests/onnx_backend.py` writes the cases to the folder `MACULA_ONNX_BACKEND`; `./check onnx` does both. Every case is
//! either refused, or its result is equal within the tolerance of `FOLDERS` or `TOLERANCE_F16`, relative to the largest
//! value. No result may be wrong, and the test fails if more cases are refused than today.
#![cfg(feature = "onnx")]
// `./check onnx` shows the counts.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use macula::runtime::{Arithmetic, ElementType, RuntimeError, conformance, decode, pb};
use prost::Message;
use rayon::prelude::*;

const TOLERANCE_F16: f64 = 2e-2;
/// Tolerance and number of equal cases of each folder. ONNX allows 1e-3 for its vectors, because some expected values have
/// four digits.
const FOLDERS: [(&str, f64, usize); 2] = [("vectors", 1e-3, 761), ("sweep", 1e-4, 5_500)];
/// Longest time of a case, in a debug build on a slow machine.
const TIME_MAX: Duration = Duration::from_secs(20);

enum Outcome {
    Equal,
    Refused(String),
    Wrong(String),
}

fn tensors(folder: &Path, kind: &str) -> Option<Vec<pb::TensorProto>> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut numbers: Vec<usize> =
        names.filter_map(|name| name.strip_prefix(kind)?.strip_suffix(".pb")?[1..].parse().ok()).collect();
    numbers.sort_unstable();
    let read = |number: usize| {
        let bytes = std::fs::read(folder.join(format!("{kind}_{number}.pb"))).unwrap();
        pb::TensorProto::decode(&bytes[..]).ok()
    };
    numbers.into_iter().map(read).collect()
}

fn values(tensor: &pb::TensorProto) -> Option<Vec<f64>> {
    use pb::tensor_proto::DataType;
    let raw = &tensor.raw_data;
    Some(match DataType::try_from(tensor.data_type).ok()? {
        DataType::Float => raw.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
        DataType::Float16 => {
            raw.as_chunks().0.iter().map(|&b| half::f16::from_bits(u16::from_le_bytes(b)).to_f64()).collect()
        }
        DataType::Int64 => raw.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as f64).collect(),
        DataType::Int32 => raw.as_chunks().0.iter().map(|&b| f64::from(i32::from_le_bytes(b))).collect(),
        DataType::Bool => raw.iter().map(|&byte| f64::from(byte)).collect(),
        _ => return None,
    })
}

/// The difference between `found` and `expected`, if any.
fn difference(expected: &pb::TensorProto, found: &pb::TensorProto, tolerance: f64) -> Option<String> {
    use pb::tensor_proto::DataType;
    let is_f16 = expected.data_type == DataType::Float16 as i32;
    let is_widened = is_f16 && found.data_type == DataType::Float as i32;
    if expected.dims != found.dims || expected.data_type != found.data_type && !is_widened {
        return Some(format!(
            "it gives {:?} of type {} instead of {:?} of type {}",
            found.dims, found.data_type, expected.dims, expected.data_type
        ));
    }
    let (Some(expected_values), Some(found_values)) = (values(expected), values(found)) else {
        return Some("it cannot be read".into());
    };
    let finite = expected_values.iter().filter(|value| value.is_finite());
    let largest = finite.fold(0.0, |largest: f64, value| largest.max(value.abs())).max(1e-3);
    let tolerance = if is_f16 { TOLERANCE_F16 } else { tolerance };
    let error = |(&a, &b): (&f64, &f64)| if a == b || a.is_nan() && b.is_nan() { 0.0 } else { (a - b).abs() / largest };
    let errors = expected_values.iter().zip(&found_values).map(error);
    // A NaN difference counts as a difference.
    let worst = errors.fold(0.0, |worst: f64, error| if error.is_nan() { f64::INFINITY } else { worst.max(error) });
    (worst > tolerance).then(|| format!("it differs by {worst:.1e} of the largest value"))
}

/// Runs a case in each arithmetic that its values allow, and returns the worst outcome.
fn try_case(folder: &Path, tolerance: f64) -> Outcome {
    let bytes = std::fs::read(folder.join("model.onnx")).unwrap();
    let inputs = tensors(folder, "input").unwrap_or_default();
    let model = match decode(&bytes, "model") {
        Ok(model) => model,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let f16 = ElementType::F16.onnx();
    let weights = model.graph.iter().flat_map(|graph| &graph.initializer);
    let holds_f16 = inputs.iter().chain(weights).any(|tensor| tensor.data_type == f16);
    let arithmetics: &[Arithmetic] =
        if holds_f16 { &[Arithmetic::F16, Arithmetic::F16WidenedToF32] } else { &[Arithmetic::F32] };
    let mut outcome = Outcome::Equal;
    for &arithmetic in arithmetics {
        match run(folder, model.clone(), &inputs, arithmetic, tolerance) {
            wrong @ Outcome::Wrong(_) => return wrong,
            refused @ Outcome::Refused(_) => outcome = refused,
            Outcome::Equal => {}
        }
    }
    outcome
}

fn run(
    folder: &Path,
    model: pb::ModelProto,
    inputs: &[pb::TensorProto],
    arithmetic: Arithmetic,
    tolerance: f64,
) -> Outcome {
    let needed = model.graph.iter().flat_map(|graph| &graph.output).count();
    match conformance::run(model, inputs, arithmetic) {
        // A caught panic here would abort a device program.
        Err(error @ RuntimeError::Fault { .. }) => Outcome::Wrong(error.to_string()),
        Err(error) => Outcome::Refused(error.to_string()),
        Ok(found) => {
            let expected = tensors(folder, "output").unwrap_or_default();
            if expected.len() != needed || found.len() != needed {
                return Outcome::Wrong(format!("it gives {} outputs instead of {}", found.len(), expected.len()));
            }
            match expected.iter().zip(&found).find_map(|(expected, found)| difference(expected, found, tolerance)) {
                Some(message) => Outcome::Wrong(message),
                None => Outcome::Equal,
            }
        }
    }
}

#[test]
fn every_case_is_equal_or_refused() {
    let root = std::env::var_os("MACULA_ONNX_BACKEND").expect("MACULA_ONNX_BACKEND names the folder of the cases");
    let mut failures = Vec::new();
    for (kind, tolerance, equal_min) in FOLDERS {
        let folder = PathBuf::from(&root).join(kind);
        let mut cases: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        cases.sort();
        let outcomes: Vec<(&PathBuf, Outcome, Duration)> = cases
            .par_iter()
            .map(|case| {
                let started = Instant::now();
                (case, try_case(case, tolerance), started.elapsed())
            })
            .collect();
        let name = |case: &Path| case.file_name().unwrap().to_string_lossy().into_owned();
        let (mut equal, mut refused, mut wrong, mut report) = (0, 0, Vec::new(), String::new());
        for (case, outcome, time) in &outcomes {
            let (word, message) = match outcome {
                Outcome::Equal => ("equal", ""),
                Outcome::Refused(message) => ("refused", message.as_str()),
                Outcome::Wrong(message) => ("wrong", message.as_str()),
            };
            match outcome {
                Outcome::Equal => equal += 1,
                Outcome::Refused(_) => refused += 1,
                Outcome::Wrong(_) => wrong.push(format!("{}: {message}", name(case))),
            }
            report += &format!("{word}\t{}\t{} ms\t{message}\n", name(case), time.as_millis());
            assert!(*time < TIME_MAX, "{} takes {time:?}", name(case));
        }
        std::fs::write(PathBuf::from(&root).join(format!("{kind}.tsv")), report).unwrap();
        println!("{kind}: {} cases, {equal} equal, {refused} refused, {} wrong", outcomes.len(), wrong.len());
        failures.extend(wrong.iter().map(|wrong| format!("{kind}: {wrong}")));
        if equal < equal_min {
            failures.push(format!("{kind}: {equal} are equal, {equal_min} were"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
