//! Interprets the folders and names of images: splits, classes, masks.
//!
//! | what            | how it is recognised                                                                        |
//! | annotations     | a folder such as `mask` or `1st_manual` beside `images`; a file `x_mask` beside `x`          |
//! | wrapper         | one folder that holds everything and names no split                                         |
//! | splits          | the first depth whose folders name splits; otherwise the names of all files                 |
//! | parts           | all folders of a depth begin with `images`, `part`, `batch`, …                              |
//! | classes         | below a wrapper: the folders above the splits, or those below them; without splits, at least two folders |

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::remark::Remark;
use super::{Split, words};

/// Unused names that a remark holds.
const NAMES_KEPT: usize = 20;

/// What the path of one image means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An image with its split and class.
    Image(Option<Split>, Option<String>),
    /// An image in none of the split folders.
    Beside,
    /// A mask or an annotation of other images.
    Annotation,
}

/// The meaning of each of `paths`, with `/` as separator, and remarks on the interpretation.
pub(super) fn interpret(paths: &[String]) -> (Vec<Meaning>, Vec<Remark>) {
    let mut remarks = Vec::new();
    let annotations = annotations(paths, &mut remarks);
    let images: Vec<Vec<&str>> = paths
        .iter()
        .filter(|path| !annotations.contains(path.as_str()))
        .map(|path| path.split('/').collect())
        .collect();
    let layout = Layout::of(&images, &mut remarks);
    let meaning = |path: &String| match annotations.contains(path.as_str()) {
        true => Meaning::Annotation,
        false => layout.meaning(&path.split('/').collect::<Vec<_>>()),
    };
    (paths.iter().map(meaning).collect(), remarks)
}

/// Paths of masks and annotations that are beside the images they annotate.
fn annotations<'a>(paths: &'a [String], remarks: &mut Vec<Remark>) -> HashSet<&'a str> {
    let (mut found, mut names) = (HashSet::new(), BTreeSet::new());
    let (mut folders, mut stems) = (HashSet::new(), HashSet::new());
    for path in paths {
        path.match_indices('/').for_each(|(at, _)| _ = folders.insert(&path[..at]));
        stems.insert(stem(path));
    }
    let parent = |folder: &'a str| folder.rsplit_once('/').map_or("", |(parent, _)| parent);
    let has_images: HashSet<&str> = (folders.iter().copied())
        .filter(|folder| words::is_container(folder.rsplit('/').next().unwrap_or(folder)))
        .map(parent)
        .collect();
    for path in paths {
        let in_folder = path.match_indices('/').map(|(at, _)| &path[..at]).find(|folder| {
            words::is_annotation_folder(folder.rsplit('/').next().unwrap_or(folder))
                && has_images.contains(parent(folder))
        });
        let own = stem(path);
        let name = own.rsplit('/').next().unwrap_or(own);
        let annotated = words::annotated_stem(name)
            .filter(|(of, _)| stems.contains(format!("{}{of}", &own[..own.len() - name.len()]).as_str()));
        let by = in_folder.and_then(|folder| folder.rsplit('/').next()).or(annotated.map(|(_, end)| end));
        if let Some(by) = by {
            names.insert(by.to_owned());
            found.insert(path.as_str());
        }
    }
    if !found.is_empty() {
        remarks.push(Remark::AnnotationsLeftOut { names: names.into_iter().collect(), files: found.len() });
    }
    found
}

/// A path without the extension of its file.
fn stem(path: &str) -> &str {
    let name_at = path.rfind('/').map_or(0, |at| at + 1);
    path[name_at..].rfind('.').filter(|&at| at > 0).map_or(path, |at| &path[..name_at + at])
}

/// The meaning of each depth of folders; depth 0 is directly below the root.
#[derive(Debug, Default)]
struct Layout {
    split_depth: Option<usize>,
    split_of: BTreeMap<String, Split>,
    by_file_name: bool,
    class_depth: Option<usize>,
}

impl Layout {
    fn of(paths: &[Vec<&str>], remarks: &mut Vec<Remark>) -> Self {
        let top = wrapper_depth(paths);
        if let Some(first) = paths.first().filter(|_| top > 0) {
            remarks.push(Remark::Wrapper { folder: first[..top].join("/") });
        }
        let mut layout = Self::default();
        layout.find_splits(paths, top, remarks);
        layout.find_classes(paths, top, remarks);
        layout
    }

