//! Out-of-distribution detection: whether a feature resembles the supports or the corpus.

use super::nearest::{Nearest, cosine};
use crate::feature::Length;
use crate::support_set::Supports;

/// In-distribution features that the nearest-support test rejects, in thousandths.
const FALSE_ALARM_PERMILLE: u32 = 50;

/// Whether a feature is in distribution, with 5 % false alarms.
///
/// * `lengths`: length of the feature, and the length that 95 % of the corpus do not exceed; decides alone if known
/// * `nearest`: the support most like the feature
/// * `closest`: from [`write_closest`]
pub(super) fn in_distribution(lengths: Option<(Length, Length)>, nearest: Option<Nearest>, closest: &[f64]) -> bool {
    if let Some((length, length_max)) = lengths {
        return length <= length_max;
    }
    // The fraction of supports, the feature included, that are no nearer to another one must be above 5 %.
    let similarity = nearest.map_or(-1.0, |nearest| f64::from(nearest.similarity));
    let farther = 1 + closest.iter().filter(|&&closest| closest <= similarity).count() as u32;
    farther * 1000 > FALSE_ALARM_PERMILLE * (closest.len() as u32 + 1)
}

/// Writes the cosine similarity of each support to the nearest other one, `[n]`.
pub(super) fn write_closest(supports: Supports<'_>, closest: &mut [f64]) {
    closest.fill(-1.0);
    for i in 0..supports.len() {
        for j in 0..i {
            // Rounded like the similarity of `Nearest`, with which it is compared.
            let similarity = f64::from(cosine(supports.feature(i), supports.feature(j)) as f32);
            closest[i] = if similarity > closest[i] { similarity } else { closest[i] };
            closest[j] = if similarity > closest[j] { similarity } else { closest[j] };
        }
    }
}
