//! Few-shot classification on a device; the host runs the same code.
//!
//! An [`encoder`] maps an image to a feature vector, which [`feature`] scales to length 1 and quantises to `i16`. The
//! [`support_set`] keeps labelled features, [`head`] solves a classifier from them, and [`decide`] makes predictions that
//! can abstain. [`session`] answers the requests of a host with all of it.
//!
//! Nothing here allocates, reads a clock or does I/O. The caller lends the memory.
//!
//! From the quantised feature on, every result has the same bytes on every CPU: sums are integers, floating-point
//! operations have a fixed order and no fused multiply-add, and square root, exponential and rounding come from `libm`.
#![no_std]

pub mod feature; // a feature vector: length 1, quantised to i16
pub mod image; // raw image to encoder input: crop, grey, resize
pub mod encoder; // the encoder interface, and blobs: encoders read in place
pub mod support_set; // classes by name and the supports kept of each
pub mod head; // classifiers solved from the supports
pub mod decide; // predictions: conformal sets, out-of-distribution detection
pub mod store; // the support set on flash, safe against power cuts
pub mod bundle; // a signed file with an encoder: verified before it is read
pub mod protocol; // messages and frames; each request is carried out once
pub mod session; // request to reply: the behaviour of the device
