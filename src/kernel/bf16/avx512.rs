//! AVX512-BF16: one instruction adds the products of 16 pairs to 16 sums.
//!
//! Up to 16 rows by one block of columns stay in registers; a loaded vector of the right matrix serves all rows.
#![allow(unsafe_code)] // Raw pointers and intrinsics: bounds are checked once per product.

use std::arch::x86_64::*;

use super::layout::{COLUMNS, PAIRS, Product, Tile};

pub(super) fn run(product: Product<'_>) {
    macro_rules! for_rows {
        ($($rows:literal)*) => {
            match product.rows {
                // SAFETY: `available` found the instructions, and `Product::check` checks the largest offsets.
                $($rows => unsafe { multiply::<$rows>(&product) },)*
                rows => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    for_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

/// SAFETY: the CPU has the instructions, and all offsets lie inside the slices.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn multiply<const ROWS: usize>(product: &Product<'_>) {
    for block in 0..product.blocks() {
        let mask = (u32::MAX >> (32 - product.width(block))) as __mmask16;
        for tile in product.tiles {
            // SAFETY: as for this function; the mask holds the columns of the block.
            unsafe { multiply_tile::<ROWS>(product, *tile, block, mask) };
        }
    }
}

/// SAFETY: as for [`multiply`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn multiply_tile<const ROWS: usize>(product: &Product<'_>, tile: Tile, block: usize, mask: __mmask16) {
    // SAFETY: as for this function.
    unsafe {
        let left = product.left.as_ptr().add(tile.left);
        let right = product.right.as_ptr().add(block * product.right_block);
        let out = product.out.as_ptr().cast_mut().add(tile.out + block * COLUMNS);
        let mut sum = [_mm512_setzero_ps(); ROWS];
        if product.accumulate {
            for (row, sum) in sum.iter_mut().enumerate() {
                *sum = _mm512_maskz_loadu_ps(mask, out.add(row * product.out_row));
            }
        }
        for step in product.steps {
            let (left, right) = (left.add(step.left as usize), right.add(step.right as usize));
            for pair in 0..PAIRS {
                let b: __m512bh = std::mem::transmute(_mm512_loadu_si512(right.add(pair * 2 * COLUMNS).cast()));
                for (row, sum) in sum.iter_mut().enumerate() {
                    let pair = left.add(row * product.left_row + 2 * pair).cast::<i32>().read_unaligned();
                    *sum = _mm512_dpbf16_ps(*sum, std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(pair)), b);
                }
            }
        }
        for (row, sum) in sum.iter().enumerate() {
            _mm512_mask_storeu_ps(out.add(row * product.out_row), mask, *sum);
        }
    }
}
