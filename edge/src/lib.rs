//! What runs on the device, and the very same code on a desk.
//!
//! An encoder turns an image into a feature; [`feature`] brings the feature to unit length and
//! quantises it to `i16`; [`support_set`] keeps the supports of each class, [`head`] makes probabilities of it and [`decide`]
//! a verdict that can abstain.
//! Nothing here allocates, reads a clock or does I/O: memory is lent by the caller.
//!
//! From the quantised feature on, every result has the same bytes on every CPU: sums are integers,
//! floating-point operations come in a fixed order with no fused multiply-add, and square root,
//! exponential and rounding come from `libm`.
#![no_std]

pub mod feature; // a feature vector, unit length, quantised to i16
pub mod image; // raw pixels to an encoder's pixels: crop, grey, resize
pub mod encoder; // the blob, an encoder read in place, and what any encoder is
pub mod support_set; // classes by name and the supports kept of each
pub mod head; // classifiers solved from the supports
pub mod decide; // class, conformal prediction set and out-of-distribution check of a feature
pub mod store; // the support set, kept on flash through power cuts
pub mod bundle; // a signed file with an encoder and all that belongs to it: verified before it is read
pub mod protocol; // messages, frames, and requests that are carried out once
pub mod session; // request to reply: the device's whole behaviour
