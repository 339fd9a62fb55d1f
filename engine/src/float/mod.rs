//! Encoders in f32, and in f16 on processors that compute in it.
//!
//! Values are `[H, W, C]`, so vectors run along channels, and a convolution is a product of matrices whose rows lie in memory as
//! they are (`tile.rs`). Kernels are written once over the trait `Vector` and compiled for each instruction set.

#![allow(unsafe_code)] // Calls of kernels.

mod conv;
mod depthwise;
mod graph;
mod pieces;
mod plan;
mod plane;
mod pool;
mod tile;
mod vector;
#[cfg(target_arch = "aarch64")]
mod vector_fp16;
#[cfg(target_arch = "aarch64")]
mod vector_neon;
#[cfg(neon_a32)]
mod neon_a32;
mod vector_scalar;
#[cfg(target_arch = "x86_64")]
mod vector_x86;
mod winograd;
mod winograd_weights;

use bytemuck::Zeroable;

pub use self::graph::{Activation, Graph, GraphError, Kernel, LinearMap, Node, Pooled, Shape};
use self::plan::{Op, Plan, Step};
use self::vector::Vector;
use crate::Isa;

/// The numbers that an encoder computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
}

/// A planned encoder. It can be used by several threads, each with its own [`Arena`].
pub struct FloatNetwork {
    planned: Box<dyn Encode>,
    input: Shape,
    dim: usize,
    map: Option<LinearMap>,
}

/// The memory in which one image is encoded.
pub struct Arena {
    lines: Vec<Line>,
    pooled: Vec<f32>,
}

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

// SAFETY: any bytes are a valid line, and it has no padding.
unsafe impl Zeroable for Line {}
// SAFETY: as above.
unsafe impl bytemuck::Pod for Line {}

impl FloatNetwork {
    /// Whether `isa` has kernels of this precision.
    pub fn supports(isa: Isa, precision: Precision) -> bool {
        match precision {
            Precision::F32 => true,
            #[cfg(target_arch = "aarch64")]
            Precision::F16 => isa == Isa::NeonDot,
            #[cfg(not(target_arch = "aarch64"))]
            Precision::F16 => {
                let _ = isa;
                false
            }
        }
    }

    /// Plans `graph` for the instruction set `isa`; `None` if it has no kernels of this precision, or this processor lacks it.
    ///
    /// # Errors
    /// When the graph is not valid.
    pub fn new(graph: &Graph, isa: Isa, precision: Precision) -> Result<Option<Self>, GraphError> {
        if !Self::supports(isa, precision) || !Isa::available().contains(&isa) {
            return Ok(None);
        }
        let planned = match (isa, precision) {
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512, _) => planned::<vector_x86::Avx512>(graph)?,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, _) => planned::<vector_x86::Avx2>(graph)?,
            #[cfg(target_arch = "aarch64")]
            (_, Precision::F16) => planned::<vector_fp16::NeonF16>(graph)?,
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon | Isa::NeonDot, _) => planned::<vector_neon::Neon>(graph)?,
            #[cfg(neon_a32)]
            (Isa::Neon, _) => planned::<neon_a32::NeonA32>(graph)?,
            (Isa::Scalar, _) => planned::<vector_scalar::Scalar>(graph)?,
        };
        let dim = graph.map.as_ref().map_or(planned.memory().1, |map| map.bias.len());
        Ok(Some(Self { planned, input: graph.input, dim, map: graph.map.clone() }))
    }

    /// Shape of the input.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// D, the length of the feature.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Memory for one thread.
    pub fn arena(&self) -> Arena {
        let (bytes, pooled) = self.planned.memory();
        Arena { lines: vec![Line::zeroed(); bytes.div_ceil(64)], pooled: vec![0.0; pooled] }
    }

    /// Bytes of an arena.
    pub fn arena_bytes(&self) -> usize {
        let (bytes, pooled) = self.planned.memory();
        bytes.next_multiple_of(64) + 4 * pooled
    }

    /// Computes the feature `[D]` of an image.
    ///
    /// * `pixels`: `[H, W, C]`
    /// * `arena`: of this network
    ///
    /// # Errors
    /// When a length does not fit.
    pub fn encode(&self, pixels: &[u8], arena: &mut Arena, feature: &mut [f32]) -> Result<(), GraphError> {
        let (bytes, pooled) = self.planned.memory();
        let Shape { height, width, channels } = self.input;
        for (what, found, expected) in [
            ("pixels", pixels.len(), height * width * channels),
            ("feature", feature.len(), self.dim),
            ("lines of the arena", arena.lines.len(), bytes.div_ceil(64)),
            ("pooled numbers of the arena", arena.pooled.len(), pooled),
        ] {
            if found != expected {
                return Err(GraphError::Length { what, found, expected });
            }
        }
        match &self.map {
            None => self.planned.encode(pixels, &mut arena.lines, feature),
            Some(map) => {
                self.planned.encode(pixels, &mut arena.lines, &mut arena.pooled);
                for ((feature, row), bias) in feature.iter_mut().zip(map.weight.chunks_exact(pooled)).zip(&map.bias) {
                    *feature = dot(row, &arena.pooled) + bias;
                }
            }
        }
        Ok(())
    }
}

