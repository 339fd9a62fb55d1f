//! IDX files of images and labels, plain and compressed.
//!
//! | bytes | field                                                                        |
//! |------:|------------------------------------------------------------------------------|
//! |     1 | flags: see code                                                              |
//! |     6 | images, rows, columns, labels (16, 8, 8, 16 bits), if the target writes headers |
//! | 2 + N | a slice: bytes of the images                                                   |
//! |  rest | bytes of the labels                                                            |

use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use macula::data;

use crate::Outcome;
use crate::dataset::{check_opened, in_folder};
use crate::input::{Input, cycled};

/// The files are the bytes of the input, without a written header.
const RAW_BYTES: u8 = 1;
/// No file of labels.
const NO_LABELS: u8 = 2;
/// The images are compressed.
const PACKED_IMAGES: u8 = 4;
/// The labels are compressed.
const PACKED_LABELS: u8 = 8;
/// The file of images is not compressed, but has the name of a compressed one.
const NOT_PACKED: u8 = 16;

const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte", "train-labels-idx1-ubyte.gz"];

/// Opens the pair of files that `data` describes.
pub fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let flags = input.byte();
    let (count, rows, columns, labels) = (input.u16(), input.byte(), input.byte(), input.u16());
    let (images, named) = (input.slice(), input.rest());
    let (images, labels) = if flags & RAW_BYTES != 0 {
        (images.to_vec(), named.to_vec())
    } else {
        let (count, labels) = (count % 1024, labels % 1024);
        let pixels = usize::from(count) * usize::from(rows % 32) * usize::from(columns % 32);
        let sides = [count.into(), u32::from(rows % 32), u32::from(columns % 32)];
        (file(&sides, images, pixels), file(&[labels.into()], named, labels.into()))
    };
    in_folder(|folder| {
        for name in NAMES {
            std::fs::remove_file(folder.join(name)).ok();
        }
        let packed = flags & (PACKED_IMAGES | NOT_PACKED) != 0;
        let path = folder.join(NAMES[usize::from(packed)]);
        write(&path, &images, flags & PACKED_IMAGES != 0);
        if flags & NO_LABELS == 0 {
            let packed = flags & PACKED_LABELS != 0;
            write(&folder.join(NAMES[2 + usize::from(packed)]), &labels, packed);
        }
        check_opened(data::open(&path))
    })
}

/// A file of bytes of this shape: `values` repeated to `len`.
fn file(sides: &[u32], values: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sides.len() as u8];
    sides.iter().for_each(|side| bytes.extend(side.to_be_bytes()));
    bytes.extend(cycled(values, len));
    bytes
}

fn write(path: &Path, bytes: &[u8], packed: bool) {
    let written = if packed {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).and_then(|()| packer.finish()).expect("memory can be written")
    } else {
        bytes.to_vec()
    };
    std::fs::write(path, written).expect("the temporary folder can be written");
}
