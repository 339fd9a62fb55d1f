//! Statistics of the image files that were decoded, such as the range of their raw samples.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::decode::{Decoded, RawFacts, SampleKind};
use super::{Remark, ValueRange};

/// Samples of one kind, over all decoded images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawSamples {
    /// Kind, bits, smallest and largest value.
    pub facts: RawFacts,
    /// Number of images with such samples; an image that was read twice counts twice.
    pub images: usize,
}

/// Statistics that grow as images are decoded. Any number of threads may add to them.
#[derive(Debug, Default)]
pub struct DecodeStats(Mutex<Counts>);

#[derive(Clone, Debug, Default)]
struct Counts {
    samples: BTreeMap<(SampleKind, u32, bool), RawSamples>,
    of_several_frames: usize,
    rotated: usize,
}

impl DecodeStats {
    /// Adds one image.
    pub fn add(&self, decoded: &Decoded) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = decoded.raw;
        let entry =
            counts.samples.entry((facts.kind, facts.bits, facts.has_window)).or_insert(RawSamples { facts, images: 0 });
        entry.facts.low = entry.facts.low.min(facts.low);
        entry.facts.high = entry.facts.high.max(facts.high);
        entry.images += 1;
        counts.of_several_frames += usize::from(decoded.frames > 1);
        counts.rotated += usize::from(decoded.orientation != 1);
    }

    /// Remarks on images that were read with `range`: a range that no image uses, dark samples of more than 8 bits,
    /// unread pages, rotated images.
    pub fn remarks(&self, range: Option<ValueRange>) -> Vec<Remark> {
        let Counts { samples, of_several_frames, rotated } = self.counts();
        let mut remarks = Vec::new();
        match range {
            Some(_) if samples.values().any(|samples| samples.facts.takes_range()) => {}
            Some(range) if !samples.is_empty() => remarks.push(Remark::RangeUnused { range: range.to_string() }),
            _ => remarks.extend(samples.values().filter_map(low_values)),
        }
        if of_several_frames > 0 {
            remarks.push(Remark::FirstFrameUsed { images: of_several_frames });
        }
        if rotated > 0 {
            remarks.push(Remark::Rotated { images: rotated });
        }
        remarks
    }

    /// The samples by kind and bits.
    pub fn samples(&self) -> Vec<RawSamples> {
        self.counts().samples.into_values().collect()
    }

    fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The remark on unsigned samples whose highest bits are 0 in all images.
fn low_values(samples: &RawSamples) -> Option<Remark> {
    let RawFacts { kind, bits, high, has_window, .. } = samples.facts;
    if has_window || kind != SampleKind::Unsigned || !(9..=16).contains(&bits) {
        return None;
    }
    let (largest, full) = (high as u32, (1u32 << bits) - 1);
    let bits_used = 32 - largest.leading_zeros();
    (bits_used < bits).then_some(Remark::LowValues { images: samples.images, largest, full, bits_used })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::open;

    /// A folder of two 16-bit PNGs whose largest value is `largest`, and an 8-bit PNG.
    fn folder(largest: u16) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "b.png"] {
            let pixel = |x: u32, _| image::Luma([(u32::from(largest) * x / 15) as u16]);
            image::ImageBuffer::from_fn(16, 8, pixel).save(folder.path().join(name)).unwrap();
        }
        image::GrayImage::from_pixel(4, 4, image::Luma([255])).save(folder.path().join("c.png")).unwrap();
        folder
    }

    #[test]
    fn low_values_give_a_remark_and_a_stated_range_makes_them_visible() {
        let folder = folder(1023);
        let mut dataset = open(folder.path()).unwrap();
        dataset.check(true, &|_, _| ()).unwrap();
        let expected = Remark::LowValues { images: 2, largest: 1023, full: 65_535, bits_used: 10 };
        assert_eq!(dataset.raw_remarks(), [expected]);
        assert_eq!(dataset.load(0).unwrap().pixels.iter().max(), Some(&4));

        let range = dataset.measure_range(&dataset.indices(None)).unwrap();
        assert_eq!(range, Some(ValueRange { low: 0.0, high: 1023.0 }));
        let mut stated = open(folder.path()).unwrap();
        stated.decode.range = range;
        stated.check(true, &|_, _| ()).unwrap();
        assert_eq!(stated.raw_remarks(), []);
        let pixels = stated.load(0).unwrap().pixels;
        assert_eq!([pixels.iter().min(), pixels.iter().max()], [Some(&0), Some(&255)]);
        // An 8-bit image does not change.
        assert_eq!(stated.load(2).unwrap().pixels, [255; 16]);
    }

    #[test]
    fn an_unused_range_gives_a_remark() {
        let deep = folder(40_000);
        let mut dataset = open(deep.path()).unwrap();
        dataset.check(true, &|_, _| ()).unwrap();
        assert_eq!(dataset.raw_remarks(), []);
        for name in ["a.png", "b.png"] {
            std::fs::remove_file(deep.path().join(name)).unwrap();
        }
        let mut flat = open(deep.path()).unwrap();
        assert_eq!(flat.measure_range(&[0]).unwrap(), None);
        flat.decode.range = ValueRange::new(0.0, 100.0).ok();
        flat.check(true, &|_, _| ()).unwrap();
        assert_eq!(flat.raw_remarks(), [Remark::RangeUnused { range: "0,100".to_owned() }]);
    }
}
