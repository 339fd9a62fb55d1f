//! The operating point as the store has it.

use crate::decide::OperatingPoint;
use crate::store::{Flash, OPERATING_POINT_KEY, SETTING_MAX, Store, StoreError};
use crate::support_set::SupportSet;

/// The stored operating point.
///
/// A class takes it along when it is removed. Only a program that does not know this setting leaves one without its class, which
/// is removed here, before another class can take the slot.
pub(super) fn load<F: Flash>(
    store: &mut Store<'_, F>,
    support_set: &SupportSet<'_>,
) -> Result<Option<OperatingPoint>, StoreError> {
    let mut value = [0; SETTING_MAX];
    let len = store.get_setting(OPERATING_POINT_KEY, &mut value)?;
    let Some(&class) = value[..len].first() else { return Ok(None) };
    if support_set.names().get(usize::from(class)).is_none_or(|name| name.is_free()) {
        store.put_setting(OPERATING_POINT_KEY, &[])?;
        return Ok(None);
    }
    Ok(OperatingPoint::parse(&value[..len]))
}
