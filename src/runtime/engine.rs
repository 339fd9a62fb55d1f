//! tract: an admitted graph prepared to run, behind the last fence.
//!
//! Whatever panics in tract is caught here and becomes an error. A program that is built to abort on a panic has no such
//! fence; admission, and a process of its own for foreign files, are what it relies on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::transform::get_transform;
use tract_onnx::tract_hir::infer::Factoid as _;
use tract_onnx::tract_hir::internal::DimLike as _;

use super::admission::{Admitted, Element, Fact};
use super::arithmetic::Arithmetic;
use super::error::RuntimeError;

/// A graph that tract runs.
pub(super) type Runnable = Arc<TypedRunnableModel>;
/// Memory of one run, used again by the next.
pub(super) type State = TypedSimpleState;

/// Prepares `admitted` to be run.
///
/// # Errors
/// What tract has against a graph that was admitted, and any shape that it finds to be another.
pub(super) fn prepare(admitted: &Admitted, arithmetic: Arithmetic, path: &str) -> Result<Runnable, RuntimeError> {
    fenced(|| translate(admitted, arithmetic)).map_err(|failure| failure.at(path))
}

/// Why tract did not do what it was asked.
pub(super) enum Failure {
    /// It said so.
    Refused(String),
    /// It panicked.
    Panicked(String),
}

impl Failure {
    /// The error of the file at `path`.
    pub(super) fn at(self, path: &str) -> RuntimeError {
        let path = path.to_owned();
        match self {
            Self::Refused(message) => RuntimeError::Prepare { path, message },
            Self::Panicked(message) => RuntimeError::Fault { path, message },
        }
    }

    /// What is to be told of it.
    pub(super) fn message(self) -> String {
        match self {
            Self::Refused(message) | Self::Panicked(message) => message,
        }
    }
}

/// Runs `work`; a panic in it is an error.
///
/// What `work` was changing must not be used afterwards.
pub(super) fn fenced<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failure::Refused(one_line(&format!("{error:#}")))),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Failure::Panicked(one_line(text.unwrap_or("a panic"))))
        }
    }
}

fn translate(admitted: &Admitted, arithmetic: Arithmetic) -> TractResult<Runnable> {
    let parsed = onnx().parse(&admitted.model, None)?;
    if let Some(name) = parsed.unresolved_inputs.first() {
        return Err(TractError::msg(format!("no node makes '{name}'")));
    }
    let mut model = parsed.model;
    model.analyse(false)?;
    for (name, fact) in &admitted.facts {
        if let Some(&outlet) = parsed.outlets_by_name.get(name) {
            agree(name, fact, model.outlet_fact(outlet)?)?;
        }
    }
    let mut model = model.into_typed()?;
    if arithmetic == Arithmetic::F16WidenedToF32 {
        let widen = get_transform("f16_to_f32")?.ok_or_else(|| TractError::msg("tract cannot widen f16"))?;
        widen.transform(&mut model)?;
    }
    model.into_optimized()?.into_runnable()
}

/// Checks that tract infers of a value what admission did: the limits were held against that.
fn agree(name: &str, ours: &Fact, theirs: &InferenceFact) -> TractResult<()> {
    let dims = theirs.shape.concretize();
    let dims = dims.and_then(|dims| dims.iter().map(|dim| dim.to_usize().ok()).collect::<Option<Vec<_>>>());
    let kind = match ours.element {
        Element::F32 => Some(DatumType::F32),
        Element::F16 => Some(DatumType::F16),
        Element::Bool => Some(DatumType::Bool),
        Element::I64 | Element::I32 => None,
    };
    let other_kind = kind.zip(theirs.datum_type.concretize()).is_some_and(|(ours, theirs)| ours != theirs);
    if dims.as_ref().is_some_and(|dims| *dims != ours.dims) || other_kind {
        return Err(TractError::msg(format!(
            "value {name} is {:?} {:?} by ONNX's rules and {theirs:?} by tract's",
            ours.element, ours.dims
        )));
    }
    Ok(())
}

/// `text` in one line of bearable length.
pub(super) fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        assert_eq!(fenced(|| Ok(7)).ok(), Some(7));
        let refused: Result<(), _> = fenced(|| Err(TractError::msg("a\n  b")));
        assert!(matches!(refused, Err(Failure::Refused(text)) if text == "a b"));
        let zero = std::hint::black_box(0);
        let panicked = fenced(|| Ok(7 / zero));
        assert!(matches!(panicked, Err(Failure::Panicked(text)) if text.contains("divide by zero")));
    }
}
