//! The supports nearest to a sample.

use crate::protocol::message::Neighbour;
use crate::support_set::Supports;

/// The `K` supports with the largest cosine similarity, largest first; ties go to the lower source.
pub(super) fn nearest<const K: usize>(supports: Supports<'_>, feature: &[i16]) -> [Option<Neighbour>; K] {
    let mut found: [Option<(f64, usize)>; K] = [None; K];
    for (index, (_, support)) in supports.iter().enumerate() {
        insert(&mut found, (cosine(support, feature), index));
    }
    found.map(|place| {
        let (similarity, index) = place?;
        let record = supports.records[index];
        Some(Neighbour { source: record.source, provenance: record.into(), similarity: similarity as f32 })
    })
}

fn insert(found: &mut [Option<(f64, usize)>], candidate: (f64, usize)) {
    let place = found.iter().position(|place| place.is_none_or(|(similarity, _)| similarity < candidate.0));
    if let Some(place) = place {
        found[place..].rotate_right(1);
        found[place] = Some(candidate);
    }
}

/// `a · b / (|a| |b|)`, -1 to 1; 0 when either is zero. Sums are exact in `i64`.
fn cosine(a: &[i16], b: &[i16]) -> f64 {
    let dot = |a: &[i16], b: &[i16]| -> i64 { a.iter().zip(b).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum() };
    let lengths = libm::sqrt(dot(a, a) as f64) * libm::sqrt(dot(b, b) as f64);
    if lengths == 0.0 { 0.0 } else { (dot(a, b) as f64 / lengths).clamp(-1.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support_set::SupportRecord;

    #[test]
    fn nearest_first_and_ties_by_source() {
        let records =
            [1, 2, 3, 4].map(|source| SupportRecord { source: [source; 16], class: source, operator: 7, time_s: 9 });
        let features = [0, 100, 100, 0, 60, 80, 50, 0];
        let supports = Supports { dim: 2, records: &records, features: &features };
        let found = nearest::<3>(supports, &[300, 0]).map(|place| place.map(|near| (near.source[0], near.similarity)));
        assert_eq!(found, [Some((2, 1.0)), Some((4, 1.0)), Some((3, 0.6))]);
        let all = nearest::<5>(supports, &[300, 0]);
        assert_eq!((all[3].unwrap().similarity, all[4]), (0.0, None));
        assert_eq!(all[0].unwrap().provenance.operator, 7);
    }
}
