//! Per-channel operations: batch norm, activation, sums over pixels.
//!
//! The outer loop runs over vectors of channels and the inner one over pixels, so scale, shift and sums stay in registers.
//! Arrays are `[rows, columns, C]`; a padded array differs only in its row stride.
#![allow(unsafe_code)] // Raw pointers: bounds are checked once per image, not once per value.

use std::fmt;

use pulp::{Simd, WithSimd};

use super::activation::Activation;
use super::isa::{Isa, multiply_add};

/// Shape `[rows, columns, C]` of one image's array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Rows of pixels.
    pub rows: usize,
    /// Pixels per row.
    pub columns: usize,
    /// C; the kernels need a multiple of 8.
    pub channels: usize,
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.rows, self.columns, self.channels)
    }
}

impl Grid {
    /// Number of values, without padding.
    #[allow(clippy::len_without_is_empty, reason = "a shape, not a collection")]
    pub fn len(self) -> usize {
        self.rows * self.columns * self.channels
    }

    /// Least length of an array with this row stride.
    pub(super) fn span(self, row: usize) -> usize {
        (self.rows - 1) * row + self.columns * self.channels
    }
}

/// Scale and shift of each channel, `x * scale + shift`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine<'a> {
    pub scale: &'a [f32],
    pub shift: &'a [f32],
}

/// Pixels summed in f32 before they are added to an f64, which keeps rounding near 1e-6 of the sum.
const PIXELS_PER_PARTIAL: usize = 256;

#[inline(always)]
pub(super) unsafe fn load<S: Simd>(values: *const f32) -> S::f32s {
    // SAFETY: the caller guarantees a whole vector at `values`; the load needs no alignment.
    unsafe { values.cast::<S::f32s>().read_unaligned() }
}

#[inline(always)]
pub(super) unsafe fn store<S: Simd>(values: *mut f32, vector: S::f32s) {
    // SAFETY: as in `load`.
    unsafe { values.cast::<S::f32s>().write_unaligned(vector) }
}

#[inline(always)]
fn activate<S: Simd>(simd: S, activation: Activation, x: S::f32s) -> S::f32s {
    // The value is the second operand, which the x86 instruction returns if it is NaN: NaN stays visible.
    match activation {
        Activation::Identity => x,
        Activation::Relu => simd.max_f32s(simd.splat_f32s(0.0), x),
        Activation::Relu6 => simd.min_f32s(simd.splat_f32s(6.0), simd.max_f32s(simd.splat_f32s(0.0), x)),
    }
}

/// `out = activation(z * scale + shift)`; rows of `out` are `out_row` floats apart.
pub(crate) fn affine_activation(
    isa: Isa,
    grid: Grid,
    z: &[f32],
    affine: Affine<'_>,
    activation: Activation,
    out: &mut [f32],
    out_row: usize,
) {
    struct Op<'a>(Grid, &'a [f32], Affine<'a>, Activation, &'a mut [f32], usize);
    impl WithSimd for Op<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Op(grid, z, affine, activation, out, out_row) = self;
            let c = grid.channels;
            for block in (0..c).step_by(S::F32_LANES) {
                // SAFETY: lengths are asserted below for the whole grid; block + lanes <= C.
                unsafe {
                    let scale = load::<S>(affine.scale.as_ptr().add(block));
                    let shift = load::<S>(affine.shift.as_ptr().add(block));
                    for row in 0..grid.rows {
                        let z = z.as_ptr().add(row * grid.columns * c + block);
                        let out = out.as_mut_ptr().add(row * out_row + block);
                        for column in 0..grid.columns {
                            let value = multiply_add(simd, load::<S>(z.add(column * c)), scale, shift);
                            store::<S>(out.add(column * c), activate(simd, activation, value));
                        }
                    }
                }
            }
        }
    }
    assert!(z.len() >= grid.len() && out.len() >= grid.span(out_row));
    assert!(affine.scale.len() >= grid.channels && affine.shift.len() >= grid.channels);
    isa.for_channels(grid.channels).run(Op(grid, z, affine, activation, out, out_row));
}

/// An operand of a sum: `activation(affine(stored))`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summand<'a> {
    pub stored: &'a [f32],
    pub affine: Affine<'a>,
    pub activation: Activation,
}

