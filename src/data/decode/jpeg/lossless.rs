//! Lossless JPEG, which DICOM files have: 2 to 16 bits, Huffman-coded. ITU-T T.81, annex H.
//!
//! Each sample is coded as its difference from a prediction. The predictor is one of seven functions of the samples to the
//! left (a), above (b) and above to the left (c).

use super::super::bytes::u16_be;
use super::super::refusal::Refusal;
use super::entropy::{Bits, Huffman};
use super::scan::{Tables, next_marker, next_segment};

/// Size, bits and components of the frame header.
struct Frame {
    bits: u32,
    ids: Vec<u8>,
}

/// Bits of a sample, and the samples in pixel order.
///
/// * `size`: width and height that the image must have; the caller has checked the memory of its samples
/// * `components`: that it must have
pub(in super::super) fn decode(bytes: &[u8], size: [usize; 2], components: usize) -> Result<(u32, Vec<u16>), Refusal> {
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return Err("the frame is not a JPEG".into());
    }
    let (mut tables, mut frame, mut samples) = (Tables::default(), None, Vec::new());
    let mut is_coded = vec![false; components];
    let mut at = 2; // after the start marker
    while let Some((marker, segment)) = next_segment(bytes, &mut at)? {
        match marker {
            0xC4 => tables.read(segment)?,
            0xDD => tables.restart_interval = u16_be(segment, 0).unwrap_or(0).into(),
            0xC3 if frame.is_some() => return Err("two frame headers".into()),
            0xC3 => {
                frame = Some(Frame::parse(segment, size, components)?);
                samples = vec![0; size[0] * size[1] * components];
            }
            0xC0..=0xC2 | 0xC5..=0xCF => return Err("the JPEG of the frame is not lossless and Huffman-coded".into()),
            0xDA => {
                let frame = frame.as_ref().ok_or("a scan before the frame header")?;
                let scan = Scan::parse(segment, frame, &tables, &mut is_coded)?;
                at = scan.decode(bytes, at, tables.restart_interval, size, &mut samples)?;
            }
            _ => {}
        }
    }
    let frame = frame.ok_or("no frame header")?;
    match is_coded.iter().position(|is_coded| !is_coded) {
        None => Ok((frame.bits, samples)),
        Some(missing) => {
            Err(format!("the JPEG is truncated: the scan of its component {} is missing", missing + 1).into())
        }
    }
}

impl Frame {
    fn parse(segment: &[u8], [width, height]: [usize; 2], components: usize) -> Result<Self, Refusal> {
        let cut = || Refusal::from("the frame header is truncated");
        let [bits, _, _, _, _, count, rest @ ..] = segment else { return Err(cut()) };
        let [found_height, found_width] = [1, 3].map(|at| usize::from(u16_be(segment, at).unwrap_or(0)));
        if [found_width, found_height] != [width, height] || usize::from(*count) != components {
            return Err(format!(
                "the JPEG of the frame has {found_width}×{found_height} pixels of {count} components; \
                 expected {width}×{height} of {components}"
            )
            .into());
        }
        if !(2..=16).contains(bits) {
            return Err(format!("lossless JPEG with {bits} bits per sample; expected 2 to 16").into());
        }
        let named = rest.get(..3 * components).ok_or_else(cut)?;
        if named.chunks_exact(3).any(|component| component[1] != 0x11) {
            return Err("lossless JPEG with subsampled components is not supported".into());
        }
        Ok(Self { bits: u32::from(*bits), ids: named.chunks_exact(3).map(|component| component[0]).collect() })
    }
}

/// One scan, of one component or of all.
struct Scan<'t> {
    /// Index and table of each component.
    parts: Vec<(usize, &'t Huffman)>,
    predictor: u8,
    /// Low bits that are not coded.
    shift: u32,
    /// The prediction of the first sample.
    first: i32,
    /// Components of the image.
    components: usize,
}

