//! The tests of this package compare Macula's gradients with burn's. The library is empty.
