//! Images, features and predictions.

use macula_edge::protocol::message::{Input as WireInput, Prediction as WirePrediction};
use macula_edge::protocol::{Reply, Request};

use crate::device::{Device, run};
use crate::input::sample;
use crate::pointer::{check, place, slice, slice_mut};
use crate::status::{Status, UNEXPECTED};
use crate::types::{Input, Prediction, Why, neighbours};

/// Begins an image; the one before is dropped. Its bytes follow by `macula_append_image`.
///
/// * `channels`: 1 grey, 3 red green blue
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_begin_image(device: *mut Device, width: u16, height: u16, channels: u8) -> Status {
    // SAFETY: `device` is null or what the header asks for.
    unsafe {
        run(device, |opened| {
            opened.session.execute(Request::ImageBegin { width, height, channels }, 0)?;
            Ok(())
        })
    }
}

/// Adds the next bytes of the image: one row, several, or all. They are copied. The image stays until the next one begins.
///
/// * `offset`: bytes that were added before
/// * `bytes`: `[height, width, channels]`, 8 bits each, row by row from the top
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_append_image(
    device: *mut Device,
    offset: u32,
    bytes: *const u8,
    bytes_size: usize,
) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let bytes = slice(bytes, bytes_size)?;
            opened.session.execute(Request::ImageChunk { offset, bytes }, 0)?;
            Ok(())
        })
    }
}

/// Gives the feature of the image, so that `macula_learn` and `macula_predict` need not compute it again.
///
/// * `feature`: receives the feature
/// * `dim`: the device's dimensions
/// * `has_length`, `length`: receive the length for `macula_input`; both may be null
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_embed(
    device: *mut Device,
    feature: *mut i16,
    dim: usize,
    has_length: *mut bool,
    length: *mut u16,
) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            check(feature.cast_const())?;
            let expected = opened.session.support_set().dim();
            if dim != expected {
                return Err(Status::OutOfRange.with(dim as u64, expected as u64));
            }
            let values = slice_mut(feature, dim)?;
            let has_length = if has_length.is_null() { None } else { Some(place(has_length)?) };
            let length_place = if length.is_null() { None } else { Some(place(length)?) };
            let reply = opened.session.execute(Request::Embed { input: WireInput::Image }, 0)?;
            let Reply::Feature { feature: bytes, length } = reply else { return Err(UNEXPECTED) };
            for (value, pair) in values.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *value = i16::from_le_bytes(*pair);
            }
            if let Some(place) = has_length {
                place.write(length.is_some());
            }
            if let Some(place) = length_place {
                place.write(length.unwrap_or(0));
            }
            Ok(())
        })
    }
}

/// Predicts the class of a sample.
///
/// * `input`: null for the image
/// * `head`: the classifier: 0 the device's choice, 1 prototype, 2 Gaussian, 3 softmax regression
/// * `error_rate_permille`: rate at which `set` may miss the right class, in thousandths, 1 to 500
/// * `prediction`: receives the prediction
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_predict(
    device: *mut Device,
    input: *const Input,
    head: u8,
    error_rate_permille: u16,
    prediction: *mut Prediction,
) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let (result, input) = (place(prediction)?, sample(input)?);
            let request = Request::Predict { input, head, error_rate_permille };
            let Reply::Prediction(found) = opened.session.execute(request, 0)? else { return Err(UNEXPECTED) };
            let WirePrediction { class, probability, set: classes, known, enough, shots_needed, nearest, .. } = found;
            let mut set = [0; 32];
            set[..classes.len()].copy_from_slice(classes);
            let (nearest_count, nearest) = neighbours(nearest);
            let slot = class;
            let answer = Prediction { slot, known, enough, shots_needed, probability, set, nearest_count, nearest };
            result.write(answer);
            Ok(())
        })
    }
}

/// Gives the supports that are nearest to a sample.
///
/// * `input`: null for the image
/// * `why`: receives them
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_why(device: *mut Device, input: *const Input, why: *mut Why) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let (result, input) = (place(why)?, sample(input)?);
            let Reply::Why { nearest } = opened.session.execute(Request::Why { input }, 0)? else {
                return Err(UNEXPECTED);
            };
            let (nearest_count, nearest) = neighbours(nearest);
            result.write(Why { nearest_count, nearest });
            Ok(())
        })
    }
}