impl<'t> Scan<'t> {
    fn parse(segment: &[u8], frame: &Frame, tables: &'t Tables, is_coded: &mut [bool]) -> Result<Self, Refusal> {
        let cut = || Refusal::from("a scan header is truncated");
        let (&count, rest) = segment.split_first().ok_or_else(cut)?;
        let (named, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(cut)?;
        let [predictor, _, precision, ..] = *rest else { return Err(cut()) };
        let mut parts = Vec::new();
        for pair in named.chunks_exact(2) {
            let component = frame.ids.iter().position(|id| *id == pair[0]);
            let component = component.ok_or("a scan names a component that does not exist")?;
            if std::mem::replace(&mut is_coded[component], true) {
                return Err("two scans code one component".into());
            }
            let table = tables.dc.get(usize::from(pair[1] >> 4)).and_then(Option::as_ref);
            parts.push((component, table.ok_or("a scan has no table")?));
        }
        let shift = u32::from(precision & 15);
        if !(1..=7).contains(&predictor) || shift >= frame.bits || parts.is_empty() {
            return Err(
                format!("a scan header has invalid values: predictor {predictor}, point transform {shift}").into()
            );
        }
        let first = 1 << (frame.bits - shift - 1);
        Ok(Self { parts, predictor, shift, first, components: frame.ids.len() })
    }

    /// Decodes the samples of the scan, and returns the position of the marker after it.
    fn decode(
        &self,
        bytes: &[u8],
        at: usize,
        restart_interval: usize,
        [width, height]: [usize; 2],
        samples: &mut [u16],
    ) -> Result<usize, Refusal> {
        if !restart_interval.is_multiple_of(width) {
            return Err(format!("restart interval {restart_interval} is no multiple of {width} pixels in a row").into());
        }
        let (mut bits, mut restarts) = (Bits::new(bytes, at), 0u8);
        // The first row of the image and of each restart interval is predicted without the row above.
        let mut top = 0;
        for y in 0..height {
            if restart_interval > 0 && y > 0 && (y * width) % restart_interval == 0 {
                let mut at = bits.finish()?;
                if next_marker(bytes, &mut at) != Some(0xD0 + restarts % 8) {
                    return Err(format!("the JPEG is damaged: a restart marker is missing near byte {at}").into());
                }
                restarts = restarts.wrapping_add(1);
                bits = Bits::new(bytes, at);
                top = y;
            }
            for x in 0..width {
                for &(component, table) in &self.parts {
                    let place = |x: usize, y: usize| (y * width + x) * self.components + component;
                    let value = |x: usize, y: usize| i32::from(samples[place(x, y)] >> self.shift);
                    let prediction = match (x, y == top) {
                        (0, true) => self.first,
                        (_, true) => value(x - 1, y),
                        (0, false) => value(0, y - 1),
                        _ => predict(self.predictor, value(x - 1, y), value(x, y - 1), value(x - 1, y - 1)),
                    };
                    // Sums are modulo 2^16.
                    let sample = (prediction + difference(&mut bits, table)?) as u16;
                    samples[place(x, y)] = sample << self.shift;
                }
            }
        }
        bits.finish()
    }
}

/// Table H.1.
fn predict(predictor: u8, a: i32, b: i32, c: i32) -> i32 {
    match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    }
}

