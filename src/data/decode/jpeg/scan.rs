//! Checks that a JPEG codes all its blocks. Reads the scans as a decoder does, but only for the lengths of the codes.
//!
//! ITU-T T.81, annexes B, F and G.

use super::super::bytes::u16_be;
use super::super::orientation::{self, OrientationTags};
use super::super::refusal::Refusal;
use super::entropy::{Bits, Huffman};
use super::frame::{BLOCK_LEN, Frame};

/// Scans of one image at most. Encoders write about ten; more take much time and add nothing.
const SCANS_MAX: usize = 100;

/// Facts about a complete JPEG.
pub(super) struct Whole {
    pub frame: Frame,
    pub orientation: u8,
    /// The colour transform that a segment of Adobe states: 0 for none, 1 for YCbCr.
    #[cfg_attr(not(feature = "dicom"), expect(dead_code, reason = "only DICOM files state colours beside the JPEG"))]
    pub adobe_transform: Option<u8>,
}

/// Reads all segments and scans up to the end marker.
pub(super) fn check(bytes: &[u8]) -> Result<Whole, Refusal> {
    let mut tables = Tables::default();
    let (mut pixels, mut tags, mut scans): (Option<Pixels>, OrientationTags, usize) =
        (None, OrientationTags::default(), 0);
    let mut adobe_transform = None;
    let mut at = 2; // after the start marker
    while let Some((marker, segment)) = next_segment(bytes, &mut at)? {
        match marker {
            0xC4 => tables.read(segment)?,
            0xDD => tables.restart_interval = u16_be(segment, 0).unwrap_or(0).into(),
            0xCC => return Err("arithmetic-coded JPEG is not supported".into()),
            0xC0..=0xCF if pixels.is_some() => return Err("two frame headers".into()),
            0xC0..=0xCF => pixels = Some(Pixels::new(Frame::parse(marker, segment)?)),
            0xDA => {
                scans += 1;
                if scans > SCANS_MAX {
                    return Err(format!("more than {SCANS_MAX} scans").into());
                }
                let pixels = pixels.as_mut().ok_or("a scan before the frame header")?;
                at = pixels.scan(&tables, segment, bytes, at)?;
            }
            0xE1 if segment.starts_with(b"Exif\0\0") => tags.exif = tags.exif.or(orientation::of_exif(segment)),
            0xE1 if segment.starts_with(b"http://ns.adobe.com/xap/1.0/\0") => {
                tags.xmp = tags.xmp.or(orientation::of_xmp(segment));
            }
            0xEE if segment.starts_with(b"Adobe") => adobe_transform = segment.get(11).copied(),
            _ => {}
        }
    }
    let pixels = pixels.ok_or("no frame header")?;
    pixels.check_complete()?;
    Ok(Whole { frame: pixels.frame, orientation: tags.orientation(), adobe_transform })
}

/// The next marker that has content, and its content; `at` moves behind it. `None` at the end marker.
pub(super) fn next_segment<'a>(bytes: &'a [u8], at: &mut usize) -> Result<Option<(u8, &'a [u8])>, Refusal> {
    let cut = || Refusal::from(format!("the JPEG is truncated: no end marker in {} bytes", bytes.len()));
    loop {
        let marker = next_marker(bytes, at).ok_or_else(cut)?;
        match marker {
            0xD9 => return Ok(None),
            // Markers without content.
            0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let len = usize::from(u16_be(bytes, *at).ok_or_else(cut)?);
        let segment = bytes.get(*at + 2..*at + len).ok_or_else(cut)?;
        *at += len;
        return Ok(Some((marker, segment)));
    }
}

/// The marker at or after `at`; `at` moves behind it. Fill bytes of `0xFF` may precede it.
pub(super) fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    // Some writers leave zeros between segments.
    while *bytes.get(*at)? != 0xFF {
        *at += 1;
    }
    while *bytes.get(*at)? == 0xFF {
        *at += 1;
    }
    *at += 1;
    bytes.get(*at - 1).copied()
}

#[derive(Default)]
pub(super) struct Tables {
    pub dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    pub restart_interval: usize,
}

impl Tables {
    /// Reads the segment of marker `0xFFC4`.
    pub fn read(&mut self, mut segment: &[u8]) -> Result<(), Refusal> {
        while let [kind, rest @ ..] = segment {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or("the Huffman table is truncated")?;
            let codes: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let symbols = rest.get(..codes).ok_or("the Huffman table is truncated")?;
            let class = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let place = class.get_mut(usize::from(kind & 15)).ok_or("a Huffman table has a number above 3")?;
            *place = Some(Huffman::new(counts, symbols)?);
            segment = &rest[codes..];
        }
        Ok(())
    }
}

