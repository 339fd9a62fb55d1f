//! The probability of every class; a device answers with the greatest only.
//!
//! The head is solved here from the samples of the device with the device's own code, so the results are the same bytes.

use macula_edge::head::{Head, HeadKind};
use macula_edge::support_set::Supports;

use crate::cli::classes::ClassNames;
use crate::link::{DeviceInfo, DeviceState, Feature};

/// The head of the device, or `None` if it cannot be solved here.
///
/// * `scratch`: empty memory
pub fn head<'w>(
    kind: HeadKind,
    state: &DeviceState,
    device: &DeviceInfo,
    scratch: &'w mut Vec<f64>,
) -> Option<Head<'w>> {
    let (records, features) = state.taught();
    let supports = Supports { dim: device.dim, records: &records, features: &features };
    scratch.resize(Head::scratch_len(device.dim, device.classes, supports.len()), 0.0);
    Head::fit(kind, supports, device.classes, scratch).ok()
}

/// The probability of each class of `names`, in their order.
pub fn of(head: &Head<'_>, names: &ClassNames, feature: &Feature) -> anyhow::Result<Vec<f64>> {
    let mut all = vec![0.0; head.biases().len()];
    head.predict(&feature.quantised(), &mut all)?;
    Ok(names.0.iter().map(|class| all.get(usize::from(class.slot)).copied().unwrap_or(0.0)).collect())
}
