//! The six structures. In each, up and down differ.

use super::canvas::{Canvas, bell};
use crate::rng::Rng;

type Draw = fn(&mut Canvas, &mut Rng);

/// Name of each class and how it is drawn.
pub(super) const CLASSES: [(&str, Draw); 6] = [
    ("calcifications", calcifications),
    ("cells", cells),
    ("fibres", fibres),
    ("honeycomb", honeycomb),
    ("nodules", nodules),
    ("vessels", vessels),
];

/// Narrower strokes are invisible in a 32×32 image.
const WIDTH_MIN: f32 = 0.035;

/// Clusters of grains, each with a fainter tail downwards.
fn calcifications(canvas: &mut Canvas, rng: &mut Rng) {
    let level = rng.uniform_in(0.6, 1.1);
    for _ in 0..1 + rng.below(3) {
        let (cx, cy) = (rng.uniform_in(0.15, 0.85), rng.uniform_in(0.15, 0.8));
        let spread = rng.uniform_in(0.06, 0.16);
        for _ in 0..4 + rng.below(7) {
            let (x, y) = (cx + spread * rng.normal(), cy + spread * rng.normal());
            let tail = rng.uniform_in(0.06, 0.14);
            canvas.stroke((x, y), (x + 0.01 * rng.normal(), y + tail), WIDTH_MIN * 0.6, 0.4 * level);
            canvas.spot((x, y), rng.uniform_in(0.016, 0.028), level);
        }
    }
}

/// Round cells with a rim and a nucleus near the bottom.
fn cells(canvas: &mut Canvas, rng: &mut Rng) {
    let level = rng.uniform_in(0.45, 0.9);
    let radius_mean = rng.uniform_in(0.08, 0.13);
    for _ in 0..6 + rng.below(8) {
        let (x0, y0) = (rng.uniform(), rng.uniform());
        let radius = radius_mean * rng.uniform_in(0.85, 1.2);
        let rim = 0.03f32.max(0.7 * canvas.pixel());
        let reach = radius + 2.5 * rim;
        canvas.within(x0 - reach, y0 - reach, x0 + reach, y0 + reach, |x, y, value| {
            let distance = ((x - x0).powi(2) + (y - y0).powi(2)).sqrt();
            let inside = if distance < radius { -0.25 * level } else { 0.0 };
            value.min(1.0) + inside + 0.7 * level * bell((distance - radius) / rim)
        });
        canvas.spot((x0 + 0.1 * radius * rng.normal(), y0 + 0.4 * radius), 0.35 * radius, level);
    }
}

/// Near-parallel strands across the image that sag between their supports.
fn fibres(canvas: &mut Canvas, rng: &mut Rng) {
    let level = rng.uniform_in(0.45, 0.95);
    let tilt = 0.35 * rng.normal();
    let period = rng.uniform_in(0.25, 0.5);
    let depth = rng.uniform_in(0.05, 0.1);
    let phase = rng.uniform();
    let gap = rng.uniform_in(0.09, 0.16);
    let mut offset = -0.4 + gap * rng.uniform();
    while offset < 1.4 {
        let width = WIDTH_MIN * rng.uniform_in(0.6, 1.2);
        let strength = level * rng.uniform_in(0.5, 1.0);
        let shift = phase + 0.08 * rng.normal();
        // |sin| has sharp crests and round sags, so that it looks different upside down.
        let height =
            |x: f32| offset + tilt * (x - 0.5) + depth * (std::f32::consts::PI * (x / period + shift)).sin().abs();
        let steps = 16;
        for step in 0..steps {
            let (x0, x1) = (step as f32 / steps as f32, (step + 1) as f32 / steps as f32);
            canvas.stroke((x0, height(x0)), (x1, height(x1)), width, strength);
        }
        offset += gap * rng.uniform_in(0.8, 1.2);
    }
}

