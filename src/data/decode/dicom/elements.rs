//! The elements of a data set, each checked to be inside the file. PS3.5 chapter 7.
//!
//! | bytes | field                                                                            |
//! |------:|----------------------------------------------------------------------------------|
//! |     4 | tag: group, element                                                              |
//! |     2 | explicit only: type of the value, and for some types 2 reserved bytes            |
//! | 2 / 4 | length L, or 0xFFFFFFFF for a sequence that ends with a delimiter                |
//! |     L | value                                                                            |

use super::super::refusal::Refusal;
use super::syntax::Syntax;
use super::tags::{self, Tag};

/// The length of a value that ends with a delimiter.
const UNDEFINED: u32 = u32::MAX;

/// Levels of nested sequences at most.
const DEPTH_MAX: usize = 32;

/// Elements of one data set that are kept at most; about 40 are known.
const ELEMENTS_MAX: usize = 1_000;

/// Bytes of a text with numbers at most.
const TEXT_MAX: usize = 4_096;

/// The length of the header of an item or a delimiter.
const ITEM_HEADER: usize = 8;

/// A position in a data set and the end of the part that is read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    pub at: usize,
    end: usize,
    syntax: Syntax,
}

/// Everything before the value of an element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub tag: Tag,
    /// The type of the value; none in an implicit syntax.
    kind: Option<[u8; 2]>,
    len: u32,
}

impl Header {
    /// Whether the value consists of fragments or items up to a delimiter.
    pub fn is_undefined(&self) -> bool {
        self.len == UNDEFINED
    }

    /// The length of a value that has one.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the value consists of 16-bit words.
    pub fn is_words(&self) -> bool {
        self.kind.is_none_or(|kind| kind == *b"OW")
    }