    fn find_splits(&mut self, paths: &[Vec<&str>], top: usize, remarks: &mut Vec<Remark>) {
        let deepest = paths.iter().map(Vec::len).max().unwrap_or(0);
        let found =
            (top..deepest.saturating_sub(1)).find_map(|depth| Some((depth, splits_at(paths, depth, depth == top)?)));
        if let Some((depth, split_of)) = found {
            let obvious = depth == 0 && split_of.keys().all(|name| Split::from_name(name).is_some());
            if !obvious {
                let (place, names) =
                    (format!("the folders at depth {}", depth + 1), split_of.keys().cloned().collect());
                remarks.push(Remark::SplitsFrom { place, names });
            }
            (self.split_depth, self.split_of) = (Some(depth), split_of);
            return;
        }
        let of_file = |path: &Vec<&str>| path.last().and_then(|name| words::split_of_stem(stem(name)));
        let splits: Vec<Option<Split>> = paths.iter().map(of_file).collect();
        let distinct: BTreeSet<Split> = splits.iter().flatten().copied().collect();
        if distinct.len() > 1 && splits.iter().all(Option::is_some) {
            let names = distinct.iter().map(|split| split.name().to_owned()).collect();
            remarks.push(Remark::SplitsFrom { place: "the names of the files".to_owned(), names });
            self.by_file_name = true;
            return;
        }
        let mut unused: BTreeSet<&str> = BTreeSet::new();
        for (path, split) in paths.iter().zip(&splits) {
            let (file, folders) = path.split_last().unwrap_or((&"", &[]));
            unused.extend(folders.iter().filter(|name| words::has_split_word(name)));
            unused.extend(Some(file).filter(|_| split.is_some() && distinct.len() > 1));
        }
        if !unused.is_empty() {
            let names = unused.iter().take(NAMES_KEPT).map(|name| (*name).to_owned()).collect();
            remarks.push(Remark::SplitWordsUnused { names, count: unused.len() });
        }
    }

    fn find_classes(&mut self, paths: &[Vec<&str>], top: usize, remarks: &mut Vec<Remark>) {
        let covered: Vec<&Vec<&str>> =
            paths.iter().filter(|path| self.split_at(path).is_some_and(|s| s.is_ok())).collect();
        let above = self.split_depth.and_then(|split| (top..split).find(|&depth| names_at(&covered, depth).len() > 1));
        let mut depth = above.unwrap_or_else(|| self.split_depth.map_or(top, |split| split + 1));
        let mut containers = BTreeSet::new();
        loop {
            let names = names_at(&covered, depth);
            if names.is_empty() || !names.iter().all(|name| words::is_container(name)) {
                break;
            }
            containers.extend(names.into_iter().map(str::to_owned));
            depth += 1;
        }
        let names = names_at(&covered, depth);
        let enough = if self.split_depth.is_some() { 1 } else { 2 };
        self.class_depth = Some(depth).filter(|_| names.len() >= enough);
        // A single folder such as `images` below the splits is common and needs no remark.
        if containers.len() > 1 {
            remarks.push(Remark::Containers { names: containers.into_iter().collect() });
        }
        let Some(depth) = self.class_depth else { return };
        let below = folders_below(&covered, depth, self.split_depth);
        let usual = depth == self.split_depth.map_or(0, |split| split + 1);
        if !usual || !below.is_empty() {
            remarks.push(Remark::ClassesAtDepth { depth: depth + 1, classes: names.len(), below });
        }
        let annotations: Vec<String> =
            names.into_iter().filter(|name| words::is_annotation_folder(name)).map(str::to_owned).collect();
        if !annotations.is_empty() {
            remarks.push(Remark::AnnotationsAsClass { names: annotations });
        }
    }

    /// The split of a path: none if the dataset has none, an error if the path is in none of the split folders.
    fn split_at(&self, path: &[&str]) -> Option<Result<Option<Split>, ()>> {
        let (file, folders) = path.split_last()?;
        Some(match self.split_depth {
            Some(depth) => {
                folders.get(depth).and_then(|name| self.split_of.get(*name)).map(|&split| Some(split)).ok_or(())
            }
            None if self.by_file_name => Ok(words::split_of_stem(stem(file))),
            None => Ok(None),
        })
    }

    fn meaning(&self, path: &[&str]) -> Meaning {
        match self.split_at(path) {
            Some(Ok(split)) => {
                let class =
                    self.class_depth.filter(|&depth| path.len() > depth + 1).map(|depth| path[depth].to_owned());
                Meaning::Image(split, class)
            }
            _ => Meaning::Beside,
        }
    }
}