/// The sum of products, in eight partial sums, which compilers turn into vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// A plan of any instruction set.
trait Encode: Send + Sync {
    /// Bytes of the arena, and pooled numbers.
    fn memory(&self) -> (usize, usize);

    /// Writes the pooled numbers of an image, all of whose lengths fit.
    fn encode(&self, pixels: &[u8], arena: &mut [Line], pooled: &mut [f32]);
}

struct Planned<V: Vector>(Plan<V::Element>);

fn planned<V: Vector>(graph: &Graph) -> Result<Box<dyn Encode>, GraphError> {
    Ok(Box::new(Planned::<V>(Plan::new::<V>(graph)?)))
}

impl<V: Vector> Encode for Planned<V> {
    fn memory(&self) -> (usize, usize) {
        (self.0.arena_len * size_of::<V::Element>(), self.0.pooled_len)
    }

    fn encode(&self, pixels: &[u8], arena: &mut [Line], pooled: &mut [f32]) {
        let arena: &mut [V::Element] = bytemuck::cast_slice_mut(arena);
        self.normalise(pixels, arena);
        let mut rest = pooled;
        for step in &self.0.steps {
            if step.needs_border {
                step.to.clear_border(arena, V::GROUP);
            }
            self.compute(step, arena);
            if let Some((pooled, channels)) = step.pooled {
                let out;
                (out, rest) = rest.split_at_mut(pooled.numbers(channels));
                let (arena, epsilon) = (arena.as_ptr(), self.0.std_epsilon);
                // SAFETY: as in `compute`.
                unsafe {
                    V::vectorise(pool::RunPool::<V> { pooled, from: step.to, channels, epsilon, arena, out });
                }
            }
        }
    }
}

impl<V: Vector> Planned<V> {
    fn normalise(&self, pixels: &[u8], arena: &mut [V::Element]) {
        let Plan { input, elements, .. } = &self.0;
        input.clear_border(arena, V::GROUP);
        for (y, row) in pixels.chunks_exact(input.width * input.channels).enumerate() {
            let to = &mut arena[input.pixel(y, 0)..][..row.len()];
            match elements.as_chunks::<256>().0 {
                [red, green, blue] => {
                    for (to, pixel) in to.as_chunks_mut::<3>().0.iter_mut().zip(row.as_chunks::<3>().0) {
                        let [r, g, b] = pixel.map(usize::from);
                        *to = [red[r], green[g], blue[b]];
                    }
                }
                channels => {
                    for (to, pixel) in to.chunks_exact_mut(channels.len()).zip(row.chunks_exact(channels.len())) {
                        for ((to, &value), elements) in to.iter_mut().zip(pixel).zip(channels) {
                            *to = elements[usize::from(value)];
                        }
                    }
                }
            }
        }
    }

    fn compute(&self, step: &Step<V::Element>, arena: &mut [V::Element]) {
        let (scratch, arena) = (self.0.scratch, arena.as_mut_ptr());
        let (from, to, finish) = (step.from, step.to, step.finish);
        // SAFETY: `FloatNetwork::new` planned for a processor that has the instruction set. The planes and the scratch lie in the
        // arena, whose length was checked, and those of one step do not overlap.
        unsafe {
            match &step.op {
                Op::Conv(conv) if conv.run_len.is_multiple_of(V::GROUP) => {
                    V::vectorise(conv::RunConv::<V, false> { conv, from, to, finish, arena });
                }
                Op::Conv(conv) => V::vectorise(conv::RunConv::<V, true> { conv, from, to, finish, arena }),
                Op::Winograd(conv) => {
                    let scratch = arena.add(scratch);
                    V::vectorise(winograd::RunWinograd::<V> { conv, from, to, finish, arena, scratch });
                }
                Op::Depthwise(conv) => {
                    let activation = finish.activation;
                    V::vectorise(depthwise::RunDepthwise::<V> { conv, from, to, activation, arena });
                }
                Op::Add => V::vectorise(pool::RunAdd::<V> { left: from, to, finish, arena }),
            }
        }
    }
}
