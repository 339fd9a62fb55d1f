//! The network: built once of a blob, then one image at a time without an allocation.

use bytemuck::cast_slice_mut;
use macula_edge::encoder::{Arithmetic, Blob, Op, Pool};

use super::error::Int8Error;
use super::filters::Filters;
use super::kernel::{Geometry, Kernel, Sum, flip};
use super::plan::{Plan, plan};
use super::plane::Plane;
use super::pool::pool;
use super::readout::LinearMap;
use super::select::{convolution, depthwise, has_kernels, sum};
use crate::Isa;

/// Rows behind a plane that a kernel of whole tiles may read, besides [`MARGIN`] bytes. What it reads there does not count.
const MARGIN_ROWS: usize = 4;
/// Bytes behind any address of a plane that a vector may reach.
const MARGIN: usize = 256;

/// An int8 encoder with kernels for one instruction set.
pub struct Int8Network {
    planes: Vec<Plane>,
    /// One per node; node `i` makes value `i + 1`.
    kernels: Vec<Box<dyn Kernel>>,
    /// How each value is pooled, if it is, and to how many numbers.
    pools: Vec<Option<(Pool, usize)>>,
    /// What makes the feature of the pooled numbers, which are the feature without it.
    map: Option<LinearMap>,
    flip: u8,
    /// The values and the margin behind them.
    arena: Vec<u128>,
    scratch: Vec<u128>,
    pooled: Vec<f32>,
    dim: usize,
}

/// Gets the index of a value and its bytes.
type Observe<'o> = &'o mut dyn FnMut(usize, &[u8]);

/// Bytes of memory that a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Packed weights and parameters.
    pub weights: usize,
    /// Values, all at once.
    pub values: usize,
    /// Scratch of the kernels.
    pub scratch: usize,
}

impl Int8Network {
    /// Plans the network of `blob` for the instruction set `isa`.
    ///
    /// # Errors
    /// [`Int8Error::Arithmetic`] for a blob that does not compute in int8, [`Int8Error::Isa`] if the processor does not have
    /// `isa`, [`Int8Error::Memory`] if its values do not fit.
    pub fn new(blob: &Blob<'_>, isa: Isa) -> Result<Self, Int8Error> {
        if blob.arithmetic() != Arithmetic::Int8 {
            return Err(Int8Error::Arithmetic);
        }
        // The kernels rely on this.
        if !Isa::available().contains(&isa) {
            return Err(Int8Error::Isa { isa: isa.name() });
        }
        let flip = flip(isa);
        let Plan { planes, len } = plan(blob, flip);
        let margin = planes.iter().map(|plane| MARGIN_ROWS * plane.pitch() + 8 * plane.channels).max().unwrap_or(0);
        let bytes = len + margin + MARGIN;
        // Offsets in kernels have 32 bits.
        if bytes > i32::MAX as usize {
            return Err(Int8Error::Memory);
        }
        let kernels: Vec<_> = (0..blob.node_count()).map(|index| kernel(blob, index, isa, &planes)).collect();
        let scratch = kernels.iter().map(|kernel| kernel.scratch()).max().unwrap_or(0);
        let readout = blob.readout();
        let of_value = |value: usize| {
            let entry = *readout.values().iter().find(|entry| entry.value == value)?;
            let shape = blob.value(value);
            let pool = Pool { value: shape, parts: entry.parts, unit: entry.unit, eps: readout.eps() };
            Some((pool, entry.numbers(shape)))
        };
        let pools = (0..planes.len()).map(of_value).collect();
        Ok(Self {
            kernels,
            pools,
            flip,
            arena: zeros(bytes)?,
            scratch: zeros(scratch)?,
            pooled: vec![0.0; readout.pooled()],
            dim: blob.dim(),
            map: readout.map().map(LinearMap::new),
            planes,
        })
    }

    /// Whether there are kernels for `isa`. Without, the device's own code is as fast or faster.
    pub fn has_kernels(isa: Isa) -> bool {
        has_kernels(isa)
    }

    /// Feature dimension D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Length of the pixels of an image, height × width × channels.
    pub fn pixels_len(&self) -> usize {
        let input = &self.planes[0];
        input.height * input.width * input.channels
    }

