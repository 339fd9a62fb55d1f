//! The probability of every class; a device answers with the greatest only.

use macula_edge::head::Head;

use crate::cli::classes::ClassNames;
use crate::link::Feature;

/// The probability of each class of `names`, in their order.
pub fn of(head: &Head<'_>, names: &ClassNames, feature: &Feature) -> anyhow::Result<Vec<f64>> {
    let mut all = vec![0.0; head.biases().len()];
    head.predict(&feature.quantised(), &mut all)?;
    Ok(names.0.iter().map(|class| all.get(usize::from(class.slot)).copied().unwrap_or(0.0)).collect())
}