/// `out = activation(left + right)`.
pub(crate) fn sum_activation(
    isa: Isa,
    grid: Grid,
    left: Summand<'_>,
    right: Summand<'_>,
    activation: Activation,
    out: &mut [f32],
) {
    struct Op<'a>(Grid, Summand<'a>, Summand<'a>, Activation, &'a mut [f32]);
    impl WithSimd for Op<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Op(grid, left, right, activation, out) = self;
            let c = grid.channels;
            for block in (0..c).step_by(S::F32_LANES) {
                // SAFETY: lengths are asserted below for the whole grid; block + lanes <= C.
                unsafe {
                    let [left_scale, right_scale] =
                        [left, right].map(|s| load::<S>(s.affine.scale.as_ptr().add(block)));
                    let [left_shift, right_shift] =
                        [left, right].map(|s| load::<S>(s.affine.shift.as_ptr().add(block)));
                    for pixel in 0..grid.rows * grid.columns {
                        let at = pixel * c + block;
                        let l = multiply_add(simd, load::<S>(left.stored.as_ptr().add(at)), left_scale, left_shift);
                        let r = multiply_add(simd, load::<S>(right.stored.as_ptr().add(at)), right_scale, right_shift);
                        let sum =
                            simd.add_f32s(activate(simd, left.activation, l), activate(simd, right.activation, r));
                        store::<S>(out.as_mut_ptr().add(at), activate(simd, activation, sum));
                    }
                }
            }
        }
    }
    assert!(out.len() >= grid.len());
    for summand in [left, right] {
        assert!(summand.stored.len() >= grid.len());
        assert!(summand.affine.scale.len() >= grid.channels && summand.affine.shift.len() >= grid.channels);
    }
    isa.for_channels(grid.channels).run(Op(grid, left, right, activation, out));
}

/// Adds `Σ z` and `Σ z²` over the pixels of each channel to `sum` and `square`.
pub(crate) fn moments(isa: Isa, grid: Grid, z: &[f32], sum: &mut [f64], square: &mut [f64]) {
    struct Op<'a>(Grid, &'a [f32], &'a mut [f64], &'a mut [f64]);
    impl WithSimd for Op<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Op(grid, z, sum, square) = self;
            let (c, pixels) = (grid.channels, grid.rows * grid.columns);
            for block in (0..c).step_by(S::F32_LANES) {
                for start in (0..pixels).step_by(PIXELS_PER_PARTIAL) {
                    let (mut s, mut q) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
                    for pixel in start..pixels.min(start + PIXELS_PER_PARTIAL) {
                        // SAFETY: the length of `z` is asserted below; block + lanes <= C.
                        let value = unsafe { load::<S>(z.as_ptr().add(pixel * c + block)) };
                        s = simd.add_f32s(s, value);
                        q = multiply_add(simd, value, value, q);
                    }
                    add_to(&mut sum[block..], bytemuck::cast_slice(&[s]));
                    add_to(&mut square[block..], bytemuck::cast_slice(&[q]));
                }
            }
        }
    }
    assert!(z.len() >= grid.len() && sum.len() >= grid.channels && square.len() >= grid.channels);
    isa.for_channels(grid.channels).run(Op(grid, z, sum, square));
}

#[inline(always)]
fn add_to(sum: &mut [f64], values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += f64::from(*value);
    }
}

/// Which gradient [`complete_gradient`] lets pass: that of `activation(affine(z))`, of an image's `z`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask<'a> {
    pub z: &'a [f32],
    pub affine: Affine<'a>,
    pub activation: Activation,
}

/// Sums over the pixels of each channel that a batch norm needs of the gradient `g` of its result.
#[derive(Debug)]
pub(crate) struct GradientMoments<'a> {
    /// What it normalised.
    pub z: &'a [f32],
    pub mean: &'a [f32],
    /// `Σ g`.
    pub sum: &'a mut [f64],
    /// `Σ g (z - mean)`.
    pub product: &'a mut [f64],
}

