//! Ranks that are threads of this process, for tests.

use std::sync::{Barrier, Mutex};

use super::handle::Ranks;
use super::processes::Processes;

/// What the threads of one test share.
struct Shared {
    barrier: Barrier,
    /// What each rank has put in.
    places: Mutex<Vec<Vec<u8>>>,
}

struct Rank {
    rank: usize,
    size: usize,
    shared: &'static Shared,
}

impl Rank {
    /// What all ranks put in.
    fn exchange(&self, own: &[u8]) -> Vec<Vec<u8>> {
        self.shared.places.lock().unwrap()[self.rank] = own.to_vec();
        self.shared.barrier.wait();
        let all = self.shared.places.lock().unwrap().clone();
        self.shared.barrier.wait();
        all
    }
}

impl Processes for Rank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn host(&self) -> String {
        format!("thread {}", self.rank)
    }

    fn sum_f32(&self, values: &mut [f32]) {
        let all = self.exchange(bytemuck::cast_slice(values));
        values.fill(0.0);
        for part in all {
            values.iter_mut().zip(part.chunks_exact(4)).for_each(|(sum, bytes)| {
                *sum += f32::from_ne_bytes(bytes.try_into().unwrap());
            });
        }
    }

    fn sum_f64(&self, values: &mut [f64]) {
        let all = self.exchange(bytemuck::cast_slice(values));
        values.fill(0.0);
        for part in all {
            values.iter_mut().zip(part.chunks_exact(8)).for_each(|(sum, bytes)| {
                *sum += f64::from_ne_bytes(bytes.try_into().unwrap());
            });
        }
    }

    fn gather(&self, own: &[u8], lens: &[usize], all: &mut [u8]) {
        let found = self.exchange(own);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), lens);
        all.copy_from_slice(&found.concat());
    }

    fn broadcast(&self, bytes: &mut [u8]) {
        let first = self.exchange(bytes).swap_remove(0);
        bytes.copy_from_slice(&first);
    }
}

/// What `work` returns on each of `size` ranks.
pub fn run<T: Send>(size: usize, work: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    let places = Mutex::new(vec![Vec::new(); size]);
    let shared: &'static Shared = Box::leak(Box::new(Shared { barrier: Barrier::new(size), places }));
    let work = &work;
    std::thread::scope(|scope| {
        let start = |rank| {
            let processes: &'static Rank = Box::leak(Box::new(Rank { rank, size, shared }));
            scope.spawn(move || work(Ranks::of(processes)))
        };
        let threads: Vec<_> = (0..size).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
