//! Features of a dataset by an encoder, computed once: read from a cache if the encoder, the images and their order are the
//! same.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::EvaluateError;
use super::features::{Progress, corpus_statistics, embed_dataset};
use super::tile_source::{embed_tiles, from_values, to_values};
use crate::data::{Dataset, ImageDigest};
use crate::encoder::{CorpusStatistics, EncoderId, HostEncoder, IdHash, TileFeatures};
use crate::files::{Cache, CacheKey};
use crate::kernel::Isa;
use crate::measure::Features;

/// Features of the images of one dataset.
pub struct FeatureSource<'a> {
    dataset: &'a Dataset,
    digests: &'a HashMap<usize, ImageDigest>,
    cache: Option<&'a Cache>,
}

impl<'a> FeatureSource<'a> {
    /// Of the images of `dataset`.
    ///
    /// * `digests`: by index; features of images without digest are not cached
    /// * `cache`: `None` computes everything
    pub fn new(dataset: &'a Dataset, digests: &'a HashMap<usize, ImageDigest>, cache: Option<&'a Cache>) -> Self {
        Self { dataset, digests, cache }
    }

    /// The features of `indices`, as [`embed_dataset`] computes them.
    ///
    /// # Errors
    /// As [`embed_dataset`], and when the cache cannot be written.
    pub fn features(
        &self,
        encoder: &dyn HostEncoder,
        indices: &[usize],
        progress: Progress,
    ) -> Result<Features, EvaluateError> {
        let dim = encoder.feature_dim();
        // Raw pixels take less time to compute than to read.
        let is_kept = dim < encoder.preprocessing().input_len();
        let key = self.key("features", encoder, indices).filter(|_| is_kept);
        if let Some(rows) = self.cached(key, indices.len() * dim) {
            progress(indices.len());
            return Ok(Features { dim, rows });
        }
        let features = embed_dataset(encoder, self.dataset, indices, progress)?;
        self.keep(key, &features.rows)?;
        Ok(features)
    }

    /// The statistics of the features of `indices`, as [`corpus_statistics`] computes them.
    ///
    /// # Errors
    /// As [`corpus_statistics`], and when the cache cannot be written.
    pub fn corpus(
        &self,
        encoder: &dyn HostEncoder,
        indices: &[usize],
        progress: Progress,
    ) -> Result<CorpusStatistics, EvaluateError> {
        let dim = encoder.feature_dim();
        let key = self.key("corpus", encoder, indices);
        if let Some(mut mean) = self.cached(key, 2 * dim) {
            progress(indices.len());
            let std = mean.split_off(dim);
            return Ok(CorpusStatistics { mean, std, length_max: None });
        }
        let corpus = corpus_statistics(encoder, self.dataset, indices, progress)?;
        self.keep(key, &[&corpus.mean[..], &corpus.std].concat())?;
        Ok(corpus)
    }

    /// The features of the tiles of `indices`, as [`embed_tiles`] computes them.
    ///
    /// # Errors
    /// As [`embed_tiles`], and when the cache cannot be written.
    pub fn tiles(
        &self,
        encoder: &dyn HostEncoder,
        indices: &[usize],
        progress: Progress,
    ) -> Result<Vec<TileFeatures>, EvaluateError> {
        let key = self.key("tiles", encoder, indices);
        let found =
            self.cached_values(key).and_then(|values| from_values(&values, indices.len(), encoder.feature_dim()));
        if let Some(images) = found {
            progress(indices.len());
            return Ok(images);
        }
        let images = embed_tiles(encoder, self.dataset, indices, progress)?;
        if self.cache.is_some() && key.is_some() {
            self.keep(key, &to_values(&images))?;
        }
        Ok(images)
    }

    /// The key of what `purpose` names, for `encoder` and `indices`; `None` if an image has no digest.
    pub fn key(&self, purpose: &str, encoder: &dyn HostEncoder, indices: &[usize]) -> Option<CacheKey> {
        let mut images = Sha256::new();
        for index in indices {
            images.update(self.digests.get(index)?.0);
        }
        // Kernels of another instruction set may round differently.
        let hash = IdHash::new(format!("macula {purpose} 1 {} {} ", Isa::selected().name(), encoder.info().arithmetic));
        let hash = hash.bytes(encoder.id().0).preprocessing(encoder.preprocessing(), " ");
        let EncoderId(key) = hash.bytes(images.finalize()).finish();
        Some(CacheKey(key))
    }

