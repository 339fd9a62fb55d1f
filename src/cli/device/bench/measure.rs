//! Repeated timing and percentiles.

use std::time::{Duration, Instant};

use clap::builder::RangedU64ValueParser;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Serialize;

use crate::data::Image;
use crate::rng::Rng;

/// Percentiles of durations by nearest rank: the smallest duration that at least P % do not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// 95 % take at most this long.
    pub p95: f64,
    /// 99 % take at most this long; the maximum of fewer than 100 durations.
    pub p99: f64,
}

impl Percentiles {
    /// Of `durations`, at least one, in milliseconds.
    pub fn ms(durations: &[Duration]) -> Self {
        Self::of(durations, 1e6)
    }

    /// Of `durations`, at least one, in microseconds.
    pub fn us(durations: &[Duration]) -> Self {
        Self::of(durations, 1e3)
    }

    fn of(durations: &[Duration], nanoseconds_a_unit: f64) -> Self {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let position = (percent * sorted.len()).div_ceil(100).max(1) - 1;
            // Division, because 50 ns times 1e-3 is 0.049999… µs.
            sorted[position].as_nanos() as f64 / nanoseconds_a_unit
        };
        Self { p50: rank(50), p95: rank(95), p99: rank(99) }
    }
}

/// Runs `work`; returns its duration and result.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

/// Runs `once` after a warm-up until `budget` is spent: at least 20 and at most 10,000 times. Returns the durations.
pub fn repeat<E>(budget: Duration, mut once: impl FnMut() -> Result<Duration, E>) -> Result<Vec<Duration>, E> {
    for _ in 0..3 {
        once()?;
    }
    let (start, mut durations) = (Instant::now(), Vec::new());
    while durations.len() < 20 || (start.elapsed() < budget && durations.len() < 10_000) {
        durations.push(once()?);
    }
    Ok(durations)
}

/// A pool of `threads` threads.
pub fn thread_pool(threads: usize) -> anyhow::Result<ThreadPool> {
    Ok(ThreadPoolBuilder::new().num_threads(threads).build()?)
}

/// Parses a count, 1 to `max`.
pub fn count_to(max: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=max)
}

/// `len` values of a standard normal distribution, like a normalised image.
pub fn random_values(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::for_purpose(seed, "bench");
    (0..len).map(|_| rng.normal()).collect()
}

/// An image of `side` × `side` random pixels.
pub fn random_image(side: usize, channels: usize, rng: &mut Rng) -> Image {
    let pixels = (0..side * side * channels).map(|_| rng.below(256) as u8).collect();
    Image { width: side, height: side, channels, pixels }
}

/// `bytes` in MiB for a table, `-` if unknown.
pub fn mib(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.1}", bytes as f64 / f64::from(1 << 20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_durations_that_occurred() {
        let durations: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(Percentiles::ms(&durations), Percentiles { p50: 100.0, p95: 190.0, p99: 198.0 });
        let one = Percentiles::us(&[Duration::from_micros(250)]);
        assert_eq!(one, Percentiles { p50: 250.0, p95: 250.0, p99: 250.0 });
        let twenty: Vec<Duration> = (1..=20).map(Duration::from_millis).collect();
        assert_eq!(Percentiles::ms(&twenty), Percentiles { p50: 10.0, p95: 19.0, p99: 20.0 });
    }

    #[test]
    fn repeating_ends_and_passes_errors_on() {
        let mut calls = 0;
        let durations = repeat(Duration::ZERO, || {
            calls += 1;
            Ok::<_, ()>(Duration::from_nanos(calls))
        });
        let durations = durations.unwrap();
        assert_eq!((durations.len(), durations[0]), (20, Duration::from_nanos(4)), "three went to the warm-up");
        assert_eq!(repeat(Duration::ZERO, || Err("broken")), Err("broken"));
    }
}
