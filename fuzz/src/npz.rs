//! Archives of NumPy arrays.
//!
//! | bytes | field                                                                              |
//! |------:|------------------------------------------------------------------------------------|
//! |     1 | bit 0: the rest is a zip file; otherwise members follow                            |
//!
//! and each member:
//!
//! | bytes | field                                                                              |
//! |------:|------------------------------------------------------------------------------------|
//! |     1 | its name, 0 to 8: images, labels, groups of train, val, test                        |
//! |     1 | bit 0: compressed; bit 1: the slice is the whole member; bit 2: the slice is not repeated |
//! |     5 | type and shape, if the target writes the header: see `header`                        |
//! | 2 + N | a slice: the values, repeated to the length of the shape                           |

use std::io::{Cursor, Write};

use macula::data;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::Outcome;
use crate::dataset::{check_opened, in_folder};
use crate::input::{Input, cycled};

/// Members of one archive at most.
const MEMBERS_MAX: usize = 12;

/// Opens the archive that `data` describes.
pub fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let bytes = if input.byte() & 1 == 1 { input.rest().to_vec() } else { archive(&mut input) };
    in_folder(|folder| {
        let path = folder.join("images.npz");
        std::fs::write(&path, bytes).expect("the temporary folder can be written");
        check_opened(data::open(&path))
    })
}

fn archive(input: &mut Input<'_>) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for _ in 0..MEMBERS_MAX {
        if input.is_empty() {
            break;
        }
        let (name, flags) = (usize::from(input.byte() % 9), input.byte());
        let split = ["train", "val", "test"][name / 3];
        let name = format!("{split}_{}.npy", ["images", "labels", "groups"][name % 3]);
        let method = if flags & 1 == 1 { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        let member = member(input, flags);
        // A duplicate name is refused; the archive continues without it.
        if archive.start_file(name, SimpleFileOptions::default().compression_method(method)).is_ok() {
            archive.write_all(&member).expect("memory can be written");
        }
    }
    archive.finish().expect("memory can be written").into_inner()
}

/// One `.npy` file.
fn member(input: &mut Input<'_>, flags: u8) -> Vec<u8> {
    if flags & 2 == 2 {
        return input.slice().to_vec();
    }
    let (mut member, values_len) = header(input);
    let values = input.slice();
    member.extend(if flags & 4 == 4 { values.to_vec() } else { cycled(values, values_len) });
    member
}

/// The header of an array and the length of its values: a type from a list, up to four small sides.
fn header(input: &mut Input<'_>) -> (Vec<u8>, usize) {
    const TYPES: [(&str, usize); 12] = [
        ("|u1", 1),
        ("<i8", 8),
        ("<i4", 4),
        ("<u2", 2),
        ("|i1", 1),
        ("<U3", 12),
        ("|S4", 4),
        ("<f4", 4),
        (">i4", 4),
        ("<u8", 8),
        ("|b1", 1),
        ("|O", 8),
    ];
    let kind = input.byte();
    let (descr, size) = TYPES[usize::from(kind & 15) % TYPES.len()];
    let sides = [0; 4].map(|_: u8| usize::from(input.byte() % 16));
    let shape = &sides[..1 + usize::from(kind >> 4 & 3)];
    let fortran = if kind & 0x40 == 0 { "False" } else { "True" };
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({sides}), }}");
    let filled = (10 + text.len() + 1).next_multiple_of(64);
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(((filled - 10) as u16).to_le_bytes());
    bytes.extend(format!("{text:filling$}\n", filling = filled - 11).as_bytes());
    (bytes, shape.iter().product::<usize>() * size)
}
