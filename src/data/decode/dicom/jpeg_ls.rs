//! JPEG-LS, lossless and nearly lossless, of one component. ITU-T T.87.

use super::super::refusal::Refusal;
use super::header::Header;

/// Bits of a sample, and the samples.
pub(super) fn decode(header: &Header, bytes: &[u8]) -> Result<(u32, Vec<u16>), Refusal> {
    let (bits, [width, height], components) = frame(bytes).ok_or("the JPEG-LS of the frame has no frame header")?;
    if [width, height] != [header.width, header.height] {
        return Err(format!(
            "the JPEG-LS of the frame has {width}×{height} pixels; expected {}×{}",
            header.width, header.height
        )
        .into());
    }
    if components != 1 || header.samples != 1 {
        return Err(format!("JPEG-LS with {components} components is not supported; expected 1").into());
    }
    let (samples, _, _) = jpegls::decode(trim(bytes), width as u32, height as u32)
        .map_err(|error| format!("the JPEG-LS of the frame cannot be decoded: {error}"))?;
    Ok((bits, samples))
}

/// Bits, size and number of components of the frame header, which is before the first scan.
fn frame(bytes: &[u8]) -> Option<(u32, [usize; 2], u8)> {
    let mut at = 2;
    loop {
        let [0xFF, marker, high, low, segment @ ..] = bytes.get(at..)? else { return None };
        match (marker, segment) {
            (0xF7, [bits @ 2..=16, h1, h0, w1, w0, components, ..]) => {
                let size = [[*w1, *w0], [*h1, *h0]].map(|pair| usize::from(u16::from_be_bytes(pair)));
                return Some((u32::from(*bits), size, *components));
            }
            (0xF7 | 0xDA, _) => return None,
            _ => at += 2 + usize::from(u16::from_be_bytes([*high, *low])).max(2),
        }
    }
}

/// Without the byte that makes the length of a fragment even.
fn trim(bytes: &[u8]) -> &[u8] {
    match bytes {
        [rest @ .., 0] if rest.ends_with(&[0xFF, 0xD9]) => rest,
        _ => bytes,
    }
}
