//! Atomic changes to a device: all of several changes are made, or none.

use macula_edge::protocol::Reason;
use macula_edge::support_set::SourceId;

use super::failure::Failure;
use super::print_json;
use crate::link::{Changes, Client, DeviceState};
use crate::report::text::count;

/// Changes that could not be undone, as `--json` prints them.
#[derive(serde::Serialize)]
struct Kept<'k> {
    /// Sources of new samples that the device still has.
    learned_kept: Vec<String>,
    classes_kept: Vec<&'k str>,
    error: String,
}

/// Runs `work`, which changes the device. After an error the changes are undone, exactly. If that is impossible,
/// the error names the changes that stay, with `json` also as JSON.
pub fn atomically<T>(
    client: &mut Client<'_>,
    json: bool,
    work: impl FnOnce(&mut Client<'_>, &mut Changes) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut changes = Changes::default();
    let error = match work(client, &mut changes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let Err(undoing) = changes.undo(client) else { return Err(error.context("nothing was changed")) };
    if json {
        print_json(&Kept {
            learned_kept: changes.learned.iter().map(|source| crate::report::text::hexadecimal(source)).collect(),
            classes_kept: changes.added.iter().map(|(_, name)| name.as_str()).collect(),
            error: format!("{error:#}"),
        })?;
    }
    let (samples, classes) = (count(changes.learned.len(), "new sample"), count(changes.added.len(), "new class"));
    Err(error.context(format!(
        "{samples} and {classes} stay on the device, because undoing them failed ({undoing}); run the same command again"
    )))
}

/// Refuses samples that do not fit, before any is written.
///
/// # Errors
/// When `sources` has more new samples than the device has free places.
pub fn check_places(client: &mut Client<'_>, sources: &[SourceId]) -> anyhow::Result<()> {
    let status = client.status()?;
    let (limit, left) = (status.supports_limit, status.supports_limit.saturating_sub(status.supports));
    if sources.len() <= left as usize {
        return Ok(());
    }
    let DeviceState { supports, .. } = client.export()?;
    let mut new: Vec<&SourceId> =
        sources.iter().filter(|source| supports.iter().all(|support| support.from.source != **source)).collect();
    new.sort_unstable();
    new.dedup();
    if new.len() <= left as usize {
        return Ok(());
    }
    let (wanted, places) = (count(new.len(), "new sample"), count(left, "place"));
    let message = format!("{}: {wanted}, but {places} of {limit} free; nothing was changed", client.address());
    Err(Failure::refused(Reason::SupportsFull.with(new.len() as u64, limit.into()), true, message).into())
}
