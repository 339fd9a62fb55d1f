//! What the processes of a job can do together.

use std::ops::Range;

/// Reports that a range of the values is complete; each range ends where the one before begins.
pub type Completed<'c> = dyn FnMut(&[f32], Range<usize>) + 'c;

/// The operations between processes that `Ranks` is made of. All are collective.
pub trait Processes: Sync {
    /// This process, counted from 0.
    fn rank(&self) -> usize;

    /// Number of processes.
    fn size(&self) -> usize;

    /// The name of this machine.
    fn host(&self) -> String;

    /// Replaces `values` by their sums over all ranks, the same bytes on every rank.
    fn sum_f32(&self, values: &mut [f32]);

    /// As [`Self::sum_f32`].
    fn sum_f64(&self, values: &mut [f64]);

    /// Concatenates the `own` of all ranks in their order into `all`; `lens` are their lengths.
    fn gather(&self, own: &[u8], lens: &[usize], all: &mut [u8]);

    /// Replaces `bytes` by those of rank 0, which are at most 2^30.
    fn broadcast(&self, bytes: &mut [u8]);

    /// As [`Self::sum_f32`], while `compute` still computes the values.
    fn sum_while(&self, values: &mut [f32], compute: &mut dyn FnMut(&mut [f32], &mut Completed<'_>)) {
        compute(values, &mut |_, _| ());
        self.sum_f32(values);
    }
}
