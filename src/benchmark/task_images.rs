//! The images of a task: both splits, at most a number of images each, decoded once.

use std::collections::{HashMap, HashSet};

use super::error::BenchmarkError;
use super::task::Task;
use crate::data::{self, Dataset, ImageDigest, Look, Split, SplitLeaks, evenly_spread};
use crate::evaluate;

/// The images of a task.
pub(super) struct TaskImages {
    pub dataset: Dataset,
    /// The unlabelled split.
    pub train: Vec<usize>,
    /// The split of supports and queries.
    pub test: Vec<usize>,
    /// The digest of each image of both.
    pub digests: HashMap<usize, ImageDigest>,
    /// For readers of the figures.
    pub remarks: Vec<String>,
}

impl TaskImages {
    /// Opens the images of `task`, at most `per_split` per split, spread evenly. Images that cannot be read are left out with
    /// a remark.
    pub fn open(task: &Task, per_split: Option<usize>, seed: u64) -> Result<Self, BenchmarkError> {
        let failed = |source| BenchmarkError::Data { task: task.name.clone(), source: Box::new(source) };
        let mut dataset = data::open_named(&task.data, seed).map_err(failed)?;
        dataset.keep_decoded(data::DECODED_BYTES_MAX);
        let mut remarks = Vec::new();
        let wanted = wanted_labels(task, &dataset)?;
        let is_wanted = |dataset: &Dataset, index: &usize| {
            dataset.records[*index].label.is_some_and(|label| wanted.contains(&label))
        };
        let mut of_split = |indices: Vec<usize>, split: &str| {
            let chosen = per_split.map_or_else(|| indices.clone(), |count| evenly_spread(&indices, count));
            if chosen.len() < indices.len() {
                remarks.push(format!("{} of {} images of the {split} split", chosen.len(), indices.len()));
            }
            chosen
        };
        let mut looks = HashMap::new();
        let mut unreadable = Vec::new();
        let (mut train, mut test);
        if dataset.has_splits() {
            train = of_split(dataset.indices(Some(Split::Train)), "training");
            let labelled: Vec<usize> = dataset.indices(Some(Split::Test));
            test = of_split(labelled.into_iter().filter(|index| is_wanted(&dataset, index)).collect(), "test");
            read(&dataset, &[&train[..], &test].concat(), &mut looks, &mut unreadable);
        } else {
            // The split depends on the pixels of all images.
            let all = dataset.indices(None);
            read(&dataset, &all, &mut looks, &mut unreadable);
            let images: Vec<_> = all.iter().filter_map(|&index| Some((index, looks.get(&index)?.digest))).collect();
            let split = data::train_test_split(&dataset, &images);
            train = of_split(split.train, "training");
            test = of_split(split.test.into_iter().filter(|index| is_wanted(&dataset, index)).collect(), "test");
            remarks.push("no named splits: one image in five per class is a test image".to_owned());
        }
        for indices in [&mut train, &mut test] {
            indices.retain(|index| looks.contains_key(index));
        }
        if let Some((name, reason)) = unreadable.first() {
            remarks.push(format!("{} unreadable images left out, the first {name}: {reason}", unreadable.len()));
        }
        for (split, indices) in [("train", &train), ("test", &test)] {
            if indices.is_empty() {
                let (task, data) = (task.name.clone(), task.data.clone());
                return Err(BenchmarkError::EmptySplit { task, split, data });
            }
        }
        let gone = evaluate::leave_out_empty_classes(&mut dataset, &test);
        if !gone.is_empty() {
            remarks.push(format!("classes without test images: {}", gone.join(", ")));
        }
        remarks.extend(SplitLeaks::find(&dataset, &train, &test, &looks).episode_remarks(&task.data));
        let digests = looks.into_iter().map(|(index, look)| (index, look.digest)).collect();
        Ok(Self { dataset, train, test, digests, remarks })
    }
}

/// The labels that `task` tells apart.
fn wanted_labels(task: &Task, dataset: &Dataset) -> Result<HashSet<usize>, BenchmarkError> {
    let names = &dataset.class_names;
    if task.classes.is_empty() {
        return Ok((0..names.len()).collect());
    }
    let label = |class: &String| {
        names.iter().position(|name| name == class).ok_or_else(|| BenchmarkError::UnknownClass {
            task: task.name.clone(),
            class: class.clone(),
            data: task.data.clone(),
            known: names.join(", "),
        })
    };
    task.classes.iter().map(label).collect()
}

/// Reads the images `indices` into `looks`, and name and reason of each that cannot be read into `unreadable`.
fn read(
    dataset: &Dataset,
    indices: &[usize],
    looks: &mut HashMap<usize, Look>,
    unreadable: &mut Vec<(String, String)>,
) {
    for (&index, look) in indices.iter().zip(dataset.looks(indices, &|_| ())) {
        match look {
            Ok(look) => drop(looks.insert(index, look)),
            Err(error) => unreadable.push((dataset.records[index].name.clone(), error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::Role;
    use super::*;

    fn task(data: &str, classes: &[&str]) -> Task {
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        Task { name: "t".into(), data: data.into(), role: Role::Report, domain: "drawn".into(), classes }
    }

    #[test]
    fn a_task_has_at_most_so_many_images_of_each_split_in_the_classes_that_it_names() {
        let all = TaskImages::open(&task("phantoms:16:300", &[]), None, 1).unwrap();
        let few = TaskImages::open(&task("phantoms:16:300", &[]), Some(20), 1).unwrap();
        assert!(all.train.len() > 20 && all.test.len() > 20);
        assert_eq!((few.train.len(), few.test.len()), (20, 20));
        assert!(few.test.iter().all(|index| all.test.contains(index) && few.digests.contains_key(index)));
        let names: Vec<String> = all.dataset.class_names[1..3].to_vec();
        let two = TaskImages::open(&task("phantoms:16:300", &[&names[0], &names[1]]), None, 1).unwrap();
        assert_eq!(two.dataset.class_names, names);
        assert_eq!(two.train.len(), all.train.len(), "the unlabelled split keeps all images");
        assert!(two.test.len() < all.test.len());
        let refused = TaskImages::open(&task("phantoms:16:300", &["nothing"]), None, 1);
        assert!(matches!(refused.err().unwrap(), BenchmarkError::UnknownClass { class, .. } if class == "nothing"));
    }

    #[test]
    fn a_task_without_splits_is_divided_and_unreadable_images_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for (class, level) in [("a", 10u8), ("b", 90)] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            for number in 0..10u8 {
                let image = image::GrayImage::from_pixel(6, 6, image::Luma([level + number]));
                image.save(folder.path().join(class).join(format!("{number}.png"))).unwrap();
            }
        }
        std::fs::write(folder.path().join("a/3.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
        let found = TaskImages::open(&task(&folder.path().display().to_string(), &[]), None, 1).unwrap();
        assert_eq!((found.train.len(), found.test.len()), (15, 4));
        assert_eq!(found.digests.len(), 19);
        assert_eq!(found.remarks.len(), 2, "{:?}", found.remarks);
    }
}
