//! Runs a blob in memory lent by the caller.

use core::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};

use super::blob::Blob;
use super::encode::{EncodeError, Encoder, EncoderInfo, encode_pixels};
use super::format::Arithmetic;
use super::node::{Node, Op, Value};
use super::pool::Pool;
use super::readout::PooledValue;
use super::room::room;
use super::vector_int8::Vectors;
use super::{conv_f16, conv_int8, winograd_int8};
use crate::image::{ImageError, Shape};

impl Blob<'_> {
    /// Computes as [`Encoder::encode`]; `observe` gets the index of each value and its words in the arena once it is made.
    ///
    /// # Errors
    /// When a length does not fit.
    pub fn encode_observed(
        &self,
        pixels: &[u8],
        arena: &mut [u32],
        feature: &mut [f32],
        observe: &mut dyn FnMut(usize, &[u32]),
    ) -> Result<(), EncodeError> {
        let (found, needed) = (arena.len(), self.arena_words());
        if found < needed {
            return Err(EncodeError::Memory { found, needed });
        }
        for (what, found, expected) in
            [("pixels", pixels.len(), self.input().values()), ("output", feature.len(), self.dim())]
        {
            if found != expected {
                return Err(ImageError::Length { what, found, expected }.into());
            }
        }
        let arena = &mut arena[..found.min(needed + self.extra_words())];
        Pass { blob: self, arena }.run(pixels, feature, observe);
        Ok(())
    }
}

impl Encoder for Blob<'_> {
    fn info(&self) -> EncoderInfo<'_> {
        let input = self.input();
        EncoderInfo {
            identity: self.identity(),
            input: Shape::new(input.width.into(), input.height.into(), input.channels.into()).ok(),
            dim: self.dim(),
            arena_words: self.arena_words(),
            corpus: self.corpus(),
        }
    }

    fn encode(&self, pixels: &[u8], arena: &mut [u32], feature: &mut [f32]) -> Result<(), EncodeError> {
        self.encode_observed(pixels, arena, feature, &mut |_, _| {})
    }

    fn self_test(&self, work: &mut [u32], feature: &mut [i16]) -> Result<Option<bool>, EncodeError> {
        let Some(golden) = self.golden() else { return Ok(None) };
        encode_pixels(self, golden.pixels, work, feature)?;
        Ok(Some(feature == golden.feature))
    }
}

/// One image on its way through a blob.
struct Pass<'p, 'b> {
    blob: &'p Blob<'b>,
    arena: &'p mut [u32],
}

impl Pass<'_, '_> {
    /// Runs all nodes. A value is pooled as soon as it is made, because a later one may take its place.
    fn run(&mut self, pixels: &[u8], feature: &mut [f32], observe: &mut dyn FnMut(usize, &[u32])) {
        let range = self.range(0);
        cast_slice_mut(&mut self.arena[range])[..pixels.len()].copy_from_slice(pixels);
        self.normalise();
        observe(0, &self.arena[self.range(0)]);
        let readout = self.blob.readout();
        let mut pooled = readout.pooled_range(self.arena.len());
        for index in 0..self.blob.node_count() {
            self.step(index);
            if let Some(entry) = readout.of_value(index + 1) {
                let len = self.pool(entry, pooled.clone());
                pooled.start += len;
            }
            observe(index + 1, &self.arena[self.range(index + 1)]);
        }
        readout.finish(cast_slice(&self.arena[readout.pooled_range(self.arena.len())]), feature);
    }

    fn range(&self, value: usize) -> Range<usize> {
        self.blob.value(value).range(self.blob.arithmetic())
    }

    /// Normalises the pixels of an f16 blob in place. Each becomes a word, last first, so none is overwritten unread.
    fn normalise(&mut self) {
        if self.blob.arithmetic() == Arithmetic::Int8 {
            return;
        }
        let range = self.range(0);
        let input = &mut self.arena[range];
        let channels = self.blob.input_channels();
        for index in (0..input.len()).rev() {
            let channel = channels[index % channels.len()];
            let pixel = cast_slice::<u32, u8>(input)[index];
            input[index] = (f32::from(pixel) * channel.scale + channel.offset).to_bits();
        }
    }

