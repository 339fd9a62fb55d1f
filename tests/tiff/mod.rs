//! Writes TIFF files tag by tag, valid and invalid.

use std::collections::BTreeMap;

/// Pages of a little-endian TIFF, each in one strip unless it is tiled.
#[derive(Clone)]
pub struct Tiff {
    tags: BTreeMap<u16, Vec<u32>>,
    pixels: Vec<u8>,
    is_big: bool,
    next: Option<Box<Tiff>>,
}

const OFFSETS: [u16; 2] = [273, 324];

impl Tiff {
    /// Grey, 8 bits, uncompressed.
    pub fn new(width: u32, height: u32, pixels: &[u8]) -> Self {
        let len = pixels.len() as u32;
        let tags =
            [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 0), (277, 1), (278, height), (279, len)];
        let tags = tags.into_iter().map(|(tag, value)| (tag, vec![value])).collect();
        Self { tags, pixels: pixels.to_vec(), is_big: false, next: None }
    }

    /// Sets a tag.
    pub fn with(mut self, tag: u16, values: &[u32]) -> Self {
        self.tags.insert(tag, values.to_vec());
        self
    }

    /// Stores the pixels in `count` tiles of equal length.
    pub fn tiled(mut self, width: u32, height: u32, count: u32) -> Self {
        for tag in [273, 278, 279] {
            self.tags.remove(&tag);
        }
        let len = self.pixels.len() as u32 / count;
        let offsets: Vec<u32> = (0..count).map(|tile| tile * len).collect();
        self.with(322, &[width]).with(323, &[height]).with(324, &offsets).with(325, &vec![len; count as usize])
    }

    /// Uses 64-bit offsets (BigTIFF).
    pub fn big(mut self) -> Self {
        self.is_big = true;
        self
    }

    /// Appends another page.
    pub fn followed_by(mut self, next: &Tiff) -> Self {
        self.next = Some(Box::new(next.clone()));
        self
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = match self.is_big {
            false => b"II*\0\x08\0\0\0".to_vec(),
            true => b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0".to_vec(),
        };
        self.page(&mut bytes);
        bytes
    }

    /// Appends the directory, the values that do not fit into it, the pixels, and the next page.
    fn page(&self, bytes: &mut Vec<u8>) {
        let (field, entry, count) = if self.is_big { (8, 20, 8) } else { (4, 12, 2) };
        let table = bytes.len() + count + entry * self.tags.len() + field;
        let outside: usize = self.tags.values().map(|values| 4 * values.len()).filter(|len| *len > field).sum();
        let pixels_at = (table + outside) as u32;
        let mut values_behind = Vec::new();
        bytes.extend_from_slice(&(self.tags.len() as u64).to_le_bytes()[..count]);
        for (tag, values) in &self.tags {
            let shift = if OFFSETS.contains(tag) { pixels_at } else { 0 };
            let data: Vec<u8> = values.iter().flat_map(|value| (value + shift).to_le_bytes()).collect();
            bytes.extend(tag.to_le_bytes());
            bytes.extend(4u16.to_le_bytes());
            bytes.extend_from_slice(&(values.len() as u64).to_le_bytes()[..field]);
            let at = ((table + values_behind.len()) as u64).to_le_bytes();
            let mut inside = data.clone();
            inside.resize(field.max(data.len()), 0);
            bytes.extend_from_slice(if data.len() <= field { &inside } else { &at[..field] });
            if data.len() > field {
                values_behind.extend(data);
            }
        }
        let next_at = if self.next.is_some() { (pixels_at as usize + self.pixels.len()) as u64 } else { 0 };
        bytes.extend_from_slice(&next_at.to_le_bytes()[..field]);
        bytes.extend(values_behind);
        bytes.extend(&self.pixels);
        if let Some(next) = &self.next {
            next.page(bytes);
        }
    }
}
