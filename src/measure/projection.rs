//! Projection of features onto their principal components, for a map in two dimensions.

use super::eigen::eigen;
use super::features::Features;

/// Features in the coordinates of their principal components.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Components, at most the smaller of N and D.
    pub dim: usize,
    /// `[N, dim]`, the component with the largest variance first.
    pub rows: Vec<f64>,
    /// Share of the variance that each component has, `[dim]`; 0 if all features are equal.
    pub shares: Vec<f64>,
}

/// Projects `features` `[N, D]` onto their first `dim` principal components; fewer if N or D is smaller.
///
/// The eigenvectors are those of the covariance, or of the Gram matrix if N is below D: its eigenvectors times the root of their
/// eigenvalues are the same coordinates.
pub fn principal_components(features: &Features, dim: usize) -> Projection {
    let (n, d) = (features.len(), features.dim);
    let dim = dim.min(n).min(d);
    let mut mean = vec![0.0; d];
    for row in features.rows.chunks_exact(d) {
        mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    mean.iter_mut().for_each(|sum| *sum /= n.max(1) as f64);
    let centred: Vec<f64> = features
        .rows
        .chunks_exact(d)
        .flat_map(|row| row.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean))
        .collect();
    let rows = || centred.chunks_exact(d);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (values, coordinates): (Vec<f64>, Vec<f64>) = if n < d {
        let gram: Vec<f64> = rows().flat_map(|a| rows().map(move |b| dot(a, b))).collect();
        let found = eigen(gram, n);
        let at =
            |row: usize, component: usize| found.vectors[component * n + row] * found.values[component].max(0.0).sqrt();
        let coordinates = (0..n).flat_map(|row| (0..dim).map(move |component| (row, component)));
        let coordinates = coordinates.map(|(row, component)| at(row, component)).collect();
        (found.values, coordinates)
    } else {
        let mut scatter = vec![0.0; d * d];
        for row in rows() {
            for (i, value) in row.iter().enumerate() {
                scatter[i * d..][..d].iter_mut().zip(row).for_each(|(sum, other)| *sum += value * other);
            }
        }
        let found = eigen(scatter, d);
        let vectors = || found.vectors.chunks_exact(d).take(dim);
        let coordinates = rows().flat_map(|row| vectors().map(move |vector| dot(row, vector))).collect();
        (found.values, coordinates)
    };
    let total: f64 = values.iter().map(|value| value.max(0.0)).sum();
    let share = |value: &f64| if total > 0.0 { value.max(0.0) / total } else { 0.0 };
    Projection { dim, rows: coordinates, shares: values.iter().take(dim).map(share).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Points on the line (3, 4) t with t = -1, 0, 1.
    #[test]
    fn coordinates_match_a_line_by_hand() {
        let features = Features { dim: 2, rows: vec![-3.0, -4.0, 0.0, 0.0, 3.0, 4.0] };
        let found = principal_components(&features, 2);
        for (coordinate, expected) in found.rows.chunks_exact(2).zip([-5.0, 0.0, 5.0]) {
            assert!((coordinate[0] - expected).abs() < 1e-9 && coordinate[1].abs() < 1e-9, "{coordinate:?}");
        }
        assert!((found.shares[0] - 1.0).abs() < 1e-12);
    }

    /// Both ways give the same coordinates up to the sign of a component, and distances are kept by all components.
    #[test]
    fn gram_matrix_and_covariance_agree() {
        let mut rng = Rng::for_purpose(3, "test");
        let wide = Features { dim: 7, rows: (0..5 * 7).map(|_| rng.normal()).collect() };
        // The same points twice are more than their dimensions: the covariance is used.
        let by_gram = principal_components(&wide, 4);
        let mut repeated = wide.rows.clone();
        repeated.extend_from_slice(&wide.rows);
        let by_covariance = principal_components(&Features { dim: 7, rows: repeated }, 4);
        for component in 0..4 {
            let of = |found: &Projection, row: usize| found.rows[row * 4 + component];
            let sign = (of(&by_gram, 0) * of(&by_covariance, 0)).signum();
            for row in 0..5 {
                let (a, b) = (of(&by_gram, row), sign * of(&by_covariance, row));
                assert!((a - b).abs() < 1e-9, "row {row}, component {component}: {a} and {b}");
            }
        }
        let equal = principal_components(&Features { dim: 3, rows: vec![1.0; 12] }, 2);
        assert_eq!((equal.shares, equal.rows), (vec![0.0; 2], vec![0.0; 8]));
    }
}