/// The coefficients of one component that scans have coded so far.
struct Coefficients {
    /// Number of low bits that are not yet coded, for each coefficient of a block; none if no bit is coded.
    missing_bits: [Option<u8>; BLOCK_LEN],
    /// For each block of a progressive image, a mask of the coefficients that are not 0 so far. A refinement scan codes one
    /// more bit of exactly those.
    non_zero: Vec<u64>,
}

struct Pixels {
    frame: Frame,
    coefficients: Vec<Coefficients>,
}

/// One component of a scan, with its tables.
struct Part<'t> {
    component: usize,
    dc: Option<&'t Huffman>,
    ac: Option<&'t Huffman>,
}

/// The coefficients and bits that a scan codes.
#[derive(Clone, Copy)]
struct Band {
    first: usize,
    last: usize,
    /// Whether earlier scans coded the higher bits.
    refines: bool,
}

impl Pixels {
    fn new(frame: Frame) -> Self {
        let of = |component| {
            let [across, down] = frame.blocks(component);
            let blocks = if frame.is_progressive { across * down } else { 0 };
            Coefficients { missing_bits: [None; BLOCK_LEN], non_zero: vec![0; blocks] }
        };
        let coefficients = frame.components.iter().map(of).collect();
        Self { frame, coefficients }
    }

