//! The handle of one process, and its part of a step.

use std::fmt::{self, Debug, Display};
use std::ops::Range;

use bytemuck::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::RankFailure;
use super::processes::{Completed, Processes};

/// The most bytes of one broadcast: counts of MPI are 32-bit integers.
const BROADCAST_MAX: usize = 1 << 30;

/// This process among the ranks of a training.
#[derive(Clone, Copy, Default)]
pub struct Ranks {
    /// None for a single process.
    processes: Option<&'static dyn Processes>,
}

impl Debug for Ranks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.size())
    }
}

impl Ranks {
    /// A single process.
    pub const ONE: Self = Self { processes: None };

    /// This process among `processes`.
    pub fn of(processes: &'static dyn Processes) -> Self {
        Self { processes: (processes.size() > 1).then_some(processes) }
    }

    /// This process, counted from 0.
    pub fn rank(self) -> usize {
        self.processes.map_or(0, Processes::rank)
    }

    /// Number of processes.
    pub fn size(self) -> usize {
        self.processes.map_or(1, Processes::size)
    }

    /// Whether this is rank 0, which writes files and reports.
    pub fn is_first(self) -> bool {
        self.rank() == 0
    }

    /// Whether there is a single process.
    pub fn is_one(self) -> bool {
        self.processes.is_none()
    }

    /// This rank's part of `all` images of a step: consecutive ones, in the order of the ranks.
    pub fn part(self, all: usize) -> Part {
        let bound = |rank: usize| rank * all / self.size();
        let (first, end) = (bound(self.rank()), bound(self.rank() + 1));
        Part { ranks: self, first, images: end - first, all }
    }

    /// Replaces `values` by their sums over all ranks.
    pub fn sum(self, values: &mut [f64]) {
        if let Some(processes) = self.processes {
            processes.sum_f64(values);
        }
    }

    /// As [`Self::sum`].
    pub fn sum_f32(self, values: &mut [f32]) {
        if let Some(processes) = self.processes {
            processes.sum_f32(values);
        }
    }

