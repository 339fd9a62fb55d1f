//! Nothing to use: the tests of this package hold Macula's gradients beside burn's.
