//! Finds all 64-bit hashes within a Hamming distance, faster than comparing all pairs.
//!
//! A hash is cut into four bands of 16 bits. Two hashes that differ in at most d bits differ in at most ⌊d / 4⌋ bits in one
//! band, so it suffices to look up the few neighbouring values of each band in a table (multi-index hashing, Norouzi et al.
//! 2012, arXiv:1307.2982). For random hashes a query then compares n / 1,000 hashes at a distance of 8 and none is missed.

use std::ops::ControlFlow;

/// Bands of a hash.
const BANDS: usize = 4;

/// Bits of a band.
const BAND_BITS: u32 = 16;

/// Values of a band.
const VALUES: usize = 1 << BAND_BITS;

/// Hashes, found by their neighbourhood. Takes 24 bytes per hash and a megabyte.
pub struct HashIndex {
    hashes: Vec<u64>,
    bands: [Band; BANDS],
    /// Differences of a band to look up, fewest bits first.
    differences: Vec<u16>,
    distance: u32,
}

/// Positions by the value of one band.
struct Band {
    /// `[VALUES + 1]`: the positions of `value` are `positions[starts[value]..starts[value + 1]]`.
    starts: Vec<u32>,
    positions: Vec<u32>,
}

impl HashIndex {
    /// An index of `hashes`, at most 2³² - 1 of them, for queries within `distance`.
    pub fn new(hashes: Vec<u64>, distance: u32) -> Self {
        let bands = std::array::from_fn(|band| Band::new(&hashes, band));
        let bits_max = distance / BANDS as u32;
        let mut differences: Vec<u16> = (0..=u16::MAX).filter(|value| value.count_ones() <= bits_max).collect();
        differences.sort_by_key(|value| value.count_ones());
        Self { hashes, bands, differences, distance }
    }

    /// Calls `found` with the position and distance of each hash within the distance of `hash`, each once, in no particular
    /// but always the same order, until it breaks off.
    pub fn within<B>(&self, hash: u64, mut found: impl FnMut(usize, u32) -> ControlFlow<B>) -> ControlFlow<B> {
        let bits_max = self.distance / BANDS as u32;
        for (number, band) in self.bands.iter().enumerate() {
            let own = part(hash, number);
            for &difference in &self.differences {
                for &position in band.of(own ^ difference) {
                    let apart = hash ^ self.hashes[position as usize];
                    if apart.count_ones() > self.distance {
                        continue;
                    }
                    // A hash that an earlier band has found is not counted again.
                    if (0..number).all(|earlier| part(apart, earlier).count_ones() > bits_max) {
                        found(position as usize, apart.count_ones())?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl Band {
    fn new(hashes: &[u64], band: usize) -> Self {
        let mut starts = vec![0u32; VALUES + 1];
        hashes.iter().for_each(|&hash| starts[usize::from(part(hash, band)) + 1] += 1);
        for value in 0..VALUES {
            starts[value + 1] += starts[value];
        }
        let mut next = starts.clone();
        let mut positions = vec![0; hashes.len()];
        for (position, &hash) in hashes.iter().enumerate() {
            let next = &mut next[usize::from(part(hash, band))];
            positions[*next as usize] = position as u32;
            *next += 1;
        }
        Self { starts, positions }
    }

    fn of(&self, value: u16) -> &[u32] {
        let value = usize::from(value);
        &self.positions[self.starts[value] as usize..self.starts[value + 1] as usize]
    }
}

/// One band of a hash.
fn part(hash: u64, band: usize) -> u16 {
    (hash >> (band as u32 * BAND_BITS)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn all_hashes_within_the_distance_are_found_once() {
        let mut rng = Rng::for_purpose(1, "test");
        let mut random = || (0..4).fold(0, |hash, _| hash << 16 | rng.below(VALUES) as u64);
        // Half are random, half a few bits away from one of these.
        let mut hashes: Vec<u64> = (0..300).map(|_| random()).collect();
        for at in 0..300 {
            let flips = random() & random() & random() & if at % 2 == 0 { u64::MAX } else { random() };
            hashes.push(hashes[at] ^ flips);
        }
        hashes.push(hashes[0]);
        for distance in [0, 3, 4, 8, 11] {
            let index = HashIndex::new(hashes.clone(), distance);
            for &hash in &hashes {
                let mut found = Vec::new();
                let _: ControlFlow<()> = index.within(hash, |position, apart| {
                    found.push((position, apart));
                    ControlFlow::Continue(())
                });
                found.sort_unstable();
                let apart = |&other: &u64| (hash ^ other).count_ones();
                let all = hashes.iter().map(apart).enumerate();
                let expected: Vec<(usize, u32)> = all.filter(|&(_, apart)| apart <= distance).collect();
                assert_eq!(found, expected, "within {distance}");
            }
        }
        assert_eq!(HashIndex::new(Vec::new(), 5).within(1, |_, _| ControlFlow::Break(())), ControlFlow::Continue(()));
        assert!(HashIndex::new(vec![3, 1], 5).within(1, |at, _| ControlFlow::Break(at)).is_break());
    }
}
