//! The frame header of a JPEG: size, components, and the memory of decoding.

use zune_core::colorspace::ColorSpace;

use super::super::budget;
use super::super::bytes::u16_be;
use super::super::refusal::Refusal;

/// Values of one block of 8 × 8 pixels.
pub(super) const BLOCK_LEN: usize = 64;

/// One component, such as luma.
#[derive(Clone, Copy, Debug)]
pub(super) struct Component {
    pub id: u8,
    /// Horizontal and vertical sampling factors, 1 to 4.
    pub sampling: [usize; 2],
}

/// The frame header.
#[derive(Clone, Debug)]
pub(in super::super) struct Frame {
    pub width: usize,
    pub height: usize,
    pub(super) is_progressive: bool,
    pub(super) components: Vec<Component>,
}

impl Frame {
    /// Reads the segment of marker `0xFFCx`. Unsupported kinds are refused by name.
    pub fn parse(marker: u8, segment: &[u8]) -> Result<Self, Refusal> {
        let is_progressive = match marker {
            0xC0 | 0xC1 => false,
            0xC2 => true,
            0xC3 | 0xC7 | 0xCB | 0xCF => return Err("lossless JPEG is not supported".into()),
            0xC9 | 0xCA | 0xCD | 0xCE => return Err("arithmetic-coded JPEG is not supported".into()),
            _ => return Err("hierarchical JPEG is not supported".into()),
        };
        let cut = || Refusal::from("the frame header is truncated");
        let [bits, _, _, _, _, count, components @ ..] = segment else { return Err(cut()) };
        let (height, width) = (u16_be(segment, 1).unwrap_or(0), u16_be(segment, 3).unwrap_or(0));
        if *bits != 8 {
            return Err(format!("JPEG with {bits} bits per sample is not supported; expected 8").into());
        }
        if height == 0 {
            return Err("JPEG without a height in the frame header is not supported".into());
        }
        let component = |bytes: &[u8]| Component {
            id: bytes[0],
            sampling: [usize::from(bytes[1] >> 4), usize::from(bytes[1] & 15)],
        };
        let components = components.get(..3 * usize::from(*count)).ok_or_else(cut)?;
        let components: Vec<Component> = components.chunks_exact(3).map(component).collect();
        let frame = Self { width: width.into(), height: height.into(), is_progressive, components };
        let valid = |factor: &usize| (1..=4).contains(factor);
        if !frame.components.iter().all(|component| component.sampling.iter().all(valid)) {
            return Err("the sampling factors are not 1 to 4".into());
        }
        frame.colour()?;
        frame.check_memory(frame.is_progressive)?;
        Ok(frame)
    }

    /// The colour type of the decoded pixels.
    pub fn colour(&self) -> Result<ColorSpace, Refusal> {
        match self.components.len() {
            1 => Ok(ColorSpace::Luma),
            3 | 4 => Ok(ColorSpace::RGB),
            other => Err(format!("JPEG with {other} components is not supported; expected 1, 3 or 4").into()),
        }
    }

    /// Refuses an image that takes too much memory. If the blocks are coded in several scans, the decoder holds the
    /// coefficients of all blocks; otherwise it holds the pixels and a few rows.
    pub fn check_memory(&self, has_scans: bool) -> Result<(), Refusal> {
        let (width, height) = (self.width as u64, self.height as u64);
        let channels = if self.components.len() == 1 { 1 } else { 3 };
        let coefficients: usize = match has_scans {
            true => self.components.iter().map(|c| self.padded_blocks(c) * BLOCK_LEN * size_of::<i16>()).sum(),
            false => 0,
        };
        budget::check_bytes(width, height, width * height * channels + coefficients as u64)
    }

    /// The largest sampling factors.
    pub(super) fn largest_sampling(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.components.iter().map(|component| component.sampling[axis]).max().unwrap_or(1))
    }

    /// Minimum coded units across and down if components are interleaved.
    pub(super) fn units(&self) -> [usize; 2] {
        let [h, v] = self.largest_sampling();
        [self.width.div_ceil(8 * h), self.height.div_ceil(8 * v)]
    }

    /// Blocks across and down of a component that is alone in a scan.
    pub(super) fn blocks(&self, component: &Component) -> [usize; 2] {
        let [h, v] = self.largest_sampling();
        let [own_h, own_v] = component.sampling;
        [(self.width * own_h).div_ceil(8 * h), (self.height * own_v).div_ceil(8 * v)]
    }

    fn padded_blocks(&self, component: &Component) -> usize {
        let [across, down] = self.units();
        across * down * component.sampling[0] * component.sampling[1]
    }
}
