//! Conformal prediction sets: full conformal prediction per class (Mondrian).
//!
//! Vovk, Gammerman and Shafer 2005, *Algorithmic Learning in a Random World*, chapters 2 and 4.5.
//!
//! To test whether a query `x` may be of class y, `x` is added to y. Each of the `n_y + 1` members is left out in turn
//! and gets a nonconformity score from the rest: its squared distance to y minus that to the nearest other class. The
//! p-value of y is the fraction of members whose score is at least that of `x`, and y is in the set if its p-value is
//! above the error rate. If supports and queries of a class are exchangeable, all ranks of `x` are equally likely, so
//! the right class is missing at no more than the error rate, for any features and any number of supports. With
//! fewer than `1 / rate - 1` supports the smallest p-value, `1 / (n_y + 1)`, is above the rate, and y is always in the set.
//!
//! **Adding `x` in closed form.** Let `d = x - μ_y` and `a(p, q) = pᵀ M⁻¹ q` as in [`crate::head::shrunken`]. With `x`,
//! the mean of y is `μ_y + d / (n_y + 1)` and the scatter grows: `M⁺ = M + g d dᵀ`, `g = n_y / (n_y + 1)`. By Sherman and
//! Morrison,
//!
//! ```text
//! a⁺(p, q) = a(p, q) - g a(p, d) a(d, q) / (1 + g a(d, d))
//! ```
//!
//! Leaving a member out of `M⁺` is then [`write_left_out`] on these products. Leaving out `x` itself gives back `M`. A
//! query costs `O(n (r + C))` operations per class and no factorisation. `κ` stays that of the supports alone, the only
//! quantity that `x` has no part in.

use crate::head::leave_one_out::write_left_out;
use crate::head::shrunken::Shrunken;

/// Products of a query with means and supports: `a(p, q) = pᵀ M⁻¹ q`.
pub(super) struct Query<'a> {
    /// `a(x, x)`.
    pub own: f64,
    /// `a(x, μ_c)`, `[C]`.
    pub to_means: &'a [f64],
    /// `a(x, z_i)`, `[n]`.
    pub to_supports: &'a [f64],
}

/// Scratch of [`p_value`], `[C]` each.
pub(super) struct Work<'a> {
    pub along: &'a mut [f64],
    pub squares: &'a mut [f64],
    pub to_class: &'a mut [f64],
    pub counts: &'a mut [f64],
    pub scores: &'a mut [f64],
}

/// The fraction of the members of `class`, the query included, whose nonconformity is at least that of the query.
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
    let of_query = nonconformity(work.scores, class);

    // `x` joins the class: `M⁺ = M + g d dᵀ`, and the mean moves by `d / (n + 1)`.
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
    // First the moved mean in the old metric, then the new metric.
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

    let (mut at_least, mut all) = (1.0, 1.0);
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
        if nonconformity(work.scores, class) >= of_query {
            at_least += 1.0;
        }
    }
    at_least / all
}

/// Squared distance to `class` minus that to the nearest other class.
fn nonconformity(squares: &[f64], class: usize) -> f64 {
    let mut nearest = f64::INFINITY;
    for (k, &square) in squares.iter().enumerate() {
        if k != class && square < nearest {
            nearest = square;
        }
    }
    // With no other class this is -∞ for every member.
    squares[class] - nearest
}
