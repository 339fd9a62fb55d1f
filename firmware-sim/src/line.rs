//! A serial line that loses, corrupts, duplicates and delays bursts.
//!
//! Bytes that are sent at once are one burst. Faults are drawn per burst.

use std::collections::BTreeMap;

use crate::seed::Seed;

/// Fault rates per burst, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// The burst never arrives.
    pub loss: u32,
    /// Bits flip, a byte is lost or inserted, or the end is cut off.
    pub corruption: u32,
    /// The burst arrives twice, the second time up to [`DELAY_MAX`] later.
    pub duplication: u32,
    /// The burst arrives up to [`DELAY_MAX`] later, perhaps after later bursts.
    pub delay: u32,
    /// Up to 40 random bytes arrive before the burst.
    pub noise: u32,
}

impl Rates {
    /// The same rate for every fault.
    pub fn all(millionths: u32) -> Self {
        let [loss, corruption, duplication, delay, noise] = [millionths; 5];
        Self { loss, corruption, duplication, delay, noise }
    }
}

/// The longest delay, in ticks; a burst without one takes a single tick.
pub const DELAY_MAX: u64 = 50;

/// Counts of bursts and faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineStats {
    /// Bursts sent.
    pub sent: u64,
    /// See [`Rates::loss`].
    pub lost: u64,
    /// See [`Rates::corruption`].
    pub corrupted: u64,
    /// See [`Rates::duplication`].
    pub duplicated: u64,
    /// See [`Rates::delay`].
    pub delayed: u64,
}

/// One direction of a line.
#[derive(Debug)]
pub struct Line {
    rates: Rates,
    seed: Seed,
    now: u64,
    /// Bursts under way, by arrival time and order of sending.
    under_way: BTreeMap<(u64, u64), Vec<u8>>,
    order: u64,
    /// Counts since the start.
    pub stats: LineStats,
}

impl Line {
    /// An empty line with these rates. The same seed and bursts give the same faults.
    pub fn new(rates: Rates, seed: u64) -> Self {
        Self { rates, seed: Seed::new(seed), now: 0, under_way: BTreeMap::new(), order: 0, stats: LineStats::default() }
    }

    /// Sends a burst.
    pub fn send(&mut self, burst: &[u8]) {
        self.stats.sent += 1;
        if self.happens(self.rates.noise) {
            let len = self.seed.below(40) + 1;
            let noise = (0..len).map(|_| self.seed.next_u64() as u8).collect();
            self.deliver(1, noise);
        }
        if self.happens(self.rates.duplication) {
            self.stats.duplicated += 1;
            let delay = self.seed.below(DELAY_MAX) + 1;
            self.deliver(delay, burst.to_vec());
        }
        if self.happens(self.rates.loss) {
            self.stats.lost += 1;
            return;
        }
        let mut burst = burst.to_vec();
        if self.happens(self.rates.corruption) {
            self.stats.corrupted += 1;
            self.corrupt(&mut burst);
        }
        let delayed = self.happens(self.rates.delay);
        self.stats.delayed += u64::from(delayed);
        let delay = if delayed { self.seed.below(DELAY_MAX) + 1 } else { 1 };
        self.deliver(delay, burst);
    }

    /// Advances by one tick; returns what arrives.
    pub fn tick(&mut self) -> Vec<u8> {
        self.now += 1;
        let later = self.under_way.split_off(&(self.now + 1, 0));
        std::mem::replace(&mut self.under_way, later).into_values().flatten().collect()
    }

    /// Drops everything under way.
    pub fn unplug(&mut self) {
        self.under_way.clear();
    }

    fn happens(&mut self, millionths: u32) -> bool {
        self.seed.below(1_000_000) < millionths.into()
    }

    fn deliver(&mut self, delay: u64, burst: Vec<u8>) {
        self.order += 1;
        self.under_way.insert((self.now + delay, self.order), burst);
    }

    fn corrupt(&mut self, burst: &mut Vec<u8>) {
        if burst.is_empty() {
            return;
        }
        let at = self.seed.below(burst.len() as u64) as usize;
        match self.seed.below(4) {
            0 => {
                for _ in 0..=self.seed.below(8) {
                    let bit = self.seed.below(burst.len() as u64 * 8) as usize;
                    burst[bit / 8] ^= 1 << (bit % 8);
                }
            }
            1 => drop(burst.remove(at)),
            2 => burst.insert(at, self.seed.next_u64() as u8),
            _ => burst.truncate(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_faults_changes_nothing() {
        let mut line = Line::new(Rates::default(), 1);
        line.send(b"one");
        line.send(b"two");
        assert_eq!(line.tick(), b"onetwo");
        assert_eq!(line.tick(), b"");
    }

    #[test]
    fn faults_have_the_set_rates() {
        let mut line = Line::new(Rates::all(10_000), 7);
        let mut arrived = 0;
        for _ in 0..100_000 {
            line.send(b"burst");
            arrived += line.tick().windows(5).filter(|window| window == b"burst").count();
        }
        let LineStats { sent, lost, corrupted, duplicated, delayed } = line.stats;
        assert_eq!(sent, 100_000);
        // A binomial of 100,000 at 1 %: standard deviation 31.5; five of them.
        for count in [lost, corrupted, duplicated, delayed] {
            assert!((842..=1158).contains(&count), "{:?}", line.stats);
        }
        let expected = 100_000 - lost - corrupted + duplicated;
        assert!(expected.abs_diff(arrived as u64) < 100, "{arrived} arrived, about {expected} should have");
    }
}
