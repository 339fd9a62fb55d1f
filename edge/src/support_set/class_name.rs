//! Names of classes.

use core::fmt;

use super::error::{CLASS_NAME_MAX, SupportSetError};

/// The name of a class, 1 to [`CLASS_NAME_MAX`] bytes of UTF-8.
///
/// Control characters, line separators, direction marks and zero-width characters are not allowed, because a terminal or a
/// page would not show them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClassName {
    bytes: [u8; CLASS_NAME_MAX],
    len: u8,
}

impl ClassName {
    /// The empty name of a free slot.
    pub const FREE: Self = Self { bytes: [0; CLASS_NAME_MAX], len: 0 };

    /// A name that no class has, for a slot whose class was removed later in a store's journal.
    pub(crate) fn placeholder(slot: u8) -> Self {
        // No stored name has a control character.
        let mut bytes = [0; CLASS_NAME_MAX];
        (bytes[1], bytes[2]) = (b'a' + slot / 16, b'a' + slot % 16);
        Self { bytes, len: 3 }
    }

    /// Checks `text` as a new name.
    ///
    /// # Errors
    /// If it is empty, too long or has a character that is not allowed.
    pub fn new(text: &str) -> Result<Self, SupportSetError> {
        if text.chars().any(is_deceptive) {
            return Err(SupportSetError::Name { found: text.len() });
        }
        Self::stored(text)
    }

    /// Checks a name read from a store. Earlier versions refused control characters only.
    ///
    /// # Errors
    /// If it is empty, too long or has a control character.
    pub fn stored(text: &str) -> Result<Self, SupportSetError> {
        if text.is_empty() || text.len() > CLASS_NAME_MAX || text.chars().any(char::is_control) {
            return Err(SupportSetError::Name { found: text.len() });
        }
        let mut bytes = [0; CLASS_NAME_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len: text.len() as u8 })
    }

    /// The name; empty for a free slot.
    pub fn as_str(&self) -> &str {
        // The bytes come from a `str`, so this never falls back.
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("")
    }

    /// Whether the slot is free.
    pub fn is_free(&self) -> bool {
        self.len == 0
    }
}

/// Whether `c` separates lines, changes the direction of writing (Unicode 16, table 9-4) or has no width.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Debug for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
