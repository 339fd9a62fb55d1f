//! A set of classes, one bit each.

use core::fmt;

/// Classes 0 to 255; class `c` is bit `c % 8` of byte `c / 8`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassSet {
    bits: [u8; 32],
}

impl ClassSet {
    /// The empty set.
    pub const EMPTY: Self = Self { bits: [0; 32] };

    /// The set with these bits.
    pub const fn from_bytes(bits: [u8; 32]) -> Self {
        Self { bits }
    }

    /// The bits.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.bits
    }

    /// Adds `class`.
    pub fn insert(&mut self, class: u8) {
        self.bits[usize::from(class / 8)] |= 1 << (class % 8);
    }

    /// Removes `class`.
    pub fn remove(&mut self, class: u8) {
        self.bits[usize::from(class / 8)] &= !(1 << (class % 8));
    }

    /// Whether the set contains `class`.
    pub fn contains(&self, class: u8) -> bool {
        self.bits[usize::from(class / 8)] & (1 << (class % 8)) != 0
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.bits == [0; 32]
    }

    /// The classes in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|&class| self.contains(class))
    }
}

impl fmt::Debug for ClassSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits() {
        let mut set = ClassSet::EMPTY;
        assert!(set.is_empty());
        [0, 9, 254].into_iter().for_each(|class| set.insert(class));
        set.insert(9);
        assert!(set.contains(0) && set.contains(9) && set.contains(254) && !set.contains(1));
        assert_eq!((set.len(), set.is_empty()), (3, false));
        assert!(set.iter().eq([0, 9, 254]));
        let bytes = set.to_bytes();
        assert_eq!((bytes[0], bytes[1], bytes[31]), (1, 2, 64));
        assert_eq!(ClassSet::from_bytes(bytes), set);
    }
}
