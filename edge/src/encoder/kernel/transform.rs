//! Tiles and filters of Winograd's F(2×2, 3×3), transformed two channels of 16 bits in a word.
//!
//! ```text
//!      1  0 -1  0          1  0  0
//! Bᵀ = 0  1  1  0     G =  1  1  1
//!      0 -1  1  0          1 -1  1
//!      0  1  0 -1          0  0  1
//! ```

use super::direct::widen;
use super::lanes::{add, subtract, widen_signed};
use super::places::Group;

/// A word of four channels, widened: the first and third, the second and fourth.
type Wide = [u32; 2];

/// Transforms a tile d of 4×4 pixels into `Bᵀ d B`.
///
/// * `LANE`: which of two tiles, 0 or 1
/// * `pixels`: words of the first pixel and all that follow it; those of a row lie beside each other
/// * `row_words`: from one row to the next
/// * `pair`: `[C / 4]`
#[inline(never)]
pub(in super::super) fn transform_tile<const LANE: usize>(pixels: &[u32], row_words: usize, pair: &mut [Group]) {
    let pixel_words = pair.len();
    assert!(pixels.len() >= 3 * row_words + 4 * pixel_words, "a tile has four rows of four pixels");
    for (quad, group) in pair.iter_mut().enumerate() {
        let row = |y: usize| {
            let at = |x: usize| {
                // SAFETY: the sum is below `3 * row_words + 4 * pixel_words`, because `quad` is below `pixel_words`.
                #[allow(unsafe_code)]
                let word = unsafe { *pixels.get_unchecked(y * row_words + x * pixel_words + quad) };
                widen(word)
            };
            let [a, b, c, d] = [at(0), at(1), at(2), at(3)];
            [both(subtract, a, c), both(add, b, c), both(subtract, c, b), both(subtract, b, d)]
        };
        let (first, third) = (row(0), row(2));
        write::<LANE>(group, 0, difference(&first, &third));
        let second = row(1);
        write::<LANE>(group, 1, sum(&second, &third));
        write::<LANE>(group, 2, difference(&third, &second));
        write::<LANE>(group, 3, difference(&second, &row(3)));
    }
}

/// Transforms two filters g, `[9, C / 4, 2, 4]` i8, into `G g Gᵀ`.
///
/// * `filters`: `[C / 4]`
#[inline(never)]
pub(in super::super) fn transform_filters(weights: &[u8], filters: &mut [Group]) {
    let (weights, _) = weights.as_chunks::<4>();
    let (weights, _) = weights.as_chunks::<2>();
    let tap_len = filters.len();
    assert!(weights.len() >= 9 * tap_len, "a filter has nine taps");
    for (quad, group) in filters.iter_mut().enumerate() {
        transform_filter::<0>(weights, tap_len, quad, group);
        transform_filter::<1>(weights, tap_len, quad, group);
    }
}

/// Transforms four channels of one of two filters, `[9, C / 4, 2, 4]`.
#[inline(always)]
fn transform_filter<const LANE: usize>(weights: &[[[u8; 4]; 2]], tap_len: usize, quad: usize, group: &mut Group) {
    let at = |tap: usize| {
        // SAFETY: `quad` is below `tap_len`, and the caller has nine taps of this length.
        #[allow(unsafe_code)]
        let two = unsafe { *weights.get_unchecked(tap * tap_len + quad) };
        widen_signed(u32::from_le_bytes(two[LANE]))
    };
    let row = |y: usize| [at(3 * y), at(3 * y + 1), at(3 * y + 2)];
    let spread = |[a, b, c]: [Wide; 3]| {
        let outer = both(add, a, c);
        [a, both(add, outer, b), both(subtract, outer, b), c]
    };
    let (first, third) = (row(0), row(2));
    write::<LANE>(group, 0, spread(first));
    write::<LANE>(group, 3, spread(third));
    let (outer, second) = (sum(&first, &third), row(1));
    write::<LANE>(group, 1, spread(sum(&outer, &second)));
    write::<LANE>(group, 2, spread(difference(&outer, &second)));
}

/// Writes row `y` of a transformed tile or filter.
#[inline(always)]
fn write<const LANE: usize>(group: &mut Group, y: usize, row: [Wide; 4]) {
    for x in 0..4 {
        let words = &mut group[4 * y + x];
        (words[2 * LANE], words[2 * LANE + 1]) = (row[x][0], row[x][1]);
    }
}

#[inline(always)]
fn sum<const N: usize>(left: &[Wide; N], right: &[Wide; N]) -> [Wide; N] {
    let mut row = [[0; 2]; N];
    for x in 0..N {
        row[x] = both(add, left[x], right[x]);
    }
    row
}

#[inline(always)]
fn difference<const N: usize>(left: &[Wide; N], right: &[Wide; N]) -> [Wide; N] {
    let mut row = [[0; 2]; N];
    for x in 0..N {
        row[x] = both(subtract, left[x], right[x]);
    }
    row
}

/// Applies `f` to both words.
#[inline(always)]
fn both(f: fn(u32, u32) -> u32, left: Wide, right: Wide) -> Wide {
    [f(left[0], right[0]), f(left[1], right[1])]
}
