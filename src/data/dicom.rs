//! DICOM files of a dataset: images of one patient are one group, and a file of several frames may be several images.
//!
//! Identifiers become numbers in order of first occurrence, so the same files give the same groups, although the key that
//! compares identifiers is another one in every process. Neither an identifier nor its hash is kept.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::budget::Budget;
use super::decode::{self, DecodeOptions, FrameChoice, Identity, IdentityKey};
use super::dicom_reading::{DicomReading, Frames, GroupBy};
use super::source::{ImageFiles, PixelSource, SourceImage};
use super::{DataError, Dataset, Record, Remark};

/// The beginning of the name of every group that is made here.
const GROUP: &str = "DICOM ";

/// Frames of a file that become images at most: an hour of ultrasound.
const FRAMES_MAX: u32 = 1 << 16;

impl Dataset {
    /// Applies `reading`, once, to a dataset that was just opened.
    ///
    /// # Errors
    /// If the index of all frames would be too large, or there are no random numbers for a key.
    pub fn read_dicom(&mut self, reading: &DicomReading) -> Result<(), DataError> {
        self.decode = reading.over(self.decode);
        if reading.group_by != GroupBy::Patient {
            self.group_dicom(reading.group_by)?;
        }
        if reading.frames == Frames::Split { self.split_frames() } else { Ok(()) }
    }

    /// Groups the images of DICOM files, except those that have a group from elsewhere.
    pub(super) fn group_dicom(&mut self, by: GroupBy) -> Result<(), DataError> {
        let identities = self.identities()?;
        let (mut numbers, mut grouped) = (HashMap::new(), 0);
        for (record, identity) in self.records.iter_mut().zip(identities) {
            let Some(identity) = identity else { continue };
            if record.group.as_ref().is_some_and(|group| !is_made_here(group)) {
                continue;
            }
            let (name, key) = match by {
                GroupBy::Patient => ("patient", identity.patient.map(|patient| (patient, None))),
                GroupBy::Study => ("study", identity.study.map(|study| (study, None))),
                GroupBy::Side => ("side", identity.patient.map(|patient| (patient, identity.side))),
                GroupBy::None => ("", None),
            };
            record.group = key.map(|key| {
                grouped += 1;
                let next = numbers.len() + 1;
                format!("{GROUP}{name} {}", numbers.entry(key).or_insert(next))
            });
        }
        self.remarks.retain(|remark| !matches!(remark, Remark::OneDicomGroup { .. }));
        if numbers.len() == 1 && grouped == self.len() && grouped > 1 {
            self.remarks.push(Remark::OneDicomGroup { images: grouped });
        }
        Ok(())
    }

    /// Makes each frame an image. The frames of one file are one group, at least.
    fn split_frames(&mut self) -> Result<(), DataError> {
        let identities = self.identities()?;
        let mut budget = Budget::new(Path::new(&self.name));
        let (mut records, mut items) = (Vec::new(), Vec::new());
        for (number, ((record, item), identity)) in self.records.iter().zip(&self.items).zip(identities).enumerate() {
            let frames = identity.map_or(1, |identity| identity.frames);
            if frames > FRAMES_MAX {
                let reason = format!("{frames} frames; at most {FRAMES_MAX} are allowed with --frame split");
                self.skipped.push((record.name.clone(), reason));
                continue;
            }
            budget.take(frames.into(), record.name.len() as u64)?;
            if frames == 1 {
                records.push(record.clone());
                items.push((*item, None));
                continue;
            }
            let group = record.group.clone().unwrap_or_else(|| format!("{GROUP}file {}", number + 1));
            for frame in 0..frames {
                let name = format!("{}#{frame}", record.name);
                records.push(Record { name, group: Some(group.clone()), ..record.clone() });
                items.push((*item, Some(frame)));
            }
        }
        let source = std::mem::replace(&mut self.source, Box::new(ImageFiles(Vec::new())));
        self.records = records;
        self.items = (0..items.len()).collect();
        self.source = Box::new(AllFrames { source, items });
        Ok(())
    }

    /// The identity of each image; none if it is not a DICOM file.
    fn identities(&self) -> Result<Vec<Option<Identity>>, DataError> {
        let path = |item: &usize| self.source.path(*item).filter(|path| decode::may_be_dicom(path));
        if self.items.iter().all(|item| path(item).is_none()) {
            return Ok(vec![None; self.items.len()]);
        }
        let key = IdentityKey::random().map_err(|error| DataError::Io {
            path: self.name.clone(),
            source: std::io::Error::other(format!("no random numbers for a key: {error}")),
        })?;
        Ok(self.items.par_iter().map(|item| decode::identity(path(item)?, &key)).collect())
    }
}

/// Whether a group has a name of this module, which follows the name of its part if the dataset is a mixture.
fn is_made_here(group: &str) -> bool {
    let name = group.rsplit('/').next().and_then(|name| name.strip_prefix(GROUP));
    let (kind, number) = name.and_then(|name| name.split_once(' ')).unwrap_or_default();
    ["patient", "study", "side"].contains(&kind) && number.parse::<usize>().is_ok()
}

/// The frames of a source's images.
struct AllFrames {
    source: Box<dyn PixelSource>,
    /// Number in `source`, and the frame if there are several.
    items: Vec<(usize, Option<u32>)>,
}

impl PixelSource for AllFrames {
    fn read(&self, item: usize, options: &DecodeOptions) -> Result<SourceImage, DataError> {
        let (item, frame) = self.items[item];
        let frame = frame.map_or(options.frame, FrameChoice::Number);
        self.source.read(item, &DecodeOptions { frame, ..*options })
    }

    fn part(&self, item: usize) -> Option<&str> {
        self.source.part(self.items[item].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_a_manifest_are_told_from_those_made_here() {
        for made in ["DICOM patient 3", "scans/DICOM side 12", "DICOM scans/DICOM study 1"] {
            assert!(is_made_here(made), "{made}");
        }
        for other in ["", "7", "DICOM 7", "DICOM scans/7", "NIH DICOM patient 7", "DICOM patient ", "DICOM patient x"] {
            assert!(!is_made_here(other), "{other}");
        }
    }
}
