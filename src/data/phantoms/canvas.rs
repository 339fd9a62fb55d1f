//! A square canvas of brightness, in coordinates from 0 to 1.

use crate::rng::Rng;

/// Brightness of `[size, size]` pixels; 0 is the mean of tissue and 1 a bright structure.
pub(super) struct Canvas {
    pub size: usize,
    pub values: Vec<f32>,
}

impl Canvas {
    pub fn new(size: usize) -> Self {
        Self { size, values: vec![0.0; size * size] }
    }

    /// Side of a pixel.
    pub fn pixel(&self) -> f32 {
        1.0 / self.size as f32
    }

    /// Replaces every value by `f(x, y, value)` at the pixel's centre.
    pub fn map(&mut self, f: impl Fn(f32, f32, f32) -> f32) {
        self.within(0.0, 0.0, 1.0, 1.0, f);
    }

    /// [`Canvas::map`] for the pixels that a box touches.
    pub fn within(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, f: impl Fn(f32, f32, f32) -> f32) {
        let size = self.size as f32;
        // A float saturates to the nearest usize, so a box outside the canvas is empty.
        let first = |low: f32| (low * size).floor() as usize;
        let last = |high: f32| ((high * size).ceil() as usize).min(self.size);
        for row in first(y0)..last(y1) {
            for column in first(x0)..last(x1) {
                let value = &mut self.values[row * self.size + column];
                *value = f((column as f32 + 0.5) / size, (row as f32 + 0.5) / size, *value);
            }
        }
    }

    /// Adds `amount` times smooth noise of `cells` bumps per side, each from -1 to 1.
    pub fn clouds(&mut self, cells: usize, amount: f32, rng: &mut Rng) {
        let side = cells + 2;
        let knots: Vec<f32> = (0..side * side).map(|_| rng.uniform_in(-1.0, 1.0)).collect();
        self.map(|x, y, value| value + amount * smooth(&knots, side, x * cells as f32, y * cells as f32));
    }

    /// Draws a stroke from `from` to `to`, `width` wide (half brightness at half width), brightening to `level`
    /// at its middle. Strokes that cross do not add up.
    pub fn stroke(&mut self, from: (f32, f32), to: (f32, f32), width: f32, level: f32) {
        let half = 0.5 * width;
        let edge = half + 0.5 * self.pixel();
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length_squared = (dx * dx + dy * dy).max(1e-12);
        let reach = half + 2.0 * edge;
        let (left, right) = (from.0.min(to.0) - reach, from.0.max(to.0) + reach);
        let (top, bottom) = (from.1.min(to.1) - reach, from.1.max(to.1) + reach);
        self.within(left, top, right, bottom, |x, y, value| {
            let along = (((x - from.0) * dx + (y - from.1) * dy) / length_squared).clamp(0.0, 1.0);
            let (px, py) = (x - from.0 - along * dx, y - from.1 - along * dy);
            value.max(level * bell((px * px + py * py).sqrt() / edge))
        });
    }

    /// Adds a soft spot: `level` at its centre, half of it at `radius`.
    pub fn spot(&mut self, centre: (f32, f32), radius: f32, level: f32) {
        let reach = 2.5 * radius;
        let (x0, y0) = centre;
        self.within(x0 - reach, y0 - reach, x0 + reach, y0 + reach, |x, y, value| {
            let distance = ((x - x0).powi(2) + (y - y0).powi(2)).sqrt();
            value + level * bell(distance / radius)
        });
    }
}

/// 1 at 0, 0.5 at 1, near 0 beyond 2.
pub(super) fn bell(distance: f32) -> f32 {
    let d = distance * distance;
    1.0 / (1.0 + d * d)
}

/// Interpolates a `side` × `side` grid of knots with a smooth step between them.
fn smooth(knots: &[f32], side: usize, x: f32, y: f32) -> f32 {
    let step = |t: f32| t * t * (3.0 - 2.0 * t);
    let (column, row) = (x as usize, y as usize);
    let (tx, ty) = (step(x - column as f32), step(y - row as f32));
    let knot = |row: usize, column: usize| knots[row * side + column];
    let upper = knot(row, column) * (1.0 - tx) + knot(row, column + 1) * tx;
    let lower = knot(row + 1, column) * (1.0 - tx) + knot(row + 1, column + 1) * tx;
    upper * (1.0 - ty) + lower * ty
}
