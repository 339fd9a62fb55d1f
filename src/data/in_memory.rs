//! Datasets of images in memory.

use super::decode::DecodeOptions;
use super::source::{PixelSource, SourceImage};
use super::{DataError, Dataset, Image, Record};

impl PixelSource for Vec<Image> {
    fn read(&self, item: usize, _: &DecodeOptions) -> Result<SourceImage, DataError> {
        Ok(SourceImage::Pixels(self[item].clone()))
    }
}

impl Dataset {
    /// A dataset of `images`, which errors call `name[0]`, `name[1]`, …, without splits.
    ///
    /// * `images`: each with its label, an index into `class_names`, or none
    /// * `class_names`: those without an image are left out
    ///
    /// # Panics
    /// When a label has no class name.
    pub fn of_images(name: &str, images: Vec<(Image, Option<usize>)>, class_names: Vec<String>) -> Self {
        let record = |(index, (_, label)): (usize, &(Image, Option<usize>))| Record {
            name: format!("{name}[{index}]"),
            label: *label,
            ..Record::default()
        };
        let records = images.iter().enumerate().map(record).collect();
        let images: Vec<Image> = images.into_iter().map(|(image, _)| image).collect();
        let mut dataset = Self::new(name.to_owned(), records, images);
        dataset.set_classes_that_occur(class_names);
        dataset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_in_memory_are_a_dataset() {
        let image = |value| Image { width: 2, height: 1, channels: 1, pixels: vec![value; 2] };
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let dataset =
            Dataset::of_images("images", vec![(image(1), Some(2)), (image(2), None), (image(3), Some(0))], names);
        assert_eq!(dataset.class_names, ["a", "c"]);
        assert_eq!(dataset.labels(&dataset.indices(None)), [Some(1), None, Some(0)]);
        assert_eq!((dataset.load(2).unwrap(), dataset.records[2].name.as_str()), (image(3), "images[2]"));
        assert!(dataset.load(3).is_err());
    }
}
