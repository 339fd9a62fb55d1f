//! Crop, channels and resize, one source row at a time.
//!
//! W, H source columns and rows after the crop; w, h target columns and rows.
//!
//! A row is converted to grey if needed and resized to w columns. Two rows of memory are enough for the other direction.
//! When shrinking, a source row contributes to at most two target rows, whose sums are kept. When enlarging, a target row
//! lies between two source rows, which are kept.

use core::mem;

use super::triangle::{Axis, ONE_BITS, Weights};
use super::{Crop, ImageError, RawImage, Recipe, Rectangle, Shape, luma};

/// Fraction bits of a value after the first direction. With [`ONE_BITS`] this fills 32 bits:
/// `255 · 2⁴ · 2²⁰ + 2²³ < 2³²`.
const BETWEEN_BITS: u32 = 4;
const ACROSS_SHIFT: u32 = ONE_BITS - BETWEEN_BITS;
const DOWN_SHIFT: u32 = ONE_BITS + BETWEEN_BITS;

/// Brings the whole of `image` to `input`, the size and channels that an encoder reads: `[height, width, channels]`. An
/// image that has them is copied.
///
/// * `scratch`, `output`: as for [`to_pixels`]
///
/// # Errors
/// When memory does not fit; nothing is written then.
pub fn prepare(image: &RawImage<'_>, input: Shape, scratch: &mut [u32], output: &mut [u8]) -> Result<(), ImageError> {
    if image.shape() != input || output.len() != input.pixels_len() {
        return to_pixels(image, Recipe { target: input, crop: Crop::Whole }, scratch, output);
    }
    output.copy_from_slice(image.pixels());
    Ok(())
}

/// Converts `image` to `output` by `recipe`.
///
/// * `scratch`: at least [`Recipe::scratch_len`] words for the width of `image`, with any content
/// * `output`: `[target height, target width, target channels]`
///
/// # Errors
/// If the crop is not inside the image or a size is wrong. Nothing is written then.
pub fn to_pixels(
    image: &RawImage<'_>,
    recipe: Recipe,
    scratch: &mut [u32],
    output: &mut [u8],
) -> Result<(), ImageError> {
    let mut resizer = Resizer::new(image.shape(), recipe, scratch, output)?;
    image.pixels().chunks_exact(image.shape().row_len()).try_for_each(|row| resizer.push_row(row))
}

/// Converts an image whose rows arrive one by one, from top to bottom.
#[derive(Debug)]
pub struct Resizer<'w> {
    source: Shape,
    recipe: Recipe,
    part: Rectangle,
    /// Channels that are resized: 3 only if source and target have colour.
    channels: usize,
    /// Source columns of each target column, `first << 16 | count`.
    spans: &'w mut [u32],
    /// Weights of those columns, one after another.
    weights: &'w mut [u32],
    /// A source row in grey.
    grey: &'w mut [u32],
    /// The newest row, resized to the target width.
    row: &'w mut [u32],
    /// Shrinking: sums of target row o in `rows[o % 2]`. Enlarging: the row before in `rows[0]`.
    rows: [&'w mut [u32]; 2],
    /// Shrinking: the weights of target row o in `open[o % 2]`.
    open: [Weights; 2],
    down: Axis,
    next_source: usize,
    next_target: usize,
    output: &'w mut [u8],
}

impl<'w> Resizer<'w> {
    /// Prepares for an image of size `source`.
    ///
    /// * `scratch`: at least [`Recipe::scratch_len`] words for the width of `source`, with any content
    /// * `output`: `[target height, target width, target channels]`, complete when [`Resizer::is_complete`]
    ///
    /// # Errors
    /// If the crop is not inside the image or a size is wrong. Nothing is written then.
    pub fn new(
        source: Shape,
        recipe: Recipe,
        scratch: &'w mut [u32],
        output: &'w mut [u8],
    ) -> Result<Self, ImageError> {
        let (target, part) = (recipe.target, recipe.crop.of(source)?);
        let (found, needed) = (scratch.len(), Recipe::scratch_len(target, source.width()));
        if found < needed {
            return Err(ImageError::Scratch { found, needed });
        }
        if output.len() != target.pixels_len() {
            let (found, expected) = (output.len(), target.pixels_len());
            return Err(ImageError::Length { what: "output", found, expected });
        }
        let channels = source.channels().min(target.channels());
        let across = Axis { source: part.width, target: target.width() };
        let down = Axis { source: part.height, target: target.height() };
        let (spans, rest) = scratch.split_at_mut(target.width());
        let (weights, rest) = rest.split_at_mut(2 * part.width.max(target.width()));
        let (grey, rest) = rest.split_at_mut(part.width);
        let (row, rest) = rest.split_at_mut(target.width() * channels);
        let (even, rest) = rest.split_at_mut(target.width() * channels);
        let (odd, _) = rest.split_at_mut(target.width() * channels);
        tabulate(across, spans, weights);
        let open = [Weights::new(down, 0), Weights::new(down, 1)];
        let rows = [even, odd];
        let (next_source, next_target) = (0, 0);
        Ok(Self {
            source,
            recipe,
            part,
            channels,
            spans,
            weights,
            grey,
            row,
            rows,
            open,
            down,
            next_source,
            next_target,
            output,
        })
    }

