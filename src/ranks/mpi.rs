//! Ranks that are the processes of an MPI job, by the crate `mpi`.
//!
//! MPI ends the whole job if a message fails, or if a process dies: by a signal, or without [`Session::end`]. A panic
//! therefore ends it as well.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::{Universe, initialize_with_threading, processor_name};
use mpi::request::{Request, scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use super::handle::Ranks;
use super::processes::{Completed, Processes};

/// Values of gradients that are summed in one message, 64 KiB: smaller messages cost mostly their latency, larger ones
/// start late.
const BUCKET: usize = 1 << 14;

/// How long a rank that failed waits for the others to come to their end as well.
const END_MAX: Duration = Duration::from_secs(10);

/// Exit code of a job that one of its ranks ended.
const ABORTED: i32 = 2;

/// MPI cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// MPI runs in this process already.
    #[error("MPI was initialised before")]
    Initialised,
    /// Only one thread of a process may send messages.
    #[error("the MPI library supports {0:?}; MPI_THREAD_SERIALIZED is needed")]
    Threads(Threading),
}

/// MPI, from its initialisation to its end.
pub struct Session {
    /// For the end only, so that its message cannot be taken for another. Dropped before MPI ends.
    last: SimpleCommunicator,
    _universe: Universe,
}

impl Session {
    /// Initialises MPI.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub fn start() -> Result<Self, SessionError> {
        let started = initialize_with_threading(Threading::Serialized);
        let (universe, threads) = started.ok_or(SessionError::Initialised)?;
        if threads < Threading::Serialized {
            return Err(SessionError::Threads(threads));
        }
        Ok(Self { last: universe.world().duplicate(), _universe: universe })
    }

    /// This process among all of the job.
    pub fn ranks(&self) -> Ranks {
        Ranks::of(&World)
    }

    /// Waits until all ranks call it; returns which of them have failed.
    ///
    /// A rank that failed gives `report`. If another rank still waits for messages after ten seconds, the rank reports
    /// and ends the whole job.
    pub fn end(&self, report: Option<&dyn Fn()>) -> Vec<bool> {
        let (own, started) = ([u8::from(report.is_some())], Instant::now());
        let mut all = vec![0u8; World.size()];
        scope(|scope| {
            let mut request = self.last.immediate_all_gather_into(scope, &own[..], &mut all[..]);
            while let Err(unfinished) = request.test() {
                request = unfinished;
                if let Some(report) = report.filter(|_| started.elapsed() > END_MAX) {
                    report();
                    self.last.abort(ABORTED);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        all.into_iter().map(|failed| failed != 0).collect()
    }
}

impl Drop for Session {
    /// A panic ends the job: ending MPI would wait for the other ranks, which wait for this one.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.last.abort(ABORTED);
        }
    }
}

/// All processes of the job. The communicator is looked up for each message, because it may not be shared by threads.
#[derive(Clone, Copy, Debug)]
struct World;

impl World {
    fn communicator() -> SimpleCommunicator {
        SimpleCommunicator::world()
    }
}

/// The lengths of parts that lie one after another, and where each begins, as MPI counts them.
fn counts(lens: &[usize]) -> (Vec<i32>, Vec<i32>) {
    let mut next = 0;
    let place = |&len: &usize| {
        let (count, start) = (i32::try_from(len).expect("a message is shorter than 2 GiB"), next);
        next += count;
        (count, start)
    };
    lens.iter().map(place).unzip()
}

impl Processes for World {
    fn rank(&self) -> usize {
        Self::communicator().rank() as usize
    }

    fn size(&self) -> usize {
        Self::communicator().size() as usize
    }

    fn host(&self) -> String {
        processor_name().unwrap_or_default()
    }

    fn sum_f32(&self, values: &mut [f32]) {
        let own = values.to_vec();
        Self::communicator().all_reduce_into(&own[..], values, SystemOperation::sum());
    }

    fn sum_f64(&self, values: &mut [f64]) {
        let own = values.to_vec();
        Self::communicator().all_reduce_into(&own[..], values, SystemOperation::sum());
    }

    fn gather(&self, own: &[u8], lens: &[usize], all: &mut [u8]) {
        let (counts, places) = counts(lens);
        Self::communicator().all_gather_varcount_into(own, &mut PartitionMut::new(all, counts, places));
    }

    fn broadcast(&self, bytes: &mut [u8]) {
        Self::communicator().process_at_rank(0).broadcast_into(bytes);
    }

    /// Non-blocking sums, each of a bucket of complete values. MPI moves them on while it is called, which every completed
    /// range does.
    fn sum_while(&self, values: &mut [f32], compute: &mut dyn FnMut(&mut [f32], &mut Completed<'_>)) {
        let communicator = Self::communicator();
        let (mut own, mut all) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        scope(|scope| {
            let (mut own, mut all) = (&mut own[..], &mut all[..]);
            let mut requests = VecDeque::new();
            compute(values, &mut |values: &[f32], range: Range<usize>| {
                // What is left of `own` is not sent yet; completed ranges adjoin from its end on.
                if own.len() - range.start >= BUCKET || range.start == 0 {
                    let (rest, bucket) = std::mem::take(&mut own).split_at_mut(range.start);
                    bucket.copy_from_slice(&values[range.start..][..bucket.len()]);
                    let (rest_of_all, sums) = std::mem::take(&mut all).split_at_mut(range.start);
                    (own, all) = (rest, rest_of_all);
                    let sum = SystemOperation::sum();
                    requests.push_back(communicator.immediate_all_reduce_into(scope, &*bucket, sums, sum));
                }
                if let Some(first) = requests.pop_front() {
                    // Moves the others on as well.
                    requests.extend(first.test().err());
                }
            });
            requests.into_iter().for_each(Request::wait_without_status);
        });
        values.copy_from_slice(&all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_one_after_another() {
        assert_eq!(counts(&[3, 0, 5]), (vec![3, 0, 5], vec![0, 3, 3]));
    }
}
