//! Pools a value: exact sums here, in vectors of channels; what follows of them in `macula-edge`, for the same bytes.

use macula_edge::encoder::format::{PART_CELLS, PART_STD};
use macula_edge::encoder::{Area, Pool};

use super::plane::Plane;

/// Pixels of which a sum of signed bytes fits 16 bits.
const SHORT: usize = 256;

/// Exact sums over an area of `N` channels.
struct Sums<const N: usize> {
    values: [u32; N],
    squares: [u64; N],
}

/// Pools the value at `plane`.
///
/// * `flip`: what its bytes are stored with
/// * `pooled`: means `[C]`, standard deviations `[C]`, means of cells `[4, C]`, where the parts of `pool` have them
pub(super) fn pool(pool: &Pool, plane: &Plane, arena: &[u8], flip: u8, pooled: &mut [f32]) {
    let mut first = 0;
    // Values that are pooled have a multiple of eight channels.
    while first < plane.channels {
        if plane.channels - first >= 16 {
            pool_channels::<16>(pool, plane, arena, flip, first, pooled);
            first += 16;
        } else {
            pool_channels::<8>(pool, plane, arena, flip, first, pooled);
            first += 8;
        }
    }
}

/// Pools channels `first` to `first + N - 1`.
fn pool_channels<const N: usize>(pool: &Pool, plane: &Plane, arena: &[u8], flip: u8, first: usize, pooled: &mut [f32]) {
    let whole = [0..plane.height, 0..plane.width];
    let (means, mut rest) = pooled.split_at_mut(plane.channels);
    let pixels = plane.height * plane.width;
    let has_std = pool.parts & PART_STD != 0;
    let sums = match has_std {
        true => add_up::<N, true>(plane, arena, flip, first, &whole),
        false => add_up::<N, false>(plane, arena, flip, first, &whole),
    };
    let write = |means: &mut [f32], sums: &Sums<N>, pixels: usize| {
        let means = means[first..first + N].iter_mut().zip(sums.values);
        means.for_each(|(mean, sum)| *mean = pool.mean_int8(sum, pixels));
    };
    write(means, &sums, pixels);
    if has_std {
        let std;
        (std, rest) = rest.split_at_mut(plane.channels);
        let sums = sums.values.into_iter().zip(sums.squares);
        let std = std[first..first + N].iter_mut().zip(sums);
        std.for_each(|(std, (values, squares))| *std = pool.std_int8(values, squares, pixels));
    }
    if pool.parts & PART_CELLS != 0 {
        for (cell, means) in pool.cells().iter().zip(rest.chunks_exact_mut(plane.channels)) {
            let sums = add_up::<N, false>(plane, arena, flip, first, cell);
            write(means, &sums, cell[0].len() * cell[1].len());
        }
    }
}

/// Sums over an area of `N` channels, of squares only if `SQUARES`.
fn add_up<const N: usize, const SQUARES: bool>(
    plane: &Plane,
    arena: &[u8],
    flip: u8,
    first: usize,
    [rows, columns]: &Area,
) -> Sums<N> {
    let mut sums = Sums { values: [0; N], squares: [0; N] };
    for row in rows.clone() {
        let row = &arena[plane.pixel(row, columns.start)..plane.pixel(row, columns.end)];
        for pixels in row.chunks(SHORT * plane.channels) {
            let (values, squares) = add_up_few::<N, SQUARES>(&pixels[first..], plane.channels, flip);
            for lane in 0..N {
                sums.values[lane] += values[lane];
                sums.squares[lane] += u64::from(squares[lane]);
            }
        }
    }
    sums
}

/// Sums of up to [`SHORT`] pixels, which are `step` bytes apart.
fn add_up_few<const N: usize, const SQUARES: bool>(pixels: &[u8], step: usize, flip: u8) -> ([u32; N], [u32; N]) {
    #[cfg(any(target_arch = "aarch64", neon_a32))]
    if N == 16 && flip == 0x80 {
        let (values, squares) = super::neon::pool::sums::<SQUARES>(pixels, step);
        return (std::array::from_fn(|lane| values[lane]), std::array::from_fn(|lane| squares[lane]));
    }
    let (mut values, mut squares) = ([0u32; N], [0u32; N]);
    for pixel in pixels.chunks(step) {
        let Some(bytes) = pixel.first_chunk::<N>() else { continue };
        for lane in 0..N {
            let value = u32::from(bytes[lane] ^ flip);
            values[lane] += value;
            if SQUARES {
                squares[lane] += value * value;
            }
        }
    }
    (values, squares)
}
