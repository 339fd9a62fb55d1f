//! What a run tells about itself: one JSON object a line, the same bytes for the same seed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::objective::StepOutput;

/// Sums over the steps of an epoch; kept in the checkpoint so that a resumed epoch ends in the same line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Sum of the loss over network inputs.
    pub loss_sum: f64,
    /// Network inputs of each class.
    pub counted: Vec<u64>,
    /// Those answered rightly.
    pub right: Vec<u64>,
    /// Sums over network inputs of what else the objective tells, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measure_sums: BTreeMap<String, f64>,
}

impl Tally {
    /// Nothing counted yet.
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
        let seen: Vec<f64> = recall.iter().copied().flatten().collect();
        let inputs = self.counted.iter().sum::<u64>();
        Score {
            inputs,
            loss: self.loss_sum / inputs.max(1) as f64,
            balanced_accuracy: seen.iter().sum::<f64>() / seen.len().max(1) as f64,
            recall,
            accuracy: self.right.iter().sum::<u64>() as f64 / inputs.max(1) as f64,
            measures: (self.measure_sums.iter())
                .map(|(name, sum)| (name.clone(), sum / inputs.max(1) as f64))
                .collect(),
        }
    }
}

/// How well the objective is met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Network inputs it is measured on.
    pub inputs: u64,
    /// Mean loss, label smoothing included.
    pub loss: f64,
    /// Mean recall over the classes that occur.
    pub balanced_accuracy: f64,
    /// For each class of the objective; none for a class that does not occur.
    pub recall: Vec<Option<f64>>,
    /// Share of right answers.
    pub accuracy: f64,
    /// What else the objective tells, by name: means over the network inputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, f64>,
}

/// What the features of some training images look like, not augmented, with the running statistics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Images looked at; labelled ones first.
    pub images: usize,
    /// Mean squared distance of two augmented views of an image, at unit length: 0 where augmentation does not matter. Absent
    /// where nothing is augmented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<f64>,
    /// 0 when all images get one feature, about -4 when features cover the sphere.
    pub uniformity: f64,
    /// Along how many directions features differ, of D.
    pub effective_rank: f64,
    /// Deviation of a dimension at unit length, in units of `1/√D`: 0 when all images get one feature, 1 at most.
    pub deviation: f64,
    /// Balanced accuracy of k-NN among the images that have labels, each left out in turn; no label is trained on for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knn: Option<f64>,
}

/// Line of a single step.
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

/// Line of a whole epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochLine {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// On the training images as they were augmented, while the network changed.
    pub train: Score,
    /// On held-out images, not augmented, with the running statistics; absent when not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<Score>,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f32,
    /// Whether the encoder tells images apart; absent when not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Box<Health>>,
}

/// Any line of `metrics.jsonl`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    /// Of a whole epoch.
    Epoch(EpochLine),
    /// Of a single step.
    Step(#[expect(dead_code, reason = "read to tell a step from a line that is damaged")] StepLine),
}

/// A file of lines that grows.
pub(super) struct Lines {
    file: File,
    /// Bytes written so far.
    pub bytes: u64,
}

impl Lines {
    /// Opens `path` and cuts it to its first `bytes` bytes; `None` keeps all.
    ///
    /// A file shorter than that fails with `UnexpectedEof`: lines that the checkpoint counts are gone.
    pub fn open(path: &Path, bytes: Option<u64>) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let found = file.metadata()?.len();
        let bytes = bytes.unwrap_or(found);
        if found < bytes {
            let message = format!("{found} bytes, the checkpoint counts on {bytes}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        file.set_len(bytes)?;
        file.seek(io::SeekFrom::End(0))?;
        Ok(Self { file, bytes })
    }

    /// Appends one object.
    pub fn push(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Returns once all lines are on the disk. Comes before a checkpoint that counts on them.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_classes_and_accuracy_counts_inputs() {
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
    fn lines_after_the_cut_are_gone_and_missing_ones_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut lines = Lines::open(&path, Some(0)).unwrap();
        lines.push(&1).unwrap();
        let kept = lines.bytes;
        lines.push(&22).unwrap();
        let mut again = Lines::open(&path, Some(kept)).unwrap();
        again.push(&3).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n3\n");
        let message = Lines::open(&path, Some(5)).map(|_| ()).unwrap_err().to_string();
        assert_eq!(message, "4 bytes, the checkpoint counts on 5");
    }
}