/// Number of nested folders that hold everything and name no split.
fn wrapper_depth(paths: &[Vec<&str>]) -> usize {
    let Some(first) = paths.first() else { return 0 };
    let wraps = |depth: usize| {
        first.len() > depth + 2
            && words::split_in(first[depth]).is_none()
            && paths.iter().all(|path| path.len() > depth + 1 && path[depth] == first[depth])
    };
    (0..).find(|&depth| !wraps(depth)).unwrap_or(0)
}

/// The folders of a depth that name splits, if the depth is that of the splits.
fn splits_at(paths: &[Vec<&str>], depth: usize, is_top: bool) -> Option<BTreeMap<String, Split>> {
    let mut names: BTreeMap<&str, bool> = BTreeMap::new();
    for path in paths.iter().filter(|path| path.len() > depth + 1) {
        *names.entry(path[depth]).or_default() |= path.len() > depth + 2;
    }
    // `cats_train` and `cats_test` share one rest. Several rests would be classes, which are not distinguished here.
    let found: Vec<(&str, Split, String)> =
        names.keys().filter_map(|&name| words::split_in(name).map(|(split, rest)| (name, split, rest))).collect();
    let rests: BTreeSet<&String> = found.iter().map(|(_, _, rest)| rest).collect();
    let distinct = found.iter().map(|(_, split, _)| split).collect::<BTreeSet<_>>().len();
    if rests.len() > 1 || (distinct == 1 && rests.iter().any(|rest| !rest.is_empty())) {
        return None;
    }
    let all = !found.is_empty() && found.len() == names.len();
    let is_split = if is_top {
        // A single `train` with images, beside `bus` and `car`, is a class.
        all || distinct > 1 || found.iter().any(|(name, _, _)| names[name])
    } else {
        let reached = paths.iter().filter(|path| path.len() > depth + 1).count();
        all && distinct > 1 && 2 * reached > paths.len()
    };
    is_split.then(|| found.into_iter().map(|(name, split, _)| (name.to_owned(), split)).collect())
}

/// Names of the folders at a depth.
fn names_at<'a>(paths: &[&Vec<&'a str>], depth: usize) -> BTreeSet<&'a str> {
    paths.iter().filter(|path| path.len() > depth + 1).map(|path| path[depth]).collect()
}

