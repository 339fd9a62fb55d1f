//! Which classes cannot be excluded: full conformal prediction, class by class.
//!
//! Vovk, Gammerman and Shafer 2005, *Algorithmic Learning in a Random World*, chapters 2 and 4.5 (Mondrian).
//! To ask whether `x` may be of class y, it is added to y. Each of the `n_y + 1` members is then left out in turn and
//! judged by the rest: were `x` of that class, all of them would be alike, and `x` the strangest of them once in
//! `n_y + 1` times. The p-value of y is the part of them at least as strange as `x`; y is kept while it is above the
//! error rate. If supports and queries of a class are drawn alike, the right class is missed at no more than that rate,
//! whatever the features and however few the supports: nothing is estimated.
//!
//! Strangeness is how far the best other class is ahead of y. All of it is bilinear forms that
//! [`crate::head::shrunken`] keeps; a verdict costs `n (r + C)` operations and no new factorisation. `κ` is that
//! of the supports alone, the one thing that `x` had no part in.

use crate::head::shrunken::{Shrunken, write_left_out};

/// Forms of one query with the supports: `a(p, q) = pᵀ M⁻¹ q`.
pub(super) struct Query<'a> {
    /// `a(x, x)`.
    pub own: f64,
    /// `a(x, μ_c)`, `[C]`.
    pub to_means: &'a [f64],
    /// `a(x, z_i)`, `[n]`.
    pub to_supports: &'a [f64],
}

/// Memory of [`p_value`], `[C]` each.
pub(super) struct Work<'a> {
    pub along: &'a mut [f64],
    pub squares: &'a mut [f64],
    pub to_class: &'a mut [f64],
    pub counts: &'a mut [f64],
    pub scores: &'a mut [f64],
}

/// The part of the members of `class`, `x` among them, that are at least as strange as `x`.
///
/// * `members`: index of each support of the class
/// * `forms`: for each support `a(z, z)`, then `a(z, μ_c)`: `[n, C + 1]`
pub(super) fn p_value(
    solved: &Shrunken<'_>,
    forms: &[f64],
    members: impl Iterator<Item = usize>,
    query: &Query<'_>,
    class: usize,
    work: &mut Work<'_>,
) -> f64 {
    let classes = solved.counts.len();
    for (k, score) in work.scores.iter_mut().enumerate() {
        let present = solved.counts[k] > 0.0;
        *score = if present { query.own - 2.0 * query.to_means[k] + solved.squares[k] } else { f64::INFINITY };
    }
    let of_query = strangeness(work.scores, class);

    // `x` joins the class: `M` gains `g d dᵀ`, `d = x - μ`, and the mean moves by `d / (n + 1)`.
    let count = solved.counts[class];
    let between = &solved.between[class * classes..][..classes];
    let of_d = query.own - 2.0 * query.to_means[class] + solved.squares[class];
    let g = count / (count + 1.0);
    let loss = g / (1.0 + g * of_d);
    let moved = 1.0 / (count + 1.0);
    work.squares.copy_from_slice(solved.squares);
    for (k, &form) in between.iter().enumerate() {
        work.along[k] = query.to_means[k] - form;
        work.to_class[k] = form + moved * work.along[k];
    }
    // Of the moved mean itself, in the old metric.
    let along_class = work.along[class];
    work.squares[class] += moved * (2.0 * along_class + moved * of_d);
    work.to_class[class] = work.squares[class];
    work.along[class] += moved * of_d;
    let along_class = work.along[class];
    for k in 0..classes {
        work.squares[k] -= loss * work.along[k] * work.along[k];
        work.to_class[k] -= loss * work.along[k] * along_class;
    }
    work.counts.copy_from_slice(solved.counts);
    work.counts[class] += 1.0;

    let (mut stranger, mut all) = (1.0, 1.0);
    for index in members {
        let form = &forms[index * (classes + 1)..][..classes + 1];
        let along = query.to_supports[index] - form[1 + class];
        for k in 0..classes {
            let to_mean = form[1 + k] + if k == class { moved * along } else { 0.0 };
            work.scores[k] = to_mean - loss * along * work.along[k];
        }
        let own = form[0] - loss * along * along;
        write_left_out(own, class, work.squares, work.to_class, work.counts, work.scores);
        all += 1.0;
        if strangeness(work.scores, class) >= of_query {
            stranger += 1.0;
        }
    }
    stranger / all
}

/// Squared distance to `class` beyond that to the nearest other class.
fn strangeness(squares: &[f64], class: usize) -> f64 {
    let mut nearest = f64::INFINITY;
    for (k, &square) in squares.iter().enumerate() {
        if k != class && square < nearest {
            nearest = square;
        }
    }
    // With no other class taught, everything is equally little strange.
    squares[class] - nearest
}
