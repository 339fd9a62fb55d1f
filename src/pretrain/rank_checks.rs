//! Checks of a run of several ranks.

use super::config::PretrainConfig;
use super::error::PretrainError;
use super::train_loop::Trainer;
use crate::ranks::Ranks;

/// Checks that the batch of a run on `images` images can be divided among the ranks.
pub(super) fn check_batch(config: &PretrainConfig, images: usize, ranks: Ranks) -> Result<(), PretrainError> {
    let (ranks, batch_size) = (ranks.size(), config.batch_size.min(images));
    if batch_size < ranks {
        return Err(PretrainError::TooManyRanks { batch_size, ranks });
    }
    if config.chunk.is_some() && config.sync_batch_norm && batch_size % ranks != 0 {
        return Err(PretrainError::UnevenChunks { batch_size, ranks });
    }
    Ok(())
}

impl Trainer<'_> {
    /// Checks that all ranks have the parameters of rank 0: a sum that differs between ranks would otherwise go unnoticed.
    pub fn check_equal(&self) -> Result<(), PretrainError> {
        if self.ranks.is_one() {
            return Ok(());
        }
        let of_network = crc32fast::hash(bytemuck::cast_slice(&self.learner.network.parameters));
        let of_head = crc32fast::hash(bytemuck::cast_slice(&self.learner.head));
        let all = self.ranks.gather_by_rank(&[of_network, of_head]);
        match all.iter().position(|found| *found != all[0]) {
            Some(rank) => Err(PretrainError::RanksDiffer { step: self.progress.step, rank }),
            None => Ok(()),
        }
    }
}