    fn cached(&self, key: Option<CacheKey>, len: usize) -> Option<Vec<f32>> {
        self.cached_values(key).filter(|values| values.len() == len)
    }

    /// The values under `key`, if all are finite.
    fn cached_values(&self, key: Option<CacheKey>) -> Option<Vec<f32>> {
        let bytes = self.cache?.get(key?)?;
        let (values, rest) = bytes.as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
        (rest.is_empty() && values.iter().all(|value| value.is_finite())).then_some(values)
    }

    fn keep(&self, key: Option<CacheKey>, values: &[f32]) -> Result<(), EvaluateError> {
        let Some((cache, key)) = self.cache.zip(key) else { return Ok(()) };
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(cache.put(key, &bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::data::Preprocessing;
    use crate::encoder::{EncodeError, HostEncoderInfo};

    /// Mean and largest value of an image; counts its images.
    struct Counting {
        info: HostEncoderInfo,
        encoded: AtomicUsize,
    }

    impl Counting {
        fn new(seed: u8, size: usize) -> Self {
            let preprocessing = Preprocessing::unit(1, size, size);
            let id = EncoderId::of_bytes(&[seed]);
            let (name, arithmetic) = ("counting".to_owned(), "f32".to_owned());
            let info = HostEncoderInfo { name, id, feature_dim: 2, preprocessing, corpus: None, arithmetic };
            Self { info, encoded: AtomicUsize::new(0) }
        }
    }

    impl HostEncoder for Counting {
        fn info(&self) -> &HostEncoderInfo {
            &self.info
        }

        fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
            let images = pixels.chunks(self.info.preprocessing.input_len());
            self.encoded.fetch_add(images.len(), Ordering::Relaxed);
            let feature = |image: &[u8]| {
                let sum: f32 = image.iter().map(|&value| f32::from(value)).sum();
                [sum / image.len() as f32, f32::from(image.iter().copied().max().unwrap_or(0))]
            };
            Ok(images.flat_map(feature).collect())
        }
    }

    #[test]
    fn features_are_computed_once_per_encoder_input_and_images() {
        let dataset = crate::data::open_named("phantoms:16:40", 1).unwrap();
        let all = dataset.indices(None);
        let found = dataset.digests(&all, &|_| ());
        let digests: HashMap<usize, ImageDigest> =
            all.iter().copied().zip(found.into_iter().map(Result::unwrap)).collect();
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1 << 20).unwrap();
        let source = FeatureSource::new(&dataset, &digests, Some(&cache));
        let encoded = |encoder: &Counting, indices: &[usize]| {
            let before = encoder.encoded.load(Ordering::Relaxed);
            let features = source.features(encoder, indices, &|_| ()).unwrap();
            let corpus = source.corpus(encoder, indices, &|_| ()).unwrap();
            assert_eq!(features, embed_dataset(&Counting::new(9, 16), &dataset, indices, &|_| ()).unwrap());
            assert_eq!(corpus, corpus_statistics(&Counting::new(9, 16), &dataset, indices, &|_| ()).unwrap());
            encoder.encoded.load(Ordering::Relaxed) - before
        };
        let one = Counting::new(1, 16);
        assert_eq!([encoded(&one, &all), encoded(&one, &all)], [80, 0]);
        assert_eq!([encoded(&one, &all[1..]), encoded(&Counting::new(2, 16), &all)], [78, 80]);
        // Damage to every entry: everything is computed again, and kept again.
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        assert_eq!([encoded(&one, &all), encoded(&one, &all)], [80, 0]);
        // Other preprocessing under the same identity; without digests nothing is kept.
        let other = Counting::new(1, 8);
        source.features(&other, &all, &|_| ()).unwrap();
        assert_eq!(other.encoded.load(Ordering::Relaxed), 40);
        let nothing = HashMap::new();
        let unnamed = FeatureSource::new(&dataset, &nothing, Some(&cache));
        unnamed.features(&one, &all, &|_| ()).unwrap();
        assert!(unnamed.key("features", &one, &all).is_none());
    }
}
