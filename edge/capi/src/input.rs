//! The sample of a call.

use macula_edge::protocol::message::Input as WireInput;

use crate::pointer::{check, slice};
use crate::status::Failure;
use crate::types::Input;

/// The sample of a call: null is the image.
///
/// # Safety
/// `input` is null or points to an input as the header describes it, which nobody changes during `'a`.
pub(crate) unsafe fn sample<'a>(input: *const Input) -> Result<WireInput<'a>, Failure> {
    if input.is_null() {
        return Ok(WireInput::Image);
    }
    check(input)?;
    // SAFETY: by the promise above.
    let (input, feature) = unsafe {
        let input = &*input;
        check(input.feature)?;
        (input, slice(input.feature, input.dim)?)
    };
    // Little-endian, as on the wire: `macula-edge` does not compile for big-endian processors.
    let bytes = bytemuck::cast_slice(feature);
    Ok(if input.has_length { WireInput::Measured(bytes, input.length) } else { WireInput::Feature(bytes) })
}
