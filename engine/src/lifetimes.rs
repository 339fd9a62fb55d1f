//! Places in an arena: no value overwrites one that is read later, and memory is used again.

/// A lifetime: the steps from the one that makes a value to the last that reads it.
pub(crate) type Lifetime = std::ops::RangeInclusive<usize>;

/// The offset of each value in an arena, such that values that live at the same time do not overlap; and the arena's length.
/// Each is put at the lowest free place, in order.
///
/// * `values`: length and lifetime
/// * `align`: offsets are multiples of it
pub(crate) fn place(values: &[(usize, Lifetime)], align: usize) -> (Vec<usize>, usize) {
    let mut placed: Vec<(usize, usize)> = Vec::new();
    for (index, (len, life)) in values.iter().enumerate() {
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .zip(&values[..index])
            .filter(|(_, (_, other))| life.start() <= other.end() && other.start() <= life.end())
            .map(|(&place, _)| place)
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if start >= offset + len {
                break;
            }
            offset = offset.max(end.next_multiple_of(align));
        }
        placed.push((offset, offset + len));
    }
    let len = placed.iter().map(|&(_, end)| end).max().unwrap_or(0);
    (placed.into_iter().map(|(start, _)| start).collect(), len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_live_together_do_not_overlap_and_memory_is_used_again() {
        let values = [(10, 0..=1), (20, 1..=3), (10, 2..=3), (30, 4..=5)];
        let (offsets, len) = place(&values, 4);
        assert_eq!(offsets, [0, 12, 0, 0]);
        assert_eq!(len, 32);
    }
}
