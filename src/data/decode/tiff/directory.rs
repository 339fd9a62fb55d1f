//! The directories of a TIFF or BigTIFF: tags and values, each checked to be inside the file.

use std::collections::HashSet;

use super::super::refusal::Refusal;

/// Directories of a file at most.
const PAGES_MAX: usize = 65_536;

/// A file and the encoding of its integers.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub bytes: &'a [u8],
    pub is_big_endian: bool,
    /// Whether offsets and counts have 8 bytes.
    is_big: bool,
}

/// One directory, which describes one page.
pub(super) struct Directory<'a> {
    file: File<'a>,
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    tag: u16,
    kind: u16,
    value: &'a [u8],
}

impl<'a> File<'a> {
    /// * `bytes`: begin with a TIFF header
    pub fn new(bytes: &'a [u8]) -> Self {
        let is_big_endian = bytes.first() == Some(&b'M');
        Self { bytes, is_big_endian, is_big: bytes.get(2..4).is_some_and(|version| version.contains(&43)) }
    }

    /// All directories of the main chain.
    pub fn directories(self) -> Result<Vec<Directory<'a>>, Refusal> {
        let (mut directories, mut seen) = (Vec::new(), HashSet::new());
        let mut at = self.pointer(if self.is_big { 8 } else { 4 })?;
        while at != 0 {
            if !seen.insert(at) || seen.len() > PAGES_MAX {
                return Err("the directories form a cycle or are too many".into());
            }
            let (directory, next) = self.directory(at)?;
            directories.push(directory);
            at = next;
        }
        Ok(directories)
    }

    /// The directory at `at`, and the position of the next one.
    fn directory(self, at: usize) -> Result<(Directory<'a>, usize), Refusal> {
        let (count_len, entry_len, field_len) = if self.is_big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(self.slice(at, count_len)?) as usize;
        let table = count.checked_mul(entry_len).ok_or("a directory is too long")?;
        let start = at + count_len;
        let mut entries = Vec::new();
        for entry in self.slice(start, table)?.chunks_exact(entry_len) {
            let (tag, kind) = (self.number(&entry[..2]) as u16, self.number(&entry[2..4]) as u16);
            let count = self.number(&entry[4..4 + field_len]);
            let len = (count as usize).checked_mul(size_of_kind(kind)).ok_or("a tag is too long")?;
            let field = &entry[4 + field_len..];
            let value = match field.get(..len) {
                Some(value) => value,
                None => self.slice(self.number(field) as usize, len)?,
            };
            entries.push(Entry { tag, kind, value });
        }
        let next = self.pointer(start + table)?;
        Ok((Directory { file: self, entries }, next))
    }

    fn pointer(self, at: usize) -> Result<usize, Refusal> {
        Ok(self.number(self.slice(at, if self.is_big { 8 } else { 4 })?) as usize)
    }

    fn slice(self, at: usize, len: usize) -> Result<&'a [u8], Refusal> {
        let outside = || {
            Refusal::from(format!("the TIFF is truncated: data at byte {at}, the file has {} bytes", self.bytes.len()))
        };
        self.bytes.get(at..at.checked_add(len).ok_or_else(outside)?).ok_or_else(outside)
    }

    /// An unsigned integer of up to 8 bytes.
    pub fn number(self, bytes: &[u8]) -> u64 {
        let shift = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self.is_big_endian {
            true => bytes.iter().fold(0, shift),
            false => bytes.iter().rev().fold(0, shift),
        }
    }
}

/// Bytes of one value; unknown types count as 1.
fn size_of_kind(kind: u16) -> usize {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

impl Directory<'_> {
    /// The unsigned integers of a tag; none if it is missing.
    pub fn numbers(&self, tag: u16) -> Result<Option<Vec<u64>>, Refusal> {
        let Some(entry) = self.entries.iter().find(|entry| entry.tag == tag) else { return Ok(None) };
        match entry.kind {
            1 | 3 | 4 | 7 | 13 | 16 | 18 => {
                let values = entry.value.chunks_exact(size_of_kind(entry.kind));
                Ok(Some(values.map(|value| self.file.number(value)).collect()))
            }
            kind => Err(format!("tag {tag} has type {kind}; expected unsigned integers").into()),
        }
    }

    /// The first number of a tag, or `default`.
    pub fn number(&self, tag: u16, default: u64) -> Result<u64, Refusal> {
        Ok(self.numbers(tag)?.and_then(|numbers| numbers.first().copied()).unwrap_or(default))
    }

    /// [`Self::number`] of a required tag.
    pub fn required(&self, tag: u16, name: &str) -> Result<u64, Refusal> {
        let found = self.numbers(tag)?.and_then(|numbers| numbers.first().copied());
        found.ok_or_else(|| format!("the TIFF has no {name} (tag {tag})").into())
    }

    /// The number that all samples share, or `default`.
    pub fn shared(&self, tag: u16, name: &str, default: u64) -> Result<u64, Refusal> {
        let numbers = self.numbers(tag)?.filter(|numbers| !numbers.is_empty()).unwrap_or_else(|| vec![default]);
        match numbers.iter().all(|number| *number == numbers[0]) {
            true => Ok(numbers[0]),
            false => Err(format!("{name} differs between samples: {numbers:?}").into()),
        }
    }

    /// The bytes of a tag.
    pub fn bytes(&self, tag: u16) -> Option<&[u8]> {
        self.entries.iter().find(|entry| entry.tag == tag).map(|entry| entry.value)
    }
}
