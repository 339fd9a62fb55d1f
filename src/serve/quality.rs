//! Figures of the samples: each is predicted by a head that was fitted without it.

use macula_edge::decide::Predictor;
use macula_edge::head::HeadKind;
use macula_edge::support_set::{CLASSES_MAX, SourceId, SupportRecord, Supports};
use rayon::prelude::*;

use super::error::{ApiError, ErrorKind};
use super::proportion::Proportion;
use super::types::{ClassQuality, Confusion, Mistaken, Quality};
use crate::link::DeviceState;
use crate::measure::{ConfusionMatrix, Interval};
use crate::report::text::hexadecimal;

/// Most samples for leave-one-out. A head takes a millisecond for 250 samples and 12 for 1,000, so that leaving each out
/// alone takes time with the square of their number or more; with more samples, several are left out together.
const ALONE_MAX: usize = 250;

/// Parts that are left out in turn, with more samples.
const FOLDS: usize = 50;

/// Most mistaken samples that are listed.
const MISTAKEN_MAX: usize = 50;

/// The prediction of a sample by the others.
struct LeftOut {
    truth: u8,
    predicted: u8,
    known: bool,
    probability: f32,
}

/// The figures of `state`.
///
/// * `revision`: of the device, to be reported
/// * `has_image`: whether the picture of a sample is kept
///
/// # Errors
/// If a head cannot be fitted.
pub fn quality(state: &DeviceState, revision: u32, has_image: impl Fn(&SourceId) -> bool) -> Result<Quality, ApiError> {
    let (records, features) = state.taught();
    let folds = folds(&records);
    let left_out = folds.iter().map(Vec::len).max().unwrap_or(1);
    let dim = if records.is_empty() { 1 } else { features.len() / records.len() };
    let predict = |fold: &Vec<usize>| predict_fold(fold, &records, &features, dim);
    let predicted: Vec<Vec<(usize, LeftOut)>> =
        folds.par_iter().map(predict).collect::<Result<_, _>>().map_err(|error| {
            ApiError::new(ErrorKind::DeviceFault, format!("a head without some of the samples: {error}"))
        })?;
    let mut predicted: Vec<(usize, LeftOut)> = predicted.into_iter().flatten().collect();
    predicted.sort_unstable_by_key(|(index, _)| *index);

    let slots: Vec<u8> = state.classes.iter().map(|(slot, _)| *slot).collect();
    let place = |slot: u8| slots.iter().position(|&known| known == slot);
    let mut confusion = ConfusionMatrix::new(slots.len());
    let mut mistaken: Vec<(usize, &LeftOut)> = Vec::new();
    for (index, found) in &predicted {
        let Some(truth) = place(found.truth) else { continue };
        match place(found.predicted) {
            Some(answer) if found.known => confusion.add(truth, answer),
            _ => confusion.abstain(truth),
        }
        if !found.known || found.predicted != found.truth {
            mistaken.push((*index, found));
        }
    }
    // Another class with certainty is worse than "I don't know".
    mistaken.sort_by(|(_, a), (_, b)| {
        (b.known, b.probability).partial_cmp(&(a.known, a.probability)).unwrap_or(std::cmp::Ordering::Equal)
    });
    let mistaken = mistaken.into_iter().take(MISTAKEN_MAX).map(|(index, found)| Mistaken {
        source: hexadecimal(&records[index].source),
        class: found.truth,
        predicted: found.known.then_some(found.predicted),
        probability: found.probability,
        image: has_image(&records[index].source),
    });
    Ok(Quality {
        revision,
        samples: records.len(),
        evaluated: predicted.len(),
        left_out,
        balanced_accuracy: balanced_accuracy(&confusion),
        classes: classes(&confusion, &slots, &records),
        mistaken: mistaken.collect(),
        confusion: Confusion { slots, counts: confusion.counts().to_vec(), unknown: confusion.abstained().to_vec() },
    })
}

/// The samples that are left out together. A class with one sample is never left out.
fn folds(records: &[SupportRecord]) -> Vec<Vec<usize>> {
    let mut counts = [0usize; CLASSES_MAX];
    records.iter().for_each(|record| counts[usize::from(record.class) % CLASSES_MAX] += 1);
    let is_evaluated = |&index: &usize| counts[usize::from(records[index].class) % CLASSES_MAX] > 1;
    let mut evaluated: Vec<usize> = (0..records.len()).filter(is_evaluated).collect();
    if evaluated.len() <= ALONE_MAX {
        return evaluated.into_iter().map(|index| vec![index]).collect();
    }
    // Each class is spread over all folds, so that no fold empties one.
    evaluated.sort_by_key(|&index| records[index].class);
    let mut folds = vec![Vec::new(); FOLDS];
    evaluated.into_iter().enumerate().for_each(|(position, index)| folds[position % FOLDS].push(index));
    folds
}