/// Dark air spaces between bright walls; lower walls are thicker, as fluid sinks.
fn honeycomb(canvas: &mut Canvas, rng: &mut Rng) {
    let level = rng.uniform_in(0.5, 1.0);
    let cells = 4 + rng.below(3);
    let side = cells + 2;
    let seeds: Vec<(f32, f32)> = (0..side * side)
        .map(|i| {
            (
                (i % side) as f32 - 0.5 + rng.uniform_in(-0.35, 0.35),
                (i / side) as f32 - 0.5 + rng.uniform_in(-0.35, 0.35),
            )
        })
        .map(|(x, y)| (x / cells as f32, y / cells as f32))
        .collect();
    let wall = 0.02f32.max(0.5 * canvas.pixel());
    let shift = (rng.uniform_in(-0.5, 0.5) / cells as f32, rng.uniform_in(-0.5, 0.5) / cells as f32);
    canvas.map(|x, y, value| {
        let (x, y) = (x + shift.0, y + shift.1);
        let mut nearest = [(f32::MAX, 0.0f32); 2];
        for &(sx, sy) in &seeds {
            let found = ((x - sx).powi(2) + (y - sy).powi(2), y - sy);
            if found.0 < nearest[0].0 {
                nearest = [found, nearest[0]];
            } else if found.0 < nearest[1].0 {
                nearest[1] = found;
            }
        }
        let to_wall = 0.5 * (nearest[1].0.sqrt() - nearest[0].0.sqrt());
        let below = (nearest[0].1 * cells as f32).max(0.0);
        value - 0.3 * level + 1.1 * level * bell(to_wall / (wall * (1.0 + 2.5 * below)))
    });
}

/// One to three solid masses with spicules, each casting a shadow downwards.
fn nodules(canvas: &mut Canvas, rng: &mut Rng) {
    let level = rng.uniform_in(0.5, 0.95);
    for _ in 0..1 + rng.below(3) {
        let (x0, y0) = (rng.uniform_in(0.15, 0.85), rng.uniform_in(0.1, 0.75));
        let radius = rng.uniform_in(0.07, 0.16);
        let shade = 0.5 * level;
        canvas.within(x0 - radius, y0, x0 + radius, 1.0, |x, y, value| {
            value - shade * bell((x - x0) / (0.7 * radius)) * (1.0 - 0.6 * (y - y0))
        });
        for _ in 0..5 + rng.below(5) {
            let (angle, length) = (rng.uniform_in(0.0, std::f32::consts::TAU), radius * rng.uniform_in(1.3, 2.0));
            let tip = (x0 + length * angle.cos(), y0 + length * angle.sin());
            canvas.stroke((x0, y0), tip, WIDTH_MIN * 0.7, 0.6 * level);
        }
        canvas.spot((x0, y0), 0.8 * radius, level);
    }
}

/// A tree that grows upwards from the lower edge, thinner at each fork.
fn vessels(canvas: &mut Canvas, rng: &mut Rng) {
    let level = rng.uniform_in(0.45, 0.95);
    for _ in 0..1 + rng.below(2) {
        let start = (rng.uniform_in(0.1, 0.9), rng.uniform_in(0.85, 1.1));
        let width = rng.uniform_in(0.06, 0.1);
        let lean = 0.3 * rng.normal();
        branch(canvas, rng, start, lean, width, level);
    }
}

/// `direction` is the angle from straight up, clockwise.
fn branch(canvas: &mut Canvas, rng: &mut Rng, mut at: (f32, f32), mut direction: f32, width: f32, level: f32) {
    for _ in 0..2 + rng.below(3) {
        let length = rng.uniform_in(0.06, 0.1);
        direction += 0.25 * rng.normal();
        let next = (at.0 + length * direction.sin(), at.1 - length * direction.cos());
        canvas.stroke(at, next, width.max(WIDTH_MIN * 0.7), level);
        at = next;
    }
    if width > 0.02 {
        for side in [-1.0, 1.0] {
            let turn = side * rng.uniform_in(0.3, 0.7);
            let thinner = width * rng.uniform_in(0.55, 0.75);
            branch(canvas, rng, at, direction + turn, thinner, level * 0.92);
        }
    }
}
