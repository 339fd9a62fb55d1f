//! `macula.pretrain`.

use std::path::{Path, PathBuf};

use macula::augment::Policy;
use macula::data::Dataset;
use macula::encoders::open_run;
use macula::pretrain::{Event, Observer, Options, Outcome, PretrainConfig, RunFolder, Settings, pretrain as train};
use pyo3::prelude::*;
use pyo3::types::PyBool;
use serde_json::{Value, json};

use crate::dataset::Labelled;
use crate::error::{Failure, Kind};
use crate::json::to_python;
use crate::watch::{Watch, watched};

/// Names of the policies of augmentation, as on the command line.
const POLICIES: [(&str, Policy); 5] = [
    ("none", Policy::None),
    ("light", Policy::Light),
    ("natural", Policy::Natural),
    ("medical", Policy::Medical),
    ("centred", Policy::Centred),
];

/// The policy called `name`.
fn policy_named(name: &str) -> Result<Policy, Failure> {
    let found = POLICIES.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy);
    let names = || POLICIES.map(|(known, _)| known).join(", ");
    found.ok_or_else(|| Failure::input(format!("no policy '{name}'; use {}", names())))
}

/// Hands events to Python.
struct Reporter<'w>(&'w Watch);

impl Observer for Reporter<'_> {
    fn event(&mut self, event: Event<'_>) {
        if let Some(event) = to_json(event) {
            self.0.report(event);
        }
    }
}

/// The event as a dictionary; none for events that Python does not get.
fn to_json(event: Event<'_>) -> Option<Value> {
    let with = |kind: &str, line: Value| match line {
        Value::Object(mut fields) => {
            fields.insert("event".to_owned(), kind.into());
            Some(Value::Object(fields))
        }
        _ => None,
    };
    match event {
        Event::Started { step, steps, images, batch_size } => Some(json!({
            "event": "start", "step": step, "steps": steps, "images": images, "batch_size": batch_size
        })),
        Event::Step(line) => with("step", json!(line)),
        Event::Epoch(line) => with("epoch", json!(line)),
        Event::Skipped { name, reason } => Some(json!({ "event": "skipped", "name": name, "reason": reason })),
        Event::Remark(text) => Some(json!({ "event": "remark", "message": text })),
        Event::Warning(text) => Some(json!({ "event": "warning", "message": text })),
        Event::FewSteps(few) => Some(json!({
            "event": "warning",
            "message": format!("{} steps; at least {} are advised: give more epochs", few.steps, few.least),
        })),
        Event::Reading { .. }
        | Event::Teaching { .. }
        | Event::Memory { .. }
        | Event::Views { .. }
        | Event::SlowInput(_)
        | Event::Embedded(_) => None,
    }
}

/// See `macula.pretrain`.
#[pyfunction]
#[pyo3(signature = (data, out, *, settings, init, policy, resume, callback))]
#[expect(clippy::too_many_arguments, reason = "one for each keyword")]
pub fn pretrain<'py>(
    py: Python<'py>,
    data: Labelled<'py>,
    out: PathBuf,
    settings: &str,
    init: Option<String>,
    policy: Option<&str>,
    resume: bool,
    callback: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let given: serde_json::Map<String, Value> = serde_json::from_str(settings).map_err(Failure::input)?;
    let policy = policy.map(policy_named).transpose()?;
    let source = data.read()?;
    let on_event = |event: Value| {
        let Some(callback) = &callback else { return Ok(true) };
        let answer = callback.call1((to_python(py, &event)?,))?;
        // Only False stops, NumPy's as well: a function without a return value answers None.
        Ok(!answer.eq(PyBool::new(py, false)).unwrap_or(false))
    };
    let outcome = watched(py, on_event, |watch| {
        // As the command line: the seed of the run also draws the images of a named dataset.
        let seed = match resume {
            true => RunFolder::open(&out)?.1.seed,
            false => given.get("seed").and_then(Value::as_u64).unwrap_or(1),
        };
        let dataset = source.open(seed)?;
        let (config, dataset) = match resume {
            true => resumed(&out, dataset)?,
            false => new_run(&given, init.as_deref(), policy, dataset)?,
        };
        let options = Options { resume, ..Options::default() };
        Ok(train(&config, &dataset, &out, options, &mut Reporter(watch), &watch.stop)?)
    })?;
    let run = out.display().to_string();
    to_python(
        py,
        &match outcome {
            Outcome::Finished { last, skipped } => {
                json!({ "run": run, "finished": true, "step": last.as_ref().map(|line| line.step), "last": last, "skipped": skipped })
            }
            Outcome::Interrupted { step } => {
                json!({ "run": run, "finished": false, "step": step, "last": null, "skipped": 0 })
            }
        },
    )
}

/// The stored configuration, and the dataset as the run reads it.
fn resumed(out: &Path, mut dataset: Dataset) -> Result<(PretrainConfig, Dataset), Failure> {
    let config = RunFolder::open(out)?.1;
    prepare(&config, &mut dataset)?;
    Ok((config, dataset))
}

/// The configuration of a new run by the given settings.
fn new_run(
    given: &serde_json::Map<String, Value>,
    init: Option<&str>,
    policy: Option<Policy>,
    mut dataset: Dataset,
) -> Result<(PretrainConfig, Dataset), Failure> {
    let mut settings = Settings::default();
    if let Some(name) = init {
        settings.start_from(name, &open_run(name)?);
    }
    settings.set("data", &dataset.name);
    given.iter().for_each(|(name, value)| settings.set(name, value));
    let mut config = settings.new_run()?;
    if config.method.needs_teachers() {
        return Err(Failure::new(Kind::Input, "distillation needs teachers; use `macula pretrain --method distill`"));
    }
    if !settings.has("channels") {
        config.channels = dataset.channels(&dataset.train_indices()).0;
    }
    if let Some(policy) = policy {
        config.augmentation = policy.augmentation(config.size);
    }
    config.check()?;
    prepare(&config, &mut dataset)?;
    Ok((config, dataset))
}

/// Reads the dataset as the configuration says.
fn prepare(config: &PretrainConfig, dataset: &mut Dataset) -> Result<(), Failure> {
    dataset.read_dicom(&config.dicom)?;
    dataset.leave_out(&config.without)?;
    dataset.decode.range = config.range;
    Ok(())
}