    /// As [`Self::sum_f32`], for values that `compute` computes: ranges that it reports as complete are summed meanwhile.
    ///
    /// With several ranks the reported ranges must cover `values` from the end to the start.
    pub fn sum_while(self, values: &mut [f32], mut compute: impl FnMut(&mut [f32], &mut Completed<'_>)) {
        match self.processes {
            Some(processes) => processes.sum_while(values, &mut compute),
            None => compute(values, &mut |_, _| ()),
        }
    }

    /// The values of each rank.
    pub fn gather_by_rank<T: Pod>(self, own: &[T]) -> Vec<Vec<T>> {
        let Some(processes) = self.processes else { return vec![own.to_vec()] };
        let size = processes.size();
        let mut lens = vec![0u64; size];
        processes.gather(
            bytemuck::bytes_of(&(own.len() as u64)),
            &vec![size_of::<u64>(); size],
            bytemuck::cast_slice_mut(&mut lens),
        );
        let lens: Vec<usize> = lens.into_iter().map(|len| len as usize).collect();
        let bytes: Vec<usize> = lens.iter().map(|len| len * size_of::<T>()).collect();
        let mut all = vec![T::zeroed(); lens.iter().sum()];
        processes.gather(bytemuck::cast_slice(own), &bytes, bytemuck::cast_slice_mut(&mut all));
        let mut rest = &all[..];
        let next = |len| rest.split_off(..len).map_or(Vec::new(), <[T]>::to_vec);
        lens.into_iter().map(next).collect()
    }

    /// The values of all ranks in their order.
    pub fn gather<T: Pod>(self, own: &[T]) -> Vec<T> {
        self.gather_by_rank(own).concat()
    }

    /// The items of all ranks in their order.
    ///
    /// # Panics
    /// When an item does not serialise to JSON.
    pub fn gather_items<T: Serialize + DeserializeOwned>(self, own: Vec<T>) -> Vec<T> {
        if self.is_one() {
            return own;
        }
        let text = serde_json::to_vec(&own).expect("items are plain JSON");
        let items = |text: Vec<u8>| serde_json::from_slice::<Vec<T>>(&text).expect("written by the same version");
        self.gather_by_rank(&text).into_iter().flat_map(items).collect()
    }

    /// Whether `flag` is set on any rank.
    pub fn any(self, flag: bool) -> bool {
        let mut count = [f64::from(u8::from(flag))];
        self.sum(&mut count);
        count[0] > 0.0
    }

    /// `result` if no rank has an error. Otherwise the own error, or that of the first rank that has one.
    ///
    /// # Errors
    /// When any rank has an error.
    pub fn agree<T, E: Display + From<RankFailure>>(self, result: Result<T, E>) -> Result<T, E> {
        if !self.any(result.is_err()) {
            return result;
        }
        let own: Vec<RankFailure> = result.as_ref().err().map(|error| self.failure(error)).into_iter().collect();
        let wire: Vec<(usize, String, String)> = own.into_iter().map(|f| (f.rank, f.host, f.reason)).collect();
        let first = self.gather_items(wire).into_iter().next();
        let (rank, host, reason) = first.unwrap_or_default();
        result.and(Err(E::from(RankFailure { rank, host, reason })))
    }

    fn failure(self, error: &impl Display) -> RankFailure {
        let host = self.processes.map_or(String::new(), Processes::host);
        // With the causes of an error that has them.
        RankFailure { rank: self.rank(), host, reason: format!("{error:#}") }
    }

    /// What rank 0 computes, on all ranks.
    ///
    /// # Errors
    /// Rank 0 has its own error, the others a [`RankFailure`].
    ///
    /// # Panics
    /// When the value does not serialise to JSON.
    pub fn from_first<T, E>(self, compute: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: Display + From<RankFailure>,
    {
        if self.is_one() {
            return compute();
        }
        let (value, sent) = match self.is_first().then(compute) {
            Some(Ok(value)) => {
                let text = serde_json::to_vec(&value).expect("a plain value");
                (Some(value), Ok(text))
            }
            Some(Err(error)) => (None, Err(error)),
            None => (None, Ok(Vec::new())),
        };
        let bytes = self.bytes_from_first(|| sent)?;
        let received = || serde_json::from_slice(&bytes).map_err(|error| E::from(self.failure(&error)));
        value.map_or_else(received, Ok)
    }

    /// The bytes that rank 0 computes, on all ranks.
    ///
    /// # Errors
    /// As [`Self::from_first`].
    pub fn bytes_from_first<E>(self, compute: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E>
    where
        E: Display + From<RankFailure>,
    {
        let Some(processes) = self.processes else { return compute() };
        let own = if self.is_first() { Some(compute()) } else { None };
        let mut bytes = match &own {
            Some(Ok(bytes)) => bytes.clone(),
            Some(Err(error)) => {
                let failure = self.failure(error);
                serde_json::to_vec(&(failure.host, failure.reason)).expect("two strings")
            }
            None => Vec::new(),
        };
        let mut header = [bytes.len() as u64, u64::from(matches!(own, Some(Err(_))))];
        processes.broadcast(bytemuck::cast_slice_mut(&mut header));
        bytes.resize(header[0] as usize, 0);
        bytes.chunks_mut(BROADCAST_MAX).for_each(|chunk| processes.broadcast(chunk));
        match own {
            Some(own) => own,
            None if header[1] == 0 => Ok(bytes),
            None => {
                let (host, reason) = serde_json::from_slice(&bytes).unwrap_or_default();
                Err(E::from(RankFailure { rank: 0, host, reason }))
            }
        }
    }

    /// Checks that `own` is the same on all ranks; `what` names it in the error.
    ///
    /// # Errors
    /// Names the first rank whose value differs from that of rank 0, and both values.
    pub fn require_same(self, what: &str, own: &str) -> Result<(), RankFailure> {
        if self.is_one() {
            return Ok(());
        }
        let host = self.processes.map_or(String::new(), Processes::host);
        let all = self.gather_items(vec![(host, own.to_owned())]);
        let Some(rank) = all.iter().position(|(_, value)| *value != all[0].1) else { return Ok(()) };
        let (host, found) = all[rank].clone();
        let reason = format!("{what} is {found}, that of rank 0 on {} is {}", all[0].0, all[0].1);
        Err(RankFailure { rank, host, reason })
    }
}

/// The part of a step's images that this rank has. The other ranks have the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    /// The ranks that have the images together.
    pub ranks: Ranks,
    /// Images of the ranks before this one.
    pub first: usize,
    /// Images of this rank.
    pub images: usize,
    /// Images of all ranks.
    pub all: usize,
}

impl Part {
    /// All `images` of a step that no other rank takes part in.
    pub fn whole(images: usize) -> Self {
        Self { ranks: Ranks::ONE, first: 0, images, all: images }
    }

    /// Places of this rank's images among all.
    pub fn range(self) -> Range<usize> {
        self.first..self.first + self.images
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::threads::run;

    #[test]
    fn parts_are_consecutive_and_cover_the_batch() {
        for size in 1..6 {
            let parts = run(size, |ranks| ranks.part(13));
            assert_eq!(parts.iter().map(|part| part.images).sum::<usize>(), 13);
            let mut next = 0;
            for part in &parts {
                assert_eq!((part.first, part.all), (next, 13));
                next += part.images;
            }
            let counts: Vec<usize> = parts.iter().map(|part| part.images).collect();
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        }
    }

    #[test]
    fn values_are_gathered_in_the_order_of_the_ranks_and_summed() {
        let found = run(3, |ranks| {
            let own: Vec<u32> = (0..ranks.rank() as u32).map(|n| 10 * ranks.rank() as u32 + n).collect();
            let mut sums = [ranks.rank() as f64, 1.0];
            ranks.sum(&mut sums);
            let mut values = vec![0.0; 4];
            ranks.sum_while(&mut values, |values, completed| {
                values.fill(ranks.rank() as f32 + 1.0);
                completed(values, 1..4);
                completed(values, 0..1);
            });
            (ranks.gather(&own), sums, values, ranks.gather_items(vec![ranks.rank().to_string()]))
        });
        for (gathered, sums, values, items) in found {
            assert_eq!(gathered, [10, 20, 21]);
            assert_eq!((sums, values), ([3.0, 3.0], vec![6.0; 4]));
            assert_eq!(items, ["0", "1", "2"]);
        }
    }

    #[test]
    fn an_error_of_one_rank_is_an_error_of_all() {
        let failed = run(3, |ranks| {
            let own = if ranks.rank() == 2 { Err(ranks.failure(&"broken")) } else { Ok(ranks.rank()) };
            (ranks.agree(Ok::<usize, RankFailure>(7)), ranks.agree(own))
        });
        for (good, bad) in failed {
            assert_eq!(good, Ok(7));
            let error = bad.unwrap_err();
            assert!(error.rank == 2 && error.reason.ends_with("broken"), "{error}");
        }
    }

    #[test]
    fn rank_0_decides_for_all() {
        let found = run(3, |ranks| {
            let value = ranks.from_first(|| Ok::<_, RankFailure>((ranks.rank(), 0.1f64 + 0.2)));
            let error = ranks.from_first(|| Err::<u8, _>(ranks.failure(&"full")));
            let differs = ranks.require_same("the version", if ranks.rank() == 1 { "2" } else { "1" });
            (value, error, differs, ranks.require_same("the version", "1"), ranks.any(ranks.rank() == 1))
        });
        for (value, error, differs, same, any) in found {
            assert_eq!(value, Ok((0, 0.1 + 0.2)));
            assert!(error.is_err_and(|error| error.rank == 0 && error.reason.ends_with("full")));
            assert_eq!(differs.map_err(|error| error.rank), Err(1));
            assert_eq!((same, any), (Ok(()), true));
        }
    }
}
