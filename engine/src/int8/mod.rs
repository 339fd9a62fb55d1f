//! Encoders in int8.