    fn may_be_sequence(&self) -> bool {
        self.kind.is_none_or(|kind| kind == *b"SQ" || kind == *b"UN")
    }
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], at: usize, syntax: Syntax) -> Self {
        Self { bytes, at, end: bytes.len(), syntax }
    }

    pub fn is_big_endian(&self) -> bool {
        self.syntax.is_big_endian
    }

    fn number(&self, bytes: &[u8]) -> u32 {
        number(bytes, self.syntax.is_big_endian)
    }

    fn cut(&self, what: impl std::fmt::Display, len: usize) -> Refusal {
        let (at, end) = (self.at, self.end);
        format!("the DICOM file is truncated or damaged: {what} at byte {at} has {len} bytes; its part ends at {end}")
            .into()
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize, what: impl std::fmt::Display) -> Result<&'a [u8], Refusal> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.end);
        let Some(end) = end else { return Err(self.cut(what, len)) };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// The header of the next element; none at the end.
    pub fn header(&mut self) -> Result<Option<Header>, Refusal> {
        if self.at >= self.end {
            return Ok(None);
        }
        let start = self.take(4, "a tag")?;
        let tag = Tag(self.number(&start[..2]) as u16, self.number(&start[2..]) as u16);
        let is_item = matches!(tag, tags::ITEM | tags::ITEM_END | tags::SEQUENCE_END);
        if is_item || !self.syntax.is_explicit {
            let len = self.take(4, tag)?;
            return Ok(Some(Header { tag, kind: None, len: self.number(len) }));
        }
        let kind: [u8; 2] = self.take(2, tag)?.try_into().unwrap_or_default();
        if !kind.iter().all(u8::is_ascii_uppercase) {
            return Err(
                format!("element {tag} near byte {} has no type of value; is its syntax implicit?", self.at).into()
            );
        }
        let is_long = matches!(
            &kind,
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV"
        );
        if is_long {
            self.take(2, tag)?;
        }
        let len = self.take(if is_long { 4 } else { 2 }, tag)?;
        Ok(Some(Header { tag, kind: Some(kind), len: self.number(len) }))
    }

    /// The value of the element `header`, which was just read. The delimiter of a sequence is not part of it.
    fn value(&mut self, header: &Header, depth: usize) -> Result<Self, Refusal> {
        if !header.is_undefined() {
            let start = self.at;
            self.take(header.len as usize, header.tag)?;
            return Ok(Self { at: start, end: self.at, ..*self });
        }
        // Pixels of an icon are in fragments, which are items too.
        let has_items = header.may_be_sequence() || [Some(*b"OB"), Some(*b"OW")].contains(&header.kind);
        if !has_items {
            return Err(format!("element {} near byte {} has no length and is no sequence", header.tag, self.at).into());
        }
        if depth > DEPTH_MAX {
            return Err(format!("sequences are nested deeper than {DEPTH_MAX} levels near byte {}", self.at).into());
        }
        let mut reader = *self;
        // A sequence of unknown type is written in the implicit syntax. PS3.5 section 6.2.2.
        if header.kind == Some(*b"UN") {
            reader.syntax = Syntax { is_explicit: false, is_big_endian: false, ..self.syntax };
        }
        let inner = reader;
        let delimiter = if header.tag == tags::ITEM { tags::ITEM_END } else { tags::SEQUENCE_END };
        loop {
            let end = reader.at;
            let next =
                reader.header()?.ok_or_else(|| reader.cut(format!("the delimiter of {}", header.tag), ITEM_HEADER))?;
            if next.tag == delimiter {
                self.at = reader.at;
                return Ok(Self { end, ..inner });
            }
            if delimiter == tags::SEQUENCE_END && next.tag != tags::ITEM {
                return Err(format!("element {} near byte {end} is in a sequence, outside of an item", next.tag).into());
            }
            reader.value(&next, depth + 1)?;
        }
    }

    /// The item `index` of a sequence.
    fn item(mut self, index: usize) -> Result<Option<Self>, Refusal> {
        for at in 0..=index {
            let Some(header) = self.header()? else { return Ok(None) };
            if header.tag != tags::ITEM {
                return Ok(None);
            }
            let item = self.value(&header, 0)?;
            if at == index {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }
}

/// A number of up to 4 bytes.
pub(super) fn number(bytes: &[u8], is_big_endian: bool) -> u32 {
    let shift = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
    if is_big_endian { bytes.iter().fold(0, shift) } else { bytes.iter().rev().fold(0, shift) }
}

/// The wanted elements of one data set.
pub(super) struct Elements<'a> {
    found: Vec<(Tag, &'a [u8])>,
    pub syntax: Syntax,
    /// Functional groups that frames share, and those of each frame.
    groups: [Option<Reader<'a>>; 2],
    /// The element with the pixels, and a reader at its value.
    pub pixels: Option<(Header, Reader<'a>)>,
    /// Whether there was an element after the wanted ones; otherwise the data set may have been cut between two.
    pub has_ended: bool,
}

impl<'a> Elements<'a> {
    fn none(syntax: Syntax) -> Self {
        Self { found: Vec::new(), syntax, groups: [None; 2], pixels: None, has_ended: false }
    }

    /// Reads the elements from the position of `reader` to the pixels, or up to and including `last`.
    pub fn read(mut reader: Reader<'a>, last: Option<Tag>) -> Result<Self, Refusal> {
        let mut elements = Self::none(reader.syntax);
        while let Some(header) = reader.header()? {
            match header.tag {
                tag if last.is_some_and(|last| tag > last) => {
                    elements.has_ended = true;
                    break;
                }
                tags::PIXELS | tags::FLOAT_PIXELS | tags::DOUBLE_PIXELS => {
                    (elements.pixels, elements.has_ended) = (Some((header, reader)), true);
                    break;
                }
                tag => {
                    let value = reader.value(&header, 0)?;
                    match tag {
                        tags::SHARED_GROUPS => elements.groups[0] = Some(value),
                        tags::FRAME_GROUPS => elements.groups[1] = Some(value),
                        // Of two equal tags, readers take the last.
                        _ if tag.is_wanted() => elements.keep(tag, value)?,
                        _ => {}
                    }
                }
            }
        }
        Ok(elements)
    }

    /// Reads one element, and returns a reader behind it.
    pub fn one(mut reader: Reader<'a>) -> Result<(Self, Reader<'a>), Refusal> {
        let mut elements = Self::none(reader.syntax);
        if let Some(header) = reader.header()? {
            let value = reader.value(&header, 0)?;
            elements.keep(header.tag, value)?;
        }
        Ok((elements, reader))
    }

    fn keep(&mut self, tag: Tag, value: Reader<'a>) -> Result<(), Refusal> {
        if self.found.len() >= ELEMENTS_MAX {
            return Err(format!("more than {ELEMENTS_MAX} elements describe the pixels").into());
        }
        self.found.push((tag, &value.bytes[value.at..value.end]));
        Ok(())
    }

    /// The elements in the functional groups of `frame`, those of all frames first. PS3.3 section C.7.6.16.
    pub fn of_frame(&self, frame: u32) -> Result<Self, Refusal> {
        let mut elements = Self::none(self.syntax);
        for (group, index) in self.groups.iter().zip([0, frame as usize]) {
            if let Some(item) = group.map(|group| group.item(index)).transpose()?.flatten() {
                elements.nested(item, 0)?;
            }
        }
        Ok(elements)
    }

    /// Keeps the wanted elements at any depth below `reader`.
    fn nested(&mut self, mut reader: Reader<'a>, depth: usize) -> Result<(), Refusal> {
        while let Some(header) = reader.header()? {
            let value = reader.value(&header, depth)?;
            // In an implicit syntax, only the tags of these two sequences tell what they are.
            let is_sequence = header.kind == Some(*b"SQ")
                || header.may_be_sequence() && matches!(header.tag, Tag(0x0028, 0x9132 | 0x9145));
            if header.tag.is_wanted() {
                self.keep(header.tag, value)?;
            } else if is_sequence
                && depth < DEPTH_MAX
                && let Some(item) = value.item(0)?
            {
                self.nested(item, depth + 1)?;
            }
        }
        Ok(())
    }

    /// The bytes of an element.
    pub fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        self.found.iter().rev().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }

    /// A text without padding.
    pub fn text(&self, tag: Tag) -> Result<Option<&'a str>, Refusal> {
        let Some(bytes) = self.bytes(tag) else { return Ok(None) };
        let text = bytes.get(..bytes.len().min(TEXT_MAX)).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let text = text.filter(|_| bytes.len() <= TEXT_MAX).ok_or_else(|| format!("{tag} is not a short text"))?;
        Ok(Some(text.trim_matches([' ', '\0'])).filter(|text| !text.is_empty()))
    }

    /// Unsigned integers of 16 bits.
    pub fn shorts(&self, tag: Tag) -> Option<Vec<u16>> {
        let pairs = self.bytes(tag)?.chunks_exact(2).take(TEXT_MAX);
        Some(pairs.map(|pair| number(pair, self.syntax.is_big_endian) as u16).collect())
    }

    /// An unsigned integer of 16 bits.
    pub fn short(&self, tag: Tag) -> Option<u16> {
        self.shorts(tag)?.first().copied()
    }

    /// [`Self::short`] of a required element.
    pub fn required(&self, tag: Tag) -> Result<u16, Refusal> {
        self.short(tag).ok_or_else(|| format!("the DICOM file has no {tag}").into())
    }

    /// The first of the numbers that a text lists.
    pub fn decimal(&self, tag: Tag) -> Result<Option<f64>, Refusal> {
        let Some(text) = self.text(tag)? else { return Ok(None) };
        let first = text.split('\\').next().unwrap_or_default().trim();
        match first.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Some(value)),
            _ => Err(format!("{tag} is not a number").into()),
        }
    }
}
