//! Instance retrieval: whether features tell images apart although they are augmented. It needs no labels.

/// Share of views whose most similar candidate is the other view of the same image, `views` among `others` and the reverse.
/// Features that are all equal find nothing: ties count as errors.
///
/// * `views`, `others`: `[N, dim]`, of unit length; row `i` of both is of image `i`
pub fn instance_retrieval(views: &[f32], others: &[f32], dim: usize) -> f64 {
    let found = found(views, others, dim) + found(others, views, dim);
    let queries = (views.len() + others.len()) / dim;
    found as f64 / queries.max(1) as f64
}

/// Rows of `queries` whose row in `candidates` is more similar than all others.
fn found(queries: &[f32], candidates: &[f32], dim: usize) -> usize {
    let is_found = |(index, query): &(usize, &[f32])| {
        let similarity = |candidate: &[f32]| query.iter().zip(candidate).map(|(a, b)| a * b).sum::<f32>();
        let own = similarity(&candidates[index * dim..][..dim]);
        let mut others = candidates.chunks_exact(dim).enumerate().filter(|(other, _)| other != index);
        others.all(|(_, candidate)| similarity(candidate) < own)
    };
    queries.chunks_exact(dim).enumerate().filter(is_found).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_nearest_to_their_own_image_are_found() {
        let views = [1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
        assert_eq!(instance_retrieval(&views, &views, 2), 1.0);
        // The first two swapped: the third finds itself, in both directions.
        assert!((instance_retrieval(&views, &[0.0, 1.0, 1.0, 0.0, 0.6, 0.8], 2) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            instance_retrieval(&[1.0, 0.0].repeat(4), &[1.0, 0.0].repeat(4), 2),
            0.0,
            "a collapse finds nothing"
        );
        assert_eq!(instance_retrieval(&[], &[], 2), 0.0);
    }
}