    fn step(&mut self, index: usize) {
        let node = self.blob.node(index);
        match (node.op, self.blob.arithmetic()) {
            (Op::Add { right, multipliers, offset, shift }, Arithmetic::Int8) => {
                self.add(index, node.input, right, |left, right| {
                    conv_int8::add(left, right, multipliers, offset, shift)
                });
            }
            (Op::Add { right, .. }, Arithmetic::F16) => self.add(index, node.input, right, |left, right| {
                conv_f16::activate(node.activation, f32::from_bits(left) + f32::from_bits(right)).to_bits()
            }),
            (_, Arithmetic::Int8) => self.convolve_int8(index, node),
            (_, Arithmetic::F16) => self.convolve_f16(index, node),
        }
    }

    /// Adds two values. The sum may replace a summand, because each word is read before it is written.
    fn add(&mut self, index: usize, left: usize, right: usize, sum: impl Fn(u32, u32) -> u32) {
        let (left, right, to) = (self.range(left), self.range(right), self.range(index + 1));
        // Slices are faster than the indices below, which serve every other arrangement.
        if to == left
            && let Ok([to, right]) = self.arena.get_disjoint_mut([to.clone(), right.clone()])
        {
            to.iter_mut().zip(&*right).for_each(|(to, &right)| *to = sum(*to, right));
            return;
        }
        for (word, to) in to.enumerate() {
            self.arena[to] = sum(self.arena[left.start + word], self.arena[right.start + word]);
        }
    }

    fn convolve_int8(&mut self, index: usize, node: Node<'_>) {
        let (from, to) = (self.blob.value(node.input), self.blob.value(index + 1));
        let mut padding = [from.zero; 3];
        if node.input == 0 {
            padding.iter_mut().zip(self.blob.input_channels()).for_each(|(byte, channel)| *byte = channel.pad);
        }
        let (input, scratch, output) = self.places(index, from, to);
        match node.op {
            Op::Conv { kernel, stride, weights, parameters } => {
                let channels = usize::from(from.channels);
                let padding = &padding[..channels.min(3)];
                let convolution = conv_int8::Convolution { from, to, kernel, stride, padding, weights, parameters };
                if cfg!(macula_mve)
                    && let Some(vectors) = Vectors::new(&convolution, scratch)
                {
                    vectors.run(input, output);
                } else if winograd_int8::applies(kernel, stride, channels)
                    && winograd_int8::fits(channels, scratch.len())
                {
                    winograd_int8::Tiles::new(&convolution).run(input, scratch, output);
                } else {
                    convolution.run(input, scratch, output);
                }
            }
            Op::Depthwise { stride, weights, parameters } => {
                conv_int8::Depthwise { from, to, stride, weights, parameters }.run(input, output);
            }
            Op::Add { .. } => {}
        }
    }

    fn convolve_f16(&mut self, index: usize, node: Node<'_>) {
        let (from, to) = (self.blob.value(node.input), self.blob.value(index + 1));
        let activation = node.activation;
        let (input, scratch, output) = self.places(index, from, to);
        match node.op {
            Op::Conv { kernel, stride, weights, parameters } => {
                conv_f16::Convolution { from, to, kernel, stride, weights, parameters, activation }
                    .run(input, scratch, output);
            }
            Op::Depthwise { stride, weights, parameters } => {
                conv_f16::Convolution { from, to, kernel: 3, stride, weights, parameters, activation }
                    .run_depthwise(input, scratch, output);
            }
            Op::Add { .. } => {}
        }
    }

    /// Input, scratch and output of the convolution of node `index`.
    fn places(&mut self, index: usize, from: Value, to: Value) -> (&[u32], &mut [u32], &mut [u32]) {
        let arithmetic = self.blob.arithmetic();
        let end = self.arena.len() - self.blob.readout().behind_scratch();
        let scratch = room(&self.blob.graph, index, end);
        let places = [from.range(arithmetic), scratch, to.range(arithmetic)];
        let [from, scratch, to] = self.arena.get_disjoint_mut(places).expect("the parser checked that none overlap");
        (from, scratch, to)
    }

    /// Pools a value into the first words of `to`, which lie behind all values; returns how many.
    fn pool(&mut self, entry: PooledValue, to: Range<usize>) -> usize {
        let value = self.blob.value(entry.value);
        let arithmetic = self.blob.arithmetic();
        let (values, pooled) = self.arena.split_at_mut(to.start);
        let pool = Pool { value, parts: entry.parts, unit: entry.unit, eps: self.blob.readout().eps() };
        let words = &values[value.range(arithmetic)];
        let pooled = cast_slice_mut(&mut pooled[..entry.numbers(value)]);
        match arithmetic {
            Arithmetic::Int8 => pool.int8(words, pooled),
            Arithmetic::F16 => pool.f16(cast_slice(words), pooled),
        }
        pooled.len()
    }
}
