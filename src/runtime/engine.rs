//! tract: prepares an admitted graph.
//!
//! A panic in tract becomes an error. A build that aborts on panic cannot catch it, and relies on admission and on a child
//! process for foreign files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::transform::get_transform;
use tract_onnx::tract_hir::infer::Factoid as _;
use tract_onnx::tract_hir::internal::DimLike as _;

use super::admission::{Admitted, Element, Fact};
use super::arithmetic::Arithmetic;
use super::error::RuntimeError;
use super::rewrite;

/// A graph that is ready to run.
pub(super) type Runnable = Arc<TypedRunnableModel>;
/// Memory of a run, reused by the next.
pub(super) type State = TypedSimpleState;

/// Prepares `admitted` to run.
///
/// # Errors
/// When tract refuses the graph or infers another shape than admission.
pub(super) fn prepare(admitted: &Admitted, arithmetic: Arithmetic, path: &str) -> Result<Runnable, RuntimeError> {
    catch_panic(|| translate(admitted, arithmetic)).map_err(|failure| failure.at(path))
}

/// Why tract failed.
pub(super) enum Failure {
    /// It returned an error.
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

    /// The message.
    pub(super) fn message(self) -> String {
        match self {
            Self::Refused(message) | Self::Panicked(message) => message,
        }
    }
}

/// Runs `work` and turns a panic into an error. Data that `work` was changing must not be used afterwards.
pub(super) fn catch_panic<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, Failure> {
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
    rewrite::simplified(model)?.into_optimized()?.into_runnable()
}

/// Checks that tract infers the same shape and type as admission, on which the limits were checked.
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

/// `text` in one line, cut after 300 characters.
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
        assert_eq!(catch_panic(|| Ok(7)).ok(), Some(7));
        let refused: Result<(), _> = catch_panic(|| Err(TractError::msg("a\n  b")));
        assert!(matches!(refused, Err(Failure::Refused(text)) if text == "a b"));
        let zero = std::hint::black_box(0);
        let panicked = catch_panic(|| Ok(7 / zero));
        assert!(matches!(panicked, Err(Failure::Panicked(text)) if text.contains("divide by zero")));
    }
}