    /// Reads one scan and returns the position of the marker after it.
    fn scan(&mut self, tables: &Tables, header: &[u8], bytes: &[u8], at: usize) -> Result<usize, Refusal> {
        let cut = || Refusal::from("a scan header is truncated");
        let (&count, rest) = header.split_first().ok_or_else(cut)?;
        let (named, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(cut)?;
        let [first, last, precision, ..] = *rest else { return Err(cut()) };
        let mut parts = Vec::new();
        for pair in named.chunks_exact(2) {
            let component = self.frame.components.iter().position(|component| component.id == pair[0]);
            let component = component.ok_or("a scan names a component that does not exist")?;
            let dc = tables.dc.get(usize::from(pair[1] >> 4)).and_then(Option::as_ref);
            let ac = tables.ac.get(usize::from(pair[1] & 15)).and_then(Option::as_ref);
            parts.push(Part { component, dc, ac });
        }
        if parts.is_empty() || parts.len() > self.frame.components.len() {
            return Err("a scan has no components or too many".into());
        }
        let band = self.band(&parts, first, last, precision)?;
        self.frame.check_memory(self.frame.is_progressive || parts.len() < self.frame.components.len())?;
        self.units(tables, &parts, band, bytes, at)
    }

    /// Checks and records what a scan codes.
    fn band(&mut self, parts: &[Part<'_>], first: u8, last: u8, precision: u8) -> Result<Band, Refusal> {
        if !self.frame.is_progressive {
            for part in parts {
                let missing = &mut self.coefficients[part.component].missing_bits;
                if missing[0].is_some() {
                    return Err("two scans code one component".into());
                }
                *missing = [Some(0); BLOCK_LEN];
            }
            return Ok(Band { first: 0, last: BLOCK_LEN - 1, refines: false });
        }
        let (high, low) = (precision >> 4, precision & 15);
        let (first, last) = (usize::from(first), usize::from(last));
        let is_valid = match first {
            0 => last == 0,
            _ => first <= last && last < BLOCK_LEN && parts.len() == 1,
        };
        if !is_valid || low > 13 {
            return Err("a scan header has invalid values".into());
        }
        for part in parts {
            for missing in &mut self.coefficients[part.component].missing_bits[first..=last] {
                let follows = match *missing {
                    None => high == 0,
                    Some(bits) => high == bits && low + 1 == bits,
                };
                if !follows {
                    return Err("the progressive scans are out of order".into());
                }
                *missing = Some(low);
            }
        }
        Ok(Band { first, last, refines: high > 0 })
    }

    /// Reads all units of a scan and the restart markers between them.
    fn units(
        &mut self,
        tables: &Tables,
        parts: &[Part<'_>],
        band: Band,
        bytes: &[u8],
        at: usize,
    ) -> Result<usize, Refusal> {
        let is_alone = parts.len() == 1;
        let [across, down] = match is_alone {
            true => self.frame.blocks(&self.frame.components[parts[0].component]),
            false => self.frame.units(),
        };
        let mut bits = Bits::new(bytes, at);
        let (mut run, mut restarts) = (0u32, 0u8);
        for unit in 0..across * down {
            if tables.restart_interval > 0 && unit > 0 && unit % tables.restart_interval == 0 {
                let mut at = bits.finish()?;
                if next_marker(bytes, &mut at) != Some(0xD0 + restarts % 8) {
                    return Err(format!("the JPEG is damaged: a restart marker is missing near byte {at}").into());
                }
                restarts = restarts.wrapping_add(1);
                bits = Bits::new(bytes, at);
                run = 0;
            }
            for part in parts {
                let [h, v] = self.frame.components[part.component].sampling;
                for _ in 0..if is_alone { 1 } else { h * v } {
                    let block = Block { part, band, run: &mut run };
                    match self.frame.is_progressive {
                        false => block.baseline(&mut bits)?,
                        true if band.first == 0 => block.progressive_dc(&mut bits)?,
                        true => {
                            // Only scans of a single component have such coefficients, with one block per unit.
                            let non_zero = &mut self.coefficients[part.component].non_zero[unit];
                            if band.refines {
                                block.refine(&mut bits, non_zero)?
                            } else {
                                block.first(&mut bits, non_zero)?
                            }
                        }
                    }
                }
            }
        }
        bits.finish()
    }

    /// Refuses an image that ends before all bits of all coefficients are coded.
    fn check_complete(&self) -> Result<(), Refusal> {
        let is_whole = |of: &Coefficients| of.missing_bits.iter().all(|missing| *missing == Some(0));
        match self.coefficients.iter().position(|of| !is_whole(of)) {
            None => Ok(()),
            Some(component) => {
                Err(format!("the JPEG is truncated: scans of its component {} are missing", component + 1).into())
            }
        }
    }
}

/// The next block of a scan.
struct Block<'s, 't> {
    part: &'s Part<'t>,
    band: Band,
    /// Number of next blocks without further coefficients in this scan.
    run: &'s mut u32,
}

impl Block<'_, '_> {
    fn dc(&self, bits: &mut Bits<'_>) -> Result<(), Refusal> {
        let size = bits.symbol(self.part.dc.ok_or("a scan has no DC table")?)?;
        skip(bits, size)
    }

    /// The length of a run of zeros, and the size of the value after it.
    fn ac(&self, bits: &mut Bits<'_>) -> Result<(u8, u8), Refusal> {
        let symbol = bits.symbol(self.part.ac.ok_or("a scan has no AC table")?)?;
        Ok((symbol >> 4, symbol & 15))
    }

    fn baseline(self, bits: &mut Bits<'_>) -> Result<(), Refusal> {
        self.dc(bits)?;
        let mut k = 1;
        while k < BLOCK_LEN {
            match self.ac(bits)? {
                (15, 0) => k += 16,
                (_, 0) => break,
                (zeros, size) => {
                    k = place(k + usize::from(zeros), BLOCK_LEN - 1)? + 1;
                    skip(bits, size)?;
                }
            }
        }
        Ok(())
    }

    fn progressive_dc(self, bits: &mut Bits<'_>) -> Result<(), Refusal> {
        match self.band.refines {
            true => bits.take(1).map(|_| ()),
            false => self.dc(bits),
        }
    }

    fn first(self, bits: &mut Bits<'_>, non_zero: &mut u64) -> Result<(), Refusal> {
        if *self.run > 0 {
            *self.run -= 1;
            return Ok(());
        }
        let mut k = self.band.first;
        while k <= self.band.last {
            match self.ac(bits)? {
                (15, 0) => k += 16,
                (length, 0) => {
                    *self.run = (1 << length) - 1 + bits.take(length.into())?;
                    break;
                }
                (zeros, size) => {
                    k = place(k + usize::from(zeros), self.band.last)?;
                    skip(bits, size)?;
                    *non_zero |= 1 << k;
                    k += 1;
                }
            }
        }
        Ok(())
    }

    fn refine(self, bits: &mut Bits<'_>, non_zero: &mut u64) -> Result<(), Refusal> {
        let (mut k, last) = (self.band.first, self.band.last);
        let is_non_zero = |non_zero: u64, k: usize| non_zero >> k & 1 == 1;
        while *self.run == 0 && k <= last {
            let (mut zeros, size) = self.ac(bits)?;
            match size {
                0 if zeros < 15 => {
                    *self.run = (1 << zeros) + bits.take(zeros.into())?;
                    break;
                }
                0 => {}
                _ => skip(bits, 1)?,
            }
            // Every non-zero coefficient in between has a correction bit.
            while k <= last {
                if is_non_zero(*non_zero, k) {
                    skip(bits, 1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if size > 0 {
                *non_zero |= 1 << place(k, last)?;
            }
            k += 1;
        }
        if *self.run > 0 {
            for k in k..=last {
                if is_non_zero(*non_zero, k) {
                    skip(bits, 1)?;
                }
            }
            *self.run -= 1;
        }
        Ok(())
    }
}

fn skip(bits: &mut Bits<'_>, count: u8) -> Result<(), Refusal> {
    match count {
        0..=16 => bits.take(count.into()).map(|_| ()),
        _ => Err("the JPEG is damaged: a value has more than 16 bits".into()),
    }
}

fn place(k: usize, last: usize) -> Result<usize, Refusal> {
    if k <= last { Ok(k) } else { Err("the JPEG is damaged: a block has too many coefficients".into()) }
}