fn predict_fold(
    fold: &[usize],
    records: &[SupportRecord],
    features: &[i16],
    dim: usize,
) -> Result<Vec<(usize, LeftOut)>, macula_edge::head::HeadError> {
    let kept: Vec<usize> = (0..records.len()).filter(|index| !fold.contains(index)).collect();
    let row = |index: usize| &features[index * dim..(index + 1) * dim];
    let kept_records: Vec<SupportRecord> = kept.iter().map(|&index| records[index]).collect();
    let kept_features: Vec<i16> = kept.iter().flat_map(|&index| row(index)).copied().collect();
    let supports = Supports { dim, records: &kept_records, features: &kept_features };
    let classes = kept_records.iter().map(|record| usize::from(record.class) + 1).max().unwrap_or(1);
    let mut scratch = vec![0.0; Predictor::scratch_len(dim, classes, kept.len())];
    // Sets are not used, so any error rate will do.
    let mut predictor = Predictor::fit(HeadKind::Auto, supports, classes, None, 100, &mut scratch)?;
    let mut probabilities = vec![0.0; classes];
    fold.iter()
        .map(|&index| {
            let found = predictor.predict(supports, row(index), None, &mut probabilities)?;
            let truth = records[index].class;
            let (predicted, known, probability) = (found.class, found.in_distribution, found.probability);
            Ok((index, LeftOut { truth, predicted, known, probability }))
        })
        .collect()
}

fn balanced_accuracy(confusion: &ConfusionMatrix) -> Option<Proportion> {
    let interval = Interval::of_balanced_accuracy(confusion);
    let half = interval.half_width_95?;
    let (value, of) = (interval.mean, confusion.total());
    Some(Proportion { value, low: (value - half).max(0.0), high: (value + half).min(1.0), of })
}

fn classes(confusion: &ConfusionMatrix, slots: &[u8], records: &[SupportRecord]) -> Vec<ClassQuality> {
    let (counts, total) = (confusion.counts(), confusion.total());
    let quality = |(place, &slot): (usize, &u8)| {
        let (own, right) = (confusion.images(place), counts[place][place]);
        let taken = counts.iter().enumerate().filter(|(row, _)| *row != place).map(|(_, row)| row[place]).sum::<u64>();
        let others = total - own;
        ClassQuality {
            slot,
            samples: records.iter().filter(|record| record.class == slot).count() as u64,
            sensitivity: Proportion::of(right, own),
            specificity: Proportion::of(others - taken, others),
        }
    };
    slots.iter().enumerate().map(quality).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Provenance, Support};

    /// Samples around `centre` of their class, and the classes.
    fn state(samples: &[(u8, [i16; 2])]) -> DeviceState {
        let support = |(index, (class, feature)): (usize, &(u8, [i16; 2]))| Support {
            slot: *class,
            from: Provenance { source: [index as u8; 16], operator: 0, time_s: 0 },
            feature: feature.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        DeviceState {
            classes: vec![(0, "a".to_owned()), (3, "b".to_owned()), (5, "lone".to_owned())],
            supports: samples.iter().enumerate().map(support).collect(),
            sha256: [0; 32],
        }
    }

    #[test]
    fn a_sample_in_the_wrong_class_is_found_and_a_lone_one_left_out() {
        let a = [32767, 0];
        let b = [0, 32767];
        let near = |[x, y]: [i16; 2], shift: i16| [x.saturating_sub(shift.abs()), y.saturating_sub(shift)];
        let mut samples: Vec<(u8, [i16; 2])> =
            (0..6).flat_map(|i| [(0, near(a, i * 40)), (3, near(b, i * 40))]).collect();
        samples.push((0, b));
        samples.push((5, [-32767, 0]));
        let found = quality(&state(&samples), 4, |source| *source == [12; 16]).unwrap();
        assert_eq!((found.samples, found.evaluated, found.left_out, found.revision), (14, 13, 1, 4));
        assert_eq!(found.confusion.slots, [0, 3, 5]);
        assert_eq!(found.confusion.counts, [[6, 1, 0], [0, 6, 0], [0, 0, 0]]);
        assert_eq!((found.mistaken.len(), found.mistaken[0].predicted, found.mistaken[0].image), (1, Some(3), true));
        let sensitivity = found.classes[0].sensitivity.unwrap();
        assert!((sensitivity.value - 6.0 / 7.0).abs() < 1e-9 && sensitivity.low < 0.6 && sensitivity.high > 0.95);
        assert_eq!(found.classes[2].sensitivity, None);
        let specificity = found.classes[1].specificity.unwrap();
        assert!((specificity.value - 6.0 / 7.0).abs() < 1e-9 && specificity.of == 7);
    }

    #[test]
    fn without_samples_there_are_no_figures() {
        let found = quality(&state(&[]), 0, |_| false).unwrap();
        assert_eq!((found.samples, found.evaluated, found.balanced_accuracy), (0, 0, None));
    }

    #[test]
    fn with_many_samples_several_are_left_out_together() {
        let samples: Vec<(u8, [i16; 2])> =
            (0..400).map(|i| if i % 2 == 0 { (0, [32767, i]) } else { (3, [i, 32767]) }).collect();
        let found = quality(&state(&samples), 0, |_| false).unwrap();
        assert_eq!((found.evaluated, found.left_out), (400, 8));
        assert_eq!(found.balanced_accuracy.unwrap().value, 1.0);
    }
}
