//! CSV manifests beside the images `a.png`, `b.png`, `sub/c.png`, and `broken.png`, which is not an image.

use std::path::Path;

use macula::data;

use crate::dataset::{check_opened, in_folder};
use crate::{Outcome, samples};

/// Opens `data` as a manifest.
pub fn run(data: &[u8]) -> Outcome {
    in_folder(|folder| {
        let folder = folder.join("manifest");
        if !folder.exists() {
            lay_out(&folder).expect("the temporary folder can be written");
        }
        let path = folder.join("manifest.csv");
        std::fs::write(&path, data).expect("the temporary folder can be written");
        check_opened(data::open(&path))
    })
}

fn lay_out(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder.join("sub"))?;
    for (name, side) in [("a.png", 3), ("b.png", 5), ("sub/c.png", 8)] {
        std::fs::write(folder.join(name), samples::png(side, side))?;
    }
    std::fs::write(folder.join("broken.png"), b"\x89PNG\r\n\x1a\n")
}