/// The next difference: its number of bits, then those bits, where a leading 0 means a negative one.
fn difference(bits: &mut Bits<'_>, table: &Huffman) -> Result<i32, Refusal> {
    match bits.symbol(table)? {
        0 => Ok(0),
        size @ 1..=15 => {
            let value = bits.take(size.into())? as i32;
            Ok(if value >> (size - 1) == 1 { value } else { value - (1 << size) + 1 })
        }
        16 => Ok(32_768),
        _ => Err("the JPEG is damaged: a difference has more than 16 bits".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lossless JPEG of `samples`, each coded by a table whose codes are 5 bits and equal the size of the difference.
    fn encoded(
        samples: &[u16],
        [width, height]: [usize; 2],
        bits: u8,
        predictor: u8,
        rows_per_restart: usize,
    ) -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xC3, 0, 11, bits];
        bytes.extend([(height >> 8) as u8, height as u8, (width >> 8) as u8, width as u8, 1, 1, 0x11, 0]);
        bytes.extend([0xFF, 0xC4, 0, 19 + 17, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(0..17);
        let interval = (rows_per_restart * width) as u16;
        bytes.extend([0xFF, 0xDD, 0, 4, (interval >> 8) as u8, interval as u8]);
        bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, predictor, 0, 0]);
        let (mut coded, mut top) = (String::new(), 0);
        let flush = |coded: &mut String, bytes: &mut Vec<u8>| {
            while !coded.len().is_multiple_of(8) {
                coded.push('1');
            }
            for byte in coded.as_bytes().chunks(8) {
                let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
                bytes.push(byte);
                if byte == 0xFF {
                    bytes.push(0);
                }
            }
            coded.clear();
        };
        for y in 0..height {
            if rows_per_restart > 0 && y > 0 && y % rows_per_restart == 0 {
                flush(&mut coded, &mut bytes);
                bytes.extend([0xFF, 0xD0 + ((y / rows_per_restart - 1) % 8) as u8]);
                top = y;
            }
            for x in 0..width {
                let at = |x: usize, y: usize| i32::from(samples[y * width + x]);
                let prediction = match (x, y == top) {
                    (0, true) => 1 << (bits - 1),
                    (_, true) => at(x - 1, y),
                    (0, false) => at(0, y - 1),
                    _ => predict(predictor, at(x - 1, y), at(x, y - 1), at(x - 1, y - 1)),
                };
                // The difference modulo 2^16, from -32,767 to 32,768.
                let difference = i32::from((at(x, y) - prediction) as i16);
                let difference = if difference == -32_768 { 32_768 } else { difference };
                let size = 32 - difference.unsigned_abs().leading_zeros();
                coded.push_str(&format!("{size:05b}"));
                if (1..=15).contains(&size) {
                    let value = if difference > 0 { difference } else { difference + (1 << size) - 1 };
                    coded.push_str(&format!("{value:0width$b}", width = size as usize));
                }
            }
        }
        flush(&mut coded, &mut bytes);
        bytes.extend([0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn every_predictor_gives_the_samples_back() {
        let size = [7, 6];
        let samples: Vec<u16> = (0..42u32).map(|index| (index * index * 40_503 % 65_536) as u16).collect();
        for predictor in 1..=7 {
            for rows_per_restart in [0, 2] {
                let bytes = encoded(&samples, size, 16, predictor, rows_per_restart);
                assert_eq!(decode(&bytes, size, 1), Ok((16, samples.clone())), "predictor {predictor}");
            }
        }
        let extreme = [0, 65_535, 0, 32_768, 65_535, 0];
        assert_eq!(decode(&encoded(&extreme, [6, 1], 16, 1, 0), [6, 1], 1), Ok((16, extreme.to_vec())));
    }

    #[test]
    fn a_truncated_or_other_image_is_refused() {
        let samples: Vec<u16> = (0..40).map(|index| index * 97 % 256).collect();
        let bytes = encoded(&samples, [8, 5], 8, 1, 0);
        assert!(decode(&bytes, [8, 5], 1).is_ok());
        for keep in 0..bytes.len() {
            let cut = [&bytes[..keep], &[0xFF, 0xD9]].concat();
            assert!(decode(&cut, [8, 5], 1).is_err() || keep >= bytes.len() - 2, "{keep} of {} bytes", bytes.len());
            assert!(decode(&bytes[..keep], [8, 5], 1).is_err());
        }
        assert!(decode(&bytes, [5, 8], 1).is_err());
        assert!(decode(&bytes, [8, 5], 3).is_err());
    }
}
