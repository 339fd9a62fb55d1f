//! Writes DICOM files element by element, valid and invalid.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::write::DeflateEncoder;

pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

/// A little-endian file. Elements are written in order of their tags.
#[derive(Clone)]
pub struct Dicom {
    syntax: &'static str,
    elements: BTreeMap<u32, ([u8; 2], Vec<u8>)>,
    /// Fragments instead of one value.
    fragments: Option<Vec<Vec<u8>>>,
}

impl Dicom {
    /// 16-bit grey of one frame.
    pub fn grey(width: u16, height: u16, samples: &[u16]) -> Self {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        Self { syntax: EXPLICIT, elements: BTreeMap::new(), fragments: None }
            .short(0x0028_0002, 1)
            .text(0x0028_0004, b"CS", "MONOCHROME2")
            .short(0x0028_0010, height)
            .short(0x0028_0011, width)
            .short(0x0028_0100, 16)
            .short(0x0028_0101, 16)
            .short(0x0028_0102, 15)
            .short(0x0028_0103, 0)
            .with(0x7FE0_0010, b"OW", &bytes)
    }

    /// Sets an element; the value gets an even length.
    pub fn with(mut self, tag: u32, kind: &[u8; 2], value: &[u8]) -> Self {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(if kind == b"OB" || kind == b"UI" { 0 } else { b' ' });
        }
        self.elements.insert(tag, (*kind, value));
        self
    }

    /// Writes the file in another syntax.
    pub fn in_syntax(mut self, syntax: &'static str) -> Self {
        self.syntax = syntax;
        self
    }

    /// Sets a text.
    pub fn text(self, tag: u32, kind: &[u8; 2], text: &str) -> Self {
        self.with(tag, kind, text.as_bytes())
    }

    /// Sets a 16-bit number.
    pub fn short(self, tag: u32, value: u16) -> Self {
        self.with(tag, b"US", &value.to_le_bytes())
    }

    /// Removes an element.
    pub fn without(mut self, tag: u32) -> Self {
        self.elements.remove(&tag);
        self
    }

    /// Sets the patient, the study and the side.
    pub fn of_patient(self, name: &str, id: &str, study: &str, side: &str) -> Self {
        self.text(0x0010_0010, b"PN", name).text(0x0010_0020, b"LO", id).text(0x0020_000D, b"UI", study).text(
            0x0020_0060,
            b"CS",
            side,
        )
    }

    /// Compressed pixels in fragments, after an empty table of offsets.
    pub fn compressed(mut self, syntax: &'static str, fragments: &[&[u8]]) -> Self {
        self.syntax = syntax;
        let even = |fragment: &&[u8]| [*fragment, &[0][..fragment.len() % 2]].concat();
        self.fragments = Some([vec![Vec::new()], fragments.iter().map(even).collect()].concat());
        self.without(0x7FE0_0010)
    }

    /// The bytes of the data set.
    pub fn data_set(&self) -> Vec<u8> {
        let is_explicit = self.syntax != IMPLICIT;
        let mut bytes = Vec::new();
        for (tag, (kind, value)) in &self.elements {
            bytes.extend(header(*tag, kind, value.len() as u32, is_explicit));
            bytes.extend(value);
        }
        if let Some(fragments) = &self.fragments {
            bytes.extend(header(0x7FE0_0010, b"OB", u32::MAX, true));
            for fragment in fragments {
                bytes.extend(item(fragment));
            }
            bytes.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        }
        bytes
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        file(self.syntax, &self.data_set())
    }
}

/// A file with this data set, which is compressed if its syntax says so.
pub fn file(syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let mut bytes = start(syntax);
    if syntax == DEFLATED {
        let mut encoder = DeflateEncoder::new(&mut bytes, Compression::best());
        encoder.write_all(data_set).unwrap();
        encoder.finish().unwrap();
    } else {
        bytes.extend(data_set);
    }
    bytes
}

/// A deflated file of one element of `len` zeros.
pub fn bomb(len: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(start(DEFLATED), Compression::fast());
    encoder.write_all(&header(0x0008_0000, b"OB", len, true)).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(len.into()), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

/// Everything before the data set.
fn start(syntax: &str) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let mut uid = syntax.as_bytes().to_vec();
    uid.resize(uid.len().next_multiple_of(2), 0);
    bytes.extend(header(0x0002_0010, b"UI", uid.len() as u32, true));
    bytes.extend(uid);
    bytes
}

/// Tag, type and length of an element.
pub fn header(tag: u32, kind: &[u8; 2], len: u32, is_explicit: bool) -> Vec<u8> {
    let mut bytes = [((tag >> 16) as u16).to_le_bytes(), (tag as u16).to_le_bytes()].concat();
    if !is_explicit {
        bytes.extend(len.to_le_bytes());
    } else if matches!(kind, b"OB" | b"OW" | b"SQ" | b"UN") {
        bytes.extend([kind[0], kind[1], 0, 0]);
        bytes.extend(len.to_le_bytes());
    } else {
        bytes.extend(kind);
        bytes.extend((len as u16).to_le_bytes());
    }
    bytes
}

/// An item of a sequence.
pub fn item(content: &[u8]) -> Vec<u8> {
    [&[0xFE, 0xFF, 0x00, 0xE0][..], &(content.len() as u32).to_le_bytes(), content].concat()
}