/// `g = g + more` where `mask` passes it, else 0; adds to the `moments` of the result.
pub(crate) fn complete_gradient<const N: usize>(
    isa: Isa,
    grid: Grid,
    g: &mut [f32],
    more: Option<&[f32]>,
    mask: Mask<'_>,
    moments: [GradientMoments<'_>; N],
) {
    struct Op<'a, const N: usize>(Grid, &'a mut [f32], Option<&'a [f32]>, Mask<'a>, [GradientMoments<'a>; N]);
    impl<const N: usize> WithSimd for Op<'_, N> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Op(grid, g, more, mask, mut moments) = self;
            let (c, pixels, zero) = (grid.channels, grid.rows * grid.columns, simd.splat_f32s(0.0));
            for block in (0..c).step_by(S::F32_LANES) {
                // SAFETY: lengths are asserted below for the whole grid; block + lanes <= C.
                unsafe {
                    let scale = load::<S>(mask.affine.scale.as_ptr().add(block));
                    let shift = load::<S>(mask.affine.shift.as_ptr().add(block));
                    let mut means = [zero; N];
                    for (mean, of) in means.iter_mut().zip(&moments) {
                        *mean = load::<S>(of.mean.as_ptr().add(block));
                    }
                    for start in (0..pixels).step_by(PIXELS_PER_PARTIAL) {
                        let (mut sum, mut products) = (zero, [zero; N]);
                        for pixel in start..pixels.min(start + PIXELS_PER_PARTIAL) {
                            let at = pixel * c + block;
                            let mut value = load::<S>(g.as_ptr().add(at));
                            if let Some(more) = more {
                                value = simd.add_f32s(value, load::<S>(more.as_ptr().add(at)));
                            }
                            if mask.activation != Activation::Identity {
                                let pre = multiply_add(simd, load::<S>(mask.z.as_ptr().add(at)), scale, shift);
                                value = simd.select_f32s(simd.greater_than_f32s(pre, zero), value, zero);
                                if mask.activation == Activation::Relu6 {
                                    let most = simd.splat_f32s(6.0);
                                    value = simd.select_f32s(simd.less_than_f32s(pre, most), value, zero);
                                }
                            }
                            store::<S>(g.as_mut_ptr().add(at), value);
                            sum = simd.add_f32s(sum, value);
                            for ((product, mean), of) in products.iter_mut().zip(means).zip(&moments) {
                                let z = load::<S>(of.z.as_ptr().add(at));
                                *product = multiply_add(simd, value, simd.sub_f32s(z, mean), *product);
                            }
                        }
                        for (product, of) in products.into_iter().zip(&mut moments) {
                            add_to(&mut of.sum[block..], bytemuck::cast_slice(&[sum]));
                            add_to(&mut of.product[block..], bytemuck::cast_slice(&[product]));
                        }
                    }
                }
            }
        }
    }
    let (len, c) = (grid.len(), grid.channels);
    assert!(g.len() >= len && mask.z.len() >= len && more.is_none_or(|more| more.len() >= len));
    assert!(mask.affine.scale.len() >= c && mask.affine.shift.len() >= c);
    for of in &moments {
        assert!(of.z.len() >= len && of.mean.len() >= c && of.sum.len() >= c && of.product.len() >= c);
    }
    isa.for_channels(c).run(Op(grid, g, more, mask, moments));
}

/// The gradient through a batch norm, `out = g * by_gradient + (z * by_value + constant)`; rows of
/// `out` are `out_row` floats apart.
#[expect(clippy::too_many_arguments, reason = "all three arrays, their coefficients and shape belong to one formula")]
pub(crate) fn norm_backward(
    isa: Isa,
    grid: Grid,
    g: &[f32],
    z: &[f32],
    by_gradient: &[f32],
    by_value: Affine<'_>,
    out: &mut [f32],
    out_row: usize,
) {
    struct Op<'a>(Grid, &'a [f32], &'a [f32], &'a [f32], Affine<'a>, &'a mut [f32], usize);
    impl WithSimd for Op<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Op(grid, g, z, by_gradient, by_value, out, out_row) = self;
            let c = grid.channels;
            for block in (0..c).step_by(S::F32_LANES) {
                // SAFETY: lengths are asserted below for the whole grid; block + lanes <= C.
                unsafe {
                    let a = load::<S>(by_gradient.as_ptr().add(block));
                    let b = load::<S>(by_value.scale.as_ptr().add(block));
                    let constant = load::<S>(by_value.shift.as_ptr().add(block));
                    for row in 0..grid.rows {
                        let start = row * grid.columns * c + block;
                        let out = out.as_mut_ptr().add(row * out_row + block);
                        for column in 0..grid.columns {
                            let g = load::<S>(g.as_ptr().add(start + column * c));
                            let z = load::<S>(z.as_ptr().add(start + column * c));
                            let rest = multiply_add(simd, z, b, constant);
                            store::<S>(out.add(column * c), multiply_add(simd, g, a, rest));
                        }
                    }
                }
            }
        }
    }
    assert!(g.len() >= grid.len() && z.len() >= grid.len() && out.len() >= grid.span(out_row));
    assert!(
        by_gradient.len() >= grid.channels
            && by_value.scale.len() >= grid.channels
            && by_value.shift.len() >= grid.channels
    );
    isa.for_channels(grid.channels).run(Op(grid, g, z, by_gradient, by_value, out, out_row));
}
