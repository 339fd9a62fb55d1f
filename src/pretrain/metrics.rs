//! Metrics of a run as JSON lines: the same bytes for the same seed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::objective::StepOutput;

/// Sums over the steps of an epoch, stored in the checkpoint so that a resumed epoch gives the same line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Sum of the loss over network inputs.
    pub loss_sum: f64,
    /// Network inputs of each class.
    pub counted: Vec<u64>,
    /// Correctly predicted network inputs of each class.
    pub right: Vec<u64>,
    /// Sums over network inputs of the objective's further metrics, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measure_sums: BTreeMap<String, f64>,
}

impl Tally {
    /// An empty tally.
    pub fn new(num_classes: usize) -> Self {
        Self {
            loss_sum: 0.0,
            counted: vec![0; num_classes],
            right: vec![0; num_classes],
            measure_sums: BTreeMap::new(),
        }
    }

    /// Adds a step.
    pub fn add(&mut self, output: &StepOutput) {
        self.loss_sum += output.loss * output.targets.len() as f64;
        for &(name, value) in &output.measures {
            *self.measure_sums.entry(name.to_owned()).or_default() += value * output.targets.len() as f64;
        }
        for (&target, prediction) in output.targets.iter().zip(&output.predictions) {
            self.counted[target] += 1;
            self.right[target] += u64::from(target == *prediction);
        }
    }

    /// The score so far.
    pub fn score(&self) -> Score {
        let recall: Vec<Option<f64>> = (self.right.iter().zip(&self.counted))
            .map(|(&right, &counted)| (counted > 0).then(|| right as f64 / counted as f64))
            .collect();
        let found: Vec<f64> = recall.iter().copied().flatten().collect();
        let inputs = self.counted.iter().sum::<u64>();
        Score {
            inputs,
            loss: self.loss_sum / inputs.max(1) as f64,
            balanced_accuracy: found.iter().sum::<f64>() / found.len().max(1) as f64,
            recall,
            accuracy: self.right.iter().sum::<u64>() as f64 / inputs.max(1) as f64,
            measures: (self.measure_sums.iter())
                .map(|(name, sum)| (name.clone(), sum / inputs.max(1) as f64))
                .collect(),
        }
    }
}

/// Loss and metrics of the objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Number of network inputs.
    pub inputs: u64,
    /// Mean loss, label smoothing included.
    pub loss: f64,
    /// Mean recall over the classes that occur.
    pub balanced_accuracy: f64,
    /// Recall of each class; `None` for a class that does not occur.
    pub recall: Vec<Option<f64>>,
    /// Share of correct predictions.
    pub accuracy: f64,
    /// Further metrics by name: means over the network inputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, f64>,
}

/// Spread of the features of a sample of training images, without augmentation and with the running statistics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Images in the sample; labelled images are preferred.
    pub images: usize,
    /// Mean squared distance of the features of two augmented views of an image, at unit length: 0 for an encoder that is
    /// invariant to augmentation. Absent without augmentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<f64>,
    /// Uniformity: 0 if all features are equal, about -4 if they cover the sphere.
    pub uniformity: f64,
    /// Number of directions along which features differ, at most D.
    pub effective_rank: f64,
    /// Standard deviation of a dimension at unit length, in units of `1/√D`: 0 if all features are equal, at most 1.
    pub deviation: f64,
    /// Balanced accuracy of leave-one-out k-NN on the labelled images. Training does not use these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knn: Option<f64>,
}

/// Measures of the encoder that need no labels, on two augmented views of each image of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Images in the sample: held-out images if there are any.
    pub images: usize,
    /// Share of views whose most similar view of all images is the other view of their own, 0 to 1.
    pub retrieval: f64,
    /// NT-Xent of the centred features at temperature 0.2.
    pub contrastive: f64,
    /// Mean squared distance of two views at unit length.
    pub alignment: f64,
    /// Uniformity of the centred features.
    pub uniformity: f64,
    /// Number of directions along which features differ.
    pub effective_rank: f64,
}