    /// Whether every target row is written. Later source rows make no difference.
    pub fn is_complete(&self) -> bool {
        self.next_target == self.recipe.target.height()
    }

    /// Takes the next row of the source, `[source width, source channels]`.
    ///
    /// # Errors
    /// If it has the wrong length or the image is complete. Nothing changes then.
    pub fn push_row(&mut self, pixels: &[u8]) -> Result<(), ImageError> {
        if pixels.len() != self.source.row_len() {
            let (found, expected) = (pixels.len(), self.source.row_len());
            return Err(ImageError::Length { what: "row", found, expected });
        }
        if self.next_source == self.source.height() {
            return Err(ImageError::TooManyRows { limit: self.source.height() });
        }
        let index = self.next_source.wrapping_sub(self.part.top);
        self.next_source += 1;
        if index < self.part.height {
            let channels = self.source.channels();
            self.across(&pixels[self.part.left * channels..][..self.part.width * channels]);
            if self.down.enlarges() { self.between(index) } else { self.add(index) }
        }
        Ok(())
    }

    /// How many channels a grey value is written to.
    fn repeat(&self) -> usize {
        self.recipe.target.channels() / self.channels
    }

    /// Converts the channels of a row of the part and resizes it to w columns, into `row`.
    fn across(&mut self, pixels: &[u8]) {
        if self.channels < self.source.channels() {
            for (grey, rgb) in self.grey.iter_mut().zip(pixels.chunks_exact(3)) {
                *grey = luma(rgb[0], rgb[1], rgb[2]).into();
            }
            gather::<1, u32>(self.spans, self.weights, self.grey, self.row);
        } else if self.channels == 1 {
            gather::<1, u8>(self.spans, self.weights, pixels, self.row);
        } else {
            gather::<3, u8>(self.spans, self.weights, pixels, self.row);
        }
    }

    /// Shrinking: adds `row`, source row `index`, to the at most two target rows that use it.
    fn add(&mut self, index: usize) {
        for target in self.next_target..(self.next_target + 2).min(self.down.target) {
            let open = &mut self.open[target % 2];
            let (first, end) = (open.first, open.end);
            if !(first..end).contains(&index) {
                continue;
            }
            let weight = open.next().unwrap_or(0);
            let sums = self.rows[target % 2].iter_mut().zip(self.row.iter());
            if index == first {
                sums.for_each(|(sum, value)| *sum = weight * value);
            } else {
                sums.for_each(|(sum, value)| *sum += weight * value);
            }
            if index + 1 == end {
                let sums = self.rows[target % 2].iter().copied();
                write(sums, self.repeat(), target_row(self.output, self.recipe, target));
                self.open[target % 2] = Weights::new(self.down, target + 2);
                self.next_target = target + 1;
            }
        }
    }

    /// Enlarging: writes the target rows between the previous row and `row`, which is source row `index`.
    fn between(&mut self, index: usize) {
        while self.next_target < self.down.target {
            let mut weights = Weights::new(self.down, self.next_target);
            if weights.end != index + 1 {
                break;
            }
            let before = if weights.first < index { weights.next().unwrap_or(0) } else { 0 };
            let now = weights.next().unwrap_or(0);
            let values = self.rows[0].iter().zip(self.row.iter());
            let sums = values.map(|(a, b)| if before == 0 { now * b } else { before * a + now * b });
            write(sums, self.repeat(), target_row(self.output, self.recipe, self.next_target));
            self.next_target += 1;
        }
        mem::swap(&mut self.rows[0], &mut self.row);
    }
}

/// Writes spans and weights of every target column.
fn tabulate(axis: Axis, spans: &mut [u32], weights: &mut [u32]) {
    let mut places = weights.iter_mut();
    for (output, span) in spans.iter_mut().enumerate() {
        let taps = Weights::new(axis, output);
        *span = (taps.first as u32) << 16 | (taps.end - taps.first) as u32;
        taps.zip(&mut places).for_each(|(weight, place)| *place = weight);
    }
}

/// `row[o] = sum of weight · pixel` over the span of each target column, C channels, to [`BETWEEN_BITS`].
fn gather<const C: usize, T: Copy + Into<u32>>(spans: &[u32], weights: &[u32], pixels: &[T], row: &mut [u32]) {
    let mut rest = weights;
    for (span, out) in spans.iter().zip(row.chunks_exact_mut(C)) {
        let (first, count) = ((span >> 16) as usize, (span & 0xFFFF) as usize);
        let (taps, others) = rest.split_at(count);
        rest = others;
        let mut sums = [1 << (ACROSS_SHIFT - 1); C];
        for (weight, pixel) in taps.iter().zip(pixels[first * C..][..count * C].chunks_exact(C)) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += weight * value.into();
            }
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum >> ACROSS_SHIFT);
    }
}

fn target_row(output: &mut [u8], recipe: Recipe, row: usize) -> &mut [u8] {
    &mut output[row * recipe.target.row_len()..][..recipe.target.row_len()]
}

/// Rounds sums to pixels and writes each `repeat` times.
fn write(sums: impl Iterator<Item = u32>, repeat: usize, output: &mut [u8]) {
    let pixels = sums.map(|sum| ((sum + (1 << (DOWN_SHIFT - 1))) >> DOWN_SHIFT) as u8);
    output.chunks_exact_mut(repeat).zip(pixels).for_each(|(out, pixel)| out.fill(pixel));
}