/// Number of folders at each depth below `depth`, without the depth of the splits.
fn folders_below(paths: &[&Vec<&str>], depth: usize, split_depth: Option<usize>) -> Vec<usize> {
    let deepest = paths.iter().map(|path| path.len()).max().unwrap_or(0);
    let depths = (depth + 1..deepest.saturating_sub(1)).filter(|&below| Some(below) != split_depth);
    let count = |below: usize| {
        let folders: HashSet<&[&str]> =
            paths.iter().filter(|path| path.len() > below + 1).map(|path| &path[..=below]).collect();
        folders.len()
    };
    depths.map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `split/class` of each path, `-` for none, and the kinds of the remarks.
    fn read(paths: &[&str]) -> (Vec<String>, Vec<String>) {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let (meanings, remarks) = interpret(&paths);
        let text = |meaning: Meaning| match meaning {
            Meaning::Image(split, class) => {
                format!("{}/{}", split.map_or("-", Split::name), class.as_deref().unwrap_or("-"))
            }
            Meaning::Beside => "beside".to_owned(),
            Meaning::Annotation => "annotation".to_owned(),
        };
        let kind = |remark: &Remark| serde_json::to_value(remark).unwrap()["kind"].as_str().unwrap().to_owned();
        (meanings.into_iter().map(text).collect(), remarks.iter().map(kind).collect())
    }

    #[test]
    fn common_layouts_give_no_remark() {
        for (paths, expected) in [
            (&["train/a/1.png", "Test/b/2.png"][..], &["train/a", "test/b"][..]),
            (&["train/1.png", "test/2.png"], &["train/-", "test/-"]),
            (&["a/1.png", "b/2.png", "3.png"], &["-/a", "-/b", "-/-"]),
            (&["1.png", "2.png"], &["-/-", "-/-"]),
            (&["train/a/1.png", "test/a/2.png", "other/3.png", "4.png"], &["train/a", "test/a", "beside", "beside"]),
        ] {
            assert_eq!(read(paths), (expected.iter().map(|text| (*text).to_owned()).collect(), vec![]), "{paths:?}");
        }
    }

    #[test]
    fn splits_are_found_at_any_depth_and_spelling() {
        for (paths, expected) in [
            (
                &["cat/test/1.png", "cat/train/1.png", "dog/train/1.png"][..],
                &["test/cat", "train/cat", "train/dog"][..],
            ),
            (&["training_set/cat/1.png", "test_set/dog/1.png"], &["train/cat", "test/dog"]),
            (&["train2017/cat/1.png", "val2017/dog/1.png"], &["train/cat", "val/dog"]),
            (&["Train_Images/1.png", "TestData/1.png"], &["train/-", "test/-"]),
            (&["set/train/cat/1.png", "set/test/dog/1.png"], &["train/cat", "test/dog"]),
            (&["a/b/cat/test/1.png", "a/b/dog/train/1.png"], &["test/cat", "train/dog"]),
            (&["cxr_train/ill/1.png", "cxr_test/well/1.png"], &["train/ill", "test/well"]),
            (&["cat/train_1.png", "dog/test_1.png"], &["train/cat", "test/dog"]),
        ] {
            let (found, remarks) = read(paths);
            assert_eq!(found, expected, "{paths:?}");
            assert!(remarks.contains(&"splits_from".to_owned()), "{paths:?}: {remarks:?}");
        }
    }

    #[test]
    fn unused_names_of_splits_give_a_remark() {
        // A train is a class among vehicles.
        let (found, remarks) = read(&["bus/1.png", "car/1.png", "train/1.png"]);
        assert_eq!(found, ["-/bus", "-/car", "-/train"]);
        assert_eq!(remarks, ["split_words_unused"]);
        let (found, remarks) = read(&["a/test_1.png", "a/train_1.png", "b/1.png"]);
        assert_eq!(found, ["-/a", "-/a", "-/b"]);
        assert_eq!(remarks, ["split_words_unused"]);
        let (found, remarks) = read(&["train_cat/1.png", "train_dog/1.png", "test_cat/1.png", "test_dog/1.png"]);
        assert_eq!(found[0], "-/train_cat");
        assert_eq!(remarks, ["split_words_unused"]);
    }

    #[test]
    fn masks_beside_images_are_left_out() {
        let (found, remarks) = read(&[
            "testing/1st_manual/1.gif",
            "testing/images/1.tif",
            "testing/mask/1.gif",
            "training/1st_manual/2.gif",
            "training/images/2.tif",
        ]);
        assert_eq!(found, ["annotation", "test/-", "annotation", "annotation", "train/-"]);
        assert!(remarks.contains(&"annotations_left_out".to_owned()), "{remarks:?}");
        let (found, remarks) = read(&["ill/a_mask.png", "ill/a_mask_1.png", "ill/a.png", "well/b_mask.png"]);
        assert_eq!(found, ["annotation", "annotation", "-/ill", "-/well"]);
        assert_eq!(remarks, ["annotations_left_out"]);
        // Faces with masks are classes, with a remark.
        let (found, remarks) = read(&["mask/a.png", "no_mask/b.png"]);
        assert_eq!(found, ["-/mask", "-/no_mask"]);
        assert_eq!(remarks, ["annotations_as_class"]);
    }

    #[test]
    fn wrappers_and_parts_are_not_classes() {
        let (found, remarks) = read(&["set/deep/a/1.png", "set/deep/b/1.png"]);
        assert_eq!(
            (found, remarks),
            (vec!["-/a".into(), "-/b".into()], vec!["wrapper".into(), "classes_at_depth".into()])
        );
        let alphabets = ["images_1/Greek/c01/1.png", "images_1/Latin/c01/1.png", "images_2/Greek/c02/1.png"];
        let (found, remarks) = read(&alphabets);
        assert_eq!(found, ["-/Greek", "-/Latin", "-/Greek"]);
        assert_eq!(remarks, ["containers", "classes_at_depth"]);
        let paths: Vec<String> = alphabets.iter().map(|path| (*path).to_owned()).collect();
        let expected = Remark::ClassesAtDepth { depth: 2, classes: 2, below: vec![3] };
        assert!(interpret(&paths).1.contains(&expected));
        let (found, remarks) = read(&["a/patient1/1.png", "b/patient2/1.png"]);
        assert_eq!(found, ["-/a", "-/b"]);
        assert_eq!(remarks, ["classes_at_depth"]);
    }
}