    /// Bytes of memory that it takes.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            weights: self.kernels.iter().map(|kernel| kernel.packed()).sum::<usize>()
                + self.map.as_ref().map_or(0, |map| map.len()),
            values: 16 * self.arena.len(),
            scratch: 16 * self.scratch.len(),
        }
    }

    /// Computes the feature of an image, with the bytes of `macula-edge`.
    ///
    /// * `pixels`: `[height, width, channels]`
    /// * `feature`: `[D]`, not yet quantised; untouched after an error
    ///
    /// # Errors
    /// When a length does not fit.
    pub fn encode(&mut self, pixels: &[u8], feature: &mut [f32]) -> Result<(), Int8Error> {
        self.check(pixels, feature)?;
        self.run(pixels, feature, None);
        Ok(())
    }

    /// Computes as [`Self::encode`]; `observe` gets the index of each value and its bytes `[height, width, channels]` once
    /// it is made. Allocates, for tests.
    ///
    /// # Errors
    /// When a length does not fit.
    pub fn encode_observed(
        &mut self,
        pixels: &[u8],
        feature: &mut [f32],
        observe: Observe<'_>,
    ) -> Result<(), Int8Error> {
        self.check(pixels, feature)?;
        self.run(pixels, feature, Some(observe));
        Ok(())
    }

    fn check(&self, pixels: &[u8], feature: &[f32]) -> Result<(), Int8Error> {
        for (what, found, expected) in
            [("pixels", pixels.len(), self.pixels_len()), ("feature", feature.len(), self.dim)]
        {
            if found != expected {
                return Err(Int8Error::Length { what, found, expected });
            }
        }
        Ok(())
    }

    fn run(&mut self, pixels: &[u8], feature: &mut [f32], mut observe: Option<Observe<'_>>) {
        let arena = cast_slice_mut(&mut self.arena);
        let scratch = cast_slice_mut(&mut self.scratch);
        let input = &self.planes[0];
        let row_len = input.width * input.channels;
        for (row, pixels) in pixels.chunks_exact(row_len).enumerate() {
            let to = &mut arena[input.pixel(row, 0)..][..row_len];
            // By words, because 32-bit Arm has no vectors here.
            let (words, rest) = to.as_chunks_mut::<4>();
            let (pixels, last) = pixels.as_chunks::<4>();
            let flip = u32::from_ne_bytes([self.flip; 4]);
            let flipped = |pixels: [u8; 4]| (u32::from_ne_bytes(pixels) ^ flip).to_ne_bytes();
            words.iter_mut().zip(pixels).for_each(|(word, &pixels)| *word = flipped(pixels));
            rest.iter_mut().zip(last).for_each(|(byte, &pixel)| *byte = pixel ^ self.flip);
        }
        input.write_border(arena);
        let mut pooled = &mut self.pooled[..];
        for (index, plane) in self.planes.iter().enumerate() {
            if let Some(kernel) = index.checked_sub(1).map(|node| &self.kernels[node]) {
                kernel.run(arena, scratch);
                plane.write_border(arena);
            }
            // A value is pooled as soon as it is made, because a later one may take its place.
            if let Some((of, len)) = &self.pools[index] {
                let numbers;
                (numbers, pooled) = pooled.split_at_mut(*len);
                pool(of, plane, arena, self.flip, numbers);
            }
            if let Some(observe) = &mut observe {
                let row = |row: usize| arena[plane.pixel(row, 0)..][..plane.width * plane.channels].iter();
                let bytes: Vec<u8> = (0..plane.height).flat_map(row).map(|byte| byte ^ self.flip).collect();
                observe(index, &bytes);
            }
        }
        match &self.map {
            Some(map) => map.apply(&self.pooled, feature),
            None => feature.copy_from_slice(&self.pooled),
        }
    }
}

/// At least `bytes` bytes at a multiple of 16.
fn zeros(bytes: usize) -> Result<Vec<u128>, Int8Error> {
    let mut words = Vec::new();
    words.try_reserve_exact(bytes.div_ceil(16)).map_err(|_| Int8Error::Memory)?;
    words.resize(bytes.div_ceil(16), 0);
    Ok(words)
}

/// The kernel of node `index`.
fn kernel(blob: &Blob<'_>, index: usize, isa: Isa, planes: &[Plane]) -> Box<dyn Kernel> {
    let node = blob.node(index);
    let (from, to, flip) = (planes[node.input], planes[index + 1], flip(isa));
    match node.op {
        Op::Conv { kernel: side, stride, weights, parameters } => {
            let inputs = side * side * from.channels;
            let filters = Filters::of_convolution(weights, parameters, inputs, flip);
            convolution(isa, Geometry { from, to, side, stride }, filters)
        }
        Op::Depthwise { stride, weights, parameters } => {
            let filters = Filters::of_depthwise(weights, parameters, flip);
            depthwise(isa, Geometry { from, to, side: 3, stride }, filters)
        }
        Op::Add { right, multipliers, offset, shift } => {
            sum(isa, Sum { left: from, right: planes[right], to, multipliers, offset, shift, flip })
        }
    }
}
