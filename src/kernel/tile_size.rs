//! Size of the tiles of registers: P pixels (or weights) by B vectors of output channels.

use super::isa::Isa;

/// Largest P for which there are kernels, by B.
const PIXELS_MAX: [usize; 4] = [16, 12, 8, 6];

/// P and B of the forward pass over rows of `columns` pixels, with `vectors` of output channels.
pub(super) fn of_forward(isa: Isa, vectors: usize, columns: usize) -> (usize, usize) {
    #[cfg(target_arch = "aarch64")]
    if isa == Isa::Neon {
        // Instructions for four inputs of a tile: products, loads of the inputs, loads of two vectors of weights each, addresses and loop.
        return cheapest(vectors, columns, |p, b| {
            let fits = p * b + p + b < 32;
            fits.then(|| columns.div_ceil(p) * (4 * p * b + p + 4 * b.div_ceil(2) + 9))
        });
    }
    // Tiles of equal width.
    let (most, blocks) = largest(isa, vectors);
    (columns.div_ceil(columns.div_ceil(most)), blocks)
}

/// P and B of the gradient of `run` weights per output channel. The last tile of a run may be narrower.
pub(super) fn of_gradient(isa: Isa, vectors: usize, run: usize) -> (usize, usize) {
    #[cfg(target_arch = "aarch64")]
    if isa == Isa::Neon {
        // Instructions for one pixel: as above, but the inputs of four weights are one vector.
        let of_pixel = |p: usize, b: usize| p * b + (p / 4).div_ceil(2) + p % 4 + b.div_ceil(2) + 4;
        return cheapest(vectors, run, |p, b| {
            let fits = p * b + p.div_ceil(4) + b < 32;
            let rest = if run.is_multiple_of(p) { 0 } else { of_pixel(run % p, b) };
            fits.then(|| run / p * of_pixel(p, b) + rest)
        });
    }
    let (most, blocks) = largest(isa, vectors);
    (run.div_ceil(run.div_ceil(most)), blocks)
}

/// B, the largest number up to 4 that divides `vectors`, and the largest P for which accumulators, weights and one input fit the registers.
fn largest(isa: Isa, vectors: usize) -> (usize, usize) {
    let (_, registers) = isa.geometry();
    let blocks = (1..=4).rev().find(|b| vectors.is_multiple_of(*b)).unwrap_or(1);
    (((registers - 2 - blocks) / blocks).min(PIXELS_MAX[blocks - 1]), blocks)
}

/// The P, up to `length`, and B with the least `cost` of a block, which is none if it does not fit the registers; of equal ones the widest.
#[cfg(target_arch = "aarch64")]
fn cheapest(vectors: usize, length: usize, cost: impl Fn(usize, usize) -> Option<usize>) -> (usize, usize) {
    let blocks = (1..=4).rev().filter(|b| vectors.is_multiple_of(*b));
    let sizes = blocks.flat_map(|b| (1..=PIXELS_MAX[b - 1].min(length)).rev().map(move |p| (p, b)));
    sizes.min_by_key(|&(p, b)| cost(p, b).map_or(usize::MAX, |cost| cost * (vectors / b))).unwrap_or((1, 1))
}