impl Quality {
    /// The measure by which epochs are compared, larger is better.
    pub fn value(&self) -> f64 {
        self.retrieval
    }
}

/// The line of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepLine {
    /// Steps done, this one included.
    pub step: u64,
    /// Epoch the step belongs to, counted from 1.
    pub epoch: u64,
    /// Mean loss of the step.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f32,
}

/// The line of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochLine {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Score on the augmented training images during the epoch.
    pub train: Score,
    /// Score on held-out images, without augmentation and with the running statistics; absent if not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<Score>,
    /// Learning rate of the last step.
    pub learning_rate: f32,
    /// Health of the encoder; absent if not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Box<Health>>,
    /// Quality of the encoder without labels; measured if the run keeps the best epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Box<Quality>>,
}

/// A line of `timings.jsonl`, after an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimingLine {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Time since the epoch or the resumed part of it began, measurements included.
    pub seconds: f64,
    /// Training images per second.
    pub images_per_second: f64,
    /// Share of the steps' time in which they waited for input: views that were not prefetched, and normalisation.
    pub input_share: f64,
    /// Most memory of the process so far.
    #[serde(default)]
    pub peak_memory_bytes: Option<u64>,
    /// What it was expected to need.
    #[serde(default)]
    pub expected_memory_bytes: Option<usize>,
}

/// A line of `metrics.jsonl`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    /// Of an epoch.
    Epoch(EpochLine),
    /// Of a step.
    Step(#[expect(dead_code, reason = "parsed to distinguish a step from a damaged line")] StepLine),
}

/// A file to which lines are appended.
pub(super) struct Lines {
    /// None for a rank that writes no files.
    file: Option<File>,
    /// Bytes written so far.
    pub bytes: u64,
}

impl Lines {
    /// Opens `path` and truncates it to `bytes` bytes, or leaves it unchanged if `None`.
    ///
    /// A shorter file is the error `UnexpectedEof`: lines that the checkpoint counts are missing.
    pub fn open(path: &Path, bytes: Option<u64>) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let found = file.metadata()?.len();
        let bytes = bytes.unwrap_or(found);
        if found < bytes {
            let message = format!("{found} bytes, but the checkpoint needs {bytes}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        file.set_len(bytes)?;
        file.seek(io::SeekFrom::End(0))?;
        Ok(Self { file: Some(file), bytes })
    }

    /// Discards all lines.
    pub fn nowhere() -> Self {
        Self { file: None, bytes: 0 }
    }

    /// Appends one object.
    pub fn push(&mut self, line: &impl Serialize) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        file.write_all(&text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Syncs all lines to disk. Must precede a checkpoint that counts them.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_is_per_class_and_accuracy_per_input() {
        let mut tally = Tally::new(3);
        let step = |loss, targets: &[usize], predictions: &[usize]| StepOutput {
            loss,
            targets: targets.to_vec(),
            predictions: predictions.to_vec(),
            measures: vec![("m", loss)],
            dhead: Vec::new(),
            dfeatures: Vec::new(),
        };
        tally.add(&step(1.0, &[0, 0, 0, 1], &[0, 0, 0, 0]));
        tally.add(&step(4.0, &[1, 0], &[1, 0]));
        let score = tally.score();
        assert_eq!((score.inputs, score.loss, score.measures["m"]), (6, 2.0, 2.0));
        assert_eq!(score.recall, [Some(1.0), Some(0.5), None]);
        assert_eq!((score.balanced_accuracy, score.accuracy), (0.75, 5.0 / 6.0));
    }

    #[test]
    fn later_lines_are_truncated_and_missing_lines_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut lines = Lines::open(&path, Some(0)).unwrap();
        lines.push(&1).unwrap();
        let kept = lines.bytes;
        lines.push(&22).unwrap();
        let mut again = Lines::open(&path, Some(kept)).unwrap();
        again.push(&3).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n3\n");
        let error = Lines::open(&path, Some(5)).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
