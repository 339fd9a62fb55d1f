//! Images far from all others: the distance to the k-th nearest other image (Ramaswamy et al. 2000; on features of deep
//! networks Sun et al. 2022, arXiv:2204.06507).

/// k. Up to k copies of a strange image do not hide each other.
pub const NEIGHBOURS: usize = 10;

/// Robust deviations above the median from which an image is listed.
const DEVIATIONS: f64 = 4.0;

/// A median absolute deviation is this share of the standard deviation of a normal distribution.
const NORMAL_SHARE: f64 = 0.6745;

/// The distance of each image to its `k`-th closest other image. Features must be standardised and not normalised to a length of 1:
/// a feature far outside the others is long, whatever its direction.
///
/// * `closest`: the closest other images of each with their distances, closest first; the last one if there are fewer than k
pub fn distances(closest: &[Vec<(f32, usize)>], k: usize) -> Vec<f64> {
    let of = |near: &Vec<(f32, usize)>| near[..k.min(near.len())].last().map_or(0.0, |&(distance, _)| distance.into());
    closest.iter().map(of).collect()
}

/// Median of `distances`, and the distance above which an image is unlike the others: the median and four robust standard
/// deviations, which are measured by the median absolute deviation, so that strange images do not raise it.
pub fn threshold(distances: &[f64]) -> [f64; 2] {
    let median = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let middle = median(distances.to_vec());
    let deviation = median(distances.iter().map(|distance| (distance - middle).abs()).collect()) / NORMAL_SHARE;
    [middle, middle + DEVIATIONS * deviation]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_image_is_beyond_the_threshold_and_does_not_raise_it() {
        let near = |distance: f32| vec![(distance, 0); NEIGHBOURS];
        let mut closest: Vec<Vec<(f32, usize)>> = (0..100).map(|i| near(0.3 - 0.002 * i as f32)).collect();
        let before = threshold(&distances(&closest, NEIGHBOURS));
        closest.push(near(1.4));
        let all = distances(&closest, NEIGHBOURS);
        let [median, limit] = threshold(&all);
        assert!((limit - before[1]).abs() < 0.01, "{before:?} {limit}");
        assert!((median - 0.2).abs() < 0.01 && all.iter().filter(|&&distance| distance > limit).count() == 1);
        assert_eq!(distances(&[vec![(0.5, 1)]], 3), [0.5], "fewer than k others");
        assert_eq!(threshold(&[]), [0.0; 2]);
    }
}
