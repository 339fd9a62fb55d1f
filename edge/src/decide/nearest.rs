//! The supports most like a feature, as an explanation of a prediction.

use crate::support_set::Supports;

/// A support and its similarity to a feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// Index among the supports.
    pub support: u16,
    /// Cosine similarity, -1 to 1.
    pub similarity: f32,
}

/// Cosine similarity of two features, 0 if one has length 0. The sums are exact.
pub(super) fn cosine(x: &[i16], y: &[i16]) -> f64 {
    let (mut product, mut x_square, mut y_square) = (0i64, 0i64, 0i64);
    for (&x, &y) in x.iter().zip(y) {
        product += i64::from(i32::from(x) * i32::from(y));
        x_square += i64::from(i32::from(x) * i32::from(x));
        y_square += i64::from(i32::from(y) * i32::from(y));
    }
    if x_square == 0 || y_square == 0 {
        return 0.0;
    }
    product as f64 / (libm::sqrt(x_square as f64) * libm::sqrt(y_square as f64))
}

/// The three supports most like `feature`, nearest first. Of a tie the lower index comes first.
pub(super) fn nearest(supports: Supports<'_>, feature: &[i16]) -> [Option<Nearest>; 3] {
    let mut found: [Option<Nearest>; 3] = [None; 3];
    for (index, (_, other)) in supports.iter().enumerate().take(usize::from(u16::MAX) + 1) {
        let mut candidate = Some(Nearest { support: index as u16, similarity: cosine(feature, other) as f32 });
        for place in &mut found {
            let closer = match (candidate, *place) {
                (Some(new), Some(old)) => new.similarity > old.similarity,
                (new, _) => new.is_some(),
            };
            if closer {
                core::mem::swap(place, &mut candidate);
            }
        }
    }
    found
}
